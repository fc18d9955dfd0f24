"""A state that an earlier major version of the schema wrote is brought up to the present one, or refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from rh_agents import ExecutionState, IncompatibleVersionError, StateSnapshot, migration
from rh_agents.core import migrations, state_recovery
from rh_agents.core.errors import CorruptStateError
from rh_agents.core.state_recovery import EventRecord
from rh_agents.core.types import ExecutionStatus
from rh_agents.memory_backends import InMemoryStateBackend
from rh_agents.sealed_json import seal
from rh_agents.state_backends import FileSystemStateBackend
from rh_agents.testing.samples import full_snapshot, simple_snapshot, step
from tests.rh_agents.test_checkpoints import Plain


@pytest.fixture(autouse=True)
def no_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "_migrations", {})


@pytest.fixture
def third_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_recovery, "CURRENT_SCHEMA_VERSION", "3.1.0")


def saved(version: str) -> tuple[InMemoryStateBackend, str]:
    backend = InMemoryStateBackend()
    snapshot = StateSnapshot(state_id="old", version=version)
    backend.save_state(snapshot)
    return backend, snapshot.state_id


def noted(word: str):
    def change(state: dict[str, Any]) -> dict[str, Any]:
        state["metadata"].setdefault("tags", []).append(f"{word} from {state['version']}")
        return state

    return change


def test_migrations_run_one_after_the_other_up_to_the_present_version(third_version: None):
    migration("2.0.0", "3.0.0")(noted("second"))
    migration("1.0.0", "2.0.0")(noted("first"))
    backend, state_id = saved("1.2.3")
    state = ExecutionState.load_from_state_id(state_id, backend)
    assert state.metadata.tags == ["first from 1.2.3", "second from 2.0.0"]


def test_a_state_of_the_present_major_version_is_left_alone():
    migration("0.4.0", "1.0.0")(noted("never"))
    for version in ("1.0.0", "1.7.0"):
        backend, state_id = saved(version)
        assert ExecutionState.load_from_state_id(state_id, backend).metadata.tags == []


def test_a_chain_that_ends_early_says_how_far_it_leads(third_version: None):
    migration("1.0.0", "2.0.0")(noted("first"))
    backend, state_id = saved("1.0.0")
    with pytest.raises(IncompatibleVersionError, match=r"1\.0\.0.*over 2\.0\.0.*3\.1\.0"):
        ExecutionState.load_from_state_id(state_id, backend)


def test_a_state_that_was_saved_after_a_migration_is_migrated_on(third_version: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state_recovery, "CURRENT_SCHEMA_VERSION", "2.0.0")
    migration("1.0.0", "2.0.0")(noted("first"))
    backend, state_id = saved("1.0.0")
    snapshot = backend.load_state(state_id)
    assert snapshot is not None
    backend.save_state(snapshot)
    migrations._migrations.clear()
    monkeypatch.setattr(state_recovery, "CURRENT_SCHEMA_VERSION", "3.1.0")
    migration("2.0.0", "3.0.0")(noted("second"))
    state = ExecutionState.load_from_state_id(state_id, backend)
    assert state.metadata.tags == ["first from 1.0.0", "second from 2.0.0"]


def test_a_migration_that_fails_is_named_and_a_list_goes_on():
    @migration("0.4.0", "1.0.0")
    def failing(state: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("path")

    backend, state_id = saved("0.4.0")
    with pytest.raises(IncompatibleVersionError, match=r"'old'.*0\.4\.0.*failing.*KeyError\('path'\)"):
        backend.load_state(state_id)
    migrations._migrations.clear()
    migration("0.4.0", "1.0.0")(lambda state: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(IncompatibleVersionError, match=r"lambda.*NoneType"):
        backend.load_state(state_id)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "dancing"}, "'dancing' is missing or unknown"),
        ({"clock": "9"}, "clock cannot be '9'"),
        ({"mood": "good"}, "a state has no 'mood'"),
        ({"events": [{"path": "a::tool_call"}]}, "a record cannot be read"),
    ],
    ids=str,
)
def test_a_migration_that_leaves_no_state_behind_is_found(change: dict[str, Any], words: str):
    migration("0.4.0", "1.0.0")(lambda state: state | change)
    backend, state_id = saved("0.4.0")
    with pytest.raises(CorruptStateError, match=rf"'old' is damaged after its migration from schema 0\.4\.0: {words}"):
        backend.load_state(state_id)


def test_a_snapshot_at_hand_is_migrated_too():
    """As a backend of somebody's own gives it, which keeps snapshots and knows no migrations."""
    migration("0.4.0", "1.0.0")(noted("mine"))
    backend = Plain()
    old = simple_snapshot()
    old.version, old.events = "0.4.0", [step(1)]
    backend.save_state(old)
    state = ExecutionState.load_from_state_id(old.state_id, backend)
    state.save_checkpoint()
    assert backend.load_state(old.state_id).version == "1.0.0"  # type: ignore[union-attr]
    assert (state.metadata.tags, len(state.history)) == (["mine from 0.4.0"], 1)


