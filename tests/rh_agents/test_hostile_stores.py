"""Stores that somebody else wrote to: whatever stands there, the engine says which state or artifact is damaged."""

import json
import os
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from rh_agents import Answer, ExecutionState, Question
from rh_agents.core.errors import CorruptArtifactError, CorruptStateError, SerializationError
from rh_agents.core.serialization import EncodedArtifact, artifact_id
from rh_agents.core.state_recovery import Changes, StateStatus
from rh_agents.sealed_json import seal, unseal
from rh_agents.state_backends import FileSystemArtifactBackend, FileSystemStateBackend
from rh_agents.testing.samples import START, full_snapshot, simple_snapshot
from tests.rh_agents.runs import Kept

_KEPT, _GONE = ("events", 0, "storage_writes", "kept"), ("events", 0, "storage_writes", "gone")
NO_TEXT: list[Any] = [True, 5, 1.5, [], {}]
NO_NUMBER: list[Any] = [None, True, "5", 1.5, [], {}]
NO_LIST: list[Any] = [None, True, "x", 5, {}, [5], ["x"], [[]]]
NO_OBJECT: list[Any] = [None, True, "x", 5, [], [1], {"k": 5}]
# Places in the first line of a full snapshot, and what must not stand there.
WRONG: list[tuple[tuple[Any, ...], list[Any]]] = [
    (("metadata",), [None, "x", 5, [1], {"tags": "x"}]),
    (("metadata", "tags"), [None, "x", 5, {}, [5]]),
    (("metadata", "custom_data"), [None, 5, {}, "5", '"x"', "[]"]),
    (("state_id",), [*NO_TEXT, None, "other"]),
    (("created_at",), [*NO_TEXT, None, "soon", "2026-11-23T00:00:00"]),
    (("updated_at",), [*NO_TEXT, None, "soon", "2026-11-23T00:00:00"]),
    (("version",), [*NO_TEXT, None, "x"]),
    (("status",), [*NO_TEXT, None, "dancing"]),
    (("clock",), NO_NUMBER),
    (("closed",), [None, True, "x", 5, {}, ["x"], [[]], [1.5]]),
    (("events",), NO_LIST),
    (("events", 0), NO_OBJECT),
    *((("events", 0, name), NO_NUMBER) for name in ("position", "generation", "attempt")),
    *((("events", 0, name), [None, True, "5", [], {}]) for name in ("started_at", "execution_time")),
    *((("events", 0, name), [*NO_TEXT, None]) for name in ("address", "event_type", "actor", "status", "fingerprint")),
    *((("events", 1, name), [*NO_TEXT, None]) for name in ("error_type", "error_message", "traceback")),
    (("events", 0, "result_text"), NO_TEXT),
    (("events", 0, "address"), ["", "tool_call"]),
    (("events", 0, "lanes"), [*NO_TEXT, None, "x", "/", "/x", "/1:2", "/1::#", "/x:1:2"]),
    (("events", 0, "overlapped"), [None, 1, "x", [], {}]),
    (("events", 0, "load_artifact"), [None, "x"]),
    (("events", 0, "mood"), ["good"]),
    *((("events", 0, name), NO_OBJECT[1:]) for name in ("storage_writes", "artifact_writes")),
    (_KEPT, NO_LIST),
    ((*_KEPT, 0), NO_NUMBER),
    ((*_KEPT, 1), NO_TEXT),
    ((*_GONE, 4), [True, "x", 5, {}, [], [1], [1, None]]),
    *(((name,), NO_OBJECT) for name in ("storage", "artifacts")),
    (("storage", "kept"), [True, "x", 5, {}, [], [5]]),
    (("storage", "kept", 0), NO_NUMBER),
    (("storage", "kept", 1), [*NO_TEXT, None]),
    (("storage", "kept", 2), [*NO_TEXT, None]),
    (("artifacts", "preview.csv", 4), NO_NUMBER),
    (("generations",), [True, "x", 5, [], [1], {"k": "x"}, {"k": None}]),
    (("resolution_text",), NO_TEXT),
]


