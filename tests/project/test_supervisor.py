"""The supervisor of `make run`: real processes, started, ended, killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tests.project.processes import is_alive, soon

# Prints its own process id and that of a child it never looks after.
PARENT_AND_CHILD = "sleep 60 & echo pids $$ $!; wait"
# Neither it nor its child can be asked to stop.
STUBBORN = "trap '' TERM; sleep 60 & echo pids $$ $!; while :; do wait; done"


class Tree:
    """A supervisor in a process of its own, the lines it wrote, and the process ids its services named."""

    def __init__(self, *services: str, ready: str = "True", grace_s: float = 10) -> None:
        code = f"""
import sys
from rhdashboard.supervisor import Service, Supervisor
supervisor = Supervisor([{", ".join(services)}], grace_s={grace_s})
sys.exit(supervisor.run(ready=lambda: {ready}, announce=lambda: supervisor.say("announced")))
"""
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self.pids: list[int] = []

    def read_until(self, *texts: str) -> None:
        """Every one of `texts` has been seen in a line of its own."""
        missing = list(texts)
        while missing:
            line = self.process.stdout.readline()
            assert line, f"the output ended without {missing}: {self.lines}"
            self._note(line)
            missing = [text for text in missing if text not in line]

    def end(self) -> int:
        """The exit code, after all of the output was read."""
        for line in self.process.stdout:
            self._note(line)
        return self.process.wait(60)

    def _note(self, line: str) -> None:
        self.lines.append(line.rstrip())
        _, found, numbers = line.partition("pids ")
        self.pids += [int(number) for number in numbers.split()] if found else []

    def alive(self) -> list[int]:
        return [pid for pid in self.pids if is_alive(pid)]


def service(name: str, script: str, *, restarts: bool = False) -> str:
    return f"Service({name!r}, ['sh', '-c', {script!r}], restarts={restarts})"


@pytest.fixture
def start() -> Iterator[Callable[..., Tree]]:
    trees: list[Tree] = []

    def _start(*services: str, **options: object) -> Tree:
        trees.append(Tree(*services, **options))
        return trees[-1]

    yield _start
    for tree in trees:
        tree.process.kill()
        tree.process.wait()
        tree.process.stdout.close()
        for pid in tree.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_ends_every_service_and_what_it_started(start, number):
    tree = start(service("one", PARENT_AND_CHILD), service("two", PARENT_AND_CHILD, restarts=True))
    tree.read_until("one | pids", "two | pids")
    assert len(tree.alive()) == 4

    tree.process.send_signal(number)

    assert tree.end() == 0
    assert tree.alive() == []
    assert f"run | stopping ({number.name}); once more to stop without waiting" in tree.lines
    assert tree.lines[-1] == "run | stopped"


def test_a_killed_supervisor_leaves_nothing_behind(start):
    tree = start(service("one", PARENT_AND_CHILD), service("two", PARENT_AND_CHILD, restarts=True))
    tree.read_until("one | pids", "two | pids")

    tree.process.kill()

    assert soon(lambda: tree.alive() == []), f"still running: {tree.alive()}"


def test_a_killed_supervisor_leaves_not_even_those_who_ignore_sigterm(start):
    tree = start(service("one", STUBBORN), grace_s=0.3)
    tree.read_until("one | pids")

    tree.process.kill()

    assert soon(lambda: tree.alive() == []), f"still running: {tree.alive()}"


def test_a_service_of_a_killed_supervisor_has_its_time_too_and_may_talk(start, tmp_path):
    said = tmp_path / "said"
    tree = start(service("one", f"trap 'echo bye && touch {said}; exit' TERM; echo pids $$; sleep 60 & wait"))
    tree.read_until("one | pids")

    tree.process.kill()
    tree.process.stdout.close()

    assert soon(lambda: tree.alive() == []), f"still running: {tree.alive()}"
    assert said.exists()


def test_a_service_that_ignores_sigterm_is_killed_when_its_time_is_over(start):
    tree = start(service("one", STUBBORN), grace_s=0.3)
    tree.read_until("one | pids")
    asked_s = time.monotonic()

    tree.process.send_signal(signal.SIGTERM)

    assert tree.end() == 0
    assert soon(lambda: tree.alive() == []), f"still running: {tree.alive()}"
    assert time.monotonic() - asked_s >= 0.3


def test_a_second_ctrl_c_does_not_wait_for_that_time(start):
    tree = start(service("one", STUBBORN), grace_s=60)
    tree.read_until("one | pids")
    tree.process.send_signal(signal.SIGINT)
    tree.read_until("stopping")

    tree.process.send_signal(signal.SIGINT)

    assert tree.end() == 0  # It does not wait for the 60 s.
    assert soon(lambda: tree.alive() == []), f"still running: {tree.alive()}"


def test_a_service_has_its_time_to_finish_what_it_does(start):
    tree = start(service("one", "trap 'sleep 0.5; echo finished; exit' TERM; echo begun; sleep 60 & wait"))
    tree.read_until("begun")

    tree.process.send_signal(signal.SIGTERM)

    assert tree.end() == 0
    assert "one | finished" in tree.lines


def test_a_service_that_restarts_is_started_again_when_it_is_killed(start):
    tree = start(service("one", PARENT_AND_CHILD), service("two", PARENT_AND_CHILD, restarts=True))
    tree.read_until("one | pids", "two | pids")
    first = tree.pids[-2:] if "two" in tree.lines[-1] else tree.pids[:2]

    os.kill(first[0], signal.SIGKILL)

    tree.read_until("two ended by itself with exit code 137; starting it again", "two | pids")
    assert not is_alive(first[1])
    assert len(tree.alive()) == 4


def test_a_service_that_does_not_restart_ends_everything_and_is_named(start):
    tree = start(service("one", "echo broken; exit 3"), service("two", PARENT_AND_CHILD, restarts=True))

    assert tree.end() == 1
    assert soon(lambda: tree.alive() == []), f"still running: {tree.alive()}"
    assert "run | one ended by itself with exit code 3, so everything stops" in tree.lines
    assert tree.lines.index("one | broken") < tree.lines.index(
        "run | one ended by itself with exit code 3, so everything stops"
    )


def test_a_service_whose_leash_is_killed_goes_with_it(start):
    tree = start(service("one", PARENT_AND_CHILD))
    tree.read_until("one | pids")
    leash = int(subprocess.check_output(["ps", "-o", "ppid=", "-p", str(tree.pids[0])]))

    os.kill(leash, signal.SIGKILL)

    assert tree.end() == 1
    assert soon(lambda: tree.alive() == []), f"still running: {tree.alive()}"


def test_readiness_is_announced_once(start):
    tree = start(service("one", PARENT_AND_CHILD), ready="__import__('os').path.exists('/')")
    tree.read_until("one | pids", "announced")
    tree.process.send_signal(signal.SIGTERM)

    assert tree.end() == 0
    assert tree.lines.count("run | announced") == 1
