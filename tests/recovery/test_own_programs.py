"""Runs of programs of their own: an answer goes into the state they load, and only where it is waited for."""

import asyncio
from typing import Any

import pytest

from recovery.backends import DjangoArtifactBackend, DjangoStateBackend
from recovery.errors import AlreadyResolved, NotWaiting
from recovery.models import ApprovalRequest, AuditEntry, Decision, Resolution, Resumption, State
from recovery.services.decide import decide
from rh_agents import Answer, AwaitingDecision, ExecutionState, Question, StateMetadata, StateStatus, Tool
from tests.recovery.conftest import only_request
from tests.recovery.sample_pipelines import Refund, RefundInput, look_up

pytestmark = pytest.mark.django_db(transaction=True)

ON = [StateStatus.RUNNING, StateStatus.PAUSED]
OVER = [StateStatus.COMPLETED, StateStatus.CANCELLED]


def program() -> ExecutionState:
    return ExecutionState(state_backend=DjangoStateBackend(), artifact_backend=DjangoArtifactBackend())


def loaded(state: ExecutionState, **options: Any) -> ExecutionState:
    return ExecutionState.load_from_state_id(state.state_id, DjangoStateBackend(), DjangoArtifactBackend(), **options)


def row_of(state: ExecutionState) -> State:
    return State.objects.get(pk=state.state_id)


def asks(state: ExecutionState, amount: int = 100) -> Answer | None:
    """The answer, `None` while there is none."""

    async def run() -> Answer:
        await look_up(RefundInput(order="A-17", amount=1), None, state)
        return await state.ask(
            Question(key="refund", title=f"Refund {amount}?", proposal=Refund(order="A-17", amount=amount))
        )

    try:
        return asyncio.run(run())
    except AwaitingDecision:
        return None


def pauses(state: ExecutionState, title: str = "Go on?") -> ExecutionState:
    state.save_checkpoint(StateStatus.AWAITING, StateMetadata(description=title))
    return state


def outcomes(state: ExecutionState) -> list[tuple[str, str]]:
    asked = ApprovalRequest.objects.filter(state_id=state.state_id).order_by("checkpoint")
    return list(asked.values_list("title", "outcome"))


def assert_refused_and_nothing_changed(state: ExecutionState, request: ApprovalRequest, ada: Any, why: str) -> None:
    before = row_of(state)
    with pytest.raises(NotWaiting, match=why):
        decide(request.pk, by=ada, kind="approve")
    after = row_of(state)
    assert (after.head, after.status, after.resolution_text) == (before.head, before.status, before.resolution_text)
    assert not Resolution.objects.filter(request=request).exists()
    assert Decision.objects.get(request=request).refusal == "not_waiting"
    assert AuditEntry.objects.latest("number").action == "refused"


def test_an_answer_is_there_when_the_program_loads_the_state(ada):
    state = program()
    assert asks(state) is None
    decide(only_request(row_of(state)).pk, by=ada, kind="edit", proposal={"order": "A-17", "amount": "7"})
    assert row_of(state).status == "paused"
    answer = asks(loaded(state))
    assert (answer.kind, answer.by, answer.proposal) == ("edit", ["ada"], Refund(order="A-17", amount=7))
    assert not Resumption.objects.exists()


def test_the_decision_about_a_pause_by_hand_is_the_resolution_of_the_loaded_state(ada):
    state = pauses(program())
    decide(only_request(row_of(state)).pk, by=ada, kind="reject", comment="no")
    assert row_of(state).status == "paused"
    assert (loaded(state).resolution.kind, loaded(state).resolution.comment) == ("reject", "no")
    # The next pause is another one.
    pauses(loaded(state), "And now?")
    assert outcomes(state) == [("Go on?", "reject"), ("And now?", "")]


def test_a_question_that_the_program_went_back_before_is_not_asked_any_more(ada):
    state = program()
    asks(state, 100)
    old = only_request(row_of(state))
    asks(loaded(state, resume_from_address="look_up::tool_call"), 900)
    assert outcomes(state) == [("Refund 100?", "supersede"), ("Refund 900?", "")]
    with pytest.raises(AlreadyResolved, match="the run was first: supersede"):
        decide(old.pk, by=ada, kind="approve")
    decide(only_request(row_of(state)).pk, by=ada, kind="approve")
    assert asks(loaded(state)).proposal.amount == 900


