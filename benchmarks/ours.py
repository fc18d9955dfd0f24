"""This project as a contender: the engine with the Django backends, as the dashboard's worker runs it."""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import django
from contest import ROOT, stored_bytes
from workload import last_to_first_tenth

sys.path.insert(0, str(ROOT))


def set_up(where: Path | str, synchronous: str = "FULL", settings_module: str = "rhdashboard.settings") -> None:
    """Django on the empty database `where`, with the settings that it runs with."""
    os.environ["DJANGO_SETTINGS_MODULE"] = settings_module
    os.environ["DATABASE_URL"] = f"sqlite:///{where}" if isinstance(where, Path) else where
    os.environ["RHDASHBOARD_VAR_DIR"] = f"{where}.var" if isinstance(where, Path) else "/tmp/rhdashboard-bench"
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    from django.apps import apps
    from django.conf import settings
    from django.core.management import call_command

    if apps.ready:
        return
    options = settings.DATABASES["default"]["OPTIONS"]
    if "init_command" in options:
        options["init_command"] = options["init_command"].replace("synchronous=FULL", f"synchronous={synchronous}")
    django.setup()
    call_command("migrate", verbosity=0)


def checkpoint(where: Path | str, values: Sequence[Any]) -> dict[str, float]:
    """Run a step for each of `values` with a checkpoint after it."""
    from django.db import connection

    from recovery.backends import DjangoArtifactBackend, DjangoStateBackend

    before = _stored(where)
    connection.ensure_connection()
    measured = _run_steps(DjangoStateBackend(author="bench"), DjangoArtifactBackend(), values)
    return {**measured, "MB": (_stored(where) - before) / 1e6}


def checkpoint_in_files(where: Path, values: Sequence[Any]) -> dict[str, float]:
    """The same with the engine's file backends, in the folder `where`."""
    from rh_agents import FileSystemArtifactBackend, FileSystemStateBackend

    before = _bytes_in(where)
    measured = _run_steps(FileSystemStateBackend(where), FileSystemArtifactBackend(where / "artifacts"), values)
    return {**measured, "MB": (_bytes_in(where) - before) / 1e6}


def checkpoint_in_memory(where: Path, values: Sequence[Any]) -> dict[str, float]:
    """The same in memory, where lines are kept as they would be in a file."""
    from rh_agents.memory_backends import InMemoryArtifactBackend, InMemoryStateBackend

    states = InMemoryStateBackend()
    measured = _run_steps(states, InMemoryArtifactBackend(), values)
    return {**measured, "MB": sum(len(line) for lines in states._states.values() for line in lines) / 1e6}


def _run_steps(states: Any, artifacts: Any, values: Sequence[Any]) -> dict[str, float]:
    from rh_agents import ExecutionEvent, ExecutionState, Tool

    ends: list[float] = []

    async def work(number: int, context: Any, state: Any) -> Any:
        return values[number]

    async def run() -> float:
        state = ExecutionState(states, artifacts, auto_checkpoint=True)
        step = ExecutionEvent(actor=Tool(name="work", handler=work))
        started = time.perf_counter()
        for number in range(len(values)):
            await step(number, None, state)
            ends.append(time.perf_counter())
        return started

    started = asyncio.run(run())
    return {"ms": (ends[-1] - started) * 1000, "last / first tenth": last_to_first_tenth(ends, started)}


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class Reached(BaseException):
    """The first new step runs."""


def resume(where: Path | str, values: Sequence[Any], repeats: int) -> dict[str, float]:
    """Load a run of which all of `values` are there, and replay it until it comes to a new step; the median."""
    from recovery.backends import DjangoArtifactBackend, DjangoStateBackend
    from rh_agents import ExecutionEvent, ExecutionState, Tool

    async def work(number: int, context: Any, state: Any) -> Any:
        if number == len(values):
            reached.append(time.perf_counter())
            raise Reached
        return values[number]

    async def run(state: ExecutionState) -> None:
        step = ExecutionEvent(actor=Tool(name="work", handler=work))
        for number in range(len(values) + 1):
            await step(number, None, state)

    def load(state_id: str) -> ExecutionState:
        return ExecutionState.load_from_state_id(state_id, DjangoStateBackend(), DjangoArtifactBackend())

    async def resumed() -> float:
        started = time.perf_counter()
        with suppress(Reached):
            await run(load(state.state_id))
        return reached[-1] - started

    reached: list[float] = []
    state = ExecutionState(DjangoStateBackend(), DjangoArtifactBackend())
    with suppress(Reached):
        asyncio.run(run(state))
    state.save_checkpoint()
    return {"ms": statistics.median(asyncio.run(resumed()) for _ in range(repeats)) * 1000}


def _stored(where: Path | str) -> int:
    from django.db import connection

    if isinstance(where, Path):
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return stored_bytes(where)
