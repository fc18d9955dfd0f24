"""Reviewers with both hands on the keys, in Chromium: through the list, through requests, and never while they type."""

import pytest
from playwright.sync_api import expect

from recovery.models import ApprovalRequest, Decision, Risk
from recovery.services.start_run import start_run
from tests.browser.axe import violations
from tests.web.waiting import ask

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def refunds(work, grace):
    """Two that can be decided together, and one of another kind behind them."""
    asked = []
    for _ in range(2):
        state = start_run("test-refund", {"order": "A-17", "amount": "420.00"}, by=grace)
        work(state.pk)
        asked.append(ApprovalRequest.objects.get(state=state))
    ApprovalRequest.objects.update(risk=Risk.MEDIUM)
    ask("Last", risk=Risk.LOW)
    return asked


def focused(page):
    return page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")


def at(live_server, request):
    return f"{live_server.url}/?request={request.pk}"


def test_through_the_list_and_through_the_requests(page, live_server, refunds, ada, sign_in):
    sign_in(page, ada).goto(live_server.url)
    page.keyboard.press("j")
    assert focused(page) == f"t-{refunds[0].pk}"
    expect(page).to_have_url(f"{live_server.url}/")
    page.keyboard.press("Enter")
    expect(page).to_have_url(at(live_server, refunds[0]))
    page.keyboard.press("j")
    expect(page).to_have_url(at(live_server, refunds[1]))
    page.keyboard.press("k")
    expect(page).to_have_url(at(live_server, refunds[0]))
    page.keyboard.press("k")
    expect(page).to_have_url(at(live_server, refunds[0]))
    page.keyboard.press("Escape")
    expect(page).to_have_url(f"{live_server.url}/")
    assert focused(page) == f"t-{refunds[0].pk}"


def test_approved_with_a_and_on_with_n(page, live_server, refunds, ada, sign_in):
    sign_in(page, ada).goto(at(live_server, refunds[0]))
    page.keyboard.press("a")
    expect(page.locator("#progress")).to_contain_text("Approved.")
    page.keyboard.press("n")
    expect(page).to_have_url(at(live_server, refunds[1]))
    expect(page.locator("#decide-approve")).to_be_visible()
    page.keyboard.press("r")
    expect(page.locator("#reject-comment")).to_be_focused()
    page.keyboard.type("are not wanted")
    page.keyboard.press("Escape")
    expect(page.locator("#reject-comment")).to_be_hidden()
    page.keyboard.press("e")
    expect(page.locator("#proposal-amount")).to_be_focused()
    assert [one.request for one in Decision.objects.all()] == [refunds[0]]


def test_letters_that_are_typed_or_pressed_with_a_modifier_are_no_keys(page, live_server, refunds, ada, sign_in):
    sign_in(page, ada).goto(at(live_server, refunds[0]))
    page.keyboard.press("/")
    expect(page.locator("#filter-text")).to_be_focused()
    page.keyboard.type("jkarx?/gi")
    assert page.locator("#filter-text").input_value() == "jkarx?/gi"
    page.keyboard.press("Escape")
    for keys in ("Control+a", "Alt+a", "Shift+A", "Meta+r"):
        page.keyboard.press(keys)
    expect(page.locator("#shortcuts")).to_be_hidden()
    assert page.url == at(live_server, refunds[0])
    assert not Decision.objects.exists()


def test_single_keys_can_be_switched_off_and_stay_off(page, live_server, refunds, ada, sign_in):
    sign_in(page, ada).goto(live_server.url)
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.get_by_label("Keys that are pressed alone").uncheck()
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()
    page.goto(at(live_server, refunds[0]))
    page.keyboard.press("a")
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_hidden()
    page.get_by_role("button", name="Keyboard").click()
    expect(page.get_by_label("Keys that are pressed alone")).not_to_be_checked()
    page.get_by_label("Keys that are pressed alone").check()
    page.get_by_role("button", name="Close").click()
    assert not Decision.objects.exists()
    page.keyboard.press("a")
    expect(page.locator("#progress")).to_contain_text("Approved.")


