"""What the engine itself costs: a step, a skipped step, a checkpoint. The best of several rounds, in microseconds.

python -m benchmarks.engine
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

from rh_agents import ExecutionEvent, ExecutionState, FileSystemStateBackend, Tool
from rh_agents.memory_backends import InMemoryStateBackend

STEPS = 1000
ROUNDS = 15
RESULT = {"id": 17, "words": ["alpha", "beta"] * 40, "nested": {"score": 0.25, "text": "x" * 400}}  # about 1 KB


async def give(input_data: Any, context: Any, state: Any) -> Any:
    return RESULT


async def write(input_data: Any, context: Any, state: Any) -> Any:
    state.storage.set("total", state.storage.get("total", 0) + 1)
    return RESULT


def pipeline(handler: Any) -> Callable[[ExecutionState], Awaitable[None]]:
    tool = Tool(name="give", handler=handler)

    async def run(state: ExecutionState) -> None:
        for number in range(STEPS):
            await ExecutionEvent(actor=tool)(number, None, state)

    return run


async def bare_calls(_: ExecutionState) -> None:
    for number in range(STEPS):
        await give(number, None, None)


async def construct(_: ExecutionState) -> None:
    tool = Tool(name="give", handler=give)
    for _number in range(STEPS):
        ExecutionEvent(actor=tool)


def measure(
    make: Callable[[], ExecutionState], run: Callable[[ExecutionState], Awaitable[None]]
) -> tuple[float, float]:
    """Microseconds a step: of the processor, and on the clock."""

    async def once() -> tuple[float, float]:
        state = make()
        cpu, clock = time.process_time(), time.perf_counter()
        await run(state)
        return (time.process_time() - cpu) / STEPS * 1e6, (time.perf_counter() - clock) / STEPS * 1e6

    rounds = [asyncio.run(once()) for _ in range(ROUNDS)]
    return min(cpu for cpu, _ in rounds), min(clock for _, clock in rounds)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        memory, files = InMemoryStateBackend(), FileSystemStateBackend(folder)
        finished = {}
        for name, handler in (("give", give), ("write", write)):
            state = ExecutionState(memory)
            asyncio.run(pipeline(handler)(state))  # type: ignore[arg-type]
            state.save_checkpoint()
            finished[name] = state.state_id

        def subscribed() -> ExecutionState:
            state = ExecutionState()
            state.event_bus.subscribe(lambda publication: None)
            return state

        async def read_results(state: ExecutionState) -> None:
            tool = Tool(name="give", handler=give)
            for number in range(STEPS):
                _ = (await ExecutionEvent(actor=tool)(number, None, state)).result

        rows: list[tuple[str, Callable[[], ExecutionState], Any]] = [
            ("the handler alone", ExecutionState, bare_calls),
            ("making the event", ExecutionState, construct),
            ("a step, no backend", ExecutionState, pipeline(give)),
            ("a step that writes to storage", ExecutionState, pipeline(write)),
            ("a step with a subscriber", subscribed, pipeline(give)),
            (
                "a step saved in memory",
                lambda: ExecutionState(InMemoryStateBackend(), auto_checkpoint=True),
                pipeline(give),
            ),
            ("a step saved in a file, synced", lambda: ExecutionState(files, auto_checkpoint=True), pipeline(give)),
            ("a skipped step", lambda: ExecutionState.load_from_state_id(finished["give"], memory), pipeline(give)),
            (
                "a skipped step, result read",
                lambda: ExecutionState.load_from_state_id(finished["give"], memory),
                read_results,
            ),
            (
                "a skipped step that wrote",
                lambda: ExecutionState.load_from_state_id(finished["write"], memory),
                pipeline(write),
            ),
        ]
        print(f"best of {ROUNDS} rounds of {STEPS} steps with a result of 1 KB, microseconds a step")
        print("processor     clock")
        for name, make, run in rows:
            cpu, clock = measure(make, run)
            print(f"{cpu:9.1f} {clock:9.1f}  {name}")


if __name__ == "__main__":
    main()
