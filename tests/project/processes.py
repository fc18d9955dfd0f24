"""What tests of real processes ask of the operating system."""

import re
import socket
import subprocess
import time
from collections.abc import Callable


def is_alive(pid: int) -> bool:
    """A zombie is dead: it only waits for somebody to look."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return state != "" and not state.startswith("Z")


def descendants(pid: int) -> dict[int, str]:
    """Process id to command line, of every living process under `pid`."""
    lines = subprocess.check_output(["ps", "-e", "-ww", "-o", "pid=,ppid=,stat=,args="], text=True).splitlines()
    rows = [match.groups() for line in lines if (match := re.match(r"\s*(\d+)\s+(\d+)\s+(\S+)\s(.*)", line))]
    found: dict[int, str] = {}
    parents = {pid}
    while parents:
        children = {int(p): args for p, parent, stat, args in rows if int(parent) in parents and stat[0] != "Z"}
        found |= children
        parents = set(children)
    return found


def soon(condition: Callable[[], bool], within_s: float = 60) -> bool:
    """A bound for machines that are busy with other things: whoever waits for what comes pays nothing for it."""
    give_up_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > give_up_s:
            return False
        time.sleep(0.02)
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