@pytest.fixture
def backend(tmp_path: Path) -> FileSystemStateBackend:
    return FileSystemStateBackend(tmp_path)


@pytest.fixture
def file(backend: FileSystemStateBackend, tmp_path: Path) -> Path:
    """That of a state with three checkpoints."""
    backend.save_state(full_snapshot("run"))
    for base in (1, 2):
        backend.append(changes("run", base))
    return tmp_path / "states" / "run.jsonl"


@pytest.mark.parametrize(("place", "values"), WRONG, ids=[".".join(map(str, place)) for place, _ in WRONG])
def test_a_value_of_the_wrong_kind_is_found_although_the_checksum_is_right(
    backend: FileSystemStateBackend, file: Path, place: tuple[Any, ...], values: list[Any]
) -> None:
    first, *rest = file.read_bytes().splitlines(keepends=True)
    for value in values:
        file.write_bytes(with_value(first, place, value) + b"".join(rest))
        with pytest.raises((CorruptStateError, SerializationError), match=r"'run'.* checkpoint 1"):
            pytest.fail(f"{value!r} gives {backend.load_state('run')}")


@pytest.mark.parametrize("number", [None, True, "3", [], 1.5])
def test_a_list_goes_on_past_a_number_that_is_none(backend: FileSystemStateBackend, file: Path, number: object) -> None:
    backend.save_state(simple_snapshot("good"))
    *lines, last = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines) + with_value(last, ("number",), number))
    with pytest.warns(UserWarning, match="'run'"):
        assert [state.state_id for state in backend.list_states()] == ["good"]


