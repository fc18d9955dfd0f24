"""Writers of state files: many appends, several processes, and one that is killed."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import pytest

from rh_agents.core.state_recovery import Changes, StateStatus
from rh_agents.state_backends import (
    FileSystemStateBackend,
)
from rh_agents.testing.samples import START, step


class TestManyAppends:
    def test_ten_thousand_appends_cost_no_more_at_the_end_than_at_the_beginning(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # The disk's share is flat, and long.
        backend = FileSystemStateBackend(tmp_path)
        file = tmp_path / "states" / "run.jsonl"
        times, sizes = [], []
        for tenth in range(10):
            started = time.process_time()
            for base in range(tenth * 1000, tenth * 1000 + 1000):
                backend.append(changes("run", base, events=[step(base, result="x" * 500)]))
            times.append(time.process_time() - started)
            sizes.append(file.stat().st_size)
        assert min(times[7:]) < 2 * min(times[:3])
        assert sizes[9] < 10.2 * sizes[0]
        loaded = backend.load_state("run")
        assert (loaded.head, len(loaded.events)) == (10_000, 10_000)

    def test_the_first_append_of_a_process_reads_the_end_of_the_file_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        FileSystemStateBackend(tmp_path).append(changes("run", 0, events=[step(0, result="x" * 1_000_000)]))
        FileSystemStateBackend(tmp_path).append(changes("run", 1, events=[step(1, result="x" * 100_000)]))
        FileSystemStateBackend(tmp_path).append(changes("run", 2, events=[step(2, result="x" * 300_000)]))
        read: list[int] = []
        pread = os.pread

        def counting(descriptor: int, length: int, offset: int) -> bytes:
            read.append(length)
            return pread(descriptor, length, offset)

        monkeypatch.setattr(os, "pread", counting)
        assert FileSystemStateBackend(tmp_path).append(changes("run", 3)) == 4
        assert sum(read) < 1_100_000
        read.clear()
        assert FileSystemStateBackend(tmp_path).append(changes("run", 4)) == 5
        assert sum(read) < 100_000


WRITER = """
import sys
from rh_agents.core.state_recovery import Changes, StateStatus
from rh_agents.state_backends import FileSystemStateBackend
from rh_agents.testing.samples import START, step

backend = FileSystemStateBackend(sys.argv[1])
for base in range(int(sys.argv[2])):
    backend.append(Changes(state_id="run", base=base, status=StateStatus.RUNNING, updated_at=START,
                           events=[step(base, result="x" * int(sys.argv[3]))]))
    print(base + 1, flush=True)
"""


def start_writer(folder: Path, appends: int, size: int) -> tuple[subprocess.Popen[str], IO[str]]:
    """A process that appends; it has done so once. The numbers of its checkpoints follow in the stream."""
    command = [sys.executable, "-c", WRITER, str(folder), str(appends), str(size)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    return process, process.stdout


class TestKilledWriter:
    @pytest.mark.parametrize("after_s", [0.0, 0.01, 0.05])
    def test_every_checkpoint_that_was_told_is_there_after_kill_9(self, tmp_path: Path, after_s: float) -> None:
        process, told = start_writer(tmp_path, appends=1000, size=200_000)
        time.sleep(after_s)
        process.kill()
        last_told = [1, *map(int, told.read().split())][-1]
        process.wait()
        backend = FileSystemStateBackend(tmp_path)
        loaded = backend.load_state("run")
        assert last_told <= loaded.head <= last_told + 1
        assert loaded.events == [step(number, result="x" * 200_000) for number in range(loaded.head)]
        assert backend.append(changes("run", loaded.head)) == loaded.head + 1

    def test_processes_that_append_on_one_base_never_both_win(self, tmp_path: Path) -> None:
        script = (
            "import sys\n"
            "from rh_agents.core.errors import StaleWriterError\n"
            "from rh_agents.core.state_recovery import Changes, StateStatus\n"
            "from rh_agents.state_backends import FileSystemStateBackend\n"
            "from rh_agents.testing.samples import START\n"
            "backend = FileSystemStateBackend(sys.argv[1])\n"
            "sys.stdin.readline()\n"
            "won = 0\n"
            "for base in range(100):\n"
            "    try:\n"
            "        backend.append(Changes(state_id='run', base=base, status=StateStatus.RUNNING, updated_at=START))\n"
            "        won += 1\n"
            "    except StaleWriterError:\n"
            "        while backend.load_state('run').head <= base:\n"
            "            pass\n"
            "print(won)\n"
        )
        command = [sys.executable, "-c", script, str(tmp_path)]
        processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
        ]
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        assert sum(int(process.communicate(timeout=60)[0]) for process in processes) == 100
        assert FileSystemStateBackend(tmp_path).load_state("run").head == 100

    def test_a_reader_beside_a_writer_sees_whole_checkpoints_alone(self, tmp_path: Path) -> None:
        process, _ = start_writer(tmp_path, appends=100, size=20_000)
        backend = FileSystemStateBackend(tmp_path)
        heads = []
        while process.poll() is None:
            heads.append(backend.load_state("run").head)
        process.communicate()
        assert heads == sorted(heads)
        assert backend.load_state("run").head == 100


def changes(state_id: str, base: int, **what: Any) -> Changes:
    return Changes(state_id=state_id, base=base, status=StateStatus.RUNNING, updated_at=START, **what)
