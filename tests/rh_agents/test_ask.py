"""Asking a person: a run pauses and goes on with the answer."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from rh_agents import (
    AddressNotFoundError,
    Agent,
    Answer,
    AwaitingDecision,
    ExecutionEvent,
    ExecutionState,
    Question,
    RetryPolicy,
    StateMetadata,
    StateStatus,
)
from rh_agents.core.approvals import Choice, complete_answer
from rh_agents.core.history import HistorySet
from rh_agents.core.runner import RunOutcome, run_pipeline
from tests.rh_agents.refunds import Refund, asks, refund_question
from tests.rh_agents.runs import NO, YES, Calls, Kept, addresses, run

Step = ExecutionEvent[Any]


class Address(BaseModel):
    street: str


def test_a_run_pauses_with_its_question_saved_and_goes_on_with_the_answer(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(calls.tool("look_up"))(1, None, state)
        answer = await state.ask(refund_question())
        if answer.approved:
            await Step(calls.tool("pay"))(answer.proposal, None, state)
        return answer

    state = kept.new()
    outcome = run(run_pipeline(pipeline, None, state))
    assert (outcome, state.status) == (RunOutcome(StateStatus.AWAITING), StateStatus.AWAITING)
    loaded = kept.load(state)
    assert (loaded.status, loaded.open_questions) == (StateStatus.AWAITING, {"refund::decision": refund_question()})
    assert isinstance(loaded.open_questions["refund::decision"].proposal, Refund)

    before = datetime.now(UTC)
    outcome, state = kept.resume(pipeline, state, {"refund::decision": YES})
    answer = outcome.output
    assert (answer.kind, answer.approved, answer.edited, answer.by) == ("approve", True, False, ["ada"])
    assert answer.proposal == Refund(order="A-17", amount=420)
    assert isinstance(answer.proposal, Refund)
    assert before <= answer.decided_at <= datetime.now(UTC)
    assert calls == ["look_up", "pay"]
    assert kept.load(state).open_questions == {}
    assert kept.resume(pipeline, state)[0].output == answer
    assert addresses(state) == ["look_up::tool_call", "refund::decision", "pay::tool_call"]


def test_an_unanswered_question_pauses_every_resume_and_is_recorded_once(kept: Kept) -> None:
    _, state = kept.start(asks)
    head = kept.load(state).head
    for _ in range(3):
        outcome, again = kept.resume(asks, state)
        assert outcome.status is StateStatus.AWAITING
        assert addresses(again) == ["refund::decision"]
    assert kept.load(state).head >= head


@pytest.mark.parametrize("edited", [Refund(order="A-17", amount=400), {"order": "A-17", "amount": 400}], ids=type)
def test_an_edited_proposal_comes_back_as_the_same_type(kept: Kept, edited: Any) -> None:
    _, state = kept.start(asks)
    outcome, _ = kept.resume(asks, state, {"refund::decision": Answer(kind="edit", proposal=edited)})
    assert outcome.output == ("edit", True, Refund(order="A-17", amount=400))


def test_a_rejection_is_an_answer_like_any_other(kept: Kept) -> None:
    _, state = kept.start(asks)
    outcome, _ = kept.resume(asks, state, {"refund::decision": NO})
    assert (outcome.status, outcome.output[:2]) == (StateStatus.COMPLETED, ("reject", False))


def test_a_response_is_of_the_asked_model(kept: Kept) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        answer = await state.ask(Question(key="where", title="Where to?", response_model=Address))
        return answer.response, answer.approved

    _, state = kept.start(pipeline)
    assert kept.load(state).open_questions["where::decision"].response_model is Address
    outcome, _ = kept.resume(pipeline, state, {"where::decision": Answer(kind="respond", response={"street": "Main"})})
    assert outcome.output == (Address(street="Main"), True)


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")

    amount: int


@pytest.mark.parametrize(
    ("proposal", "editable", "edited", "words"),
    [
        (Loose(amount=1), {"amount"}, {"amount": 2, "override": True}, "not editable: override"),
        (Loose(amount=1, fast=False), {"amount"}, {"amount": 2, "fast": True}, "not editable: fast"),
        ({"amount": 1}, True, "all of it", "the proposal is a mapping, which 'all of it' is not"),
        ([1, 2], True, {"amount": 1}, "the proposal is a list, which {'amount': 1} is not"),
    ],
)
def test_an_edit_changes_nothing_that_was_not_offered(proposal: Any, editable: Any, edited: Any, words: str) -> None:
    question = Question(key="q", title="Q?", proposal=proposal, editable=editable)
    with pytest.raises(ValueError, match=words):
        complete_answer(question, Answer(kind="edit", proposal=edited))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(kind="respond", response=1), "'respond' is not offered here; there are: approve, edit, reject"),
        (Answer(kind="edit"), "an edit brings the edited proposal"),
        (Answer(kind="edit", proposal=Refund(order="B-1", amount=420)), "not editable: order"),
        (Answer(kind="edit", proposal={"order": "A-17", "amount": "many"}), "amount"),
    ],
    ids=["a kind that is not offered", "nothing edited", "a fixed field", "not valid"],
)
def test_an_answer_that_does_not_fit_is_refused_and_the_question_stays_open(
    kept: Kept, answer: Answer, words: str
) -> None:
    _, state = kept.start(asks)
    loaded = kept.load(state)
    with pytest.raises(ValueError, match=words):
        loaded.answer("refund::decision", answer)
    assert list(loaded.open_questions) == ["refund::decision"]
    assert loaded.history.completed == {}


def test_an_answer_to_nothing_is_refused_and_names_what_is_open(kept: Kept) -> None:
    _, state = kept.start(asks)
    loaded = kept.load(state)
    with pytest.raises(AddressNotFoundError, match=r"'refnd::decision'; closest: refund::decision"):
        loaded.answer("refnd::decision", YES)
    loaded.answer("refund::decision", YES)
    with pytest.raises(AddressNotFoundError):
        loaded.answer("refund::decision", NO)


def test_questions_in_a_row_and_in_a_loop_are_answered_one_at_a_time(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        kinds = []
        for number in range(3):
            await Step(calls.tool("prepare"))(number, None, state)
            kinds.append((await state.ask(Question(key="go", title=f"Go {number}?"))).kind)
        return kinds

    _, state = kept.start(pipeline)
    for address, answer in (("go::decision", YES), ("go::decision#2", NO), ("go::decision#3", YES)):
        assert list(kept.load(state).open_questions) == [address]
        outcome, state = kept.resume(pipeline, state, {address: answer})
    assert outcome.output == ["approve", "reject", "approve"]
    assert calls == ["prepare"] * 3


def test_a_question_inside_of_an_agent_leaves_the_agent_unfinished_and_not_failed(kept: Kept, calls: Calls) -> None:
    async def handler(input_data: Any, context: Any, state: ExecutionState) -> Any:
        state.storage.set("plan", "written by the agent")
        await Step(calls.tool("draft"))(1, None, state)
        return (await state.ask(Question(key="go", title="Go?"))).approved

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        agent = Agent(name="planner", handler=handler, retry=RetryPolicy(backoff=0))
        return (await Step(agent)(1, None, state)).result

    _, state = kept.start(pipeline)
    loaded = kept.load(state)
    assert [(r.address, str(r.status)) for r in loaded.history] == [
        ("planner::draft::tool_call", "completed"),
        ("planner::go::decision", "awaiting"),
    ]
    assert loaded.storage.get("plan") is None
    outcome, state = kept.resume(pipeline, state, {"planner::go::decision": YES})
    assert outcome.output is True
    assert state.storage.get("plan") == "written by the agent"
    assert calls == ["draft"]


def test_the_same_state_may_be_answered_and_run_again_in_one_process(calls: Calls) -> None:
    async def pipeline(state: ExecutionState) -> Any:
        await Step(calls.tool("a"))(1, None, state)
        return (await state.ask(Question(key="go", title="Go?"))).approved

    async def main() -> Any:
        state = ExecutionState()
        with pytest.raises(AwaitingDecision) as pause:
            await pipeline(state)
        assert pause.value.addresses == ("go::decision",)
        state.answer("go::decision", YES)
        return await pipeline(state)

    assert run(main()) is True
    assert calls == ["a"]


def test_the_runner_starts_a_state_from_its_beginning_every_time(calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        result = await Step(calls.tool("a"))(input_data, None, state)
        return result.result, (await state.ask(Question(key="go", title="Go?"))).approved

    async def main() -> Any:
        state = ExecutionState()
        for _ in range(2):
            assert (await run_pipeline(pipeline, 1, state)).status is StateStatus.AWAITING
        state.answer("go::decision", YES)
        return [(await run_pipeline(pipeline, 1, state)).output for _ in range(2)]

    assert run(main()) == [(1, True), (1, True)]
    assert calls == ["a"]


def test_a_question_that_the_code_no_longer_asks_can_be_closed(kept: Kept) -> None:
    async def changed(input_data: Any, state: ExecutionState) -> str:
        return "no question any more"

    _, state = kept.start(asks)
    outcome, state = kept.resume(changed, state)
    assert outcome.status is StateStatus.COMPLETED
    assert state.close_unasked() == ["refund::decision"]
    state.save_checkpoint(StateStatus.COMPLETED)
    assert kept.load(state).open_questions == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"title": ""},
        {"title": "t" * 501},
        {"editable": frozenset({"colour"})},
        {"editable": ["amount", "colour"]},
        {"editable": "amount"},
        {"editable": {7}},
        {"editable": 1},
        {"risk": "huge"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_question_that_makes_no_sense_is_refused(fields: Any) -> None:
    with pytest.raises(ValidationError):
        refund_question(**fields)


@pytest.mark.parametrize("names", [{"amount"}, ["amount"], ("amount",), {"amount": 1}.keys()], ids=str)
def test_what_is_editable_may_be_named_in_any_collection(names: Any) -> None:
    assert refund_question(editable=names).editable == frozenset({"amount"})


def test_many_answers_do_not_go_through_all_records_each(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        questions = [Question(key=f"q{number}", title="?") for number in range(30)]
        return [answer.kind for answer in await state.parallel(*(state.ask(question) for question in questions))]

    _, state = kept.start(pipeline)
    loaded = kept.load(state)
    touched: list[str] = []
    keep = HistorySet._keep

    def counting(self: HistorySet, record: Any) -> None:
        touched.append(record.address)
        keep(self, record)

    monkeypatch.setattr(HistorySet, "_keep", counting)
    asked = list(loaded.open_questions)
    for address in reversed(asked):
        loaded.answer(address, Answer(kind="approve"))
    assert touched == asked[::-1]
    assert [record.address for record in loaded.history] == asked
    assert all(record.is_completed for record in loaded.history)
    loaded.save_checkpoint()
    again = kept.load(state)
    assert (again.open_questions, len(again.history)) == ({}, 30)
    assert run(run_pipeline(pipeline, None, again)).output == ["approve"] * 30


@pytest.mark.parametrize("kind", ["expire", "cancel", "supersede"])
def test_a_decision_of_the_system_is_offered_to_nobody(kind: Any) -> None:
    with pytest.raises(ValidationError, match="'approve', 'edit', 'respond', 'reject' or 'request_changes'"):
        Choice(kind=kind)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"title": "a\x00b"}, r"title\n.*holds a NUL character"),
        ({"title": "t" * 501}, r"title\n.*at most 500 characters"),
        ({"message": "\x00"}, r"message\n.*holds a NUL character"),
        ({"message": "\ud800"}, r"message\n.*(unicode|lone surrogate)"),
        ({"reason": "r" * 101}, r"reason\n.*at most 100 characters"),
        ({"action": "a" * 301}, r"action\n.*at most 300 characters"),
        ({"compare_to": "\x00"}, r"compare_to\n.*holds a NUL character"),
        ({"evidence": ["fine", "\x00"]}, r"evidence\.1\n.*holds a NUL character"),
        ({"choices": [{"kind": "approve", "label": "\x00"}]}, r"choices\.0\.label\n.*holds a NUL character"),
        ({"choices": [{"kind": "approve", "reasons": ["\x00"]}]}, r"choices\.0\.reasons\.0\n.*holds a NUL"),
        ({"due_at": datetime(2026, 11, 23)}, r"due_at\n.*has no time zone"),
        ({"due_at": datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))}, r"due_at\n.*in the year 9999"),
        ({"due_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))}, r"due_at\n.*in the year 1,"),
    ],
)
def test_what_no_store_can_hold_is_refused_where_it_is_asked_and_the_field_is_named(fields: Any, error: str) -> None:
    with pytest.raises(ValidationError, match=error):
        Question(**{"key": "refund", "title": "Refund?", **fields})


def test_the_longest_texts_and_the_last_moment_are_taken() -> None:
    due = datetime(9998, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12)))
    asked = Question(key="k", title="t" * 500, message="m" * 100_000, reason="r" * 100, action="ä" * 300, due_at=due)
    assert (len(asked.title), len(asked.reason), len(asked.action), asked.due_at) == (500, 100, 300, due)


class Appointment(BaseModel):
    """Strict: in Python only a datetime is one, in JSON a text has to do."""

    model_config = ConfigDict(strict=True)

    at: datetime
    guests: tuple[str, ...] = ()
    seats: int = 1


def answered_by(edited: Any) -> Any:
    asked = Question(key="k", title="?", proposal=Appointment(at=datetime(2026, 1, 1, tzinfo=UTC)))
    return complete_answer(asked, Answer(kind="edit", proposal=edited)).proposal


def test_a_strict_model_takes_json_and_python_each_by_its_own_rules() -> None:
    wanted = Appointment(at=datetime(2026, 2, 1, tzinfo=UTC), guests=("Ada",), seats=2)
    assert answered_by({"at": "2026-02-01T00:00:00Z", "guests": ["Ada"], "seats": 2}) == wanted
    assert answered_by({"at": datetime(2026, 2, 1, tzinfo=UTC), "guests": ("Ada",), "seats": 2}) == wanted


@pytest.mark.parametrize(
    ("edited", "places"),
    [
        ({"at": "2026-02-01T00:00:00Z", "seats": "2"}, [("seats",)]),
        ({"at": "never", "seats": 2}, [("at",)]),
        ({"at": datetime(2026, 2, 1), "guests": ["Ada"]}, [("guests",)]),
        ({"at": "2026-02-01T00:00:00Z", "guests": ("Ada",)}, [("at",)]),
        ("text", [()]),
    ],
)
def test_a_strict_model_refuses_what_is_neither_and_says_where(edited: Any, places: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        answered_by(edited)
    assert [one["loc"] for one in refused.value.errors()] == places


def test_a_pause_by_hand_waits_and_the_resolution_takes_the_run_on(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        found = await Step(calls.tool("analyse"))(5, None, state)
        if state.resolution is None:
            state.save_checkpoint(StateStatus.AWAITING, StateMetadata(tags=["awaiting-user-approval"]))
            return "returned, and not completed"
        decision = await Step(calls.tool("process"))(state.resolution, None, state)
        return decision.result.kind, found.result

    outcome, state = kept.start(pipeline)
    assert (outcome.status, outcome.output) == (StateStatus.AWAITING, None)
    loaded = kept.load(state)
    assert (loaded.status, loaded.metadata.tags, loaded.resolution) == (
        StateStatus.AWAITING,
        ["awaiting-user-approval"],
        None,
    )
    loaded.resolution = YES
    loaded.save_checkpoint(StateStatus.RUNNING)
    assert kept.load(state).resolution == YES
    outcome, _ = kept.resume(pipeline, state)
    assert outcome.output == ("approve", 5)
    assert calls == ["analyse", "process"]


def test_a_new_pause_by_hand_forgets_the_decision_about_the_one_before(kept: Kept) -> None:
    state = kept.new()
    state.save_checkpoint(StateStatus.AWAITING)
    loaded = kept.load(state)
    loaded.resolution = YES
    loaded.save_checkpoint(StateStatus.RUNNING)
    loaded = kept.load(state)
    loaded.save_checkpoint(StateStatus.AWAITING)
    assert (loaded.resolution, kept.load(state).resolution) == (None, None)


def test_a_run_that_worked_on_after_its_pause_by_hand_is_completed(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        state.save_checkpoint(StateStatus.AWAITING)
        return (await Step(calls.tool("a"))(1, None, state)).result

    assert kept.start(pipeline)[0] == RunOutcome(StateStatus.COMPLETED, 1)


@pytest.mark.parametrize("output", [7, None])
def test_a_run_that_saved_itself_as_paused_and_returned_waits_for_nobody(
    kept: Kept, calls: Calls, output: int | None
) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(calls.tool("a"))(1, None, state)
        state.save_checkpoint()
        return output

    assert kept.start(pipeline)[0] == RunOutcome(StateStatus.COMPLETED, output)