def test_an_answer_to_a_question_of_an_earlier_generation_is_refused(ada):
    state = program()
    asks(state, 100)
    old = only_request(row_of(state))
    backend = DjangoStateBackend(on_checkpoint=lambda *_: None)
    back = ExecutionState.load_from_state_id(
        state.state_id, backend, DjangoArtifactBackend(), resume_from_address="look_up::tool_call"
    )
    asks(back, 900)
    assert_refused_and_nothing_changed(state, old, ada, "does not ask this any more")


def test_a_question_that_the_program_answered_itself_is_not_asked_any_more():
    state = program()
    asks(state)
    again = loaded(state)
    again.answer("refund::decision", Answer(kind="approve"))
    again.save_checkpoint(StateStatus.RUNNING)
    assert outcomes(state) == [("Refund 100?", "supersede")]


@pytest.mark.parametrize("status", [*ON, StateStatus.FAILED, *OVER])
def test_a_pause_by_hand_is_over_when_the_program_goes_on_without_a_decision(ada, status):
    state = pauses(program())
    request = only_request(row_of(state))
    loaded(state).save_checkpoint(status)
    assert outcomes(state) == [("Go on?", "supersede")]
    with pytest.raises(AlreadyResolved):
        decide(request.pk, by=ada, kind="approve")
    assert row_of(state).status == status
    if status not in OVER:
        pauses(loaded(state), "And now?")
        assert outcomes(state) == [("Go on?", "supersede"), ("And now?", "")]


@pytest.mark.parametrize("status", OVER)
def test_a_question_is_over_with_its_run(status):
    state = program()
    asks(state)
    between = loaded(state)
    between.save_checkpoint(StateStatus.RUNNING)
    asyncio.run(Tool(name="last", handler=lambda *_: 1)(1, None, between))
    # One step and nothing else, which is written the short way where the run goes on.
    between.save_checkpoint(status)
    assert outcomes(state) == [("Refund 100?", "supersede")]


@pytest.mark.parametrize("status", [*ON, StateStatus.FAILED])
def test_a_question_of_a_run_that_is_not_over_stays_and_is_decided_when_the_run_waits_again(ada, status):
    state = program()
    asks(state)
    loaded(state).save_checkpoint(status)
    request = only_request(row_of(state))
    assert_refused_and_nothing_changed(state, request, ada, f"it does not wait now: the run is {status}")
    assert asks(loaded(state)) is None
    decide(request.pk, by=ada, kind="approve")
    assert asks(loaded(state)).approved


def test_a_decision_does_not_knock_over_a_program_that_is_at_work(ada):
    state = program()
    asks(state)
    at_work = loaded(state)
    at_work.save_checkpoint(StateStatus.RUNNING)
    with pytest.raises(NotWaiting):
        decide(only_request(row_of(state)).pk, by=ada, kind="approve")
    at_work.save_checkpoint(StateStatus.COMPLETED)
    assert row_of(state).status == "completed"


# ---- Groups ----


def test_one_rejection_reaches_the_program_for_the_whole_group(ada):
    def books(state: ExecutionState) -> list[str] | None:
        async def one(name: str) -> str:
            asked = Question(key=name, title=f"Book {name}?", group="trip", group_policy="first_reject_cancels")
            return (await state.ask(asked)).kind

        async def run() -> list[str]:
            return list(await state.parallel(*(one(name) for name in ("flight", "hotel", "dinner"))))

        try:
            return asyncio.run(run())
        except AwaitingDecision:
            return None

    state = program()
    assert books(state) is None
    flight = ApprovalRequest.objects.get(state_id=state.state_id, title="Book flight?")
    decide(flight.pk, by=ada, kind="reject", comment="no")
    assert sorted(outcomes(state)) == [
        ("Book dinner?", "cancel"),
        ("Book flight?", "reject"),
        ("Book hotel?", "cancel"),
    ]
    assert (row_of(state).status, Resumption.objects.count()) == ("paused", 0)
    assert books(loaded(state)) == ["reject", "cancel", "cancel"]
