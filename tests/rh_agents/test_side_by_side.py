"""Steps that run at once: branches, siblings of a gather, and the tasks of a run."""

import asyncio
from typing import Any

import pytest

from rh_agents import (
    Agent,
    AmbiguousReplayError,
    ExecutionEvent,
    ExecutionState,
    RetryPolicy,
    StateError,
    StateStatus,
    Tool,
)
from rh_agents.core.runner import run_pipeline
from tests.rh_agents.runs import Calls, Kept, run

Step = ExecutionEvent[Any]


def test_parallel_branches_replay_right_under_any_interleaving(kept: Kept, calls: Calls) -> None:
    delays: dict[int, float] = {}

    async def work(number: int, context: Any, state: Any) -> int:
        await asyncio.sleep(delays[number])
        if delays[number] < 0.005:
            calls.append(number)
            return number * 10
        raise ConnectionError("too slow")

    async def branch(state: ExecutionState, number: int) -> Any:
        first = (await Step(Tool(name="work", handler=work))(number, None, state)).result
        return first, (await Step(calls.tool("after"))(number, None, state)).result

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return await state.parallel(*(branch(state, number) for number in range(3)), on_error="collect")

    for slow in range(3):
        delays.update({number: 0.006 if number == slow else 0.001 * number for number in range(3)})
        state = kept.start(pipeline)[1]
        calls.clear()
        delays.update({number: 0.001 * (3 - number) for number in range(3)})
        outcome, _ = kept.resume(pipeline, state)
        assert outcome.output == [(0, 0), (10, 1), (20, 2)]
        assert calls == [slow, "after"]