def test_json_that_is_nested_too_deep_is_damage(backend: FileSystemStateBackend, file: Path) -> None:
    backend.save_state(simple_snapshot("good"))
    body = b'"number":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    file.write_bytes(b'{"check":"%s",' % blake2b(body, digest_size=8).hexdigest().encode() + body + b"\n")
    with pytest.raises(CorruptStateError, match="'run' is damaged at checkpoint 1: it is nested too deep"):
        backend.load_state("run")
    with pytest.warns(UserWarning, match="'run'"):
        assert [state.state_id for state in backend.list_states()] == ["good"]


@pytest.mark.parametrize("kind", ["folder", "link to nowhere"])
def test_what_is_no_file_is_damage(backend: FileSystemStateBackend, file: Path, kind: str) -> None:
    backend.save_state(simple_snapshot("good"))
    file.unlink()
    if kind == "folder":
        file.mkdir()
    else:
        file.symlink_to("nowhere")
    calls = [
        lambda: backend.load_state("run"),
        lambda: backend.load_checkpoint("run", 1),
        lambda: backend.save_state(full_snapshot("run")),
        lambda: backend.append(changes("run", 3)),
        lambda: backend.delete_state("run"),
    ]
    for call in calls:
        with pytest.raises(CorruptStateError, match=r"'run' is damaged: .*run\.jsonl is no file"):
            call()
    with pytest.warns(UserWarning, match="'run'"):
        assert [state.state_id for state in backend.list_states()] == ["good"]
    assert backend.artifact_references() == set()


def test_a_file_that_cannot_be_opened_says_why_and_does_not_end_a_list(
    backend: FileSystemStateBackend, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.save_state(simple_snapshot("good"))
    opened = os.open

    def refusing(path: Any, *rest: Any) -> int:
        if path == file:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *rest)

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(PermissionError, match=r"run\.jsonl"):
        backend.load_state("run")
    with pytest.warns(UserWarning, match=r"run\.jsonl"):
        assert [state.state_id for state in backend.list_states()] == ["good"]


def test_an_answer_to_what_is_no_question_says_that_it_is_none(kept: Kept) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return await state.ask(Question(key="go", title="?"))

    _, state = kept.start(pipeline)
    snapshot = kept.states.load_state(state.state_id)
    assert snapshot is not None
    snapshot.events[0].result_text = "[1]"
    kept.states.save_state(snapshot)
    loaded = kept.load(state)
    with pytest.raises(CorruptStateError, match=f"'{state.state_id}'.*go::decision"):
        loaded.answer("go::decision", Answer(kind="approve"))
    assert list(loaded.open_questions) == ["go::decision"]


def test_an_artifact_key_without_an_id_is_damage(kept: Kept) -> None:
    state = kept.new()
    state.storage.set_artifact("report.txt", "text")
    state.save_checkpoint()
    snapshot = state.to_snapshot()
    snapshot.artifacts["report.txt"] = snapshot.artifacts["report.txt"]._replace(text="")
    kept.states.save_state(snapshot)
    with pytest.raises(CorruptArtifactError, match=state.state_id):
        kept.load(state).storage.get_artifact("report.txt")


# ---- artifacts


@pytest.fixture
def artifacts(tmp_path: Path) -> FileSystemArtifactBackend:
    backend = FileSystemArtifactBackend(tmp_path / "artifacts")
    backend.save_artifact("report", "text")
    return backend


@pytest.mark.parametrize("name", ["id", "codec", "sha256", "size", "media_type"])
@pytest.mark.parametrize("value", [None, True, [], {}, 1.5, "missing"], ids=str)
def test_a_header_that_says_less_than_it_must_is_damage(
    artifacts: FileSystemArtifactBackend, tmp_path: Path, name: str, value: Any
) -> None:
    file = tmp_path / "artifacts" / "report.artifact"
    line, payload = file.read_bytes().split(b"\n", 1)
    header = unseal(line)
    del header["check"]
    header[name] = value
    if value == "missing":
        del header[name]
    file.write_bytes(seal(header) + b"\n" + payload)
    for look in (artifacts.load_artifact, artifacts.get_size):
        with pytest.raises(CorruptArtifactError, match=f"'report' is damaged in its first line: its {name} is"):
            look("report")
    artifacts.save_artifact("report", "text")
    assert artifacts.load_artifact("report") == "text"


def test_a_folder_in_the_place_of_an_artifact_is_damage(artifacts: FileSystemArtifactBackend, tmp_path: Path) -> None:
    file = tmp_path / "artifacts" / "report.artifact"
    file.unlink()
    file.mkdir()
    for look in (artifacts.load_artifact, artifacts.get_size):
        with pytest.raises(CorruptArtifactError, match="'report' is damaged: a folder"):
            look("report")


def test_other_content_under_the_id_of_a_content_is_not_given_out(
    backend: FileSystemStateBackend, tmp_path: Path
) -> None:
    artifacts = FileSystemArtifactBackend(tmp_path / "artifacts")
    state = ExecutionState(backend, artifacts)
    identity = state.storage.set_artifact("a.txt", "hi")
    state.save_checkpoint()
    other = EncodedArtifact("text", b"EVIL", "text/plain")
    header = {"id": identity, "codec": "text", "sha256": artifact_id(other), "size": 4, "media_type": "text/plain"}
    (tmp_path / "artifacts" / f"{identity}.artifact").write_bytes(seal(header) + b"\nEVIL")
    loaded = ExecutionState.load_from_state_id(state.state_id, backend, artifacts)
    with pytest.raises(CorruptArtifactError, match=f"{identity}' is damaged: its content is that of"):
        loaded.storage.get_artifact("a.txt")


def changes(state_id: str, base: int) -> Changes:
    return Changes(state_id=state_id, base=base, status=StateStatus.RUNNING, updated_at=START)


def with_value(line: bytes, place: tuple[Any, ...], value: Any) -> bytes:
    """The sealed line with `value` at `place`."""
    record = json.loads(line)
    del record["check"]
    inside = record
    for part in place[:-1]:
        inside = inside[part]
    inside[place[-1]] = value
    return seal(record) + b"\n"
