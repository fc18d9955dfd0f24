"""langgraph's savers as contenders: its functional API, where each task's result is saved, and a graph's state."""

import statistics
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, TypedDict

from contest import stored_bytes
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from workload import last_to_first_tenth


@contextmanager
def saver(where: Path | str) -> Iterator[Any]:
    if isinstance(where, Path):
        with SqliteSaver.from_conn_string(str(where)) as made:
            made.setup()
            yield made
        return
    with PostgresSaver.from_conn_string(where) as made:
        made.setup()
        yield made


def functional(where: Path | str, values: Sequence[Any]) -> dict[str, float]:
    ends: list[float] = []

    @task
    def work(number: int) -> Any:
        return values[number]

    with saver(where) as checkpointer:

        @entrypoint(checkpointer=checkpointer)
        def run(count: int) -> int:
            for number in range(count):
                work(number).result()
                ends.append(time.perf_counter())
            return count

        return _measured(lambda: run.invoke(len(values), _config(), durability="sync"), where, ends)


def graph(where: Path | str, values: Sequence[Any]) -> dict[str, float]:
    ends: list[float] = []

    class Collected(TypedDict):
        results: Annotated[list[Any], lambda old, new: old + new]

    def work(state: Collected) -> dict[str, Any]:
        ends.append(time.perf_counter())
        return {"results": [values[len(state["results"])]]}

    builder = StateGraph(Collected)
    builder.add_node("work", work)
    builder.add_edge(START, "work")
    builder.add_conditional_edges("work", lambda state: "work" if len(state["results"]) < len(values) else END)
    with saver(where) as checkpointer:
        compiled = builder.compile(checkpointer=checkpointer)
        config = {**_config(), "recursion_limit": len(values) + 10}
        return _measured(lambda: compiled.invoke({"results": []}, config, durability="sync"), where, ends)


def resume_functional(where: Path | str, values: Sequence[Any], repeats: int) -> dict[str, float]:
    """Load a run whose tasks are all done but the last, and replay it until that one runs; the median."""
    reached: list[float] = []

    @task
    def work(number: int) -> Any:
        if number == len(values):
            reached.append(time.perf_counter())
            raise Reached
        return values[number]

    with saver(where) as checkpointer:

        @entrypoint(checkpointer=checkpointer)
        def run(count: int) -> None:
            for number in range(len(values) + 1):
                work(number).result()

        return _resumed(run, len(values), _config(), reached, repeats)


def resume_graph(where: Path | str, values: Sequence[Any], repeats: int) -> dict[str, float]:
    """Load a graph whose state holds `values`, and run its next node: nothing is replayed. The median."""
    reached: list[float] = []

    class Collected(TypedDict):
        results: Annotated[list[Any], lambda old, new: old + new]

    def work(state: Collected) -> dict[str, Any]:
        reached.append(time.perf_counter())
        raise Reached

    builder = StateGraph(Collected)
    builder.add_node("work", work)
    builder.add_edge(START, "work")
    builder.add_edge("work", END)
    with saver(where) as checkpointer:
        compiled = builder.compile(checkpointer=checkpointer)
        return _resumed(compiled, {"results": list(values)}, _config(), reached, repeats)


class Reached(Exception):
    """The first new step runs."""


def _resumed(run: Any, given: Any, config: dict[str, Any], reached: list[float], repeats: int) -> dict[str, float]:
    with suppress(Reached):
        run.invoke(given, config, durability="sync")
    taken: list[float] = []
    for _ in range(repeats):
        started = time.perf_counter()
        with suppress(Reached):
            run.invoke(None, config)
        taken.append(reached[-1] - started)
    return {"ms": statistics.median(taken) * 1000}


def _config() -> dict[str, Any]:
    return {"configurable": {"thread_id": str(uuid.uuid4())}}


def _measured(run: Any, where: Path | str, ends: list[float]) -> dict[str, float]:
    before = stored_bytes(where)
    started = time.perf_counter()
    run()
    ended = time.perf_counter()
    return {
        "ms": (ended - started) * 1000,
        "last / first tenth": last_to_first_tenth(ends, started),
        "MB": (stored_bytes(where) - before) / 1e6,
    }
