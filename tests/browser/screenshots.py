"""Pictures of the product with its samples: those of the guide, or all pages to look at (`make screenshots`).

python -m tests.browser.screenshots                the pictures of the guide, into docs/images/
python -m tests.browser.screenshots --sheet FOLDER every page, wide and narrow, light and dark, and an index.html
"""

import argparse
import io
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.chromium import ARGUMENTS
from tests.project.dashboard import ROOT, Dashboard
from tests.project.processes import free_port

IMAGES = ROOT / "docs" / "images"
LARGEST_BYTES = 120_000
WIDTHS = {1280: 800, 360: 740}
THEMES = ("light", "dark")
# What the samples ask, before anybody has decided.
WAITING = 3
LOAD, NOTES, EXPENSES = re.compile("^Load"), re.compile("^Publish the release notes"), re.compile("xpense|Pay")


class Desk:
    """Chromium at a dashboard that runs the samples, with somebody signed in."""

    def __init__(self, browser: Browser, dashboard: Dashboard) -> None:
        self.browser, self.dashboard = browser, dashboard
        self._sessions: dict[str, list] = {}

    @contextmanager
    def at(self, user: str, width: int = 1280, theme: str = "light") -> Iterator[Page]:
        size = {"width": width, "height": WIDTHS[width]}
        context = self.browser.new_context(viewport=size, color_scheme=theme, timezone_id="UTC")
        page = context.new_page()
        if user and user not in self._sessions:
            page.goto(self.dashboard.address)
            page.locator("#id_username").fill(user)
            page.locator("#id_password").fill(self.dashboard.password_of(user))
            page.locator("main form button").click()
            page.wait_for_url(self.dashboard.address)
            self._sessions[user] = context.cookies()
        elif user:
            context.add_cookies(self._sessions[user])
        yield page
        context.close()

    def go(self, page: Page, path: str = "") -> None:
        page.goto(self.dashboard.address + path.removeprefix("/"))
        page.evaluate("document.fonts.ready")

    def open_request(self, page: Page, title: re.Pattern[str]) -> str:
        """From the inbox to what the sample asks; its path."""
        self.go(page)
        path = page.locator("a.inbox-row-title", has_text=title).first.get_attribute("href") or ""
        # On a page of its own: a click would open it beside the list.
        self.go(page, path)
        return path.removeprefix("/")


@contextmanager
def desk() -> Iterator[Desk]:
    """A dashboard in a folder of its own that is gone afterwards, once the samples wait for people."""
    folder = Path(tempfile.mkdtemp(prefix="rhdashboard-pictures-"))
    environment = {"RECOVERY_SAMPLES": "1", "RECOVERY_UNDO_WINDOW_S": "600", "CELERY_QUEUE": f"pictures-{os.getpid()}"}
    dashboard = Dashboard(folder, free_port(), **environment)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
            found = Desk(browser, dashboard)
            with found.at("reviewer") as page:
                # A page that is asked for anew, until the worker has come so far.
                for _ in range(60):
                    found.go(page, "?tab=open")
                    if page.locator("a.inbox-row-title").count() >= WAITING:
                        break
                    page.wait_for_timeout(500)
                expect(page.locator("a.inbox-row-title").nth(WAITING - 1)).to_be_visible()
            yield found
            browser.close()
    finally:
        dashboard.process.send_signal(signal.SIGINT)
        dashboard.end()
        shutil.rmtree(folder, ignore_errors=True)


def small(picture: bytes) -> bytes:
    """The same in as many colours as fit: few, on pages like these."""
    for colours in (256, 128, 64):
        written = io.BytesIO()
        image = Image.open(io.BytesIO(picture)).convert("RGB")
        image.quantize(colours, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
        if written.tell() <= LARGEST_BYTES:
            break
    return written.getvalue()


def save(page: Page, name: str) -> None:
    path = IMAGES / f"{name}.png"
    path.write_bytes(small(page.screenshot(animations="disabled", caret="hide")))
    print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1024} KB")  # noqa: T201


# ---- The pictures of the guide ----


