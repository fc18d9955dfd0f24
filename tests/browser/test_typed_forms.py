"""Typed forms in Chromium: a form that nobody edited sends back what it showed, and Enter decides nothing."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import QueryDict
from playwright.sync_api import Page, Route, sync_playwright
from pydantic import BaseModel, create_model

from recovery.forms import ModelForm
from tests.recovery.browser_forms import render, submitted
from tests.recovery.test_form_round_trips import VALUES

pytestmark = pytest.mark.browser

URL = "http://form.test/"


class FormPage:
    """A page that holds one form, and what the browser sent for it."""

    def __init__(self, page: Page, form: Any) -> None:
        self.page, self.sent = page, QueryDict()
        self._html = f'<!doctype html><meta charset="utf-8"><form method="post">{render(form)}<button name="kind">'
        page.route("**/*", self._answer)
        page.goto(URL)

    def _answer(self, route: Route) -> None:
        if route.request.method == "POST":
            self.sent = QueryDict(route.request.post_data_buffer or b"")
        route.fulfill(body=self._html.encode(), content_type="text/html; charset=utf-8")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


@pytest.fixture
def everything(settings: Any) -> BaseModel:
    """A model with a field for each value of the round trips."""
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000
    model = create_model("All", **{f"f{at}": (annotation, ...) for at, (annotation, _) in enumerate(VALUES)})  # type: ignore[call-overload]
    return model.model_construct(**{f"f{at}": value for at, (_, value) in enumerate(VALUES)})


def test_chromium_sends_every_value_back_as_it_was(page: Page, everything: BaseModel) -> None:
    blank = ModelForm(type(everything), everything, prefix="p")
    shown = FormPage(page, blank)
    refused = page.evaluate(
        "[...document.forms[0].elements].filter(e => e.willValidate && !e.checkValidity()).map(e => e.name)"
    )
    with page.expect_navigation():
        page.click("button[name=kind]")

    assert refused == []
    form = ModelForm(type(everything), everything, prefix="p", data=shown.sent)
    assert form.errors == {}
    assert form.changes == []
    assert form.value == everything
    # What the other tests take for a browser sends the same.
    assert {**shown.sent.dict(), "kind": ""} == {**submitted(blank).dict(), "kind": ""}


def test_enter_in_a_field_presses_the_button_that_only_checks(page: Page, everything: BaseModel) -> None:
    shown = FormPage(page, ModelForm(type(everything), everything, prefix="p"))
    page.focus("input[name='p.f2']")
    with page.expect_navigation():
        page.keyboard.press("Enter")

    assert "p:check" in shown.sent
    assert "kind" not in shown.sent
