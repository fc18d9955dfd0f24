"""After the decision: how the run goes on, and trying it again."""

from decimal import Decimal

import pytest

from recovery.models import ApprovalRequest, Decision, Resolution, Resumption
from recovery.services.decide import decide
from rh_agents.core.serialization import decode
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import Refund
from tests.web.pages import Element, as_of_now, entered_in, read
from tests.web.request_pages import look, notices, panel

pytestmark = pytest.mark.django_db


def steps(page: Element) -> list[tuple[str, str]]:
    listed = page.one("ol", class_="progress-steps").all("li")
    return [(one.text, one.attrs.get("class") or one.attrs.get("aria-current", "")) for one in listed]


def test_the_page_tells_decided_queued_and_done_apart(refund, ada, ada_at):
    decide(refund.pk, by=ada, kind="approve")
    bar = look(ada_at, refund).one("section", id="progress")
    assert steps(bar) == [("Decided", "is-done"), ("Queued", "step"), ("Running", ""), ("Done", "")]
    assert bar.attrs["data-live-every"] == "1"
    Resumption.objects.update(status="running")
    bar = look(ada_at, refund).one("section", id="progress")
    assert steps(bar) == [("Decided", "is-done"), ("Queued", "is-done"), ("Running", "step"), ("Done", "")]
    Resumption.objects.update(status="pending")
    work(refund.state_id)
    page = look(ada_at, refund)
    bar = page.one("section", id="progress")
    assert steps(bar) == [(word, "is-done") for word in ("Decided", "Queued", "Running", "Done")]
    assert "data-live" not in bar.attrs
    assert "The run is completed." in bar.text
    outcome = as_of_now(panel(page, "Outcome").text)
    assert outcome == (
        'Outcome Approved You approved this in the browser just now. What the run gave back "paid 420.00 by card"'
    )


def test_the_outcome_of_an_edit_marks_what_was_edited(refund, ada, ada_at):
    edited = Refund(order="A-17", amount=Decimal("5"))
    decide(refund.pk, by=ada, kind="edit", proposal=edited, seen_version=1)
    page = look(ada_at, refund)
    call = panel(page, "What was approved")
    assert [line.text for line in call.all("span", class_="is-edited")] == ['edited amount = Decimal("5")']


def test_progress_is_sent_only_when_there_is_news(refund, ada, ada_at, htmx):
    decide(refund.pk, by=ada, kind="approve")
    address = look(ada_at, refund).one("section", id="progress").attrs["hx-get"]
    assert ada_at.get(address, headers=htmx).status_code == 204
    work(refund.state_id)
    part = ada_at.get(address, headers=htmx)
    assert part.status_code == 200 and b"<html" not in part.content
    part = read(part)
    assert steps(part)[-1] == ("Done", "is-done")
    assert part.one("section", id="outcome").attrs["hx-swap-oob"] == "true"
    assert part.one("div", id="announcer").text == "The run is completed."
    assert not [one for one in part.all() if "autofocus" in one.attrs]


def test_a_run_that_asks_again_leads_to_its_next_question(run_until_it_waits, ada, ada_at):
    first = only_request(run_until_it_waits("test-gates"))
    decide(first.pk, by=ada, kind="approve")
    second = only_request(work(first.state_id))
    bar = look(ada_at, first).one("section", id="progress")
    assert steps(bar)[-1] == ("Asks again", "is-done")
    assert bar.all("a")[0].attrs["href"] == f"/requests/{second.pk}/"


def test_a_run_that_is_blocked_says_why_and_is_tried_again_from_the_page(refund, ada, ada_at, without_its_pipeline):
    known = refund.state.pipeline
    Resumption.objects.filter(state=refund.state).delete()
    Decision.objects.create(request=refund, kind="approve", actor=ada, actor_name="ada", created_at=refund.opened_at)
    Resolution.objects.create(
        request=refund,
        decision=Decision.objects.get(),
        outcome="approve",
        answer='{"$t":"x"}',
        created_at=refund.opened_at,
    )
    Resumption.objects.create(
        state=refund.state,
        resolution=Resolution.objects.get(),
        kind="resume",
        status="blocked",
        last_error=f"The pipeline {known} is not installed any more.",
        not_before=refund.opened_at,
        created_at=refund.opened_at,
    )
    ApprovalRequest.objects.filter(pk=refund.pk).update(outcome="approve", resolved_at=refund.opened_at)
    bar = look(ada_at, refund).one("section", id="progress")
    assert steps(bar) == [("Decided", "is-done"), ("Blocked", "is-failed")]
    assert "is not installed any more." in bar.one("p", class_="progress-error").text
    retry = bar.one("form")
    answer = ada_at.post(retry.attrs["action"], entered_in(retry), follow=True)
    assert answer.redirect_chain == [(f"/requests/{refund.pk}/", 302)]
    assert any("is not installed any more" in notice for notice in notices(read(answer)))
    assert Resumption.objects.filter(kind="retry").count() == 0


def test_a_failed_run_is_tried_again_and_done(run_until_it_waits, ada, ada_at):
    state = run_until_it_waits("test-failing")
    assert state.status == "failed"
    answer = ada_at.post(f"/states/{state.pk}/retry/", {"next": "/?tab=open"})
    assert (answer.status_code, answer["Location"]) == (302, "/?tab=open")
    assert decode(work(state.pk).output) == "mended"


def test_a_retry_never_leads_to_another_site(run_until_it_waits, ada_at):
    state = run_until_it_waits("test-failing")
    answer = ada_at.post(f"/states/{state.pk}/retry/", {"next": "https://elsewhere.example/"})
    assert answer["Location"] == f"/states/{state.pk}/"
