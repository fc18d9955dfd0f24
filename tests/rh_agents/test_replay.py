"""What a resumed run skips, and what it runs again."""

import itertools
from typing import Any

import pytest

from rh_agents import (
    Agent,
    ExecutionEvent,
    ExecutionResult,
    ExecutionState,
    SerializationError,
    StateNotFoundError,
    StateStatus,
)
from tests.rh_agents.runs import Calls, Kept, call_each

Step = ExecutionEvent[Any]


@pytest.mark.parametrize("nothing", [None, 0, "", [], {}, False, 0.0, (), set()], ids=repr)
def test_a_completed_step_is_skipped_whatever_its_result_is(kept: Kept, calls: Calls, nothing: Any) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        event = Step(calls.tool("give", lambda _: nothing))
        return (await event(1, None, state)).result, event.is_replayed

    _, state = kept.start(pipeline)
    outcome, _ = kept.resume(pipeline, state)
    assert outcome.output == (nothing, True)
    assert type(outcome.output[0]) is type(nothing)
    assert calls == ["give"]


def test_a_history_replayed_a_hundred_times_is_as_long_as_one_replayed_once(kept: Kept, calls: Calls) -> None:
    planner = Agent(name="planner", handler=call_each(calls.tool("a"), calls.tool("b")))

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(planner)(1, None, state)
        return (await Step(calls.tool("c"))(2, None, state)).result

    _, state = kept.start(pipeline)
    recorded = [(record.position, record.address, record.attempt) for record in state.history]
    for _ in range(100):
        outcome, state = kept.resume(pipeline, state)
        assert outcome.output == 2
    assert calls == ["a", "b", "c"]
    assert [(record.position, record.address, record.attempt) for record in kept.load(state).history] == recorded


def test_loops_and_repeated_calls_get_back_their_own_results_in_order(kept: Kept, calls: Calls) -> None:
    numbers = itertools.count()
    count = calls.tool("count", lambda _: next(numbers))

    async def pipeline(input_data: Any, state: ExecutionState) -> list[Any]:
        return [(await Step(count)("the same input", None, state)).result for _ in range(4)]

    _, state = kept.start(pipeline)
    outcome, _ = kept.resume(pipeline, state)
    assert outcome.output == [0, 1, 2, 3]


def test_an_unfinished_agent_runs_again_and_skips_the_steps_that_it_had_finished(kept: Kept, calls: Calls) -> None:
    fails = iter([True])

    def work(number: int) -> int:
        if next(fails, False):
            raise ConnectionError("down")
        return number

    planner = Agent(name="planner", handler=call_each(calls.tool("a"), calls.tool("b", work)))

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return (await Step(planner)(7, None, state)).result

    outcome, state = kept.start(pipeline)
    assert (outcome.status, calls.take()) == (StateStatus.FAILED, ["a", "b"])
    outcome, state = kept.resume(pipeline, state)
    assert (outcome.output, calls) == ([7, 7], ["b"])


def test_the_result_of_a_step_may_be_the_input_of_the_next(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        first = await Step(calls.tool("first", lambda n: n + 1))(1, None, state)
        return (await Step(calls.tool("second", lambda n: n * 10))(first, None, state)).result

    outcome, state = kept.start(pipeline)
    assert outcome.output == 20
    assert kept.resume(pipeline, state)[0].output == 20


def test_a_recorded_result_is_only_read_when_somebody_asks_for_it() -> None:
    lazy: ExecutionResult[Any] = ExecutionResult.recorded("this is no JSON", 0.5, None)
    assert (lazy.ok, lazy.execution_time, repr(lazy)) == (True, 0.5, "ExecutionResult(<recorded>)")
    with pytest.raises(SerializationError):
        _ = lazy.result


def test_a_state_loaded_twice_in_a_row_without_running_stays_as_it_was(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return (await Step(calls.tool("a"))(1, None, state)).result

    _, state = kept.start(pipeline)
    for _ in range(3):
        loaded = kept.load(state)
        loaded.save_checkpoint(StateStatus.PAUSED)
    assert kept.resume(pipeline, state)[0].output == 1
    assert calls == ["a"]


def test_an_unknown_state_is_not_found(kept: Kept) -> None:
    with pytest.raises(StateNotFoundError, match="no-such-state"):
        kept.load("no-such-state")


def test_a_finished_run_says_which_recorded_steps_its_code_no_longer_reached(kept: Kept, calls: Calls) -> None:
    def pipeline(*steps: str) -> Any:
        async def function(input_data: Any, state: ExecutionState) -> Any:
            for step in steps:
                name, _, tag = step.partition("/")
                actor = Agent(name=name, handler=call_each(calls.tool("in"))) if name == "agent" else calls.tool(name)
                await Step(actor, tag=tag)(1, None, state)

        return function

    _, state = kept.start(pipeline("a", "agent", "b", "agent/old", "c"))
    outcome, changed = kept.resume(pipeline("a", "agent", "c", "d"), state)
    assert outcome.status is StateStatus.COMPLETED
    assert changed.unreached() == ["b::tool_call", "agent::old::agent_call", "agent::old::in::tool_call"]
    assert kept.resume(pipeline("a", "agent", "b", "agent/old", "c", "d"), state)[1].unreached() == []
