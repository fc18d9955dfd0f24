"""What arrives by itself in Chromium: from one person to another, at a run's own pace, and without a stream too."""

import re

import pytest
from playwright.sync_api import expect

from recovery.models import ApprovalRequest, Resumption, Risk
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from rh_agents import Policy
from tests.browser.asgi_server import site
from tests.web.decision_pipelines import POLICIES
from tests.web.waiting import ask

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ORDER = {"order": "A-17", "amount": "420.00"}


@pytest.fixture
def live():
    with site() as one:
        yield one


@pytest.fixture
def at(open_page, live, sign_in):
    """A page in a browser of that person, once its stream is there. It does not poll, so that what arrives is told."""

    def at(path, person, *, waits=True, **options):
        page = sign_in(open_page(**options), person)
        page.goto(f"{live.url}{path}")
        if waits:
            expect(page.locator("html")).to_have_attribute("data-stream", "open")
            page.evaluate("for (const part of document.querySelectorAll('[data-live]')) part.dataset.liveEvery = 9999")
        return page

    return at


@pytest.fixture
def asked(work):
    def asked(**policy):
        POLICIES["now"] = Policy(**policy)
        state = start_run("test-decided", ORDER)
        work(state.pk)
        return ApprovalRequest.objects.select_related("state").get(state=state)

    yield asked
    POLICIES.clear()


def titles(page):
    return page.locator(".inbox-row:not(.is-done) .inbox-row-title")


def test_what_one_decides_the_inbox_of_another_shows(at, asked, ada, grace):
    request = asked(undo_window_s=60)
    ask("Another one")
    theirs = at("/", grace)
    expect(theirs.locator("#waiting-count")).to_have_text("2 waiting for you")
    theirs.locator(".filter-text").fill("half a wo")
    mine = at(f"/requests/{request.pk}/", ada)

    mine.locator("#decide-approve").click()

    expect(theirs.locator("#waiting-count")).to_have_text("1 waiting for you")
    expect(theirs.locator(".inbox-row.is-done .inbox-row-title")).to_have_text("Pay 420.00 for A-17?")
    expect(titles(theirs)).to_have_text(["Another one"])
    expect(theirs).to_have_title("(1) Inbox – rhdashboard")
    assert theirs.locator(".filter-text").input_value() == "half a wo"
    expect(theirs.locator(".filter-text")).to_be_focused()

    mine.locator("#undo").click()

    expect(theirs.locator(".inbox-row.is-done")).to_have_count(0)


def test_a_new_request_takes_its_place_in_an_open_inbox(at, asked, ada):
    ask("Urgent", risk=Risk.CRITICAL)
    ask("Can wait", risk=Risk.LOW)
    page = at("/", ada)
    expect(titles(page)).to_have_text(["Urgent", "Can wait"])
    asked()
    expect(titles(page)).to_have_text(["Urgent", "Pay 420.00 for A-17?", "Can wait"])
    expect(page.locator("#waiting-count")).to_have_text("3 waiting for you")
    expect(page.locator("#announcer")).to_have_text("1 new request")
    expect(page.locator("#news-link")).to_have_count(0)
    page.locator(".inbox-row-title").nth(1).click()
    expect(page.locator("#request h1")).to_have_text("Pay 420.00 for A-17?")


def test_a_new_request_arrives_in_an_empty_inbox(at, asked, ada):
    page = at("/", ada)
    asked()
    expect(titles(page)).to_have_text(["Pay 420.00 for A-17?"])


def test_nothing_moves_under_somebody_who_is_at_the_list(at, asked, ada):
    for number in range(40):
        ask(f"Request {number:02}", risk=Risk.LOW)
    page = at("/", ada, viewport={"width": 1280, "height": 500})
    page.locator("#list").evaluate("list => { list.scrollTop = 300; }")
    row = page.get_by_role("link", name="Request 09")
    row.hover()
    before = row.bounding_box()
    asked()
    expect(page.locator("#news-link")).to_have_text("1 new, show")
    assert row.bounding_box() == before
    page.mouse.move(1200, 300)
    expect(titles(page).first).to_have_text("Pay 420.00 for A-17?")
    assert abs(row.bounding_box()["y"] - before["y"]) < 1, "it was put in above, and the list did not stay where it was"
    expect(page.locator(".inbox-row")).to_have_count(41)

    page.locator(".row-check input").nth(3).check()
    asked()
    page.locator("#news-link").click()
    expect(page.locator(".inbox-row-title").nth(1)).to_be_focused()
    assert page.locator(".row-check input").nth(4).is_checked()
    assert page.locator(".row-check :checked").count() == 1


