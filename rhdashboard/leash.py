"""Runs a command, and ends all of it as soon as whoever holds the other end of standard input is gone.

`python leash.py GRACE_S COMMAND...`, as the leader of a session of its own. Closing the pipe is the one way to stop the
command, and the kernel closes it too when the holder is killed: neither way leaves a process behind. Standard library
only and run by its path, so that it is there at once and needs next to no memory.
"""

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

STOPPING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def main(grace_s: float, command: list[str]) -> int:
    """The command's exit code; 128 + n when signal n ended it, as a shell says it."""
    wake, wake_end = os.pipe()
    os.set_blocking(wake_end, False)
    signal.set_wakeup_fd(wake_end)
    for number in (*STOPPING, signal.SIGCHLD):
        signal.signal(number, _wake_only)  # Not SIG_IGN, which the command would inherit.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while child.poll() is None:
        ready, _, _ = select.select([sys.stdin, wake], [], [])
        if sys.stdin in ready or STOPPING & set(os.read(wake, 64)):
            _end(child, grace_s)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _wake_only(*_: object) -> None:
    """The number is written to the pipe; there it wakes `select`."""


def _end(child: subprocess.Popen[bytes], grace_s: float) -> None:
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(grace_s)
    os.killpg(0, signal.SIGKILL)  # What the command started and left behind, and this process with it.


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
