"""Ways back: a decision is undone, a group is cancelled with one rejection, a run is sent back, a request expires."""

from typing import Any

import pytest

from recovery.backends import DjangoStateBackend
from recovery.errors import AlreadyResolved, InvalidInput, NotUndoable
from recovery.models import ApprovalRequest, AuditEntry, Decision, Event, Resolution, Resumption, State
from recovery.pipelines import pipeline
from recovery.services import audit
from recovery.services.actors import SYSTEM
from recovery.services.decide import decide
from recovery.services.questions import current_version, proposal_of
from recovery.services.retry import retry
from recovery.services.undo import may_undo, undo
from rh_agents import ChangeTarget, ExecutionState, Policy, Question, tool
from rh_agents.core.serialization import decode
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import Refund, RefundInput, book_trip, calls, look_up, pay

OPTIONS: dict[str, Any] = {}


@tool
async def draft(order: RefundInput, context: Any, state: ExecutionState) -> Refund:
    calls.append("draft")
    told = [one.text for one in state.instructions]
    state.storage.set("told", told)
    return Refund(order=order.order, amount=order.amount / 2 if told else order.amount)


@pipeline("test-drafted", input_model=RefundInput, title="Drafted", version="1", policy=Policy(undo_window_s=60))
async def drafted(order: RefundInput, state: ExecutionState) -> Any:
    await look_up(order, None, state)
    await state.ask(Question(key="first", title="Begin?", policy=Policy(undo_window_s=0)))
    proposal = (await draft(order, None, state)).result
    answer = await state.ask(
        Question(
            key="pay",
            title="Pay?",
            proposal=proposal,
            change_targets=[ChangeTarget(address="draft::tool_call", label="Write the proposal")],
            **OPTIONS,
        )
    )
    if not answer.approved:
        return [answer.kind, answer.comment]
    await pay(answer.proposal, None, state)
    return [answer.proposal.amount, state.storage.get("told")]


@pipeline("test-grouped", input_model=RefundInput, title="Grouped", version="1")
async def grouped(order: RefundInput, state: ExecutionState) -> Any:
    return await book_trip(state, Policy(undo_window_s=60))


@pytest.fixture(autouse=True)
def _no_options():
    OPTIONS.clear()
    yield
    OPTIONS.clear()


@pytest.fixture
def asked(run_until_it_waits, ada):
    """A request at the end of a run that has made two steps and passed one question."""

    def ask(**options: Any) -> ApprovalRequest:
        OPTIONS.update(options)
        state = run_until_it_waits("test-drafted")
        decide(only_request(state).pk, by=ada, kind="approve")
        return only_request(work(state.pk))

    return ask


def let_it_go_on(request: ApprovalRequest) -> State:
    """The undo window is over."""
    Resumption.objects.filter(state=request.state_id, status="pending").update(not_before="2026-01-01T00:00Z")
    return work(request.state_id)


def settled(request: ApprovalRequest) -> tuple[str, int]:
    request.refresh_from_db()
    return request.outcome, request.resolutions.filter(undone_at__isnull=True).count()


# ---- Undo ----


def test_a_decision_waits_for_its_undo_window_before_the_run_goes_on(asked, ada):
    request = asked()
    job = decide(request.pk, by=ada, kind="approve").resumption
    assert (job.not_before - job.created_at).total_seconds() == 60
    assert work(request.state_id).status == "awaiting"
    assert calls == ["look_up", "draft"]
    assert let_it_go_on(request).status == "completed"
    assert calls == ["look_up", "draft", "pay"]


def test_an_undone_decision_is_as_if_it_had_never_been_made_but_for_the_record(asked, ada, grace):
    request = asked()
    decide(request.pk, by=ada, kind="approve")
    undo(request.pk, by=ada)
    assert settled(request) == ("", 0)
    assert Resumption.objects.get(resolution__request=request).status == "undone"
    assert let_it_go_on(request).status == "awaiting"
    assert calls == ["look_up", "draft"]
    decide(request.pk, by=grace, kind="reject", comment="no")
    assert decode(let_it_go_on(request).output) == ["reject", "no"]
    acts = AuditEntry.objects.filter(request_id=request.pk).order_by("number").values_list("action", flat=True)
    assert list(acts) == ["opened", "decided", "undone", "decided"]
    assert list(audit.broken_links()) == []


