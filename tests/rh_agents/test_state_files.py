"""The file of a state: what stands in it, and every way in which it can be damaged."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rh_agents.core.errors import (
    CorruptStateError,
    SerializationError,
    StaleWriterError,
)
from rh_agents.core.state_recovery import Changes, Entry, StateStatus
from rh_agents.state_backends import FileSystemStateBackend
from rh_agents.testing.samples import START, full_snapshot, random_series, simple_snapshot, step


class TestStateFile:
    """One state, three checkpoints, and its file."""

    @pytest.fixture
    def backend(self, tmp_path: Path) -> FileSystemStateBackend:
        return FileSystemStateBackend(tmp_path)

    @pytest.fixture
    def file(self, backend: FileSystemStateBackend, tmp_path: Path) -> Path:
        backend.save_state(full_snapshot("run"))
        for base in (1, 2):
            backend.append(changes("run", base, storage={"n": Entry(base, str(base))}))
        return tmp_path / "states" / "run.jsonl"

    def test_a_state_is_one_file_of_json_lines_that_a_person_can_read(self, file: Path) -> None:
        records = [json.loads(line) for line in file.open()]
        assert [record["number"] for record in records] == [1, 2, 3]
        assert records[0]["state_id"] == "run"
        assert records[0]["metadata"]["tags"] == ["production", "Zoë", "with space"]
        assert records[2]["storage"] == {"n": [2, "2"]}
        assert [path.name for path in file.parent.iterdir()] == ["run.jsonl"]

    def test_an_append_leaves_what_was_there_byte_for_byte(self, backend: FileSystemStateBackend, file: Path) -> None:
        before = file.read_bytes()
        backend.append(changes("run", 3))
        backend.save_state(backend.load_state("run"))
        assert file.read_bytes().startswith(before)

    @pytest.mark.parametrize("reopened", [False, True])
    def test_a_torn_end_is_dropped_and_cut_off_by_the_next_append(
        self, backend: FileSystemStateBackend, file: Path, reopened: bool
    ) -> None:
        whole = file.read_bytes()
        third = whole.splitlines(keepends=True)[2]
        expected = backend.load_checkpoint("run", 2)
        for length in (1, 20, len(third) // 2, len(third) - 1):
            file.write_bytes(whole[: len(whole) - len(third) + length])
            handle = FileSystemStateBackend(file.parent.parent) if reopened else backend
            assert handle.load_state("run") == expected
            assert [state.head for state in handle.list_states()] == [2]
            with pytest.raises(StaleWriterError):
                handle.append(changes("run", 3))
            assert handle.append(changes("run", 2, storage={"n": Entry(2, "2")})) == 3
            assert file.read_bytes() == whole

    def test_a_plain_save_cuts_off_a_torn_end_too(self, backend: FileSystemStateBackend, file: Path) -> None:
        file.write_bytes(file.read_bytes()[:-10])
        snapshot = backend.load_state("run")
        backend.save_state(snapshot)
        assert snapshot.head == 3
        assert backend.load_state("run") == snapshot

    def test_any_changed_byte_is_found(self, backend: FileSystemStateBackend, file: Path) -> None:
        whole = file.read_bytes()
        rng = random.Random(1)
        places = {0, 1, 11, 26, 27, 28, 29, 30, len(whole) - 1, len(whole) - 2}
        places |= {place for place, byte in enumerate(whole) if byte == ord("\n")}
        for place in sorted(places | set(rng.sample(range(len(whole)), 150))):
            byte = rng.choice([byte for byte in range(256) if byte != whole[place]])
            file.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
            with pytest.raises(CorruptStateError, match="'run'"):
                backend.load_state("run")
            with pytest.warns(UserWarning, match="'run'"):
                assert backend.list_states() == []

    @pytest.mark.parametrize(
        "damage",
        [
            lambda lines: [],
            lambda lines: lines[1:],
            lambda lines: [lines[0], lines[2]],
            lambda lines: [lines[0], lines[2], lines[1]],
            lambda lines: [*lines, lines[2]],
            lambda lines: [lines[0], b"\n", *lines[1:]],
            lambda lines: [lines[0], b'{"number":2}\n', lines[2]],
            lambda lines: [lines[0][:-1]],
            lambda lines: [b"\x00" * 4096 + b"\n"],
        ],
        ids=["empty", "first", "middle", "swapped", "twice", "blank", "unsealed", "only-a-torn-line", "zeros"],
    )
    def test_a_missing_or_foreign_line_is_found(self, backend: FileSystemStateBackend, file: Path, damage: Any) -> None:
        file.write_bytes(b"".join(damage(file.read_bytes().splitlines(keepends=True))))
        for handle in (backend, FileSystemStateBackend(file.parent.parent)):
            with pytest.raises(CorruptStateError, match="'run'"):
                handle.load_state("run")
            with pytest.raises(CorruptStateError, match="'run'"):
                handle.save_state(full_snapshot("run"))
            assert handle.exists("run") is True

    def test_damage_at_the_end_stops_an_append(self, backend: FileSystemStateBackend, file: Path) -> None:
        whole = file.read_bytes()
        file.write_bytes(whole[:-5] + b"#" + whole[-4:])
        os.utime(file, ns=(1, 1))
        with pytest.raises(CorruptStateError, match="'run'"):
            backend.append(changes("run", 3))
        assert len(file.read_bytes()) == len(whole)

    def test_earlier_checkpoints_are_readable_although_a_later_one_is_damaged(
        self, backend: FileSystemStateBackend, file: Path
    ) -> None:
        expected = backend.load_checkpoint("run", 2)
        file.write_bytes(file.read_bytes()[:-5] + b"#####\n")
        assert backend.load_checkpoint("run", 2) == expected

    def test_a_renamed_file_is_found(self, backend: FileSystemStateBackend, file: Path) -> None:
        file.rename(file.with_name("other.jsonl"))
        with pytest.raises(CorruptStateError, match=r"'other'.*'run'"):
            backend.load_state("other")
        assert backend.load_state("run") is None

    def test_a_list_warns_about_what_it_cannot_read_and_goes_on(
        self, backend: FileSystemStateBackend, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        good = simple_snapshot()
        backend.save_state(good)
        file.write_bytes(b"damaged\n")
        (file.parent / "not an id!.jsonl").write_bytes(b"")
        (file.parent / "notes.txt").write_bytes(b"")
        (file.parent / ".tmp-0123").write_bytes(b"")
        newer = simple_snapshot("newer")
        newer.version = "2.0.0"
        with monkeypatch.context() as the_later_program:
            the_later_program.setattr("rh_agents.core.state_recovery.CURRENT_SCHEMA_VERSION", "2.0.0")
            backend.save_state(newer)
        with pytest.warns(UserWarning) as caught:
            listed = backend.list_states()
        assert [state.state_id for state in listed] == [good.state_id]
        named = [str(warning.message).split("'")[1] for warning in caught]
        assert sorted(named) == ["newer", "not an id!", "run"]
        assert {warning.filename for warning in caught} == {__file__}

    def test_a_list_fills_up_its_limit_past_what_it_cannot_read(
        self, backend: FileSystemStateBackend, file: Path
    ) -> None:
        old = simple_snapshot(minute=-1)
        backend.save_state(old)
        backend.list_states()
        stamp = file.stat()
        file.write_bytes(file.read_bytes().replace(b"production", b"productiom"))
        os.utime(
            file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns)
        )  # As if a sector had gone bad: the file looks the same.
        with pytest.warns(UserWarning, match="'run'"):
            assert [state.state_id for state in backend.list_states(limit=1)] == [old.state_id]

    def test_a_newer_minor_version_may_have_fields_that_are_unknown_here(
        self, backend: FileSystemStateBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        snapshot = simple_snapshot()
        snapshot.version = "1.7.0"
        snapshot.events = [step(1)]
        with monkeypatch.context() as the_later_program:
            known = type(snapshot.events[0]).to_dict
            the_later_program.setattr(type(snapshot.events[0]), "to_dict", lambda self: {**known(self), "mood": "good"})
            backend.save_state(snapshot)
        assert backend.load_state(snapshot.state_id) == snapshot

    def test_custom_data_of_a_class_unknown_here_is_named_and_is_no_damage(
        self, backend: FileSystemStateBackend, file: Path
    ) -> None:
        script = (
            "import sys, dataclasses\n"
            "from rh_agents.state_backends import FileSystemStateBackend\n"
            "from rh_agents.testing.samples import simple_snapshot\n"
            "@dataclasses.dataclass\n"
            "class Theirs:\n    n: int\n"
            "FileSystemStateBackend(sys.argv[1]).save_state(simple_snapshot('theirs', custom_data={'x': Theirs(1)}))\n"
        )
        run_python(script, str(file.parent.parent))
        with pytest.raises(SerializationError, match="custom_data of state 'theirs'"):
            backend.load_state("theirs")
        with pytest.warns(UserWarning, match="'theirs'"):
            assert [state.state_id for state in backend.list_states()] == ["run"]

    def test_a_time_without_a_zone_is_refused_by_name_and_nothing_is_saved(
        self, backend: FileSystemStateBackend
    ) -> None:
        snapshot = simple_snapshot()
        snapshot.updated_at = snapshot.updated_at.replace(tzinfo=None)
        with pytest.raises(ValueError, match="updated_at"):
            backend.save_state(snapshot)
        assert backend.exists(snapshot.state_id) is False

    def test_a_disk_that_fails_in_mid_append_leaves_the_last_checkpoint(
        self, backend: FileSystemStateBackend, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = file.read_bytes()
        expected = backend.load_state("run")

        def full_disk(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as failing:
            failing.setattr(os, "fsync", full_disk)
            with pytest.raises(OSError, match="No space"):
                backend.append(changes("run", 3))
            with pytest.raises(OSError, match="No space"):
                backend.save_state(simple_snapshot("new"))
        assert file.read_bytes() == before
        assert backend.load_state("run") == expected
        assert [path.name for path in file.parent.iterdir()] == ["run.jsonl"]
        assert backend.append(changes("run", 3)) == 4

    def test_a_base_path_that_is_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("")
        with pytest.raises(NotADirectoryError):
            FileSystemStateBackend(tmp_path / "taken").save_state(simple_snapshot())

    def test_looking_makes_no_folder(self, tmp_path: Path) -> None:
        backend = FileSystemStateBackend(tmp_path / "nowhere")
        assert backend.list_states() == []
        assert backend.load_state("x") is None
        assert backend.delete_state("x") is False
        assert list(tmp_path.iterdir()) == []


def test_state_files_are_the_same_without_orjson(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "sys.modules['orjson'] = None\n"
        "from rh_agents.state_backends import FileSystemStateBackend\n"
        "from rh_agents.testing.samples import random_series\n"
        "import rh_agents.testing.samples as samples\n"
        "samples.new_id = lambda: 'run'\n"
        "backend = FileSystemStateBackend(sys.argv[1])\n"
        "for changes, _ in random_series(3):\n"
        "    backend.append(changes)\n"
    )
    run_python(script, str(tmp_path))
    expected = [state for _, state in random_series(3)][-1]
    loaded = FileSystemStateBackend(tmp_path).load_state("run")
    loaded.state_id = expected.state_id
    assert loaded == expected


def changes(state_id: str, base: int, **what: Any) -> Changes:
    return Changes(state_id=state_id, base=base, status=StateStatus.RUNNING, updated_at=START, **what)


def run_python(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
