"""Chromium, people in it, and a server in this process. Every page fails its test if it broke the policy of the server
or if a script of it failed."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from recovery.services.work import work_on_state
from tests.browser.chromium import ARGUMENTS
from tests.recovery.conftest import _fresh_calls, ada, grace, make_user, run_until_it_waits

__all__ = ["_fresh_calls", "ada", "grace", "make_user", "run_until_it_waits"]

# Playwright keeps a loop in this thread; the ORM is used between its calls, never inside.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """A page in a browser of its own, as another person would have. Options are those of a browser context."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            faults.append(message.text)

    def new(**options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", listen)
        page.on("pageerror", lambda error: faults.append(str(error)))
        return page

    yield new
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    return open_page()


@pytest.fixture
def sign_in(live_server: Any) -> Callable[[Page, Any], Page]:
    """Sign `user` in on a page, without the form."""

    def sign_in(page: Page, user: Any) -> Page:
        client = Client()
        client.force_login(user)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
        return page

    return sign_in


@pytest.fixture
def work() -> Callable[[Any], None]:
    """Let a worker take a run as far as it goes."""

    def work(state_id: Any) -> None:
        # In a thread of its own: the run has a loop, and so has Playwright.
        worker = threading.Thread(target=work_on_state, args=(state_id,))
        worker.start()
        worker.join()

    return work
