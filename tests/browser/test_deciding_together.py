"""Several people and second thoughts in Chromium: undo, quorums, holding a request, and sending a run back."""

import pytest
from playwright.sync_api import expect

from recovery.models import ApprovalRequest, Decision, Resolution, Resumption, State
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from rh_agents import Policy
from rh_agents.core.serialization import decode
from tests.browser.axe import violations
from tests.web.decision_pipelines import POLICIES

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def asked(work):
    def ask(pipeline="test-decided", **policy):
        POLICIES["now"] = Policy(**policy)
        state = start_run(pipeline, {"order": "A-17", "amount": "420.00"})
        work(state.pk)
        return ApprovalRequest.objects.filter(state=state).select_related("state").order_by("title").first()

    yield ask
    POLICIES.clear()


@pytest.fixture
def at(open_page, live_server, sign_in):
    """A page of the request, open in a browser of that person."""

    def at(request, person, **options):
        page = sign_in(open_page(**options), person)
        page.goto(f"{live_server.url}/requests/{request.pk}/")
        return page

    return at


def let_it_start(request):
    """The undo window is over."""
    Resumption.objects.filter(state=request.state_id, status="pending").update(not_before="2026-01-01T00:00Z")


def test_a_decision_counts_down_is_undone_and_made_anew(asked, ada, at, work):
    request = asked(undo_window_s=60)
    page = at(request, ada)
    page.locator("#decide-approve").click()
    count = page.locator("#countdown")
    expect(page.locator("#progress")).to_contain_text("Approved. The run starts in")
    expect(page.locator("#progress-note")).to_be_focused()
    # It goes on without asking the server anything that changes the page.
    page.evaluate("document.getElementById('progress').dataset.isOld = 'yes'")
    expect(count).not_to_have_text(count.text_content())
    assert page.locator("#progress").get_attribute("data-is-old") == "yes"
    page.locator("#undo").click()
    expect(page.locator("#decision-note")).to_contain_text("Your decision is taken back")
    expect(page.locator("#decision-note")).to_be_focused()
    expect(page.locator("#waiting-count")).to_have_text("1 waiting for you")
    assert ApprovalRequest.objects.get(pk=request.pk).is_open

    page.locator("summary.btn-bad").click()
    page.locator("#reject-form button").click()
    assert page.locator("#reject-comment").evaluate("field => field.validity.valueMissing")
    assert Decision.objects.filter(kind="reject").count() == 0
    page.locator("#reject-comment").fill("Not this one")
    page.locator("#reject-form button").click()
    expect(page.locator("#progress")).to_contain_text("Rejected. The run starts in")
    let_it_start(request)
    work(request.state_id)
    expect(page.locator("#progress")).to_contain_text("The run is completed.")
    assert decode(State.objects.get(pk=request.state_id).output)[0::2] == ["reject", "Not this one"]


def test_a_double_click_on_approve_does_not_undo(asked, ada, at):
    request = asked(undo_window_s=60)
    page = at(request, ada)
    page.locator("#decide-approve").click()
    page.locator("#undo").evaluate(
        "button => button.dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true, detail: 2}))"
    )
    with page.expect_response(lambda answer: "/progress/" in answer.url):
        page.evaluate("htmx.trigger(document.getElementById('progress'), 'live', {}, false)")
    expect(page.locator("#undo")).to_be_visible()
    assert Resolution.objects.get().undone_at is None


def test_the_focus_stays_at_the_outcome_when_the_undo_button_goes(asked, ada, at, work):
    request = asked(undo_window_s=60)
    decide(request.pk, by=ada, kind="approve")
    page = at(request, ada)
    page.locator("#undo").focus()
    let_it_start(request)
    work(request.state_id)
    expect(page.locator("#progress")).to_contain_text("The run is completed.")
    expect(page.locator("#progress-note")).to_be_focused()


def test_two_people_approve_what_takes_two(asked, ada, grace, at, work):
    request = asked(needed=2, undo_window_s=0)
    first, second = at(request, ada), at(request, grace)
    first.locator("#decide-approve").click()
    expect(first.locator("#decision-note")).to_have_text("Your vote counts: 1 of 2. One more approval is needed.")
    expect(first.locator("#policy header")).to_contain_text("1 of 2 approvals")
    second.locator("#decide-approve").click()
    expect(second.locator("#progress")).to_contain_text("Approved.")
    work(request.state_id)
    expect(second.locator("#progress")).to_contain_text("The run is completed.")
    first.locator("#withdraw").click()
    expect(first.locator("#decision-note")).to_contain_text("grace approved this")
    assert Resolution.objects.count() == 1