def pictures_of_guide(desk: Desk) -> None:
    with desk.at("reviewer") as page:
        notes = desk.open_request(page, NOTES)
        load = desk.open_request(page, LOAD)
        desk.go(page, f"?request={load.split('/')[1]}")
        expect(page.locator("#request")).to_be_visible()
        save(page, "inbox")
        desk.go(page, notes)
        save(page, "request")
    with desk.at("reviewer", 360, "dark") as page:
        desk.go(page)
        save(page, "inbox-phone")
        desk.go(page, load)
        save(page, "request-phone")
    with desk.at("reviewer") as page:
        desk.go(page, notes)
        page.locator("#decide-approve").click()
        expect(page.locator("#undo")).to_be_visible()
        save(page, "undo")
    with desk.at("finance") as page:
        desk.go(page, load)
        page.locator("#say").fill("@reviewer, are the 38 rows that repeat earlier ones meant to be there?")
        page.locator("#discussion form button").click()
        expect(page.locator("#discussion .comment")).to_have_count(1)
    with desk.at("reviewer") as page:
        # Told by the beat, some seconds later.
        for _ in range(60):
            desk.go(page, "notices/")
            if page.locator(".notice-list .rows > li").count():
                break
            page.wait_for_timeout(500)
        save(page, "notices")
        desk.go(page, "settings/")
        save(page, "settings")
    with desk.at("reviewer", theme="dark") as page:
        desk.go(page, notes)
        page.locator("a[href*='/states/']").first.click()
        page.wait_for_url(re.compile("/states/"))
        page.evaluate("document.fonts.ready")
        save(page, "run")


# ---- All pages, to look at ----

PAGES = {
    "inbox": "",
    "inbox-open": "?tab=open",
    "inbox-decided": "?tab=decided",
    "inbox-nothing": "?text=nothing-of-that-kind",
    "states": "states/",
    "pipelines": "pipelines/",
    "pipeline": "pipelines/expense-batch/",
    "stuck": "stuck/",
    "compare-choose": "compare/",
    "delegations": "delegations/",
    "notices": "notices/",
    "settings": "settings/",
    "password": "accounts/password_change/",
    "error-404": "no/such/page/",
    "admin": "admin/",
    "admin-states": "admin/recovery/state/",
    "admin-policy": "admin/recovery/pipelinepolicy/add/",
    "admin-rule": "admin/recovery/autorule/add/",
}
TABS = ("timeline", "storage", "artifacts", "checkpoints", "requests", "audit")


def contact_sheet(desk: Desk, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pages: dict[str, tuple[str, str]] = {name: ("admin", path) for name, path in PAGES.items()}
    pages["sign-in"] = ("", "accounts/login/")
    with desk.at("reviewer") as page:
        for name, title in (("notes", NOTES), ("load", LOAD), ("expenses", EXPENSES)):
            pages[f"request-{name}"] = ("reviewer", desk.open_request(page, title))
        run = page.locator("a[href*='/states/']").first.get_attribute("href") or ""
        pages |= {f"state-{tab}": ("reviewer", f"{run.removeprefix('/')}?tab={tab}") for tab in TABS}
    for theme in THEMES:
        for width in WIDTHS:
            for name, (user, path) in pages.items():
                with desk.at(user, width, theme) as page:
                    desk.go(page, path)
                    page.screenshot(path=folder / _file(name, width, theme), full_page=True, animations="disabled")
    (folder / "index.html").write_text(_index(list(pages)), encoding="utf-8")
    print(folder / "index.html")  # noqa: T201


def _file(name: str, width: int, theme: str) -> str:
    return f"{name}-{width}-{theme}.png"


def _index(names: list[str]) -> str:
    rows = []
    for name in names:
        files = [(width, _file(name, width, theme)) for width in WIDTHS for theme in THEMES]
        cells = "".join(
            f'<td><a href="{file}"><img loading="lazy" width="{width // 3}" src="{file}"></a></td>'
            for width, file in files
        )
        rows.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    return f"<!doctype html><title>Every page</title><table>{''.join(rows)}</table>"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, metavar="FOLDER", help="all pages, into a folder outside of the tree")
    sheet: Path | None = parser.parse_args(arguments).sheet
    work: Callable[[Desk], None] = pictures_of_guide if sheet is None else lambda at: contact_sheet(at, sheet)
    with desk() as at:
        work(at)


if __name__ == "__main__":
    main(sys.argv[1:])
