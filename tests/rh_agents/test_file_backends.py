"""The file and memory backends keep the promises of every backend; an artifact's file, and what it can suffer."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rh_agents import ExecutionState
from rh_agents.core.errors import CorruptArtifactError, SerializationError
from rh_agents.state_backends import (
    FileSystemArtifactBackend,
    FileSystemStateBackend,
    InMemoryArtifactBackend,
    InMemoryStateBackend,
    compute_artifact_id,
)
from rh_agents.testing import ArtifactBackendContract, GarbageContract, StateBackendContract
from rh_agents.testing.samples import simple_snapshot

pytestmark = pytest.mark.conformance


class TestFileStates(StateBackendContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> FileSystemStateBackend:
        return FileSystemStateBackend(tmp_path / "store")

    def reopen(self, backend):
        return FileSystemStateBackend(backend._folder.parent)


class TestStatesInMemory(StateBackendContract):
    @pytest.fixture
    def backend(self) -> InMemoryStateBackend:
        return InMemoryStateBackend()


class TestFileArtifacts(ArtifactBackendContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> FileSystemArtifactBackend:
        return FileSystemArtifactBackend(tmp_path / "artifacts")

    def reopen(self, backend):
        return FileSystemArtifactBackend(backend._folder)


class TestArtifactsInMemory(ArtifactBackendContract):
    @pytest.fixture
    def backend(self) -> InMemoryArtifactBackend:
        return InMemoryArtifactBackend()


class TestGarbageInFiles(GarbageContract):
    @pytest.fixture
    def states(self, tmp_path: Path) -> FileSystemStateBackend:
        return FileSystemStateBackend(tmp_path / "store")

    @pytest.fixture
    def artifacts(self, tmp_path: Path) -> FileSystemArtifactBackend:
        return FileSystemArtifactBackend(tmp_path / "store" / "artifacts")


class TestGarbageInMemory(GarbageContract):
    @pytest.fixture
    def states(self) -> InMemoryStateBackend:
        return InMemoryStateBackend()

    @pytest.fixture
    def artifacts(self) -> InMemoryArtifactBackend:
        return InMemoryArtifactBackend()


def test_a_damaged_state_keeps_its_artifacts_and_killed_writers_leave_nothing(tmp_path: Path):
    states, artifacts = FileSystemStateBackend(tmp_path), FileSystemArtifactBackend(tmp_path / "artifacts")
    state = ExecutionState(states, artifacts)
    identity = state.storage.set_artifact("report", "kept")
    state.save_checkpoint()
    [line] = (tmp_path / "states").iterdir()
    line.write_bytes(line.read_bytes().replace(b'"running"', b'"runnin"').replace(b'"paused"', b'"pausd"'))
    left = tmp_path / "artifacts" / ".tmp-0123"
    left.write_bytes(b"half")

    assert artifacts.garbage_collect(states, timedelta(0)) == []

    assert artifacts.load_artifact(identity) == "kept"
    assert not left.exists()


def test_what_killed_writers_of_states_left_behind_is_collected_too(tmp_path: Path):
    states, artifacts = FileSystemStateBackend(tmp_path), FileSystemArtifactBackend(tmp_path / "artifacts")
    states.save_state(simple_snapshot("kept"))
    folder = tmp_path / "states"
    old, new = folder / ".tmp-0123", folder / ".tmp-4567"
    for left in (old, new):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))
    artifacts.garbage_collect(states)
    assert sorted(path.name for path in folder.iterdir()) == [".tmp-4567", "kept.jsonl"]


def test_a_run_pickles_what_its_artifact_backend_was_allowed_to(tmp_path: Path):
    states = FileSystemStateBackend(tmp_path)
    for artifacts in (
        FileSystemArtifactBackend(tmp_path, allow_pickle=True),
        InMemoryArtifactBackend(allow_pickle=True),
    ):
        state = ExecutionState(states, artifacts)
        state.storage.set_artifact("type", range)
        assert state.storage.get_artifact("type") is range
        state.save_checkpoint()
        loaded = ExecutionState.load_from_state_id(state.state_id, states, artifacts)
        assert loaded.storage.get_artifact("type") is range
    careful = ExecutionState.load_from_state_id(state.state_id, states, FileSystemArtifactBackend(tmp_path))
    with pytest.raises(SerializationError, match="allow_pickle"):
        careful.storage.get_artifact("type")
    with pytest.raises(SerializationError, match="'type'"):
        careful.storage.set_artifact("type", range)


def test_what_is_saved_again_between_the_look_and_the_removal_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    artifacts = FileSystemArtifactBackend(tmp_path)
    artifacts.save_artifact("wanted", 1)
    os.utime(tmp_path / "wanted.artifact", (0, 0))
    rename = Path.rename

    def rename_late(path: Path, target: Path) -> None:
        artifacts.save_artifact("wanted", 1)
        rename(path, target)

    monkeypatch.setattr(Path, "rename", rename_late)
    assert artifacts.delete_if_unsaved("wanted", datetime.now(UTC) - timedelta(hours=1)) is False
    assert artifacts.load_artifact("wanted") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["wanted.artifact"]


def test_what_is_collected_while_it_is_saved_again_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    artifacts = FileSystemArtifactBackend(tmp_path)
    artifacts.save_artifact("wanted", 1)
    utime = os.utime

    def utime_late(path: Path, times: tuple[float, float]) -> None:
        path.unlink()
        utime(path, times)

    monkeypatch.setattr(os, "utime", utime_late)
    artifacts.save_artifact("wanted", 1)
    assert artifacts.load_artifact("wanted") == 1


class TestArtifactFile:
    @pytest.fixture
    def backend(self, tmp_path: Path) -> FileSystemArtifactBackend:
        return FileSystemArtifactBackend(tmp_path)

    def test_an_artifact_is_a_file_that_a_person_can_read(
        self, backend: FileSystemArtifactBackend, tmp_path: Path
    ) -> None:
        backend.save_artifact("report.csv", "a,b\n1,2\n")
        [file] = tmp_path.iterdir()
        header, payload = file.read_bytes().split(b"\n", 1)
        assert file.name == "report.csv.artifact"
        assert payload == b"a,b\n1,2\n"
        found = json.loads(header)
        assert (found["id"], found["codec"], found["size"], found["media_type"]) == (
            "report.csv",
            "text",
            8,
            "text/csv",
        )
        assert found["sha256"] == compute_artifact_id("a,b\n1,2\n")

    def test_equal_content_writes_nothing(self, backend: FileSystemArtifactBackend, tmp_path: Path) -> None:
        backend.save_artifact("a", [1, 2])
        [file] = tmp_path.iterdir()
        before = file.stat()
        backend.save_artifact("a", [1, 2])
        assert file.stat().st_ino == before.st_ino
        assert file.stat().st_mtime_ns > before.st_mtime_ns  # So that nobody collects it just now.

    def test_any_changed_byte_is_found(self, backend: FileSystemArtifactBackend, tmp_path: Path) -> None:
        backend.save_artifact("a", {"text": "x" * 50})
        [file] = tmp_path.iterdir()
        whole = file.read_bytes()
        for place in range(len(whole)):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(CorruptArtifactError, match="'a'"):
                backend.load_artifact("a")
        for damaged in (b"", b"\n", whole[:-1], whole + b"x", whole[: len(whole) // 2]):
            file.write_bytes(damaged)
            with pytest.raises(CorruptArtifactError, match="'a'"):
                backend.load_artifact("a")

    def test_saving_again_repairs_a_damaged_artifact(self, backend: FileSystemArtifactBackend, tmp_path: Path) -> None:
        identity = compute_artifact_id([1])
        backend.save_artifact(identity, [1])
        [file] = tmp_path.iterdir()
        file.write_bytes(b"damaged")
        with pytest.raises(CorruptArtifactError, match=identity):
            backend.get_size(identity)
        backend.save_artifact(identity, [1])
        assert backend.load_artifact(identity) == [1]

    def test_an_artifact_under_another_ones_name_is_found(
        self, backend: FileSystemArtifactBackend, tmp_path: Path
    ) -> None:
        backend.save_artifact("a", 1)
        (tmp_path / "a.artifact").rename(tmp_path / "b.artifact")
        with pytest.raises(CorruptArtifactError, match=r"'b'.*'a'"):
            backend.load_artifact("b")

    def test_a_failed_replacement_leaves_the_old_artifact(
        self, backend: FileSystemArtifactBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        backend.save_artifact("a", "old")

        def full_disk(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as failing:
            failing.setattr(os, "fsync", full_disk)
            with pytest.raises(OSError, match="No space"):
                backend.save_artifact("a", "new")
        assert backend.load_artifact("a") == "old"
        assert [path.name for path in tmp_path.iterdir()] == ["a.artifact"]

    def test_no_pickle_is_read_or_written_unless_allowed(
        self, backend: FileSystemArtifactBackend, tmp_path: Path
    ) -> None:
        allowing = FileSystemArtifactBackend(tmp_path, allow_pickle=True)
        allowing.save_artifact("pickled", range)
        assert allowing.load_artifact("pickled") is range
        with pytest.raises(SerializationError, match="allow_pickle"):
            backend.load_artifact("pickled")
        with pytest.raises(SerializationError):
            backend.save_artifact("other", range)

    def test_states_and_artifacts_may_share_a_folder(self, tmp_path: Path) -> None:
        states, artifacts = FileSystemStateBackend(tmp_path), FileSystemArtifactBackend(tmp_path)
        states.save_state(simple_snapshot("one"))
        artifacts.save_artifact("one", 1)
        assert [state.state_id for state in states.list_states()] == ["one"]
        assert artifacts.list_artifacts() == ["one"]


def test_equal_values_have_one_artifact_id_in_every_process() -> None:
    script = "from rh_agents.state_backends import compute_artifact_id as c\nprint(c({'a': {3, 1, 2}, 'b': 'Zoë'}))"
    assert run_python(script).strip() == compute_artifact_id({"a": {1, 2, 3}, "b": "Zoë"})


def run_python(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
