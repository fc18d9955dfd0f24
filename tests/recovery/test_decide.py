"""Deciding a request: what is accepted, what is refused, what is written."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from recovery import pipelines
from recovery.errors import AlreadyResolved, InvalidInput, NotAllowed, PipelineGone, StaleProposal
from recovery.models import ApprovalRequest, AuditEntry, Decision, ProposalVersion, Resolution, Resumption, State
from recovery.pipelines import pipeline
from recovery.services import audit
from recovery.services.decide import decide
from recovery.services.open_request import add_version, digest_of
from recovery.services.questions import current_version, proposal_of, question_of
from recovery.services.retry import retry
from rh_agents import ExecutionState, Question
from rh_agents.core.approvals import Choice
from rh_agents.core.serialization import decode
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import Address, Method, Refund, RefundInput, calls


async def _choose(state: ExecutionState, *kinds: Any) -> str:
    choices = [Choice(kind=kind) for kind in kinds]
    return (await state.ask(Question(key="go", title="Go on?", choices=choices))).kind


@pipeline("test-sends-back", input_model=RefundInput, title="Sends back", version="1")
async def sends_back(order: RefundInput, state: ExecutionState) -> str:
    return await _choose(state, "approve", "request_changes")


def written() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Decision, Resolution, Resumption, ProposalVersion))


def test_a_paused_run_opens_one_request_that_carries_its_question(run_until_it_waits):
    state = run_until_it_waits()
    request = only_request(state)
    assert state.status == "awaiting"
    assert (request.title, request.action, request.effect, request.get_risk_display()) == (
        "Refund 420.00 for A-17?",
        "payments.refund",
        "irreversible",
        "High",
    )
    assert (request.address, request.generation, request.checkpoint) == ("refund::decision", 1, state.head)
    assert question_of(request).proposal == Refund(order="A-17", amount=Decimal("420.00"))
    assert [entry.action for entry in AuditEntry.objects.order_by("number")] == ["started", "opened"]


def test_an_approved_run_goes_on_with_the_proposal_as_it_was_shown(run_until_it_waits, ada):
    state = run_until_it_waits()
    outcome = decide(only_request(state).pk, by=ada, kind="approve", comment="fine")
    assert (outcome.resolution.outcome, outcome.resumption.status) == ("approve", "pending")
    state = work(state.pk)
    assert (state.status, decode(state.output)) == ("completed", "paid 420.00 by card")
    assert calls == ["look_up", "pay"]
    assert Resumption.objects.get(resolution=outcome.resolution).status == "done"


def test_an_edit_runs_what_the_reviewer_wrote_and_keeps_both_versions(run_until_it_waits, ada):
    state = run_until_it_waits()
    request = only_request(state)
    edited = Refund(order="A-17", amount=Decimal("100.50"), method=Method.CREDIT)
    decide(request.pk, by=ada, kind="edit", proposal=edited, seen_version=1)
    assert decode(work(state.pk).output) == "paid 100.50 by credit"
    assert [proposal_of(version).amount for version in request.versions.order_by("number")] == [
        Decimal("420.00"),
        Decimal("100.50"),
    ]
    assert proposal_of(current_version(request)) == edited
    assert proposal_of(current_version(request)).on == date(2026, 11, 23)


def test_an_edit_may_come_as_plain_values(run_until_it_waits, ada):
    state = run_until_it_waits()
    decide(
        only_request(state).pk,
        by=ada,
        kind="edit",
        proposal={"order": "A-17", "amount": "7.5", "method": "credit", "on": "2026-11-23"},
    )
    assert decode(work(state.pk).output) == "paid 7.5 by credit"


@pytest.mark.parametrize(
    ("proposal", "path"),
    [
        ({"order": "A-17", "amount": "-1"}, "proposal.amount"),
        ({"order": "A-17", "amount": "5000"}, "proposal.amount"),
        ({"order": "A-17", "amount": "lots"}, "proposal.amount"),
        ({"amount": "5"}, "proposal.order"),
        ({"order": "B-99", "amount": "420.00"}, "proposal"),
        (None, "proposal"),
    ],
)
def test_an_edit_that_does_not_validate_writes_nothing_and_names_the_field(run_until_it_waits, ada, proposal, path):
    state = run_until_it_waits()
    before = written()
    with pytest.raises(InvalidInput) as refused:
        decide(only_request(state).pk, by=ada, kind="edit", proposal=proposal)
    assert list(refused.value.errors) == [path]
    assert written() == before
    assert only_request(state).is_open


def test_a_rejected_run_gets_the_reason_and_does_not_run_the_action(run_until_it_waits, ada):
    state = run_until_it_waits()
    decide(only_request(state).pk, by=ada, kind="reject", comment="too much")
    assert decode(work(state.pk).output) == "refused: too much"
    assert calls == ["look_up"]


def test_a_response_reaches_the_run_as_its_model(run_until_it_waits, ada):
    state = run_until_it_waits("test-question")
    decide(only_request(state).pk, by=ada, kind="respond", response={"street": "Storgatan 19", "zip": "21142"})
    assert decode(work(state.pk).output) == Address(street="Storgatan 19", zip="21142")


def test_a_response_that_does_not_validate_is_refused_with_its_path(run_until_it_waits, ada):
    state = run_until_it_waits("test-question")
    with pytest.raises(InvalidInput) as refused:
        decide(only_request(state).pk, by=ada, kind="respond", response={"street": "Storgatan 19", "zip": "x"})
    assert list(refused.value.errors) == ["response.zip"]


def test_a_kind_that_the_request_does_not_offer_is_refused(run_until_it_waits, ada):
    state = run_until_it_waits("test-question")
    with pytest.raises(InvalidInput, match="'approve' is not offered here; there are: respond, reject"):
        decide(only_request(state).pk, by=ada, kind="approve")


def test_a_question_that_offers_what_cannot_be_carried_out_fails_where_it_is_asked(run_until_it_waits):
    state = run_until_it_waits("test-sends-back")
    assert state.status == "failed"
    assert "request_changes needs change_targets: the steps that the run may be sent back to" in state.error
    assert not ApprovalRequest.objects.exists()


def test_the_second_decider_is_told_who_was_first_and_changes_nothing(run_until_it_waits, ada, grace):
    state = run_until_it_waits()
    request = only_request(state)
    decide(request.pk, by=ada, kind="approve")
    with pytest.raises(AlreadyResolved, match="ada was first: approve"):
        decide(request.pk, by=grace, kind="reject", comment="no")
    work(state.pk)
    with pytest.raises(AlreadyResolved):
        decide(request.pk, by=ada, kind="approve")
    assert Resolution.objects.count() == 1
    assert calls == ["look_up", "pay"]
    refusals = Decision.objects.exclude(refusal="").order_by("pk").values_list("kind", "refusal", "comment")
    assert list(refusals) == [("reject", "already_resolved", "no"), ("approve", "already_resolved", "")]


def test_who_looked_at_an_older_version_is_told_what_changed(run_until_it_waits, ada):
    state = run_until_it_waits()
    request = only_request(state)
    add_version(request, 2, Refund(order="A-17", amount=Decimal("990.00")), by=ada, by_name="Ada")
    with pytest.raises(StaleProposal) as refused:
        decide(request.pk, by=ada, kind="approve", seen_version=1)
    assert refused.value.changes == [("amount", "420.00", "990.00")]
    assert only_request(state).is_open


def test_an_approved_later_version_is_what_runs(run_until_it_waits, ada):
    state = run_until_it_waits()
    request = only_request(state)
    version = add_version(request, 2, Refund(order="A-17", amount=Decimal("990.00")), by=ada, by_name="Ada")
    outcome = decide(request.pk, by=ada, kind="approve", seen_version=2)
    resolution = outcome.resolution
    assert (resolution.outcome, resolution.version, resolution.digest) == ("approve", 2, version.digest)
    assert decode(work(state.pk).output) == "paid 990.00 by card"
    assert request.versions.count() == 2


def test_the_requester_may_not_decide_and_the_attempt_is_kept(run_until_it_waits, ada):
    state = run_until_it_waits(by=ada)
    with pytest.raises(NotAllowed, match="the requester may not decide"):
        decide(only_request(state).pk, by=ada, kind="approve")
    assert only_request(state).is_open
    assert Decision.objects.get().refusal == "not_allowed"
    assert AuditEntry.objects.order_by("number").last().action == "refused"


def test_somebody_without_the_permission_may_not_decide(run_until_it_waits, make_user):
    state = run_until_it_waits()
    with pytest.raises(NotAllowed, match="not among those who decide"):
        decide(only_request(state).pk, by=make_user("bob", decides=False), kind="approve")


def test_the_same_idempotency_key_gives_the_first_outcome_again(run_until_it_waits, ada):
    state = run_until_it_waits()
    request = only_request(state)
    first = decide(request.pk, by=ada, kind="approve", idempotency_key="k1")
    again = decide(request.pk, by=ada, kind="approve", idempotency_key="k1")
    assert (again.decision.pk, again.resumption.pk) == (first.decision.pk, first.resumption.pk)
    assert Decision.objects.count() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "reject", "comment": "no"},
        {"kind": "approve"},
        {"kind": "edit", "proposal": {"order": "A-17", "amount": "8"}},
    ],
)
def test_another_act_under_the_same_idempotency_key_came_second(run_until_it_waits, ada, other):
    request = only_request(run_until_it_waits())
    act = {"kind": "edit", "proposal": {"order": "A-17", "amount": "7"}, "idempotency_key": "k1"}
    first = decide(request.pk, by=ada, **act)
    assert decide(request.pk, by=ada, **act).decision == first.decision
    with pytest.raises(AlreadyResolved):
        decide(request.pk, by=ada, idempotency_key="k1", **other)
    refused = [(one.kind, one.refusal) for one in Decision.objects.order_by("pk")]
    assert refused == [("edit", ""), (other["kind"], "already_resolved")]
    assert Resolution.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "name"), [("approve", "proposal"), ("reject", "proposal"), ("approve", "response"), ("edit", "response")]
)
def test_what_does_not_go_with_a_kind_is_refused_by_name_and_not_dropped(run_until_it_waits, ada, kind, name):
    request = only_request(run_until_it_waits())
    with pytest.raises(InvalidInput) as refused:
        decide(request.pk, by=ada, kind=kind, **{name: {"order": "A-17", "amount": "1"}})
    assert list(refused.value.errors) == [name]
    assert only_request(request.state).is_open


def test_a_pause_by_hand_is_listed_decided_and_resumed_with_its_resolution(run_until_it_waits, ada):
    state = run_until_it_waits("test-manual")
    request = only_request(state)
    assert (request.title, request.is_manual, request.address) == ("Approve the order A-17", True, "")
    assert [tag.tag for tag in state.tags.all()] == ["awaiting-user-approval"]
    decide(request.pk, by=ada, kind="approve", comment="go")
    state = work(state.pk)
    assert (state.status, decode(state.output)) == ("completed", "approve: go")
    assert calls == ["look_up"]


OTHER = "999.00"


@pytest.mark.parametrize(
    ("model", "column", "kind"),
    [
        (Resolution, "answer", "approve"),
        (Resolution, "answer", "edit"),
        (ProposalVersion, "args", "approve"),
        (ProposalVersion, "args", "edit"),
        (ProposalVersion, "args", "reject"),
    ],
)
def test_a_proposal_that_was_changed_after_the_decision_does_not_run(run_until_it_waits, ada, model, column, kind):
    state = run_until_it_waits()
    request = only_request(state)
    edited = Refund(order="A-17", amount=Decimal("7.00")) if kind == "edit" else None
    resolution = decide(request.pk, by=ada, kind=kind, proposal=edited, comment="so it is").resolution
    version, shown = current_version(request), "7.00" if edited else "420.00"
    digest = digest_of(request.action, version.args.replace(shown, OTHER))
    row = resolution if model is Resolution else version
    kept = getattr(row, column)
    setattr(row, column, kept.replace(shown, OTHER))
    assert getattr(row, column) != kept
    row.save()
    state = work(state.pk)
    job = Resumption.objects.get(resolution=resolution)
    assert (state.status, job.status, calls) == ("awaiting", "blocked", ["look_up"])
    assert job.last_error == (
        f"the decision about 'Refund 420.00 for A-17?' (request {request.pk}) was made on version "
        f"{resolution.version} with the digest {resolution.digest}, but what would run has the digest {digest}; "
        "nothing runs"
    )
    # The decision stands: put right, it can be tried again.
    setattr(row, column, kept)
    row.save()
    retry(state.pk, by=ada)
    assert work(state.pk).status == "completed"


def test_a_rejection_whose_answer_was_changed_to_an_approval_lets_nothing_run(run_until_it_waits, ada):
    state = run_until_it_waits()
    resolution = decide(only_request(state).pk, by=ada, kind="reject", comment="no").resolution
    answer = resolution.answer.replace('"reject"', '"approve"').replace('"approved":false', '"approved":true')
    assert decode(answer).approved
    Resolution.objects.filter(pk=resolution.pk).update(answer=answer)
    state = work(state.pk)
    job = Resumption.objects.get(resolution=resolution)
    assert (state.status, job.status, calls) == ("awaiting", "blocked", ["look_up"])
    assert "was 'reject', but its answer says 'approve'; nothing runs" in job.last_error


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_a_run_whose_pipeline_is_gone_or_changed_stays_and_says_so(run_until_it_waits, ada, monkeypatch, change):
    state = run_until_it_waits()
    known = dict(pipelines._registry)
    if change == "gone":
        del known["test-refund"]
    else:
        State.objects.filter(pk=state.pk).update(pipeline_version="0")
    monkeypatch.setattr(pipelines, "_registry", known)
    before = written()
    with pytest.raises(PipelineGone, match="is not installed any more" if change == "gone" else "is now version 1"):
        decide(only_request(state).pk, by=ada, kind="approve")
    assert written() == before
    assert only_request(state).is_open


def test_a_pipeline_that_goes_after_the_decision_blocks_the_resume_and_keeps_the_decision(
    run_until_it_waits, ada, monkeypatch
):
    state = run_until_it_waits()
    outcome = decide(only_request(state).pk, by=ada, kind="approve")
    with monkeypatch.context() as patch:
        patch.setattr(pipelines, "_registry", {})
        work(state.pk)
    job = Resumption.objects.get(pk=outcome.resumption.pk)
    assert job.status == "blocked"
    assert "is not installed any more" in job.last_error
    assert calls == ["look_up"]


def test_each_of_several_pauses_is_asked_once_and_no_step_runs_twice(run_until_it_waits, ada):
    state = run_until_it_waits("test-gates")
    addresses = []
    for _ in range(3):
        request = only_request(state)
        addresses.append(request.address)
        decide(request.pk, by=ada, kind="approve")
        state = work(state.pk)
    assert addresses == [
        "three_gates::gate::decision",
        "three_gates::gate::decision#2",
        "three_gates::gate::decision#3",
    ]
    assert (state.status, decode(state.output)) == ("completed", ["approve", "approve", "approve"])
    assert calls == ["look_up"] * 3


def test_the_audit_verifies_and_a_changed_byte_is_found(run_until_it_waits, ada):
    state = run_until_it_waits()
    decide(only_request(state).pk, by=ada, kind="approve", comment="fine")
    assert list(audit.broken_links()) == []
    entry = AuditEntry.objects.get(action="decided")
    AuditEntry.objects.filter(pk=entry.pk).update(detail=entry.detail.replace("fine", "Fine"))
    assert list(audit.broken_links()) == [(entry.number, "was changed")]
    AuditEntry.objects.filter(pk=entry.pk).delete()
    assert [what for _, what in audit.broken_links()] == ["is not the last that was written"]