def test_an_undone_edit_puts_the_proposal_back(asked, ada, grace):
    request = asked()
    shown = (request.version, request.digest)
    decide(request.pk, by=ada, kind="edit", proposal=Refund(order="A-17", amount=7))
    undo(request.pk, by=ada)
    request.refresh_from_db()
    assert (request.version, request.digest) == (3, shown[1])
    assert proposal_of(current_version(request)).amount == 420
    # Whoever still looks at the first version looks at what would run.
    decide(request.pk, by=grace, kind="approve", seen_version=1)
    assert decode(let_it_go_on(request).output) == [420, []]


def test_an_undone_edit_that_somebody_else_had_made_before_leaves_theirs(asked, ada, grace):
    request = asked(policy=Policy(needed=2))
    cheaper = Refund(order="A-17", amount=7)
    decide(request.pk, by=ada, kind="edit", proposal=cheaper)
    decide(request.pk, by=grace, kind="edit", proposal=cheaper)
    undo(request.pk, by=grace)
    request.refresh_from_db()
    assert (request.version, proposal_of(current_version(request)).amount) == (2, 7)
    assert decide(request.pk, by=grace, kind="approve", seen_version=2).resolution.outcome == "approve"


def test_only_whoever_decided_may_undo_it_and_only_until_the_run_goes_on(asked, ada, grace):
    request = asked()
    with pytest.raises(NotUndoable, match="Nothing is decided here"):
        undo(request.pk, by=ada)
    decide(request.pk, by=ada, kind="approve")
    assert (may_undo(request, ada), may_undo(request, grace)) == (True, False)
    with pytest.raises(NotUndoable, match="Only ada could take this back"):
        undo(request.pk, by=grace)
    assert settled(request) == ("approve", 1)
    let_it_go_on(request)
    with pytest.raises(NotUndoable, match="The run has gone on with it"):
        undo(request.pk, by=ada)
    assert settled(request) == ("approve", 1)
    assert Decision.objects.filter(refusal="not_undoable").count() == 3


def test_the_click_that_was_undone_decides_nothing_when_it_comes_once_more(asked, ada):
    request = asked()
    decide(request.pk, by=ada, kind="approve", idempotency_key="click")
    undo(request.pk, by=ada)
    with pytest.raises(InvalidInput, match="This was taken back since"):
        decide(request.pk, by=ada, kind="approve", idempotency_key="click")
    assert settled(request) == ("", 0)
    assert decide(request.pk, by=ada, kind="approve", idempotency_key="another").resolution is not None


# ---- Groups ----


def test_one_rejection_cancels_the_group_and_undoing_it_opens_the_group_again(run_until_it_waits, ada):
    state = run_until_it_waits("test-grouped")
    requests = {one.title: one for one in ApprovalRequest.objects.filter(state=state)}
    decide(requests["Book dinner?"].pk, by=ada, kind="approve")
    decide(requests["Book hotel?"].pk, by=ada, kind="reject", comment="too dear")
    assert {title: settled(one)[0] for title, one in requests.items()} == {
        "Book flight?": "cancel",
        "Book hotel?": "reject",
        "Book dinner?": "approve",
    }
    undo(requests["Book hotel?"].pk, by=ada)
    assert [settled(one) for one in requests.values()].count(("", 0)) == 2
    decide(requests["Book hotel?"].pk, by=ada, kind="reject", comment="still")
    assert decode(let_it_go_on(requests["Book hotel?"]).output) == ["cancel", "reject", "approve"]
    assert set(Resumption.objects.filter(state=state).values_list("status", flat=True)) == {"done", "undone"}


# ---- Sending back ----