@pytest.mark.parametrize(("key", "path"), [("i", "/"), ("s", "/states/"), ("p", "/pipelines/"), ("d", "/?tab=decided")])
def test_g_and_a_letter_go_to_a_page(page, live_server, ada, sign_in, key, path):
    sign_in(page, ada).goto(f"{live_server.url}/delegations/")
    page.keyboard.press("g")
    page.keyboard.press(key)
    expect(page).to_have_url(live_server.url + path)


def test_selected_with_x_decided_together_and_marked_in_the_list(page, live_server, refunds, ada, sign_in):
    sign_in(page, ada).goto(live_server.url)
    expect(page.locator(".selection-bar")).to_be_hidden()
    for _ in range(2):
        page.keyboard.press("j")
        page.keyboard.press("x")
    expect(page.locator("#selected-count")).to_have_text("2 selected")
    expect(page.locator("#announcer")).to_have_text("2 selected.")
    page.get_by_role("button", name="Approve…").click()
    expect(page.locator("#together h1")).to_have_text("Approve 2 requests?")
    assert not Decision.objects.exists()
    page.get_by_role("button", name="Approve 2").click()
    expect(page.locator("#together h1")).to_have_text("Approved: 2 of 2")
    expect(page.locator(".inbox-row.is-done")).to_have_count(2)
    expect(page.locator(".selection-bar")).to_be_hidden()
    assert Decision.objects.filter(kind="approve").count() == 2
    page.keyboard.press("Escape")
    expect(page.locator("#open")).to_contain_text("No request is open")


def test_several_are_decided_without_a_script_and_on_a_phone(open_page, live_server, refunds, ada, sign_in):
    page = sign_in(open_page(java_script_enabled=False, viewport={"width": 360, "height": 740}), ada)
    page.goto(live_server.url)
    for request in refunds:
        page.locator(f"input[value^='{request.pk}']").check()
    page.get_by_role("button", name="Reject…").click()
    page.locator("#together-comment").fill("Too late")
    page.get_by_role("button", name="Reject 2").click()
    expect(page.get_by_role("heading", name="Rejected: 2 of 2")).to_be_visible()
    assert set(Decision.objects.values_list("kind", "comment")) == {("reject", "Too late")}
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_view_is_saved_and_used(page, live_server, refunds, ada, sign_in):
    sign_in(page, ada).goto(f"{live_server.url}/?risk=low")
    page.locator("#views > summary").click()
    page.get_by_label("Save this list as").fill("Low ones")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("link", name="Low ones")).to_be_visible()
    page.goto(live_server.url)
    page.locator("#views > summary").click()
    page.get_by_role("link", name="Low ones").click()
    expect(page).to_have_url(f"{live_server.url}/?risk=low")


def test_offline_is_noticed_and_so_is_being_back(page, live_server, ada, sign_in):
    sign_in(page, ada).goto(live_server.url)
    page.context.set_offline(True)
    expect(page.locator("#offline")).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator("#offline")).to_be_hidden()


def findings(page):
    found = violations(page)
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (360, "light")])
def test_axe_finds_nothing(open_page, live_server, refunds, ada, sign_in, width, scheme):
    ask("Nobody", policy={"users": ["nobody"]}, open_to_all=False, risk=Risk.CRITICAL)
    page = sign_in(open_page(viewport={"width": width, "height": 740}, color_scheme=scheme), ada)
    page.goto(f"{live_server.url}/?tab=open")
    page.locator(f"input[value^='{refunds[0].pk}']").check()
    assert findings(page) == []
    page.get_by_role("button", name="Approve…").click()
    expect(page.locator("#together h1")).to_have_text("Approve 1 request?")
    assert findings(page) == []
    page.get_by_role("button", name="Approve 1").click()
    expect(page.locator("#together h1")).to_have_text("Approved: 1 of 1")
    assert findings(page) == []
    for path in (f"/?request={refunds[1].pk}", "/inbox/options/?tab=open"):
        page.goto(live_server.url + path)
        assert findings(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.get_by_role("button", name="Keyboard").click()
    assert findings(page) == []
