"""What open inboxes cost one stream process, and how soon they hear of a new request."""

import argparse
import json
import os
import resource
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import contest
import workers
from contest import ROOT

CONTENDERS = {"PostgreSQL": contest.fresh_postgres, "SQLite": contest.fresh_sqlite}
COLUMNS = {
    "idle MB": ".0f",
    "open MB": ".0f",
    "KB a stream": ".1f",
    "opened s": ".1f",
    "idle CPU %": ".1f",
    "first s": ".2f",
    "last s": ".2f",
    "stop s": ".2f",
}
PERSON_HAS = 10
SILENT_S = 10.0
STOPS_WITHIN_S = 20.0


def measure(where: Any, given: argparse.Namespace) -> dict[str, float]:
    workers.set_up(where, None)
    os.environ["RECOVERY_LIVE_STREAMS"] = str(given.streams)
    from django.db import connection

    from recovery.services.start_run import start_run
    from recovery.services.work import work_on_state

    cookies = [_cookie_of(person) for person in workers.reviewers(-(-given.streams // PERSON_HAS))]
    runs = [start_run("bench-gate", {"steps": 0}) for _ in range(given.rounds)]
    connection.close()
    with _serving() as (process, port):
        idle_mb = _memory_mb(process.pid)
        began = time.monotonic()
        readers = [_open(port, cookies[number // PERSON_HAS]) for number in range(given.streams)]
        _hear(readers, told=b"news")
        opened_s = time.monotonic() - began
        open_mb, cpu_s = _memory_mb(process.pid), _cpu_s(process.pid)
        _hear(readers, told=b"news", patience_s=SILENT_S)
        idle_cpu = 100 * (_cpu_s(process.pid) - cpu_s) / SILENT_S
        first, last = [], []
        for run in runs:
            began = time.monotonic()
            work_on_state(run.pk)
            heard = _hear(readers, told=b"news")
            if len(heard) != len(readers):
                raise SystemExit(f"{len(readers) - len(heard)} of {len(readers)} streams did not hear of it")
            first.append(min(heard) - began)
            last.append(max(heard) - began)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        if code := process.wait(STOPS_WITHIN_S):
            raise SystemExit(f"the stream process ended with {code}")
        stop_s = time.monotonic() - began
    return {
        "idle MB": idle_mb,
        "open MB": open_mb,
        "KB a stream": 1000 * (open_mb - idle_mb) / given.streams,
        "opened s": opened_s,
        "idle CPU %": idle_cpu,
        "first s": statistics.median(first),
        "last s": max(last),
        "stop s": stop_s,
    }


@contextmanager
def _serving() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(ROOT / "manage.py"), "serve", "--only-streams", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        give_up = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.1)
        yield process, port
    finally:
        process.kill()
        process.wait()


def _cookie_of(person: Any) -> str:
    from django.conf import settings
    from django.test import Client

    client = Client()
    client.force_login(person)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def _open(port: int, cookie: str) -> socket.socket:
    reader = socket.create_connection(("127.0.0.1", port))
    head = f"GET /live/?on=inbox HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nCookie: {cookie}\r\n\r\n"
    reader.sendall(head.encode())
    return reader


def _hear(readers: list[socket.socket], *, told: bytes, patience_s: float = 60.0) -> list[float]:
    """When each of them was told; those that were not within the time are left out."""
    heard: dict[int, float] = {}
    give_up = time.monotonic() + patience_s
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader, selectors.EVENT_READ)
        while len(heard) < len(readers) and (left_s := give_up - time.monotonic()) > 0:
            for key, _ in selector.select(left_s):
                reader: Any = key.fileobj
                said = reader.recv(65_536)
                if not said:
                    raise SystemExit("a stream ended")
                if b"HTTP/1.1" in said and b" 200 " not in said:
                    raise SystemExit(f"a stream was refused: {said.decode()}")
                if told in said:
                    heard.setdefault(reader.fileno(), time.monotonic())
    return list(heard.values())


def _memory_mb(pid: int) -> float:
    """What it would take from the machine alone: what it shares with others counted too."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [resident] = [line for line in lines if line.startswith("VmRSS")]
    return int(resident.split()[1]) / 1000


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=10, help="new requests, one after the other")
    parser.add_argument("--only", choices=CONTENDERS, help="one of them, in this process; prints JSON")
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(4096, 2 * given.streams), hard), hard))
    if given.only:
        with CONTENDERS[given.only]() as where:
            print(json.dumps(measure(where, given)))
        return
    options = ["--streams", str(given.streams), "--rounds", str(given.rounds)]
    outcomes = contest.compete(__file__, list(CONTENDERS), 1, options)
    contest.print_table(outcomes, COLUMNS)


if __name__ == "__main__":
    main()