@pytest.mark.parametrize("target", ["1.9.0", "0.9.0"])
def test_a_migration_leads_to_a_later_major_version(target: str):
    with pytest.raises(ValueError, match=rf"not from 1\.0\.0 to {target}"):
        migration("1.0.0", target)


def test_two_migrations_of_one_version_are_refused():
    migration("0.4.0", "1.0.0")(noted("one"))
    with pytest.raises(ValueError, match=r"schema 0\.x already.*noted"):
        migration("0.5.0", "1.0.0")(noted("other"))


def test_what_is_no_version_is_refused():
    with pytest.raises(CorruptStateError, match="'newest'"):
        migration("newest", "1.0.0")


# ---- what an earlier schema may have looked like in a file


def old_lines(*records: dict[str, Any]) -> bytes:
    return b"".join(
        seal({"number": number, "state_id": "old", "version": "0.9.0", **record}) + b"\n"
        for number, record in enumerate(records, start=1)
    )


def call(position: int, **fields: Any) -> dict[str, Any]:
    return {"position": position, "path": f"step{position}", "kind": "tool", "state": "done", **fields}


@pytest.fixture
def old_file(tmp_path: Path) -> FileSystemStateBackend:
    """Records with other fields, entries of another shape, statuses and times of other words."""
    (tmp_path / "states").mkdir()
    (tmp_path / "states" / "old.jsonl").write_bytes(
        old_lines(
            {"began": 1_700_000_000, "phase": "going", "labels": ["a"], "events": [call(1), call(2, note="old field")]},
            {"phase": "going", "closed": [2], "events": [call(3)], "storage": {"k": {"v": 1}, "gone": {"v": 2}}},
            {"phase": "held", "storage": {"gone": None}},
        )
    )
    return FileSystemStateBackend(tmp_path)


def modern(state: dict[str, Any]) -> dict[str, Any]:
    began = "2026-11-23T00:00:00+00:00"
    assert state.pop("began") == 1_700_000_000
    return {
        "state_id": state["state_id"],
        "status": {"held": "paused", "going": "running"}[state["phase"]],
        "metadata": {"tags": state["labels"]},
        "created_at": began,
        "updated_at": began,
        "clock": 9,
        "events": [
            {
                "position": event["position"],
                "address": f"{event['path']}::{event['kind']}_call",
                "event_type": f"{event['kind']}_call",
                "actor": event["path"],
                "status": {"done": "completed"}[event["state"]],
                "result_text": json.dumps(event.get("note")),
            }
            for event in state["events"]
        ],
        "storage": {key: [1, json.dumps(entry["v"])] for key, entry in state["storage"].items()},
    }


def test_a_migration_sees_the_fields_that_only_the_old_schema_had(old_file: FileSystemStateBackend):
    migration("0.9.0", "1.0.0")(modern)
    state = ExecutionState.load_from_state_id("old", old_file)
    assert [record.address for record in state.history] == ["step1::tool_call", "step3::tool_call"]
    assert state.storage.data == {"k": 1}
    assert (state.status, state.metadata.tags) == ("paused", ["a"])
    first = old_file.load_checkpoint("old", 1)
    assert first is not None
    assert first.events[1] == EventRecord(
        position=2,
        address="step2::tool_call",
        event_type="tool_call",
        actor="step2",
        status=ExecutionStatus.COMPLETED,
        result_text='"old field"',
    )
    assert [listed.state_id for listed in old_file.list_states(tags=["a"])] == ["old"]


def test_what_was_saved_after_a_migration_needs_it_no_more(old_file: FileSystemStateBackend):
    migration("0.9.0", "1.0.0")(modern)
    state = ExecutionState.load_from_state_id("old", old_file)
    state.save_checkpoint()
    before = old_file.load_state("old")
    migrations._migrations.clear()
    assert old_file.load_state("old") == before
    assert before is not None and (before.head, before.migrated_from) == (4, "")
    assert [listed.state_id for listed in old_file.list_states(tags=["a"])] == ["old"]


def test_a_line_of_an_earlier_schema_after_one_of_a_later_is_damage(tmp_path: Path):
    backend = FileSystemStateBackend(tmp_path)
    snapshot = full_snapshot("old")
    backend.save_state(snapshot)
    file = tmp_path / "states" / "old.jsonl"
    file.write_bytes(file.read_bytes() + old_lines({}, {}).splitlines(keepends=True)[1])
    migration("0.9.0", "1.0.0")(lambda state: state)
    with pytest.raises(CorruptStateError, match=r"'old' is damaged at checkpoint 2: schema 0\.9\.0.*1\.0\.0"):
        backend.load_state("old")


@pytest.mark.parametrize("record", [{"events": 5}, {"events": [5]}, {"closed": 5}, {"storage": []}], ids=str)
def test_what_no_schema_ever_wrote_is_damage(tmp_path: Path, record: dict[str, Any]):
    (tmp_path / "states").mkdir()
    (tmp_path / "states" / "old.jsonl").write_bytes(old_lines(record))
    migration("0.9.0", "1.0.0")(lambda state: state)
    with pytest.raises(CorruptStateError, match="'old' is damaged at checkpoint 1"):
        FileSystemStateBackend(tmp_path).load_state("old")
