"""Runs contenders in turns, each in a fresh process with a fresh database, and prints the medians.

Absolute times move by 20 % and more from run to run: what counts is how contenders of one contest compare.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parent.parent
POSTGRES_URL = os.environ.get("BENCH_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")


Outcomes = dict[str, list[dict[str, float]]]


def compete(script: str, contenders: Sequence[str], rounds: int, options: Sequence[str]) -> Outcomes:
    """What `script --only CONTENDER` printed as JSON, for each contender and round."""
    outcomes: Outcomes = {name: [] for name in contenders}
    for number in range(rounds):
        for name in contenders:
            print(f"\rround {number + 1} of {rounds}: {name:<40}", end="", file=sys.stderr, flush=True)
            command = [sys.executable, script, "--only", name, *options]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
            if done.returncode:
                raise SystemExit(f"\n{name} failed:\n{done.stderr}")
            outcomes[name].append(json.loads(done.stdout.splitlines()[-1]))
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return outcomes


def print_table(outcomes: Outcomes, columns: dict[str, str]) -> None:
    """`columns`: the key of a number to how it is formatted."""
    width = max(map(len, outcomes))
    print(f"| {'':<{width}} | " + " | ".join(f"{name:>20}" for name in columns) + " |")
    print(f"|{'-' * (width + 2)}|" + "|".join("-" * 21 + ":" for _ in columns) + "|")
    for name, rounds in outcomes.items():
        medians = {key: statistics.median(one[key] for one in rounds) for key in columns}
        print(f"| {name:<{width}} | " + " | ".join(f"{medians[key]:>20{how}}" for key, how in columns.items()) + " |")


@contextmanager
def fresh_sqlite() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rhdashboard-bench-") as folder:
        yield Path(folder) / "bench.sqlite3"


@contextmanager
def fresh_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rhdashboard-bench-") as folder:
        yield Path(folder)


@contextmanager
def fresh_postgres() -> Iterator[str]:
    """The address of an empty database that goes away afterwards."""
    name = f"bench_{uuid.uuid4().hex}"
    base, _, _ = POSTGRES_URL.rpartition("/")
    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{base}/{name}"
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def stored_bytes(where: Path | str) -> int:
    """What a database takes on the disk: the file of SQLite, the tables and indexes of PostgreSQL."""
    if isinstance(where, Path):
        return where.stat().st_size
    with psycopg.connect(where) as database:
        tables = "SELECT coalesce(sum(pg_total_relation_size(relid)), 0) FROM pg_stat_user_tables"
        found = database.execute(tables).fetchone()
    assert found is not None
    return int(found[0])
