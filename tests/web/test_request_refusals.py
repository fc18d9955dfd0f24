"""Decisions that are refused: who was first, what changed, who may not, and runs that could not go on."""

from decimal import Decimal

import pytest

from recovery.models import ApprovalRequest, Decision, ProposalVersion, Resolution, State
from recovery.services.decide import decide
from recovery.services.open_request import add_version
from tests.recovery.conftest import only_request
from tests.recovery.sample_pipelines import Refund
from tests.web.pages import as_of_now, read
from tests.web.request_pages import form_in, look, notices, panel, post

pytestmark = pytest.mark.django_db


def test_the_second_decider_is_told_who_was_first_and_keeps_what_they_wrote(refund, ada_at, grace):
    page = look(ada_at, refund)
    decide(refund.pk, by=grace, kind="reject", comment="no")
    answer = post(ada_at, refund, form_in(page) | {"kind": "approve", "comment": "my words", "proposal.amount": "5"})
    assert answer.status_code == 409
    page = read(answer)
    [notice] = notices(page)
    assert as_of_now(notice).startswith("grace rejected this just now. Your decision was not used; nothing runs twice.")
    assert "my words" in notice and "amount: 5" in notice
    assert not page.all("form", id="approve-form")
    votes = [as_of_now(vote.text) for vote in page.one("ul", class_="votes").all("li")]
    assert votes == ["grace Rejected just now no", "You Came second just now my words"]
    assert Resolution.objects.count() == 1


def test_an_answer_that_came_second_can_be_copied(run_until_it_waits, ada_at, grace):
    request = only_request(run_until_it_waits("test-question"))
    page = look(ada_at, request)
    decide(request.pk, by=grace, kind="reject", comment="no")
    sent = {"kind": "respond", "response.street": "Elm Street 7", "response.zip": "12345", "comment": "mine"}
    answer = post(ada_at, request, form_in(page, "respond-form") | sent)
    assert answer.status_code == 409
    kept = [one.text for one in read(answer).one("div", id="refusal").one("ul", class_="kept").all("li")]
    assert kept == ["street: Elm Street 7", "zip: 12345"]


def test_who_still_types_when_it_is_decided_is_told_and_keeps_what_they_typed(refund, ada_at, grace, htmx):
    data = form_in(look(ada_at, refund)) | {"proposal:check": "", "live": "", "proposal.amount": "5"}
    decide(refund.pk, by=grace, kind="reject", comment="no")
    answer = post(ada_at, refund, data, headers=htmx)
    assert answer.status_code == 409
    part = read(answer)
    [note] = [one for one in part.all() if "hx-swap-oob" in one.attrs]
    assert note.attrs["id"] == "decision-note"
    assert as_of_now(note.text) == "grace rejected this just now. What you typed stays here. Look at it"
    assert not part.all("article")
    assert [one.refusal for one in Decision.objects.all()] == [""]


def test_a_row_added_to_what_was_decided_says_who_was_first_and_loses_nothing(refund, ada_at, grace):
    data = form_in(look(ada_at, refund)) | {"proposal:check": "", "proposal.amount": "5"}
    decide(refund.pk, by=grace, kind="approve")
    answer = post(ada_at, refund, data)
    assert answer.status_code == 409
    assert "amount: 5" in notices(read(answer))[0]


def test_an_invalid_form_for_something_decided_is_told_who_was_first_all_the_same(refund, ada_at, grace):
    page = look(ada_at, refund)
    decide(refund.pk, by=grace, kind="approve")
    answer = post(ada_at, refund, form_in(page) | {"kind": "approve", "proposal.amount": "lots"})
    assert answer.status_code == 409
    assert notices(read(answer))[0].startswith("grace approved this")


def test_who_looked_at_an_older_version_is_shown_the_difference_and_the_way_to_the_new_one(refund, ada_at, grace):
    page = look(ada_at, refund)
    newer = Refund(order="A-17", amount=Decimal("300"))
    add_version(refund, 2, newer, by=grace, by_name="Grace")
    answer = post(ada_at, refund, form_in(page) | {"kind": "approve", "comment": "mine"})
    assert answer.status_code == 412
    page = read(answer)
    [notice] = page.all("div", class_="notice-warn", id="refusal")
    assert "You were looking at version 1, now it is version 2. Nothing was decided." in notice.text
    assert [one.text for one in notice.all("del")] == ["was amount: 420.00"]
    assert [one.text for one in notice.all("ins")] == ["now amount: 300"]
    assert "mine" in notice.one("p", class_="kept").text
    assert notice.one("a").attrs["href"] == f"/requests/{refund.pk}/"
    assert not page.all("form", id="approve-form")
    assert not Resolution.objects.exists()
    # Having looked, the same person decides about version 2; it is no edit of theirs.
    assert post(ada_at, refund, form_in(look(ada_at, refund)) | {"kind": "approve"}).status_code == 302
    assert [(one.kind, one.version) for one in Decision.objects.filter(refusal="")] == [("approve", 2)]


