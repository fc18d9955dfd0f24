"""Resuming from an address: what is kept and what runs again."""

import asyncio
from typing import Any

from rh_agents import (
    Agent,
    ExecutionEvent,
    ExecutionState,
    Question,
    StateStatus,
    Tool,
)
from rh_agents.core.runner import run_pipeline
from tests.rh_agents.runs import YES, Calls, Kept, addresses, call_each, pipeline_of, run
from tests.rh_agents.writers import add, writer

Step = ExecutionEvent[Any]


def test_a_resume_from_an_address_skips_what_came_before_and_runs_it_and_the_rest(kept: Kept, calls: Calls) -> None:
    pipeline = pipeline_of(calls, "a", "b", "c", "d")
    _, state = kept.start(pipeline)
    calls.clear()
    outcome, again = kept.resume(pipeline, state, resume_from_address="c::tool_call")
    assert outcome.output == ["a", "b", "c", "d"]
    assert calls.take() == ["c", "d"]
    assert again.resume_from_address is None
    assert [record.generation for record in again.history] == [1, 1, 2, 2]
    assert kept.resume(pipeline, state)[0].output == ["a", "b", "c", "d"]
    assert calls == []


def test_an_address_to_resume_from_is_remembered_until_it_is_reached(kept: Kept, calls: Calls) -> None:
    _, state = kept.start(pipeline_of(calls, "a", "b"))
    loaded = kept.load(state, resume_from_address="b::tool_call")
    run(run_pipeline(pipeline_of(calls, "a"), None, loaded))
    assert loaded.resume_from_address == "b::tool_call"
    run(run_pipeline(pipeline_of(calls, "a", "b"), None, loaded))
    assert loaded.resume_from_address is None


def test_a_resume_from_a_nested_address_runs_its_parents_again_and_keeps_their_earlier_children(
    kept: Kept, calls: Calls
) -> None:
    inner = Agent(name="inner", handler=call_each(calls.tool("x"), calls.tool("y"), calls.tool("z")))
    outer = Agent(name="outer", handler=call_each(calls.tool("p"), inner, calls.tool("q")))

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(calls.tool("first"))(1, None, state)
        await Step(outer)(1, None, state)
        await Step(calls.tool("last"))(1, None, state)

    _, state = kept.start(pipeline)
    calls.clear()
    _, again = kept.resume(pipeline, state, resume_from_address="outer::inner::y::tool_call")
    assert calls.take() == ["y", "z", "q", "last"]
    assert sorted(addresses(again)) == sorted(addresses(state))
    # What ran again is newer than what was kept, also where a parent now stands behind its own children.
    _, third = kept.resume(pipeline, state, resume_from_address="outer::inner::z::tool_call")
    assert calls.take() == ["z", "q", "last"]
    kept.resume(pipeline, third, resume_from_address="outer::agent_call")
    assert calls.take() == ["p", "x", "y", "z", "q", "last"]


def test_a_resume_from_a_tagged_step_keeps_the_untagged_one_of_the_same_name(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(calls.tool("fetch"))(1, None, state)
        await Step(calls.tool("fetch"), tag="again")(1, None, state)

    _, state = kept.start(pipeline)
    calls.clear()
    loaded = kept.load(state, resume_from_address="fetch::again::tool_call")
    assert list(loaded.history.completed) == ["fetch::tool_call"]
    loaded = kept.load(state, resume_from_address="fetch::tool_call")
    assert list(loaded.history.completed) == []


def test_a_resume_from_inside_of_the_second_of_two_namesakes_runs_that_one_again(kept: Kept, calls: Calls) -> None:
    def planner(kind: type) -> Any:
        return kind(name="planner", handler=call_each(calls.tool("work")))

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(planner(Agent))(1, None, state)
        await Step(planner(Tool))(1, None, state)

    _, state = kept.start(pipeline)
    calls.clear()
    _, again = kept.resume(pipeline, state, resume_from_address="planner(tool_call)::work::tool_call")
    assert calls == ["work"]
    assert [record.generation for record in again.history] == [1, 1, 2, 2]


def test_going_back_to_a_decision_asks_again(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        answer = await state.ask(Question(key="go", title="Go?"))
        await Step(calls.tool("a"))(1, None, state)
        return answer.approved

    _, state = kept.start(pipeline)
    _, state = kept.resume(pipeline, state, {"go::decision": YES})
    outcome, state = kept.resume(pipeline, state, resume_from_address="go::decision")
    assert outcome.status is StateStatus.AWAITING
    assert state.history.open["go::decision"].generation == 2
    outcome, _ = kept.resume(pipeline, state, {"go::decision": YES})
    assert (outcome.output, calls) == (True, ["a", "a"])


def test_what_ran_beside_a_step_runs_again_with_it_and_what_had_ended_before_is_kept(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        agent = Agent(name="agent", handler=call_each(calls.tool("early"), writer("count", add(1))))
        await state.parallel(Step(agent)(1, None, state), Step(calls.tool("target"))(1, None, state))
        return state.storage.get("total")

    outcome, state = kept.start(pipeline)
    assert outcome.output == 1
    calls.clear()
    back = kept.load(state, resume_from_address="target[1]::tool_call")
    assert list(back.history.completed) == ["agent[0]::early::tool_call"]
    assert back.storage.get("total") is None
    outcome = run(run_pipeline(pipeline, None, back))
    assert (outcome.output, calls) == (1, ["target"])


def test_a_step_that_was_at_work_when_the_target_started_and_wrote_later_is_taken_back_too(kept: Kept) -> None:
    async def slow(input_data: Any, context: Any, state: ExecutionState) -> None:
        await asyncio.sleep(0.002)
        state.storage.set("total", state.storage.get("total", 0) + 1)

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        steps = (Step(Tool(name="slow", handler=slow)), Step(writer("a", add(1))))
        await asyncio.gather(*(step(1, None, state) for step in steps))
        return state.storage.get("total")

    _, state = kept.start(pipeline)
    outcome, _ = kept.resume(pipeline, state, resume_from_address="a::tool_call")
    assert outcome.output == 2
