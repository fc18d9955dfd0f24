"""Reviewers at work in Chromium: inbox and request with a mouse, with a keyboard, on a phone, and without a script."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from recovery.models import ApprovalRequest, Decision, Resolution, Risk, State
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from rh_agents.core.serialization import decode, encode
from tests.browser.axe import violations
from tests.web import order_pipeline  # noqa: F401  registers its pipeline
from tests.web.waiting import ask, settle

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def refund(work):
    """A request that waits, of a run that goes on when it is decided."""
    return waiting("test-refund", work)


def waiting(pipeline, work, **options):
    state = start_run(pipeline, {"order": "A-17", "amount": "420.00"}, **options)
    work(state.pk)
    return ApprovalRequest.objects.select_related("state").get(state=state)


def address(live_server, request):
    return f"{live_server.url}/requests/{request.pk}/"


def output_of(request):
    return decode(State.objects.get(pk=request.state_id).output)


def focused(page):
    return page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")


# ---- The way through ----


def test_a_reviewer_signs_in_edits_approves_and_sees_the_run_finish(page, live_server, refund, ada, work):
    page.goto(live_server.url)
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("pw")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_title("(1) Inbox – rhdashboard")
    page.get_by_role("link", name="Refund 420.00 for A-17?").click()

    page.get_by_label("amount", exact=True).fill("100.50")
    page.get_by_label("method", exact=True).select_option("credit")
    page.get_by_role("button", name="Approve with 2 edits").click()
    expect(page.locator("#progress")).to_contain_text("Approved with changes.")
    expect(page.locator("#waiting-count")).to_be_hidden()
    work(refund.state_id)

    expect(page.locator("#progress")).to_contain_text("The run is completed.")
    expect(page.locator("#outcome")).to_contain_text('"paid 100.50 by credit"')
    assert output_of(refund) == "paid 100.50 by credit"
    page.get_by_role("link", name="Next request").click()
    expect(page.get_by_text("Nothing else waits for you.")).to_be_visible()


def test_what_would_run_follows_the_fields_and_the_focus_stays(page, live_server, refund, ada, sign_in):
    sign_in(page, ada).goto(address(live_server, refund))
    page.get_by_label("amount", exact=True).fill("7")
    page.keyboard.press("Tab")
    expect(page.locator("#run .is-edited")).to_have_text('edited  amount = Decimal("7")')
    expect(page.locator("#proposal-method")).to_be_focused()
    assert page.get_by_label("amount", exact=True).input_value() == "7"
    assert not Decision.objects.exists()


def test_rows_are_added_and_removed_and_the_focus_goes_on_beside_them(page, live_server, ada, sign_in, work):
    order = waiting("test-order", work)
    sign_in(page, ada).goto(address(live_server, order))
    page.locator("#reject-form").evaluate("form => form.closest('details').open = true")
    page.locator("#reject-comment").fill("half a sentence")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Add to lines").click()
    expect(page.locator("#proposal-lines-2-sku")).to_be_focused()
    page.locator("#proposal-lines-2-sku").fill("C-3")
    page.locator("#proposal-lines-2-quantity").fill("4")
    page.locator("#proposal-lines-2-price").fill("1")
    page.get_by_role("button", name="Remove lines 1").click()
    expect(page.locator("#proposal-lines-0-sku")).to_have_value("B-2")
    expect(page.locator("#proposal-lines-0-sku")).to_be_focused()
    assert page.locator("#reject-comment").input_value() == "half a sentence"
    page.locator("#decide-approve").click()
    expect(page.locator("#progress")).to_contain_text("Approved with changes.")
    work(order.state_id)
    assert output_of(order) == "1 B-2, 4 C-3"


def test_the_second_of_two_people_is_told_who_was_first(open_page, live_server, refund, ada, grace, sign_in):
    first, second = sign_in(open_page(), ada), sign_in(open_page(), grace)
    for page in (first, second):
        page.goto(address(live_server, refund))
    first.get_by_role("button", name="Approve").first.click()
    expect(first.locator("#progress")).to_contain_text("Queued")

    second.get_by_text("Reject", exact=True).first.click()
    second.locator("#reject-comment").fill("The amount is wrong")
    second.locator("#reject-form button").click()
    notice = second.get_by_role("alert")
    expect(notice).to_contain_text("ada approved this")
    expect(notice).to_contain_text("Your decision was not used; nothing runs twice.")
    expect(notice).to_contain_text("The amount is wrong")
    expect(second.locator("#refusal")).to_be_focused()
    assert Resolution.objects.count() == 1
    assert [one.refusal for one in Decision.objects.order_by("pk")] == ["", "already_resolved"]


@pytest.mark.parametrize("fault", ["network", 500, 502, 404])
def test_a_decision_that_the_server_does_not_answer_says_so_at_once(page, live_server, refund, ada, sign_in, fault):
    sign_in(page, ada).goto(address(live_server, refund))
    page.get_by_label("amount", exact=True).fill("7")
    page.keyboard.press("Tab")
    expect(page.locator("#run .is-edited")).to_be_visible()
    page.route("**/decide/", lambda route: route.abort() if fault == "network" else route.fulfill(status=fault))
    words = page.locator("#not-arrived")
    expect(words).to_be_hidden()
    page.locator("#decide-approve").click()
    expect(words).to_be_in_viewport()
    expect(words).to_contain_text("Your decision may not have arrived.")
    expect(page.locator("#announcer")).to_contain_text("Your decision may not have arrived.")
    expect(words.get_by_role("link", name="Reload")).to_be_visible()
    assert page.get_by_label("amount", exact=True).input_value() == "7"
    page.locator("summary.btn-bad").click()
    page.locator("#reject-comment").fill("no")
    page.locator("#reject-form button").click()
    expect(words).to_be_in_viewport()
    page.unroute("**/decide/")
    page.keyboard.press("Escape")
    page.locator("#decide-approve").click()
    expect(page.locator("#progress")).to_contain_text("Approved with changes.")
    assert Decision.objects.count() == 1


def test_one_poll_that_fails_says_nothing_two_do(page, live_server, ada, sign_in):
    ask("Request")
    sign_in(page, ada).goto(live_server.url)
    page.route("**/inbox/new/**", lambda route: route.fulfill(status=500))
    poll(page, "news")
    expect(page.locator("#stale")).to_be_hidden()
    poll(page, "news")
    expect(page.locator("#stale")).to_be_visible()


def test_an_invalid_edit_is_led_to_with_everything_typed_in_place(page, live_server, refund, ada, sign_in):
    sign_in(page, ada).goto(address(live_server, refund))
    page.get_by_label("amount", exact=True).fill("lots")
    page.get_by_label("method", exact=True).select_option("credit")
    page.locator("#decide-approve").click()
    note = page.locator("#decision-note")
    expect(note).to_have_text("1 to correct: amount. Nothing was decided.")
    expect(note).to_be_focused()
    note.get_by_role("link").click()
    expect(page.locator("#proposal-amount")).to_be_focused()
    assert (
        page.get_by_label("amount", exact=True).input_value(),
        page.get_by_label("method", exact=True).input_value(),
    ) == ("lots", "credit")


def test_a_session_that_expired_comes_back_to_the_request_after_the_login(page, live_server, refund, ada, sign_in):
    sign_in(page, ada).goto(address(live_server, refund))
    Session.objects.all().delete()
    page.locator("#decide-approve").click()
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("pw")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(address(live_server, refund))
    assert not Decision.objects.exists()


def test_the_call_stands_in_the_order_in_which_it_runs_whatever_its_letters(page, live_server, refund, ada, sign_in):
    refund.versions.update(
        args=encode({"codes": ["\u05d0\u05d1", 100, 200, "\u05d2\u05d3", 300], "amount": 1, "method": 2})
    )
    sign_in(page, ada).goto(address(live_server, refund))
    places = page.locator(".call-line", has_text="codes").evaluate(
        """(line) => ["\u05d0", "100", "200", "\u05d2", "300"].map((text) => {
          const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {
            const start = walker.currentNode.data.indexOf(text), range = document.createRange();
            if (start < 0) continue;
            range.setStart(walker.currentNode, start);
            range.setEnd(walker.currentNode, start + text.length);
            return range.getBoundingClientRect().x;
          }
        })"""
    )
    assert places == sorted(places)


def test_a_step_of_the_focus_into_the_bar_does_not_move_the_page(page, live_server, ada, sign_in, work):
    order = waiting("test-order", work)
    page.set_viewport_size({"width": 1280, "height": 400})
    sign_in(page, ada).goto(address(live_server, order))
    page.evaluate("window.scrollTo(0, 120)")
    before = page.evaluate("window.scrollY")
    page.locator("#decide-approve").focus()
    page.locator("summary.btn-bad").focus()
    assert page.evaluate("window.scrollY") == before


@pytest.mark.parametrize("height", [400, 900])
def test_no_field_that_has_the_focus_is_behind_the_bar(page, live_server, ada, sign_in, work, height):
    order = waiting("test-order", work)
    page.set_viewport_size({"width": 1280, "height": height})
    sign_in(page, ada).goto(address(live_server, order))
    for _ in range(40):
        page.keyboard.press("Tab")
        box = page.evaluate(
            """() => {
              const at = document.activeElement, bar = document.querySelector(".decision-bar");
              if (!at.closest(".request-columns")) return null;
              return [at.getBoundingClientRect().bottom, bar.getBoundingClientRect().top];
            }"""
        )
        assert box is None or box[0] <= box[1], focused(page)


# ---- Without a script ----


def test_everything_works_without_a_script(open_page, live_server, refund, ada, sign_in, work):
    page = sign_in(open_page(java_script_enabled=False), ada)
    page.goto(live_server.url)
    page.get_by_role("link", name="Refund 420.00 for A-17?").click()
    page.get_by_label("amount", exact=True).fill("lots")
    page.locator("#decide-approve").click()
    expect(page.locator("#decision-note")).to_contain_text("amount")
    page.get_by_label("amount", exact=True).fill("9")
    page.get_by_role("button", name="Show what changes").click()
    expect(page.locator("#run .is-edited")).to_contain_text('amount = Decimal("9")')
    page.locator("summary", has_text="Reject").click()
    expect(page.locator("#reject-comment")).to_be_visible()
    page.locator("summary", has_text="Reject").click()
    page.locator("#decide-approve").click()
    expect(page).to_have_url(address(live_server, refund))
    expect(page.locator("#progress")).to_contain_text("Queued")
    work(refund.state_id)
    page.get_by_role("link", name="Reload").click()
    expect(page.locator("#outcome")).to_contain_text('"paid 9 by card"')


# ---- With a keyboard alone ----


def tab_to(page, wanted, at_most=80):
    """Press Tab until the element has the focus; each one on the way has to show that it has it."""
    for _ in range(at_most):
        page.keyboard.press("Tab")
        shown = page.evaluate(
            """() => {
              const at = document.activeElement, row = at.closest('.inbox-row');
              return [at, row].some((one) => one && getComputedStyle(one).outlineStyle !== 'none');
            }"""
        )
        assert shown, f"{focused(page)} does not show that it has the focus"
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", wanted):
            return
    raise AssertionError(f"{wanted} was not reached")


def test_a_request_is_opened_and_decided_with_the_keyboard_alone(page, live_server, refund, ada, sign_in):
    sign_in(page, ada).goto(live_server.url)
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    page.keyboard.press("Enter")
    tab_to(page, ".inbox-row-title")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{live_server.url}/?request={refund.pk}")
    expect(page.locator("#decide-approve")).to_be_visible()
    tab_to(page, "#proposal-amount")
    with page.expect_response("**/decide/"):
        page.keyboard.press("Enter")
    assert not Decision.objects.exists(), "Enter in a field decided"
    tab_to(page, "#decide-approve")
    tab_to(page, "summary.btn-bad")
    page.keyboard.press("Enter")
    expect(page.locator("#reject-comment")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("summary.btn-bad")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#progress-note")).to_be_focused()
    assert Decision.objects.get().kind == "approve"


# ---- What arrives by itself ----


def poll(page, element_id):
    """What the clock does every some seconds."""
    with page.expect_response(lambda answer: "/new/" in answer.url or "/progress/" in answer.url):
        page.evaluate("(id) => htmx.trigger(document.getElementById(id), 'live', {}, false)", element_id)


def test_new_requests_wait_behind_a_link_and_nothing_moves(page, live_server, ada, sign_in):
    for number in range(5):
        ask(f"Request {number}")
    sign_in(page, ada).goto(live_server.url)
    third = page.get_by_role("link", name="Request 2")
    third.focus()
    before = third.bounding_box()
    new = ask("Critical and new", risk=Risk.CRITICAL)
    ApprovalRequest.objects.filter(pk=new.pk).update(opened_at="2100-01-01T00:00Z")
    poll(page, "news")
    link = page.get_by_role("link", name="1 new, show")
    expect(link).to_be_visible()
    assert third.bounding_box() == before
    expect(third).to_be_focused()
    expect(page).to_have_title("(6) Inbox – rhdashboard")
    expect(page.locator("#waiting-count")).to_have_text("6 waiting for you")
    expect(page.locator("#announcer")).to_have_text("1 new request")
    link.click()
    expect(page.locator(".inbox-row-title").first).to_have_text("Critical and new")


def test_ages_go_on_with_each_look_for_news(page, live_server, ada, sign_in):
    ask("Waits", age=timedelta(minutes=5, seconds=30))
    sign_in(page, ada).goto(live_server.url)
    age = page.locator(".inbox-row time")
    expect(age).to_have_text("5 min")
    age.evaluate("(time) => { time.dateTime = new Date(Date.now() - 7_300_000).toISOString(); }")
    poll(page, "news")
    expect(age).to_have_text("2 h")


@pytest.mark.parametrize("width", [360, 1280])
def test_a_second_click_where_approve_stood_opens_no_run(open_page, live_server, refund, ada, sign_in, width):
    page = sign_in(open_page(viewport={"width": width, "height": 740}), ada)
    page.goto(address(live_server, refund))
    box = page.locator("#decide-approve").bounding_box()
    page.locator("#decide-approve").click()
    expect(page.locator("#progress")).to_be_visible()
    there = page.evaluate(
        "([x, y]) => document.elementFromPoint(x, y).closest('a, button')?.id ?? ''",
        [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2],
    )
    assert there in ("", "next-request")


def test_progress_arrives_without_taking_the_focus_away(page, live_server, refund, ada, sign_in, work):
    decide(refund.pk, by=ada, kind="approve")
    sign_in(page, ada).goto(address(live_server, refund))
    page.get_by_role("link", name="Next request").focus()
    work(refund.state_id)
    expect(page.locator("#progress")).to_contain_text("The run is completed.")
    assert focused(page) == "next-request"
    expect(page.locator("#announcer")).to_have_text("The run is completed.")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(1_500)
    assert not [url for url in asked if "/progress/" in url], "it asks on although the run is finished"


def test_more_rows_follow_the_others_and_the_first_of_them_has_the_focus(page, live_server, ada, sign_in):
    for number in range(60):
        ask(f"Request {number:02}", age=timedelta(minutes=90 - number))
    sign_in(page, ada).goto(live_server.url)
    page.get_by_role("link", name="More").click()
    expect(page.locator(".inbox-row")).to_have_count(60)
    expect(page.get_by_role("link", name="Request 50")).to_be_focused()
    expect(page.get_by_role("link", name="More")).to_have_count(0)


# ---- Small screens, both schemes, no findings ----


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_nothing_scrolls_sideways(open_page, live_server, work, ada, grace, sign_in, width):
    for number in range(30):
        title = "x" * 200 if number % 2 else "Forty two words " * 12
        request = ask(title, tags=["y" * 100, "eu"], risk=number % 4, pipeline="z" * 200, due=None)
        ApprovalRequest.objects.filter(pk=request.pk).update(holder=grace)
        if number % 3 == 0:
            settle(request, grace)
    refund = waiting("test-refund", work, tags=["y" * 100], by=grace)
    ApprovalRequest.objects.filter(pk=refund.pk).update(title="x" * 200, message="y" * 300 + "\n\n`" + "z" * 300 + "`")
    done = waiting("test-refund", work)
    decide(done.pk, by=grace, kind="reject", comment="w" * 300)
    page = sign_in(open_page(viewport={"width": width, "height": 740}), ada)
    for path in (
        "/",
        "/?tab=decided",
        f"/?tab=open&text={'x' * 150}&pipeline={'z' * 200}&tag={'y' * 100}",
        f"/requests/{refund.pk}/",
        f"/requests/{done.pk}/",
    ):
        page.goto(live_server.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.goto(address(live_server, refund))
    page.get_by_label("amount", exact=True).fill("v" * 300)
    page.locator("#decide-approve").click()
    expect(page.locator("#decision-note")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("summary", has_text="Reject").click()
    panel = page.locator("details[open] .decision-panel").bounding_box()
    assert panel["x"] >= 0 and panel["x"] + panel["width"] <= width


def findings(page):
    found = violations(page)
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_axe_finds_nothing(open_page, live_server, refund, ada, grace, sign_in, work, make_user, width, scheme):
    ask("Held and due", risk=Risk.CRITICAL, tags=["eu", "vip"], due=refund.opened_at)
    ApprovalRequest.objects.filter(title="Held and due").update(holder=grace)
    settle(ask("Decided"), grace)
    question = waiting("test-question", work)
    by_hand = waiting("test-manual", work)
    done = waiting("test-refund", work)
    decide(done.pk, by=grace, kind="approve", comment="fine")
    work(done.state_id)
    page = sign_in(open_page(viewport={"width": width, "height": 740}, color_scheme=scheme), ada)
    for path in (
        "/",
        "/?tab=decided",
        "/?text=nothing&risk=purple",
        f"/requests/{question.pk}/",
        f"/requests/{by_hand.pk}/",
        f"/requests/{done.pk}/",
    ):
        page.goto(live_server.url + path)
        assert findings(page) == [], path
    page.goto(address(live_server, refund))
    page.get_by_label("amount", exact=True).fill("lots")
    page.locator("#decide-approve").click()
    expect(page.locator("#decision-note")).to_be_visible()
    assert findings(page) == []
    page.locator("summary", has_text="Reject").click()
    assert findings(page) == []
    decide(refund.pk, by=grace, kind="edit", proposal={"order": "A-17", "amount": Decimal(3)}, seen_version=1)
    page.locator("#reject-comment").fill("no")
    page.locator("#reject-form button").click()
    expect(page.locator("#refusal")).to_be_visible()
    assert findings(page) == []
    viewer = sign_in(
        open_page(viewport={"width": width, "height": 740}, color_scheme=scheme), make_user("vera", decides=False)
    )
    for path in ("/", f"/requests/{question.pk}/"):
        viewer.goto(live_server.url + path)
        assert findings(viewer) == [], path