def test_differently_named_siblings_of_a_bare_gather_replay_right(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        names = reversed("abc") if state.history.completed else "abc"
        results = await asyncio.gather(*(Step(calls.tool(name))(name, None, state) for name in names))
        return sorted(result.result for result in results)

    _, state = kept.start(pipeline)
    assert kept.resume(pipeline, state)[0].output == ["a", "b", "c"]
    assert calls == ["a", "b", "c"]


def test_same_named_siblings_that_overlapped_never_get_each_others_results(kept: Kept, calls: Calls) -> None:
    order = ["x", "y"]

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        results = await asyncio.gather(*(Step(calls.tool("fetch"))(name, None, state) for name in order))
        return [result.result for result in results]

    _, state = kept.start(pipeline)
    assert kept.resume(pipeline, state)[0].output == ["x", "y"]
    order.reverse()
    outcome, _ = kept.resume(pipeline, state)
    assert isinstance(outcome.error, AmbiguousReplayError)
    assert "fetch::tool_call" in str(outcome.error)
    assert calls == ["fetch", "fetch"]


def test_the_sibling_that_began_first_is_told_apart_too_when_the_other_did_not_finish(kept: Kept, calls: Calls) -> None:
    order = ["x", "y"]

    def work(name: str) -> str:
        if name == "y":
            raise ConnectionError("down")
        return name

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        steps = (Step(calls.tool("fetch", work))(name, None, state) for name in order)
        return [repr(result) for result in await asyncio.gather(*steps, return_exceptions=True)]

    _, state = kept.start(pipeline)
    assert [str(record.status) for record in state.history] == ["completed", "failed"]
    order.reverse()
    assert "AmbiguousReplayError" in kept.resume(pipeline, state)[0].output[0]


def test_same_named_siblings_that_overlapped_only_while_one_was_tried_again_are_told_apart_too(kept: Kept) -> None:
    order = ["x", "y"]
    failed: list[str] = []

    async def fetch(name: str, context: Any, state: Any) -> str:
        if name == "x" and not failed:
            failed.append(name)
            raise ConnectionError("down")
        return name

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        tool = Tool(name="fetch", handler=fetch, retry=RetryPolicy(backoff=0.001))
        return [result.result for result in await asyncio.gather(*(Step(tool)(name, None, state) for name in order))]

    _, state = kept.start(pipeline)
    order.reverse()
    assert isinstance(kept.resume(pipeline, state)[0].error, AmbiguousReplayError)


def test_same_named_steps_one_after_another_take_another_input_on_replay(kept: Kept, calls: Calls) -> None:
    inputs = iter("abcd")

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return [(await Step(calls.tool("fetch"))(next(inputs), None, state)).result for _ in range(2)]

    _, state = kept.start(pipeline)
    assert kept.resume(pipeline, state)[0].output == ["a", "b"]


def test_branches_may_be_functions_and_run_so_many_at_once(kept: Kept) -> None:
    running: set[int] = set()
    most = 0

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        async def branch(number: int) -> int:
            nonlocal most
            running.add(number)
            most = max(most, len(running))
            await asyncio.sleep(0.001)
            running.remove(number)
            return number

        branches = [lambda number=number: branch(number) for number in range(6)]
        return await state.parallel(*branches, max_concurrency=2)

    assert kept.start(pipeline)[0].output == [0, 1, 2, 3, 4, 5]
    assert most == 2


def test_the_first_error_of_a_branch_cancels_the_others_and_is_raised(kept: Kept) -> None:
    ended: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def broken() -> None:
        raise ValueError("broken")

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await state.parallel(slow(), broken(), slow(), max_concurrency=2)

    outcome, _ = kept.start(pipeline)
    assert (outcome.status, str(outcome.error)) == (StateStatus.FAILED, "broken")
    assert ended == ["cancelled", "cancelled"]


def test_collected_errors_stand_in_the_place_of_results(kept: Kept) -> None:
    async def good() -> int:
        return 1

    async def broken() -> None:
        raise ValueError("broken")

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        results = await state.parallel(good(), broken(), on_error="collect")
        return [repr(result) for result in results]

    assert kept.start(pipeline)[0].output == ["1", "ValueError('broken')"]


@pytest.mark.parametrize("wrong", [{"max_concurrency": 0}, {"on_error": "ignore"}])
@pytest.mark.filterwarnings("error")
def test_a_wrong_option_of_parallel_is_refused_before_anything_runs(kept: Kept, wrong: Any) -> None:
    async def branch() -> None:
        raise AssertionError("it ran")

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await state.parallel(branch(), **wrong)

    outcome, _ = kept.start(pipeline)
    assert isinstance(outcome.error, ValueError)
    assert next(iter(wrong)) in str(outcome.error)


def test_no_branch_at_all_gives_no_result(kept: Kept) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return await state.parallel()

    assert kept.start(pipeline)[0].output == []


def test_runs_side_by_side_in_one_loop_keep_their_tasks_apart(kept: Kept) -> None:
    left: list[str] = []

    async def stay(name: str) -> None:
        try:
            await asyncio.sleep(10)
        finally:
            left.append(name)

    def pipeline(name: str, seconds: float) -> Any:
        async def function(input_data: Any, state: ExecutionState) -> str:
            task = asyncio.create_task(stay(name))
            await asyncio.sleep(seconds)
            assert not task.done()
            return name

        return function

    async def main() -> list[Any]:
        outside = asyncio.create_task(asyncio.sleep(0.05))
        outcomes = await asyncio.gather(
            *(run_pipeline(pipeline(name, seconds), None, kept.new()) for name, seconds in (("a", 0.01), ("b", 0.02)))
        )
        assert asyncio.get_running_loop().get_task_factory() is None
        assert not outside.done()
        return [outcome.output for outcome in outcomes]

    assert run(main()) == ["a", "b"]
    assert left == ["a", "b"]


def test_a_task_that_outlives_its_step_can_neither_write_nor_run_steps(kept: Kept, calls: Calls) -> None:
    errors: list[str] = []

    async def leave(input_data: Any, context: Any, state: ExecutionState) -> None:
        async def later() -> None:
            await asyncio.sleep(0.001)
            for attempt in (lambda: state.storage.set("x", 1), lambda: run_step(state)):
                try:
                    if outcome := attempt():
                        await outcome
                except StateError as error:
                    errors.append(str(error))

        input_data.append(asyncio.create_task(later()))

    async def run_step(state: ExecutionState) -> None:
        await Step(calls.tool("late"))(1, None, state)

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        tasks: list[Any] = []
        await Step(Agent(name="leave", handler=leave))(tasks, None, state)
        await asyncio.gather(*tasks)
        return state.storage.get("x")

    outcome, _ = kept.start(pipeline)
    assert outcome.output is None
    assert [error.partition(" is over")[0] for error in errors] == ["leave::agent_call"] * 2
    assert calls == []
