"""Runs that are cancelled or ended from outside."""

import asyncio
from typing import Any

import pytest

from rh_agents import (
    Agent,
    ExecutionEvent,
    ExecutionState,
    Question,
    RetryPolicy,
    RunAbortedError,
    RunCancelledError,
    StateStatus,
    Tool,
)
from rh_agents.core.runner import run_pipeline
from tests.rh_agents.runs import Calls, Kept, addresses, run

Step = ExecutionEvent[Any]


def test_a_cancelled_run_stops_at_its_next_step_and_resumes_where_it_was(kept: Kept, calls: Calls) -> None:
    async def stop(input_data: Any, context: Any, state: ExecutionState) -> str:
        calls.append("stop")
        if len(calls) == 2:
            state.cancel("the user left")
        return "stopped"

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(calls.tool("a"))(1, None, state)
        await Step(Tool(name="stop", handler=stop))(1, None, state)
        return (await Step(calls.tool("b"))(2, None, state)).result

    outcome, state = kept.start(pipeline, retry=RetryPolicy(backoff=0))
    assert (outcome.status, str(outcome.error)) == (StateStatus.CANCELLED, "the user left")
    assert kept.load(state).status is StateStatus.CANCELLED
    assert kept.resume(pipeline, state)[0].output == 2
    assert calls == ["a", "stop", "b"]


def test_a_cancelled_run_is_saved_as_such_without_a_runner_too(kept: Kept, calls: Calls) -> None:
    finish, go_on = asyncio.Event(), asyncio.Event()

    async def slow(input_data: Any, context: Any, state: ExecutionState) -> str:
        go_on.set()
        await finish.wait()
        return "done all the same"

    async def stop(state: ExecutionState) -> None:
        await go_on.wait()
        state.cancel("the user left")
        try:
            await Step(calls.tool("never"))(1, None, state)
        finally:
            snapshot = kept.states.load_state(state.state_id)
            assert snapshot is not None
            assert snapshot.status is StateStatus.CANCELLED
            finish.set()

    async def both(state: ExecutionState) -> None:
        await asyncio.gather(Step(Tool(name="slow", handler=slow))(1, None, state), stop(state), return_exceptions=True)

    state = kept.new(auto_checkpoint=True)
    run(both(state))
    loaded = kept.load(state)
    assert (loaded.status, addresses(loaded), calls) == (StateStatus.CANCELLED, ["slow::tool_call"], [])


@pytest.mark.parametrize("way", ["swallowed", "gathered", "in a task group", "checked", "in a parallel"])
def test_a_cancellation_is_no_failure_however_it_arrives(kept: Kept, calls: Calls, way: str) -> None:
    async def handler(input_data: Any, context: Any, state: ExecutionState) -> Any:
        state.cancel()
        step = Step(calls.tool("never"))(1, None, state)
        if way == "swallowed":
            try:
                await step
            except Exception:
                return "a fallback that is no result"
        if way == "gathered":
            return await asyncio.gather(step, return_exceptions=True)
        if way == "in a task group":
            async with asyncio.TaskGroup() as group:
                group.create_task(step)
        if way == "checked":
            step.close()
            state.check_cancelled()
        if way == "in a parallel":
            await state.parallel(step)

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(Agent(name="agent", handler=handler, retry=RetryPolicy(backoff=0)))(1, None, state)

    outcome, state = kept.start(pipeline)
    assert outcome.status is StateStatus.CANCELLED
    assert isinstance(outcome.error, RunCancelledError)
    assert (calls, addresses(state)) == ([], [])


def test_what_ends_the_program_ends_the_run_and_leaves_the_step_unfinished(kept: Kept, calls: Calls) -> None:
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(calls.tool("a"))(1, None, state)
        await Step(calls.tool("b", interrupt))(1, None, state)

    state = kept.new(auto_checkpoint=True)
    with pytest.raises(KeyboardInterrupt):
        run(run_pipeline(pipeline, None, state))
    assert addresses(kept.load(state)) == ["a::tool_call"]


def exits(_: Any) -> None:
    raise SystemExit(2)


async def cancels_its_own_task(_: Any, context: Any, state: ExecutionState) -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    await task


@pytest.mark.parametrize("way", ["exit", "exit in a step", "cancel", "cancel in a step"])
def test_code_that_ends_itself_like_a_program_or_a_task_has_failed_its_run(kept: Kept, calls: Calls, way: str) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(calls.tool("a"))(1, None, state)
        match way:
            case "exit":
                exits(1)
            case "exit in a step":
                await Step(calls.tool("b", exits))(1, None, state)
            case "cancel":
                await cancels_its_own_task(1, None, state)
            case "cancel in a step":
                await Step(Tool(name="b", handler=cancels_its_own_task))(1, None, state)

    outcome, state = kept.start(pipeline)
    assert outcome.status is StateStatus.FAILED
    assert isinstance(outcome.error, RunAbortedError)
    expected, words = (SystemExit, "raised SystemExit(2)") if "exit" in way else (asyncio.CancelledError, "cancelled")
    assert isinstance(outcome.error.__cause__, expected)
    assert words in str(outcome.error)
    assert addresses(kept.load(state)) == ["a::tool_call"]


def test_a_run_whose_own_task_is_cancelled_has_no_outcome(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(calls.tool("a"))(1, None, state)
        calls.append("waits")
        await asyncio.Event().wait()

    async def cancelled_from_outside() -> None:
        task = asyncio.ensure_future(run_pipeline(pipeline, None, state))
        while "waits" not in calls:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    state = kept.new(auto_checkpoint=True)
    run(cancelled_from_outside())
    assert kept.load(state).status is StateStatus.RUNNING


def test_a_task_that_was_cancelled_because_somebody_is_asked_leaves_the_run_waiting(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        other = asyncio.create_task(asyncio.sleep(60))
        try:
            await state.ask(Question(key="go", title="Go on?"))
        finally:
            other.cancel()
            await other

    assert kept.start(pipeline)[0].status is StateStatus.AWAITING
