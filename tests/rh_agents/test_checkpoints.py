"""When a run is saved, and what of it."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from rh_agents import (
    Agent,
    Answer,
    ExecutionEvent,
    ExecutionState,
    FileSystemArtifactBackend,
    FileSystemStateBackend,
    Question,
    StateBackend,
    StateError,
    StateMetadata,
    StateSnapshot,
    StateStatus,
    Tool,
)
from rh_agents.core.errors import SerializationError, StaleWriterError, StateNotFoundError
from rh_agents.core.runner import run_pipeline
from rh_agents.memory_backends import InMemoryStateBackend
from tests.rh_agents.runs import YES, Calls, Kept, call_each, pipeline_of, run
from tests.rh_agents.writers import add, writer

Step = ExecutionEvent[Any]


def test_every_completed_step_is_saved_by_auto_checkpoint_on_files(tmp_path: Path, calls: Calls) -> None:
    states, artifacts = FileSystemStateBackend(tmp_path), FileSystemArtifactBackend(tmp_path / "artifacts")
    seen: list[list[str]] = []

    async def look(input_data: Any, context: Any, state: ExecutionState) -> None:
        saved = states.load_state(state.state_id)
        seen.append([event.address for event in saved.events] if saved else [])

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        for _ in range(3):
            await Step(Tool(name="look", handler=look))(1, None, state)

    state = ExecutionState(states, artifacts, auto_checkpoint=True)
    run(run_pipeline(pipeline, None, state))
    assert seen == [[], ["look::tool_call"], ["look::tool_call", "look::tool_call#2"]]
    lines = (tmp_path / "states").glob("*")
    assert [len(path.read_text().splitlines()) for path in lines] == [3]

    for _ in range(100):
        loaded = ExecutionState.load_from_state_id(state.state_id, states, artifacts, auto_checkpoint=True)
        run(run_pipeline(pipeline, None, loaded))
    assert len(seen) == 3
    assert states.load_state(state.state_id).head == 3  # type: ignore[union-attr]


def test_auto_checkpoint_may_be_limited_to_types_of_steps(kept: Kept, calls: Calls) -> None:
    planner = Agent(name="planner", handler=call_each(calls.tool("a")))

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(calls.tool("b"))(1, None, state)
        assert not kept.states.exists(state.state_id)
        await Step(planner)(1, None, state)
        saved = kept.states.load_state(state.state_id)
        assert saved is not None
        assert saved.head == 1

    outcome, _ = kept.start(pipeline, auto_checkpoint={"agent_call"})
    assert outcome.status is StateStatus.COMPLETED


def test_a_record_is_plain_json_and_says_when_and_how_long(kept: Kept, calls: Calls) -> None:
    _, state = kept.start(pipeline_of(calls, "a"))
    (record,) = kept.load(state).history
    data = json.loads(json.dumps(record.to_dict()))
    assert set(data) >= {"position", "address", "event_type", "actor", "status", "started_at", "execution_time"}
    assert 0 < record.execution_time < 5
    assert record.fingerprint


def test_a_state_can_be_copied_to_another_store_by_its_snapshot(kept: Kept, calls: Calls) -> None:
    pipeline = pipeline_of(calls, "a", "b")
    _, state = kept.start(pipeline)
    elsewhere = Kept()
    snapshot = state.to_snapshot()
    snapshot.head = 0
    copy = ExecutionState.from_snapshot(snapshot, elsewhere.states, elsewhere.artifacts)
    copy.save_checkpoint(StateStatus.PAUSED)
    assert elsewhere.resume(pipeline, state)[0].output == ["a", "b"]
    assert calls == ["a", "b"]


def test_a_snapshot_that_is_saved_by_hand_has_its_artifacts(kept: Kept) -> None:
    state = kept.new()
    state.storage.set_artifact("r.txt", "hello")
    state.storage.set("big", "x" * 100_000)
    kept.states.save_state(state.to_snapshot(status=StateStatus.PAUSED))
    loaded = kept.load(state)
    assert loaded.storage.get_artifact("r.txt") == "hello"
    assert loaded.storage.get("big") == "x" * 100_000


def test_a_snapshot_without_a_place_for_artifacts_is_a_snapshot() -> None:
    state = ExecutionState()
    state.storage.set_artifact("r.txt", "hello")
    assert list(state.to_snapshot().artifacts) == ["r.txt"]
    assert state.storage.get_artifact("r.txt") == "hello"


def test_metadata_that_cannot_be_saved_leaves_the_earlier_one_and_the_next_save_works(kept: Kept) -> None:
    state = kept.new(metadata=StateMetadata(tags=["first"]))
    state.save_checkpoint()
    with pytest.raises(SerializationError, match="custom_data"):
        state.save_checkpoint(metadata=StateMetadata(tags=["second"], custom_data={"x": object()}))
    assert state.metadata.tags == ["first"]
    state.storage.set("n", 1)
    state.save_checkpoint()
    saved = kept.load(state)
    assert (saved.head, saved.metadata.tags, saved.storage.get("n")) == (2, ["first"], 1)


def test_a_save_that_failed_keeps_the_decision_about_the_pause_before(kept: Kept) -> None:
    state = kept.new()
    state.save_checkpoint(StateStatus.AWAITING)
    state = kept.load(state)
    state.resolution = Answer(kind="approve")
    with pytest.raises(SerializationError):
        state.save_checkpoint(StateStatus.AWAITING, StateMetadata(custom_data={"x": object()}))
    assert state.resolution == Answer(kind="approve")


@pytest.mark.parametrize("state_id", ["", "../x", "a/b", ".hidden", "a\x00b"])
def test_an_id_that_no_backend_takes_is_refused_at_once(state_id: str) -> None:
    with pytest.raises(ValueError, match="state id"):
        ExecutionState(state_id=state_id)


# ---- earlier checkpoints


@pytest.fixture
def three(kept: Kept) -> ExecutionState:
    """A state with three checkpoints, at which `n` was 1, 2 and 3."""
    state = kept.new()
    for number in (1, 2, 3):
        state.storage.set("n", number)
        state.save_checkpoint()
    return state


def test_an_earlier_checkpoint_can_be_looked_at(kept: Kept, three: ExecutionState) -> None:
    assert [kept.load(three, checkpoint=number).storage.get("n") for number in (1, 2, 3)] == [1, 2, 3]
    assert kept.load(three, checkpoint=2).head == 2


def test_what_came_after_an_earlier_checkpoint_is_not_lost(kept: Kept, three: ExecutionState, calls: Calls) -> None:
    earlier = kept.load(three, checkpoint=2)
    words = f"'{three.state_id}' was loaded as it stood at checkpoint 2 and stands at 3"
    with pytest.raises(StaleWriterError, match=words):
        earlier.save_checkpoint()
    with pytest.raises(StaleWriterError, match=words):
        run(Step(calls.tool("a"))(1, None, earlier))
    assert calls == []
    assert kept.load(three).storage.get("n") == 3


def test_the_newest_checkpoint_goes_on_whether_it_is_named_or_not(kept: Kept, three: ExecutionState) -> None:
    newest = kept.load(three, checkpoint=3)
    newest.storage.set("n", 4)
    newest.save_checkpoint()
    assert kept.load(three).storage.get("n") == 4


def test_an_earlier_checkpoint_can_be_validated(kept: Kept, calls: Calls) -> None:
    pipeline = pipeline_of(calls, "a", "b")
    _, state = kept.start(pipeline, auto_checkpoint=True)
    earlier = kept.load(state, checkpoint=1, replay_mode="validation")
    assert len(earlier.history) == 1
    assert run(run_pipeline(pipeline, None, earlier)).output == ["a", "b"]


@pytest.mark.parametrize("number", [0, 4, -1])
def test_a_checkpoint_that_is_not_there_is_named(kept: Kept, three: ExecutionState, number: int) -> None:
    with pytest.raises(StateNotFoundError, match=f"'{three.state_id}' has no checkpoint {number}; the newest is 3"):
        kept.load(three, checkpoint=number)


def test_the_async_twins_save_and_load(kept: Kept, calls: Calls) -> None:
    async def main() -> Any:
        state = kept.new()
        await Step(calls.tool("a"))(1, None, state)
        assert await state.asave_checkpoint() is True
        loaded = await ExecutionState.aload_from_state_id(state.state_id, kept.states, kept.artifacts)
        return (await Step(calls.tool("a"))(2, None, loaded)).result

    assert run(main()) == 1


def test_metadata_is_kept_until_other_metadata_is_given_and_times_move_forward(kept: Kept) -> None:
    state = kept.new(metadata=StateMetadata(tags=["first"], pipeline_name="p"))
    state.save_checkpoint()
    created = state.created_at
    state.save_checkpoint(StateStatus.RUNNING)
    saved = kept.load(state)
    assert (saved.metadata.tags, saved.metadata.pipeline_name) == (["first"], "p")
    state.save_checkpoint(metadata=StateMetadata(tags=["second"]))
    later = kept.load(state)
    assert (later.metadata.tags, later.created_at) == (["second"], created)
    assert later.updated_at > saved.updated_at


def test_a_state_without_a_backend_says_so_when_it_is_to_be_saved() -> None:
    with pytest.raises(StateError, match="state_backend"):
        ExecutionState().save_checkpoint()


@pytest.mark.parametrize(("option", "words"), [({"colour": 1}, "colour"), ({"on_error": "ignore"}, "ignore")])
def test_an_unknown_option_is_named(option: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        ExecutionState(**option)


class Plain(StateBackend):
    """The least that a backend can be: whole snapshots, copied."""

    def __init__(self) -> None:
        self.snapshots: dict[str, StateSnapshot] = {}

    def save_state(self, snapshot: StateSnapshot) -> bool:
        self.snapshots[snapshot.state_id] = pickle.loads(pickle.dumps(copy.deepcopy(snapshot)))
        return True

    def load_state(self, state_id: str) -> StateSnapshot | None:
        return copy.deepcopy(self.snapshots.get(state_id))

    def list_states(self, *args: Any, **kwargs: Any) -> list[StateSnapshot]:
        return list(self.snapshots.values())

    def delete_state(self, state_id: str) -> bool:
        return self.snapshots.pop(state_id, None) is not None

    def exists(self, state_id: str) -> bool:
        return state_id in self.snapshots


class Counting(InMemoryStateBackend):
    """Keeps whole snapshots alone, and counts them."""

    supports_append = False


def test_a_backend_of_whole_snapshots_that_counts_them_refuses_who_comes_late(kept: Kept) -> None:
    kept.states = Counting()
    state = kept.new()
    state.save_checkpoint()
    first, second = kept.load(state), kept.load(state)
    for loaded, by in ((first, "first"), (second, "second")):
        loaded.storage.set("by", by)
    first.save_checkpoint()
    with pytest.raises(StaleWriterError, match=f"'{state.state_id}' stands at checkpoint 2.*follows checkpoint 1"):
        second.save_checkpoint()
    first.save_checkpoint()
    assert kept.load(state).storage.get("by") == "first"


def test_a_backend_that_only_keeps_whole_snapshots_is_enough(kept: Kept, calls: Calls) -> None:
    async def branch(state: ExecutionState, number: int) -> Any:
        await Step(calls.tool(f"work {number}"))(number, None, state)
        if number:
            await Step(calls.tool("more"))(number, None, state)
        return (await state.ask(Question(key="go", title="?", proposal={"number": number}))).kind

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        state.storage.set_artifact("file", "text")
        await Step(writer("count", add(1)))(1, None, state)
        return await state.parallel(branch(state, 0), branch(state, 1)), state.storage.data

    kept.states = Plain()  # type: ignore[assignment]
    _, state = kept.start(pipeline, auto_checkpoint=True)
    outcome, state = kept.resume(pipeline, state, {"go[1]::decision": YES}, auto_checkpoint=True)
    assert outcome.status is StateStatus.AWAITING
    outcome, state = kept.resume(pipeline, state, {"go[0]::decision": YES}, auto_checkpoint=True)
    assert outcome.output == (["approve", "approve"], {"total": 1})
    assert calls == ["work 0", "work 1", "more"]
    assert kept.load(state).storage.get_artifact("file") == "text"
    assert kept.load(state, resume_from_address="count::tool_call").storage.data == {}
