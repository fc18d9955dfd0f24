"""What axe finds wrong with a page."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_AXE = Axe()
# Only what is wrong is put together, which is half of the time; and axe is not to fetch style sheets again, which would
# break the policy of the server.
_OPTIONS = {"resultTypes": ["violations"], "preload": False}


def violations(page: Page, context: Any = None, **options: Any) -> list[dict[str, Any]]:
    """Each with its `id` and the `nodes` it was found at."""
    found: list[dict[str, Any]] = _AXE.run(page, context, {**_OPTIONS, **options}).response["violations"]
    return found
