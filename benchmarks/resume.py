"""Resuming: from "load it" until the first new step runs, after 10, 100 and 1 000 finished steps."""

import argparse
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import contest
import workload

Run = Callable[[Path | str, list[Any], int], dict[str, float]]
SIZES = (10, 100, 1000)


def ours(where: Path | str, values: list[Any], repeats: int) -> dict[str, float]:
    import ours

    ours.set_up(where)
    return ours.resume(where, values, repeats)


def peer(name: str) -> Run:
    def run(where: Path | str, values: list[Any], repeats: int) -> dict[str, float]:
        import peers

        return getattr(peers, name)(where, values, repeats)

    return run


Database = Callable[[], AbstractContextManager[Any]]
CONTENDERS: dict[str, tuple[Database, Run]] = {
    "ours, SQLite": (contest.fresh_sqlite, ours),
    "langgraph functional, SQLite": (contest.fresh_sqlite, peer("resume_functional")),
    "langgraph graph, SQLite": (contest.fresh_sqlite, peer("resume_graph")),
    "ours, PostgreSQL": (contest.fresh_postgres, ours),
    "langgraph functional, PostgreSQL": (contest.fresh_postgres, peer("resume_functional")),
    "langgraph graph, PostgreSQL": (contest.fresh_postgres, peer("resume_graph")),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--repeats", type=int, default=20, help="how often each is resumed in one process")
    arguments.add_argument("--only", choices=CONTENDERS, help="one contender once; prints JSON")
    given = arguments.parse_args()
    if given.only:
        database, run = CONTENDERS[given.only]
        values = workload.results(max(SIZES))
        with database() as where:
            print(json.dumps({f"{size} steps, ms": run(where, values[:size], given.repeats)["ms"] for size in SIZES}))
        return
    outcomes = contest.compete(__file__, list(CONTENDERS), given.rounds, ["--repeats", str(given.repeats)])
    contest.print_table(outcomes, {f"{size} steps, ms": ".1f" for size in SIZES})


if __name__ == "__main__":
    main()