def test_one_of_two_people_holds_it_and_what_the_other_types_stays(asked, ada, grace, at):
    request = asked()
    first, second = at(request, ada), at(request, grace)
    second.locator("#proposal-amount").fill("7")
    first.locator("#more > summary").click()
    first.locator("#claim").click()
    expect(first.locator("#decision-note")).to_have_text("You hold it now; others see that.")
    expect(first.locator("#decision-note")).to_be_focused()
    expect(first.locator("#request-head .person-name")).to_have_text("You")
    second.locator("#more > summary").click()
    second.locator("#claim").click()
    expect(second.locator("#decision-note")).to_contain_text("ada holds it since 0 min.")
    expect(second.locator("#request-head .person-name")).to_have_text("ada")
    assert second.locator("#proposal-amount").input_value() == "7"
    first.locator("#more > summary").click()
    first.locator("#release").click()
    expect(first.locator("#decision-note")).to_have_text("You let it go.")


def test_a_run_is_sent_back_and_its_fork_asks_the_next_question(asked, ada, at, work):
    request = asked(undo_window_s=0)
    page = at(request, ada)
    page.locator("summary", has_text="Request changes").click()
    expect(page.locator("#send-back-to")).to_be_focused()
    page.locator(".send-back-inputs > summary").click()
    page.locator("#inputs-amount").fill("-3")
    page.locator("#instructions").fill("Half of it")
    page.locator("#send-back > button").click()
    expect(page.locator("#decision-note")).to_contain_text("1 to correct: amount")
    expect(page.locator("#inputs-amount")).to_have_attribute("aria-invalid", "true")
    assert page.locator("#instructions").input_value() == "Half of it"
    page.locator("#inputs-amount").fill("100")
    page.locator("#send-back > button").click()
    expect(page.locator("#progress")).to_contain_text("Sent back.")
    work(request.state_id)
    fork = State.objects.get(parent=request.state_id)
    expect(page.locator("#watch-run")).to_have_text(fork.short_id)
    work(fork.pk)
    page.get_by_role("link", name="Pay 50 for A-17?").click()
    expect(page.locator(".sent-back")).to_contain_text("ada sent the run back to draft::tool_call, and wrote:")
    page.goto(page.url.partition("/requests/")[0] + f"/states/{request.state_id}/")
    expect(page.locator("#state-notices")).to_contain_text(f"Superseded by run {fork.short_id}")


def test_a_comment_is_added_and_nothing_else_on_the_page_changes(asked, ada, at):
    page = at(asked(), ada)
    page.locator("#proposal-amount").fill("7")
    page.locator("#say").fill("Mind the gap")
    page.locator("#discussion button").click()
    expect(page.locator(".comment-text")).to_have_text("Mind the gap")
    expect(page.locator("#say")).to_be_focused()
    expect(page.locator("#say")).to_have_value("")
    assert page.locator("#proposal-amount").input_value() == "7"


def test_all_of_it_works_without_a_script(asked, ada, at):
    request = asked(undo_window_s=60)
    page = at(request, ada, java_script_enabled=False)
    page.locator("#say").fill("Mind the gap")
    page.locator("#discussion button").click()
    expect(page.locator(".comment-text")).to_have_text("Mind the gap")
    page.locator("#more > summary").click()
    page.locator("#claim").click()
    expect(page.locator("#request-head .person-name")).to_have_text("You")
    page.locator("summary", has_text="Request changes").click()
    page.locator("#instructions").fill("Half of it")
    page.locator("#send-back > button").click()
    expect(page.locator("#progress")).to_contain_text("Sent back. The run goes back in")
    page.locator("#undo").click()
    expect(page.locator(".messages")).to_contain_text("Your decision is taken back")
    page.locator("#decide-approve").click()
    expect(page.locator("#progress")).to_contain_text("Approved. The run starts in")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
def test_it_fits_and_axe_finds_nothing(asked, ada, grace, at, live_server, width, scheme):
    request = asked(needed=2, undo_window_s=60, expires_after_s=900, escalate_to={"x" * 60}, escalate_after_s=600)
    decide(request.pk, by=grace, kind="approve", comment="w" * 200)
    decide(request.pk, by=grace, kind="comment", comment="w" * 200)
    trip = asked("test-trip", undo_window_s=60)
    page = at(request, ada, viewport={"width": width, "height": 740}, color_scheme=scheme)

    def check():
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = violations(page)
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []

    page.locator("#proposal-amount").fill("7")
    page.keyboard.press("Tab")
    expect(page.locator("#votes-fall")).to_be_visible()
    check()
    for option in page.locator("details.decision-option > summary").all():
        option.click()
        panel = page.locator("details[open] > .decision-panel").bounding_box()
        assert panel["x"] >= 0 and panel["x"] + panel["width"] <= width and panel["y"] >= 0
        check()
    page.keyboard.press("Escape")
    page.goto(f"{live_server.url}/")
    check()
    page.goto(f"{live_server.url}/requests/{trip.pk}/")
    page.locator("summary.btn-bad").click()
    page.locator("#reject-comment").fill("no")
    page.locator("#reject-form button").click()
    expect(page.locator("#undo")).to_be_visible()
    check()