def test_what_somebody_types_stays_when_another_decides(at, asked, ada, grace):
    request = asked(undo_window_s=60)
    page = at(f"/requests/{request.pk}/", grace)
    page.locator("#say").fill("I am not s")
    page.locator("#proposal-amount").fill("7")
    page.locator("#proposal-amount").evaluate("field => field.setSelectionRange(0, 1)")

    decide(request.pk, by=ada, kind="comment", comment="Mind the gap")
    expect(page.locator("#thread")).to_contain_text("Mind the gap")
    decide(request.pk, by=ada, kind="approve")
    expect(page.locator("#request-changes")).to_contain_text("ada approved this")
    expect(page.locator("#decision-note")).to_be_hidden()

    assert page.locator("#proposal-amount").input_value() == "7"
    assert page.locator("#say").input_value() == "I am not s"
    expect(page.locator("#proposal-amount")).to_be_focused()
    assert page.locator("#proposal-amount").evaluate("field => [field.selectionStart, field.selectionEnd]") == [0, 1]
    page.locator("#request-changes a").click()
    expect(page.locator("#outcome")).to_contain_text("ada approved this")


def test_a_run_is_followed_from_the_decision_to_its_end(at, asked, ada, work):
    request = asked(undo_window_s=0)
    page = at(f"/requests/{request.pk}/", ada)
    page.locator("#decide-approve").click()
    expect(page.locator("#progress")).to_contain_text("A worker takes the run on")
    work(request.state_id)
    expect(page.locator("#progress")).to_contain_text("The run is completed.")
    expect(page.locator("#outcome")).to_contain_text("What the run gave back")


def test_at_the_end_of_the_countdown_the_page_looks_by_itself(at, asked, ada):
    request = asked(undo_window_s=2)
    page = at(f"/requests/{request.pk}/", ada)
    page.locator("#decide-approve").click()
    expect(page.locator("#countdown")).to_be_visible()
    expect(page.locator("#progress")).to_contain_text("A worker takes the run on")
    expect(page.locator("#countdown")).to_have_count(0)


def test_the_page_of_a_run_goes_on_with_it(at, ada, work):
    state = start_run("test-decided", ORDER)
    page = at(f"/states/{state.pk}/", ada)
    expect(page.locator("#state-progress")).to_contain_text("Queued")
    work(state.pk)
    expect(page.locator("#state-progress")).to_contain_text("Waiting for a decision")
    expect(page.locator("#tab-timeline .count")).not_to_have_text("0")


def test_without_a_stream_pages_poll_and_with_the_stream_they_stop(at, live, asked, ada, work):
    request = asked(undo_window_s=0)
    page = at("/", ada)
    live.take_streams_away()
    expect(page.locator("html")).to_have_attribute("data-stream", "away")
    page.evaluate("document.getElementById('news').dataset.liveEvery = 1")
    decide(request.pk, by=ada, kind="approve")
    expect(page.locator("#waiting-count")).to_be_hidden()
    expect(page.locator("#stale")).to_be_hidden()

    # Somebody who comes meanwhile polls from the start.
    late = at(f"/requests/{request.pk}/", ada, waits=False)
    work(request.state_id)
    expect(late.locator("#progress")).to_contain_text("The run is completed.")
    another = asked()
    expect(page.locator("#waiting-count")).to_have_text("1 waiting for you")

    live.bring_streams_back()
    expect(page.locator("html")).to_have_attribute("data-stream", "open", timeout=30_000)
    page.evaluate("document.getElementById('news').dataset.liveEvery = 9999")
    decide(another.pk, by=ada, kind="approve")
    expect(page.locator("#waiting-count")).to_be_hidden()


def test_a_page_has_one_stream_for_all_that_is_on_it(at, asked, ada, live):
    request = asked(undo_window_s=60)
    page = at(f"/requests/{request.pk}/", ada)
    page.locator("#decide-approve").click()
    expect(page.locator("#progress")).to_contain_text("The run starts in")
    expect(page.locator("#stream")).to_have_attribute("hx-sse:connect", re.compile("state"))
    expect(page.locator("html")).to_have_attribute("data-stream", "open")
    assert page.locator("#stream").count() == 1
    Resumption.objects.filter(state=request.state_id).update(attempts=1)
    expect(page.locator("#progress")).to_contain_text("The run will be tried again")
    assert len(live.streams.hub.listeners) == 1