@pytest.mark.parametrize("seen", ["", "0", "x", "99", "²", "9" * 30])
def test_a_form_that_names_no_version_that_is_current_decides_nothing(refund, ada_at, seen):
    data = form_in(look(ada_at, refund)) | {"kind": "approve", "seen_version": seen}
    assert post(ada_at, refund, data).status_code == 412
    assert not Resolution.objects.exists()


def test_who_may_not_decide_sees_the_page_without_controls_and_is_refused_with_the_reason(
    refund, make_user, signed_in, grace
):
    client = signed_in(make_user("vera", decides=False))
    page = look(client, refund)
    assert not page.all("form", id="approve-form") and not page.all("input", name="proposal.amount")
    assert "You are not among those who decide requests. Others who can: " in notices(page)[0]
    assert "grace" in notices(page)[0]
    answer = post(client, refund, {"kind": "approve", "seen_version": "1"})
    assert answer.status_code == 403
    assert "You may not decide this one. You are not among those who decide requests." in notices(read(answer))[0]
    assert [decision.refusal for decision in Decision.objects.all()] == ["not_allowed"]


def test_who_started_the_run_may_look_but_not_decide(run_until_it_waits, ada, ada_at):
    request = only_request(run_until_it_waits(by=ada))
    assert "You started this run, and the requester may not decide." in notices(look(ada_at, request))[0]
    assert post(ada_at, request, {"kind": "approve", "seen_version": "1"}).status_code == 403
    assert not Resolution.objects.exists()


def test_a_run_whose_pipeline_is_gone_says_so_and_the_request_stays(refund, ada_at, without_its_pipeline):
    page = look(ada_at, refund)
    assert "The pipeline test-refund is not installed any more." in notices(page)[0]
    assert not page.all("form", id="approve-form")
    answer = post(ada_at, refund, {"kind": "approve", "seen_version": "1"})
    assert answer.status_code == 409
    assert "The request stays open; nothing was decided." in notices(read(answer))[0]
    assert only_request(refund.state).is_open and not Decision.objects.exists()


def test_a_run_whose_pipeline_has_another_version_says_which(refund, ada_at):
    State.objects.filter(pk=refund.state_id).update(pipeline_version="14")
    assert "is now version 1, this run began with version 14" in notices(look(ada_at, refund))[0]


def test_a_program_of_its_own_that_does_not_wait_says_so_and_the_request_stays(refund, ada_at):
    State.objects.filter(pk=refund.state_id).update(pipeline_version="", status="failed")
    page = look(ada_at, refund)
    assert "it does not wait now: the run is failed" in notices(page)[0]
    assert not page.all("form", id="approve-form")
    answer = post(ada_at, refund, {"kind": "approve", "seen_version": "1"})
    assert answer.status_code == 409
    assert notices(read(answer))[0].startswith("The run does not wait for it now. A program of its own runs this")
    assert only_request(refund.state).is_open
    assert [decision.refusal for decision in Decision.objects.all()] == ["not_waiting"]


def test_types_that_are_not_known_here_are_shown_as_plain_values(refund, ada_at):
    text = refund.question.replace("sample_pipelines", "deleted_module")
    assert text != refund.question
    ApprovalRequest.objects.filter(pk=refund.pk).update(question=text)
    version = refund.versions.get()
    ProposalVersion.objects.filter(pk=version.pk).update(
        args=version.args.replace("sample_pipelines", "deleted_module")
    )
    page = look(ada_at, refund)
    assert "The question cannot be read here" in notices(page)[0]
    lines = [line.text for line in page.all("span", class_="call-line")]
    assert lines[:3] == ["payments.refund(", 'order = "A-17"', 'amount = "420.00"']
    assert panel(page, "Evidence").one("summary").text == "events.csv 1 row, 24 B"
    assert post(ada_at, refund, {"kind": "approve", "seen_version": "1"}).status_code == 409
    assert only_request(refund.state).is_open


def test_a_question_that_is_damaged_still_has_a_page(refund, ada_at):
    ApprovalRequest.objects.filter(pk=refund.pk).update(question="{")
    ProposalVersion.objects.update(args="{")
    assert "The question cannot be read here" in notices(look(ada_at, refund))[0]
