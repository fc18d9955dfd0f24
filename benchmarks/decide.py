"""Deciding: how long until a decided run goes on, and how many decisions a second the database takes."""

import argparse
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import contest
import deciders
import workers

BROKER_URL = os.environ.get("BENCH_BROKER_URL", "redis://127.0.0.1:6379/0")

Measure = Callable[[Any, argparse.Namespace], dict[str, float]]


def go_on(broker_url: str | None) -> Measure:
    return lambda where, given: workers.go_on(where, broker_url, given.decisions)


def different(rate: float) -> Measure:
    return lambda where, given: deciders.different_requests(
        where, BROKER_URL, given.requests, rate, given.processes, given.threads
    )


def together(where: str, given: argparse.Namespace) -> dict[str, float]:
    return deciders.one_request(where, BROKER_URL, 10, given.processes)


Contender = tuple[Callable[[], AbstractContextManager[Any]], Measure]
GOING_ON: dict[str, Contender] = {
    "PostgreSQL + Redis": (contest.fresh_postgres, go_on(BROKER_URL)),
    "SQLite + files, as make run": (contest.fresh_sqlite, go_on(None)),
}
MANY: dict[str, Contender] = {
    "as fast as it goes": (contest.fresh_postgres, different(0)),
    "200 a second": (contest.fresh_postgres, different(200)),
}
AT_ONCE: dict[str, Contender] = {f"{deciders.DECIDERS} on one request": (contest.fresh_postgres, together)}
TABLES: list[tuple[str, dict[str, Contender], dict[str, str]]] = [
    (
        f"Decided, until the first new step after {workers.STEPS} finished ones begins, ms",
        GOING_ON,
        {
            "committed p50": ".1f",
            "committed p95": ".1f",
            "committed max": ".1f",
            "called p50": ".1f",
            "lost": ".0f",
        },
    ),
    (
        "Different requests, PostgreSQL + Redis",
        MANY,
        {"decisions/s": ".0f", "p50 ms": ".1f", "p95 ms": ".1f", "max ms": ".1f"},
    ),
    (
        "All at once, PostgreSQL + Redis",
        AT_ONCE,
        {
            "all have it, ms": ".0f",
            "worst round, ms": ".0f",
            "one answer p50, ms": ".0f",
            "accepted": ".0f",
            "refused": ".0f",
        },
    ),
]
CONTENDERS = {**GOING_ON, **MANY, **AT_ONCE}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--decisions", type=int, default=60, help="of which the time to the next step is taken")
    arguments.add_argument("--requests", type=int, default=2000, help="that are decided as one stream")
    arguments.add_argument("--processes", type=int, default=2, help="that decide")
    arguments.add_argument("--threads", type=int, default=4, help="of each of them, where requests are different")
    arguments.add_argument("--only", choices=CONTENDERS, help="one of them once; prints JSON")
    given = arguments.parse_args()
    if given.only:
        database, measure = CONTENDERS[given.only]
        with database() as where:
            print(json.dumps(measure(where, given)))
        return
    passed_on = ("decisions", "requests", "processes", "threads")
    options = [word for name in passed_on for word in (f"--{name}", str(getattr(given, name)))]
    for title, contenders, columns in TABLES:
        outcomes = contest.compete(__file__, list(contenders), given.rounds, options)
        print(f"\n{title}\n")
        contest.print_table(outcomes, columns)


if __name__ == "__main__":
    main()
