"""Artifacts of a run: kept by content, loaded when asked for, shown beside questions."""

from typing import Any

import pytest

from rh_agents import (
    Agent,
    CorruptArtifactError,
    ExecutionEvent,
    ExecutionState,
    FileSystemArtifactBackend,
    Question,
    StateError,
)
from rh_agents.core.types import ExecutionStatus
from tests.rh_agents.runs import YES, Calls, Kept

Step = ExecutionEvent[Any]


def test_artifacts_are_kept_by_content_and_loaded_when_asked_for(kept: Kept) -> None:
    state = kept.new()
    first = state.storage.set_artifact("a.csv", "x,y\n1,2\n")
    assert state.storage.set_artifact("b.csv", "x,y\n1,2\n") == first
    assert state.storage.get_artifact("a.csv") == "x,y\n1,2\n"
    assert kept.artifacts.list_artifacts() == []
    state.save_checkpoint()
    assert kept.artifacts.list_artifacts() == [first]
    snapshot = kept.states.load_state(state.state_id)
    assert snapshot is not None
    assert snapshot.artifact_ids == {"a.csv": first, "b.csv": first}
    assert (snapshot.artifacts["a.csv"].media_type, snapshot.artifacts["a.csv"].size) == ("text/csv", 8)

    loaded = kept.load(state).storage
    assert (loaded.artifact_keys, loaded.get_artifact("none", "default")) == (["a.csv", "b.csv"], "default")
    assert loaded.delete_artifact("a.csv") is True
    assert (loaded.delete_artifact("a.csv"), loaded.artifact_keys) == (False, ["b.csv"])
    assert loaded.get_artifact("b.csv") == "x,y\n1,2\n"


def test_artifacts_live_in_memory_without_a_backend_and_are_not_lost_without_a_word(kept: Kept) -> None:
    state = ExecutionState()
    state.storage.set_artifact("report", {"rows": [1, 2]})
    assert state.storage.get_artifact("report") == {"rows": [1, 2]}

    state = ExecutionState(kept.states)
    state.storage.set_artifact("report", b"bytes")
    with pytest.raises(StateError, match=r"artifact_backend.*report"):
        state.save_checkpoint()
    state.storage.delete_artifact("report")
    assert state.save_checkpoint() is True


def test_an_artifact_that_is_gone_is_an_error_at_its_first_use_and_not_at_load(kept: Kept) -> None:
    state = kept.new()
    identity = state.storage.set_artifact("report", "text")
    state.save_checkpoint()
    kept.artifacts.delete_artifact(identity)
    loaded = kept.load(state)
    with pytest.raises(CorruptArtifactError, match=identity):
        loaded.storage.get_artifact("report")


def test_the_bytes_of_an_artifact_are_checked_when_they_are_loaded(kept: Kept, tmp_path: Any) -> None:
    files = FileSystemArtifactBackend(tmp_path)
    state = ExecutionState(kept.states, files)
    identity = state.storage.set_artifact("report", "the true words")
    state.save_checkpoint()
    (path,) = tmp_path.rglob(f"{identity}*")
    path.write_bytes(path.read_bytes().replace(b"true", b"fake"))
    loaded = ExecutionState.load_from_state_id(state.state_id, kept.states, files)
    with pytest.raises(CorruptArtifactError):
        loaded.storage.get_artifact("report")


def test_the_evidence_of_a_question_is_saved_with_it_though_its_step_is_unfinished(kept: Kept, calls: Calls) -> None:
    async def handler(input_data: Any, context: Any, state: ExecutionState) -> Any:
        state.storage.set_artifact("preview.csv", "a,b\n")
        question = Question(key="load", title="Load?", evidence=["preview.csv", "seen::tool_call", "report.txt"])
        return (await state.ask(question)).approved

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        state.storage.set_artifact("report.txt", "all well")
        return (await Step(Agent(name="agent", handler=handler))(1, None, state)).result

    _, state = kept.start(pipeline)
    loaded = kept.load(state)
    (record,) = (record for record in loaded.history if record.status is ExecutionStatus.AWAITING)
    shown = {
        key: (loaded.load_artifact(write.text), write.media_type)
        for key, write in (record.artifact_writes or {}).items()
    }
    assert shown == {"preview.csv": ("a,b\n", "text/csv"), "report.txt": ("all well", "text/plain")}
    assert loaded.storage.artifact_keys == ["report.txt"]
    outcome, state = kept.resume(pipeline, state, {"agent::load::decision": YES})
    assert (outcome.output, kept.load(state).storage.get_artifact("preview.csv")) == (True, "a,b\n")
