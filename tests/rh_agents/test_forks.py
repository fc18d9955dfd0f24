"""Forks: a run goes on from an earlier step as another one, and the original stays what it was."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rh_agents import (
    AddressNotFoundError,
    ChangeTarget,
    Choice,
    ExecutionState,
    FileSystemArtifactBackend,
    FileSystemStateBackend,
    Instruction,
    Policy,
    Question,
    RejectedError,
    StateNotFoundError,
    StateStatus,
    Tool,
)
from rh_agents.core.serialization import decode, encode
from tests.rh_agents.runs import NO, YES, Calls, Kept

NOTE = Instruction(address="draft::tool_call", text="shorter", by=["ada"])


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture(params=["memory", "files"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    kept = Kept()
    if request.param == "files":
        kept.states = FileSystemStateBackend(str(tmp_path))
        kept.artifacts = FileSystemArtifactBackend(str(tmp_path / "artifacts"))
    yield kept


def pipeline_of(calls: Calls, **asked: Any) -> Any:
    """Two steps that write, with a question after each."""

    async def write(name: str, state: ExecutionState) -> str:
        async def handler(value: Any, context: Any, run: ExecutionState) -> str:
            calls.append((name, run.idempotency_key.split(":", 1)[1]))
            run.storage.set("last", name)
            run.storage.set_artifact(f"{name}.txt", f"{name} of {[one.text for one in run.instructions]}")
            return f"{name}{len(run.instructions)}"

        return (await Tool(name=name, handler=handler)(None, None, state)).result

    async def pipeline(given: Any, state: ExecutionState) -> list[Any]:
        looked = await write("look", state)
        first = await state.ask(Question(key="first", title="Go on?", proposal=looked))
        drafted = await write("draft", state)
        second = await state.ask(Question(key="second", title="Send?", proposal=drafted, **asked))
        return [first.comment, drafted, second.comment]

    return pipeline


def waiting_at_second(kept: Kept, pipeline: Any) -> ExecutionState:
    _, state = kept.start(pipeline)
    _, state = kept.resume(pipeline, state, {"first::decision": YES.model_copy(update={"comment": "begin"})})
    return state


def fork(kept: Kept, state: ExecutionState, address: str, **options: Any) -> ExecutionState:
    forked = ExecutionState.fork(state.state_id, kept.states, kept.artifacts, from_address=address, **options)
    forked.save_checkpoint(StateStatus.PAUSED)
    return forked


def test_a_fork_keeps_what_came_before_its_address_and_runs_the_rest_again(kept: Kept, calls: Calls):
    pipeline = pipeline_of(calls)
    state = waiting_at_second(kept, pipeline)
    before = kept.states.load_state(state.state_id)
    forked = fork(kept, state, "draft::tool_call", instruction=NOTE)
    assert (forked.storage.get("last"), list(forked.storage.committed[True])) == ("look", ["look.txt"])
    calls.take()

    outcome, forked = kept.resume(pipeline, forked)

    assert (outcome.status, calls) == (StateStatus.AWAITING, [("draft", "draft::tool_call")])
    assert list(forked.open_questions) == ["second::decision"]
    assert forked.storage.get_artifact("draft.txt") == "draft of ['shorter']"
    outcome, _ = kept.resume(pipeline, forked, {"second::decision": YES})
    assert outcome.output == ["begin", "draft1", ""]
    assert kept.states.load_state(state.state_id) == before


def test_a_fork_drops_answers_at_and_after_its_address_and_keeps_earlier_ones(kept: Kept, calls: Calls):
    pipeline = pipeline_of(calls)
    state = waiting_at_second(kept, pipeline)
    _, state = kept.resume(pipeline, state, {"second::decision": YES})
    later = fork(kept, state, "second::decision")
    outcome, _ = kept.resume(pipeline, later)
    assert outcome.status is StateStatus.AWAITING
    earlier = fork(kept, state, "look::tool_call")
    outcome, earlier = kept.resume(pipeline, earlier)
    assert list(earlier.open_questions) == ["first::decision"]


def test_a_fork_outlives_its_parent_and_can_be_forked_in_turn(kept: Kept, calls: Calls):
    pipeline = pipeline_of(calls)
    state = waiting_at_second(kept, pipeline)
    first = fork(kept, state, "draft::tool_call", instruction=NOTE)
    kept.states.delete_state(state.state_id)
    _, first = kept.resume(pipeline, first)
    second = fork(kept, first, "draft::tool_call", instruction=Instruction(address="draft::tool_call", text="longer"))
    assert [one.text for one in second.instructions] == ["shorter", "longer"]
    assert [one.metadata.parent_state_id for one in (first, second)] == [state.state_id, first.state_id]
    _, second = kept.resume(pipeline, second)
    assert second.open_questions["second::decision"].proposal == "draft2"


def test_a_fork_of_what_is_not_there_says_so_and_saves_nothing(kept: Kept, calls: Calls):
    state = waiting_at_second(kept, pipeline_of(calls))
    with pytest.raises(AddressNotFoundError, match="closest: draft::tool_call"):
        fork(kept, state, "drafts::tool_call")
    with pytest.raises(StateNotFoundError):
        ExecutionState.fork("0" * 8, kept.states, kept.artifacts, from_address="draft::tool_call")
    assert [one.state_id for one in kept.states.list_states()] == [state.state_id]


def test_what_a_rejection_comes_to_is_for_the_author_to_say(kept: Kept, calls: Calls):
    def ended(on_reject: str) -> Any:
        pipeline = pipeline_of(calls, on_reject=on_reject)
        return kept.resume(pipeline, waiting_at_second(kept, pipeline), {"second::decision": NO})[0]

    assert ended("feedback").output == ["begin", "draft0", "not now"]
    assert ended("skip").output == ["begin", "draft0", ""]
    failed = ended("fail")
    assert (failed.status, type(failed.error)) == (StateStatus.FAILED, RejectedError)
    assert str(failed.error) == "second::decision: 'Send?' came to 'reject' by ada: not now"


def test_a_question_comes_back_with_all_that_it_carries():
    question = Question(
        key="q",
        title="Q?",
        change_targets=["a::tool_call", ChangeTarget(address="b::tool_call", label="B")],
        policy=Policy(from_groups={"legal": 1}, comment_required={"approve"}),
        group="trip",
        group_policy="first_reject_cancels",
    )
    assert decode(encode(question)) == question
    assert question.allowed_kinds == ["approve", "reject", "request_changes"]
    assert question.policy.given() == {"from_groups": {"legal": 1}, "comment_required": frozenset({"approve"})}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"group_policy": "first_reject_cancels"}, "group_policy needs a group"),
        ({"choices": [Choice(kind="request_changes")]}, "request_changes needs change_targets"),
        ({"change_targets": ["a"], "choices": [Choice(kind="approve")]}, "change_targets need the choice"),
        ({"change_targets": ["a", "a"]}, "change_targets names an address twice"),
        ({"change_targets": [""]}, "at least 1 character"),
        ({"on_expire": "approve", "effect": "irreversible"}, "is never approved by nobody"),
        ({"on_reject": "shrug"}, "feedback"),
        ({"policy": {"needed": 0}}, "greater than or equal to 1"),
    ],
)
def test_a_question_that_contradicts_itself_is_refused(fields: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        Question(key="q", title="Q?", **fields)
