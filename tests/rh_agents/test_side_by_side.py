"""Steps that run at once: branches, siblings of a gather, and the tasks of a run."""

import asyncio
from typing import Any

import pytest

from rh_agents import (
    Agent,
    AmbiguousReplayError,
    Answer,
    ExecutionEvent,
    ExecutionState,
    Question,
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


def test_same_named_siblings_are_told_apart_by_their_inputs_where_they_come_in_another_order(
    kept: Kept, calls: Calls
) -> None:
    order = ["x", "y"]

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        results = await asyncio.gather(*(Step(calls.tool("fetch"))(name, None, state) for name in order))
        return [result.result for result in results]

    _, state = kept.start(pipeline)
    assert kept.resume(pipeline, state)[0].output == ["x", "y"]
    order.reverse()
    assert kept.resume(pipeline, state)[0].output == ["y", "x"]
    assert calls == ["fetch", "fetch"]
    order[:] = ["x", "z"]
    outcome, _ = kept.resume(pipeline, state)
    assert isinstance(outcome.error, AmbiguousReplayError)
    assert "fetch::tool_call" in str(outcome.error)
    assert calls == ["fetch", "fetch"]


def test_the_sibling_that_did_not_finish_is_told_apart_too(kept: Kept, calls: Calls) -> None:
    order = ["x", "y"]

    def work(name: str) -> str:
        if name == "y" and len(calls) == 2:
            raise ConnectionError("down")
        return name

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        steps = [Step(calls.tool("fetch", work)) for _ in order]
        results = await asyncio.gather(
            *(step(name, None, state) for step, name in zip(steps, order, strict=True)), return_exceptions=True
        )
        return [getattr(result, "result", result) for result in results], [step.is_replayed for step in steps]

    _, state = kept.start(pipeline)
    assert [str(record.status) for record in state.history] == ["completed", "failed"]
    order.reverse()
    assert kept.resume(pipeline, state)[0].output == (["y", "x"], [False, True])


def test_siblings_that_did_not_overlap_each_get_their_own_result(kept: Kept, calls: Calls) -> None:
    waits = {"f": 0.01, "g": 0.0}

    async def flow(name: str, state: ExecutionState) -> str:
        if waits[name]:
            await Step(calls.tool("slow"))(None, None, state)
            await asyncio.sleep(waits[name])
        return (await Step(calls.tool("fetch"))(f"for {name}", None, state)).result

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return await asyncio.gather(flow("f", state), flow("g", state))

    outcome, state = kept.start(pipeline)
    assert outcome.output == ["for f", "for g"]
    assert calls.take() == ["slow", "fetch", "fetch"]
    waits.update(f=0.0, g=0.01)
    assert kept.resume(pipeline, state)[0].output == ["for f", "for g"]
    assert "fetch" not in calls


def test_questions_of_one_name_in_tasks_side_by_side_get_their_own_answers(kept: Kept, calls: Calls) -> None:
    async def refund(order: str, state: ExecutionState, *, is_slow: bool) -> str:
        if is_slow:
            await Step(calls.tool("look_up"))(order, None, state)
        answer = await state.ask(Question(key="refund", title=f"Refund {order}?", proposal={"order": order}))
        return f"{order}: {answer.comment}"

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        both = refund("A", state, is_slow=True), refund("B", state, is_slow=False)
        return await asyncio.gather(*both)

    outcome, state = kept.start(pipeline)
    while outcome.status is StateStatus.AWAITING:
        loaded = kept.load(state)
        for address, question in loaded.open_questions.items():
            loaded.answer(address, Answer(kind="approve", comment=f"yes to {question.proposal['order']}"))
        loaded.save_checkpoint(StateStatus.RUNNING)
        outcome, state = kept.resume(pipeline, loaded)
    assert outcome.output == ["A: yes to A", "B: yes to B"]


def test_steps_inside_of_same_named_siblings_that_did_not_finish_stay_with_their_own(kept: Kept, calls: Calls) -> None:
    waits = {"A": 0.0, "B": 0.01}
    is_down = [True]

    async def plan(name: str, context: Any, state: ExecutionState) -> str:
        await asyncio.sleep(waits[name])
        found = (await Step(calls.tool("search"))(f"found for {name}", None, state)).result
        await asyncio.sleep(0.02)
        if is_down[0]:
            raise ConnectionError("down")
        return f"{name} has {found}"

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        planner = Agent(name="planner", handler=plan)
        results = await asyncio.gather(*(Step(planner)(name, None, state) for name in "AB"), return_exceptions=True)
        return [getattr(result, "result", result) for result in results]

    _, state = kept.start(pipeline)
    assert calls.take() == ["search", "search"]
    waits.update(A=0.01, B=0.0)
    is_down[0] = False
    assert kept.resume(pipeline, state)[0].output == ["A has found for A", "B has found for B"]
    assert calls == []


def test_two_parallels_side_by_side_keep_their_own_branches(kept: Kept) -> None:
    waits = {1: 0.0, 2: 0.01}

    async def work(number: int, context: Any, state: Any) -> int:
        return number

    async def flow(number: int, state: ExecutionState) -> Any:
        await asyncio.sleep(waits[number])
        [result] = await state.parallel(Step(Tool(name="work", handler=work))(number, None, state))
        return result.result

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return await asyncio.gather(flow(1, state), flow(2, state))

    assert (first := kept.start(pipeline))[0].output == [1, 2]
    waits.update({1: 0.01, 2: 0.0})
    assert kept.resume(pipeline, first[1])[0].output == [1, 2]


def test_a_loop_may_begin_or_cease_to_make_tasks(kept: Kept, calls: Calls) -> None:
    makes_tasks = [True]

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        results = []
        for name in "abc":
            step = Step(calls.tool("fetch"))(name, None, state)
            results.append((await (asyncio.create_task(step) if makes_tasks[0] else step)).result)
        return results

    _, state = kept.start(pipeline)
    for makes_tasks[0] in (False, True, False):
        assert kept.resume(pipeline, state)[0].output == ["a", "b", "c"]
    assert calls == ["fetch"] * 3


def test_without_a_runner_siblings_that_overlapped_never_get_each_others_results(kept: Kept, calls: Calls) -> None:
    async def both(order: str, state: ExecutionState) -> Any:
        return await asyncio.gather(*(Step(calls.tool("fetch"))(name, None, state) for name in order))

    state = kept.new()
    run(both("xy", state))
    state.save_checkpoint()
    assert [one.result for one in run(both("xy", kept.load(state)))] == ["x", "y"]
    with pytest.raises(AmbiguousReplayError, match="fetch::tool_call"):
        run(both("yx", kept.load(state)))
    assert calls == ["fetch", "fetch"]


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