def test_a_run_that_is_sent_back_goes_on_as_a_fork_that_keeps_what_came_before(asked, ada):
    request = asked()
    with pytest.raises(InvalidInput, match="Say what should be different"):
        decide(request.pk, by=ada, kind="request_changes", to="draft::tool_call")
    decide(request.pk, by=ada, kind="request_changes", to="draft::tool_call", comment="Half of it.")
    original = let_it_go_on(request)
    fork = State.objects.get(parent=original)
    assert (original.status, original.superseded_by) == ("cancelled", fork)
    assert (fork.forked_from_address, fork.pipeline, fork.started_by) == ("draft::tool_call", "test-drafted", None)
    again = only_request(work(fork.pk))
    # The step before and the answer before are kept; the draft ran again, and was told.
    assert calls == ["look_up", "draft", "draft"]
    assert (again.title, proposal_of(current_version(again)).amount) == ("Pay?", 210)
    decide(again.pk, by=ada, kind="approve")
    assert decode(let_it_go_on(again).output) == [210, ["Half of it."]]
    addresses = Event.objects.current().filter(state=original).order_by("position").values_list("address", flat=True)
    assert list(addresses) == ["look_up::tool_call", "first::decision", "draft::tool_call", "pay::decision"]
    assert list(audit.broken_links()) == []
    # The original may go: the fork stands by itself.
    assert DjangoStateBackend().delete_state(str(original.pk))
    fork.refresh_from_db()
    assert fork.status == "completed"


def test_sending_back_may_bring_other_input(asked, ada):
    request = asked()
    back = {"kind": "request_changes", "to": "draft::tool_call", "comment": "Other order."}
    with pytest.raises(InvalidInput) as refused:
        decide(request.pk, by=ada, **back, inputs={"order": "", "amount": "5"})
    assert list(refused.value.errors) == ["inputs.order"]
    with pytest.raises(InvalidInput, match="'look_up::tool_call' is no step to go back to"):
        decide(request.pk, by=ada, **back | {"to": "look_up::tool_call"})
    assert settled(request) == ("", 0)
    decide(request.pk, by=ada, **back, inputs={"order": "B-2", "amount": "10"})
    fork = State.objects.get(parent=let_it_go_on(request))
    assert proposal_of(current_version(only_request(work(fork.pk)))) == Refund(order="B-2", amount=5)


def test_sending_back_can_be_undone_like_any_decision(asked, ada):
    request = asked()
    decide(request.pk, by=ada, kind="request_changes", to="draft::tool_call", comment="Half.")
    undo(request.pk, by=ada)
    assert let_it_go_on(request).status == "awaiting"
    assert (State.objects.count(), settled(request)) == (1, ("", 0))


def test_a_question_may_name_only_steps_that_have_completed(run_until_it_waits, ada):

    @pipeline("test-wrong-target", input_model=RefundInput, version="1")
    async def wrong(order: RefundInput, state: ExecutionState) -> None:
        await look_up(order, None, state)
        await state.ask(Question(key="q", title="Q?", change_targets=["later::tool_call"]))

    state = run_until_it_waits("test-wrong-target")
    assert state.status == "failed"
    assert "No step later::tool_call has completed in this run; there are: look_up::tool_call" in state.error
    assert not ApprovalRequest.objects.exists()


# ---- Expiry ----


@pytest.mark.parametrize(
    ("on_expire", "status", "output"),
    [
        ("reject", "completed", ["expire", "Nobody decided in time."]),
        ("approve", "completed", [420, []]),
        ("cancel", "cancelled", None),
    ],
)
def test_what_expires_comes_to_what_was_said(asked, ada, on_expire, status, output):
    request = asked(on_expire=on_expire)
    with pytest.raises(InvalidInput, match="'expire' is not offered here"):
        decide(request.pk, by=ada, kind="expire")
    decide(request.pk, by=SYSTEM, kind="expire")
    with pytest.raises(AlreadyResolved, match="the system was first: expire"):
        decide(request.pk, by=ada, kind="approve")
    state = let_it_go_on(request)
    assert (state.status, decode(state.output) if state.output else None) == (status, output)
    assert Resolution.objects.get(request=request).decision.actor_kind == "system"


def test_a_rejection_fails_the_run_where_its_author_wants_that(asked, ada):
    request = asked(on_reject="fail")
    decide(request.pk, by=ada, kind="reject", comment="not like this")
    state = let_it_go_on(request)
    assert state.status == "failed"
    assert "pay::decision: 'Pay?' came to 'reject' by ada: not like this" in state.error
    retry(state.pk, by=ada)
    assert work(state.pk).status == "failed"


def test_a_rejection_may_keep_its_reason_from_the_run(asked, ada):
    request = asked(on_reject="skip")
    decide(request.pk, by=ada, kind="reject", comment="for people only")
    assert decode(let_it_go_on(request).output) == ["reject", ""]
    assert Decision.objects.get(request=request).comment == "for people only"
