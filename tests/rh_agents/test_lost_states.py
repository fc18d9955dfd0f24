"""Runs whose state somebody else has taken over: they go no further than the step that they are in."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rh_agents import (
    Agent,
    ExecutionEvent,
    ExecutionState,
    Question,
    RetryPolicy,
    StaleWriterError,
    StateStatus,
    Tool,
)
from rh_agents.core.runner import run_pipeline
from tests.rh_agents.runs import Calls, Kept, addresses, run

Step = ExecutionEvent[Any]
Handler = Callable[..., Awaitable[Any]]


def another_saves(kept: Kept) -> Handler:
    async def handler(input_data: Any, context: Any, state: ExecutionState) -> None:
        kept.load(state).save_checkpoint(StateStatus.RUNNING)

    return handler


def told_by_a_thread(kept: Kept) -> Handler:
    async def handler(input_data: Any, context: Any, state: ExecutionState) -> None:
        teller = threading.Thread(target=state.lose, args=("another worker has it",))
        teller.start()
        teller.join()

    return handler


@pytest.fixture(params=[another_saves, told_by_a_thread])
def losing(request: pytest.FixtureRequest, kept: Kept) -> Tool:
    """A step in which the state is lost."""
    return Tool(name="losing", handler=request.param(kept))


def lost_run(kept: Kept, pipeline: Callable[..., Awaitable[Any]], **options: Any) -> ExecutionState:
    """A run of `pipeline` that ends with its state lost."""
    state = kept.new(auto_checkpoint=True, **options)
    state.save_checkpoint(StateStatus.RUNNING)
    with pytest.raises(StaleWriterError):
        run(run_pipeline(pipeline, None, state))
    return state


def test_code_that_swallows_every_error_begins_no_further_step(kept: Kept, calls: Calls, losing: Tool) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> str:
        for actor in (calls.tool("before"), losing, *[calls.tool("after")] * 3):
            try:
                await Step(actor)(1, None, state)
            except Exception:
                calls.append("swallowed")
        return "an output that is none"

    lost_run(kept, pipeline)
    assert calls == ["before", *["swallowed"] * 4]


@pytest.mark.parametrize("way", ["asked", "in a parallel", "gathered", "checked"])
def test_no_way_on_is_left(kept: Kept, calls: Calls, losing: Tool, way: str) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await asyncio.gather(Step(losing)(1, None, state), return_exceptions=True)
        if way == "asked":
            await state.ask(Question(key="go", title="Go on?"))
        if way == "in a parallel":
            await state.parallel(Step(calls.tool("after"))(1, None, state), on_error="collect")
        if way == "gathered":
            await asyncio.gather(Step(calls.tool("after"))(1, None, state), return_exceptions=True)
        if way == "checked":
            state.check_cancelled()
            calls.append("checked")

    state = lost_run(kept, pipeline)
    assert calls == []
    assert kept.load(state).status is StateStatus.RUNNING


@pytest.mark.parametrize("options", [{"retry": RetryPolicy(max_attempts=3, backoff=60)}, {"on_error": "return"}])
def test_a_step_around_it_is_neither_tried_again_nor_a_result(
    kept: Kept, calls: Calls, losing: Tool, options: dict[str, Any]
) -> None:
    async def handler(input_data: Any, context: Any, state: ExecutionState) -> None:
        calls.append("agent")
        await Step(losing)(1, None, state)
        await Step(calls.tool("after"))(1, None, state)

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(Agent(name="agent", handler=handler))(1, None, state)
        calls.append("went on")

    lost_run(kept, pipeline, **options)
    assert calls == ["agent"]


def test_nothing_is_saved_any_more_though_nobody_else_saved(kept: Kept, calls: Calls) -> None:
    state = kept.new()
    state.save_checkpoint()
    state.lose("another worker has it")
    state.lose("a later word")
    state.storage.set("late", 1)
    with pytest.raises(StaleWriterError, match=r"^another worker has it$"):
        state.save_checkpoint()
    assert state.is_lost
    loaded = kept.load(state)
    assert (loaded.head, loaded.storage.get("late"), loaded.is_lost) == (1, None, False)


def test_whoever_loads_the_state_again_goes_on(kept: Kept, calls: Calls, losing: Tool) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(calls.tool("before"))(1, None, state)
        if state.head < 3:
            await Step(losing)(1, None, state)
        await Step(calls.tool("after"))(1, None, state)

    first = lost_run(kept, pipeline)
    second = kept.load(first)
    second.save_checkpoint(StateStatus.RUNNING)
    outcome = run(run_pipeline(pipeline, None, second))
    assert outcome.status is StateStatus.COMPLETED
    assert calls == ["before", "after"]
    assert addresses(second) == ["before::tool_call", "after::tool_call"]
