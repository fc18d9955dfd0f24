"""Every page of the product, in light and dark, on a desk and on a phone: nothing that axe finds, nothing that scrolls
sideways, nothing that breaks the policy of the server (see conftest)."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import URLPattern, get_resolver

from recovery.urls import urlpatterns
from rhdashboard.urls import urlpatterns as of_project
from tests.browser.axe import violations
from tests.browser.every_page import NO_PAGES, one_of_everything

# What Django's admin draws and names by itself: tooltips of its lists, the two halves of a date, and its search box,
# which a magnifier labels.
CONTEXT = {"exclude": [[".help-tooltip"], [".vDateField"], [".vTimeField"]]}
OPTIONS = {"rules": {"label-title-only": {"enabled": False}}}

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def everything(settings, db, grace, work):
    settings.ROOT_URLCONF = "tests.browser.every_page"
    alex = get_user_model().objects.create_superuser("ada", password="pw", first_name="Ada", last_name="Lovelace")
    return alex, one_of_everything(alex, grace, work)


def test_every_address_is_looked_at_or_is_no_page(everything):
    _, pages = everything
    resolver = get_resolver("rhdashboard.urls")
    shown = {
        resolver.resolve(address.partition("?")[0]).url_name
        for address in pages.values()
        if "/fails/" not in address and "/no/" not in address
    }
    named = {one.name for one in [*urlpatterns, *of_project] if isinstance(one, URLPattern) and one.name}
    assert named - shown == NO_PAGES & named
    assert not shown & NO_PAGES


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (360, "dark")])
def test_axe_finds_nothing_on_any_page_and_none_scrolls_sideways(
    open_page, sign_in, live_server, everything, width, theme
):
    alex, pages = everything
    page = sign_in(open_page(viewport={"width": width, "height": 800}, color_scheme=theme), alex)
    blocked: list[str] = []
    page.on("console", lambda message: blocked.append(message.text) if "Content Security" in message.text else None)
    found = {}
    for name, address in pages.items():
        page.goto(live_server.url + address)
        page.evaluate("[...document.querySelectorAll('main details:not([open])')].forEach(one => { one.open = true })")
        faults = [
            f"{one['id']}: {node['html']}" for one in violations(page, CONTEXT, **OPTIONS) for node in one["nodes"]
        ]
        if page.evaluate("document.documentElement.scrollWidth") > width and not name.startswith("admin"):
            faults.append("scrolls sideways")
        faults += blocked
        blocked.clear()
        if faults:
            found[name] = faults
    assert found == {}, "\n".join(f"{name}: {fault}" for name, faults in found.items() for fault in faults)
