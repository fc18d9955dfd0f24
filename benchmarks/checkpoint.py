"""A checkpoint after every step: how long a run of 1 000 steps takes, whether it slows down, and what it stores."""

import argparse
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import contest
import workload

Run = Callable[[Path | str, list[Any]], dict[str, float]]


def ours(synchronous: str) -> Run:
    def run(where: Path | str, values: list[Any]) -> dict[str, float]:
        import ours

        ours.set_up(where, synchronous)
        return ours.checkpoint(where, values)

    return run


def engine_alone(name: str) -> Run:
    def run(where: Path | str, values: list[Any]) -> dict[str, float]:
        import ours

        return getattr(ours, name)(where, values)

    return run


def peer(name: str) -> Run:
    def run(where: Path | str, values: list[Any]) -> dict[str, float]:
        import peers

        return getattr(peers, name)(where, values)

    return run


Database = Callable[[], AbstractContextManager[Any]]
CONTENDERS: dict[str, tuple[Database, Run]] = {
    "ours, SQLite NORMAL": (contest.fresh_sqlite, ours("NORMAL")),
    "ours, SQLite FULL": (contest.fresh_sqlite, ours("FULL")),
    "ours, files": (contest.fresh_folder, engine_alone("checkpoint_in_files")),
    "ours, memory": (contest.fresh_folder, engine_alone("checkpoint_in_memory")),
    "langgraph functional, SQLite": (contest.fresh_sqlite, peer("functional")),
    "langgraph graph, SQLite": (contest.fresh_sqlite, peer("graph")),
    "ours, PostgreSQL": (contest.fresh_postgres, ours("")),
    "langgraph functional, PostgreSQL": (contest.fresh_postgres, peer("functional")),
    "langgraph graph, PostgreSQL": (contest.fresh_postgres, peer("graph")),
}
SLOW = [name for name in CONTENDERS if "graph," in name]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--steps", type=int, default=1000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--slow", action="store_true", help="langgraph's graph state too: half a minute a round")
    arguments.add_argument("--ours", action="store_true", help="no peers: for runs that are too long for them")
    arguments.add_argument("--only", choices=CONTENDERS, help="one contender once; prints JSON")
    given = arguments.parse_args()
    if given.only:
        database, run = CONTENDERS[given.only]
        with database() as where:
            # The first run of a process imports and plans things, and makes the first page of every index.
            run(where, workload.results(20))
            print(json.dumps(run(where, workload.results(given.steps))))
        return
    names = [
        name for name in CONTENDERS if (given.slow or name not in SLOW) and not (given.ours and "ours" not in name)
    ]
    outcomes = contest.compete(__file__, names, given.rounds, ["--steps", str(given.steps)])
    contest.print_table(outcomes, {"ms": ".0f", "last / first tenth": ".2f", "MB": ".2f"})


if __name__ == "__main__":
    main()
