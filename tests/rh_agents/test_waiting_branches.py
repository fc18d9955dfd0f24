"""Branches of which several wait: the run pauses once, and each answer takes it as far as it can go."""

import asyncio
from typing import Any

from rh_agents import (
    Agent,
    ExecutionEvent,
    ExecutionState,
    Question,
    StateStatus,
)
from rh_agents.core.runner import run_pipeline
from tests.rh_agents.refunds import asks
from tests.rh_agents.runs import NO, YES, Calls, Kept, run

Step = ExecutionEvent[Any]


def test_every_branch_runs_until_it_is_done_or_waits_and_each_answer_takes_it_as_far_as_it_can_go(
    kept: Kept, calls: Calls
) -> None:
    async def branch(state: ExecutionState, number: int) -> Any:
        await Step(calls.tool(f"prepare {number}"))(number, None, state)
        if number == 1:
            return "needs nobody"
        answer = await state.ask(Question(key="go", title=f"Go {number}?"))
        await Step(calls.tool(f"act {number}"))(number, None, state)
        return answer.kind

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        results = await state.parallel(*(branch(state, number) for number in range(4)))
        await Step(calls.tool("after"))(1, None, state)
        return results

    outcome, state = kept.start(pipeline)
    assert outcome.status is StateStatus.AWAITING
    assert list(kept.load(state).open_questions) == [f"go[{number}]::decision" for number in (0, 2, 3)]
    assert calls.take() == ["prepare 0", "prepare 1", "prepare 2", "prepare 3"]

    outcome, state = kept.resume(pipeline, state, {"go[2]::decision": NO})
    assert (outcome.status, calls.take()) == (StateStatus.AWAITING, ["act 2"])
    outcome, state = kept.resume(pipeline, state, {"go[0]::decision": YES})
    assert (outcome.status, calls.take()) == (StateStatus.AWAITING, ["act 0"])
    outcome, state = kept.resume(pipeline, state, {"go[3]::decision": YES})
    assert outcome.output == ["approve", "needs nobody", "reject", "approve"]
    assert calls == ["act 3", "after"]


def test_the_run_is_saved_as_awaiting_once_with_all_its_questions(kept: Kept, calls: Calls) -> None:
    statuses: list[tuple[str, list[str]]] = []

    async def branch(state: ExecutionState, number: int) -> Any:
        for _ in range(number):
            await Step(calls.tool("work"))(number, None, state)
        await state.ask(Question(key="go", title="?"))

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await state.parallel(branch(state, 0), branch(state, 2))

    state = kept.new(auto_checkpoint=True)
    outcome = run(run_pipeline(pipeline, None, state))
    for number in range(1, state.head + 1):
        saved = kept.states.load_checkpoint(state.state_id, number)
        assert saved is not None
        statuses.append((str(saved.status), [e.address for e in saved.events if e.status == "awaiting"]))
    assert outcome.status is StateStatus.AWAITING
    # A question that nobody can answer yet is not saved before the pause.
    assert statuses == [("running", []), ("running", []), ("awaiting", ["go[0]::decision", "go[1]::decision"])]


def test_an_error_in_one_branch_fails_the_run_though_another_waits(kept: Kept) -> None:
    async def broken() -> None:
        await asyncio.sleep(0.001)
        raise ConnectionError("down")

    async def handler(input_data: Any, context: Any, state: ExecutionState) -> Any:
        return await state.parallel(asks(None, state), broken())

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return await Step(Agent(name="agent", handler=handler))(1, None, state)

    outcome, state = kept.start(pipeline)
    assert (outcome.status, str(outcome.error)) == (StateStatus.FAILED, "down")
    assert next((r.address, str(r.status)) for r in state.history) == ("agent::agent_call", "failed")


def test_a_branch_whose_pause_was_swallowed_waits_like_the_others(kept: Kept) -> None:
    async def swallowing(state: ExecutionState) -> Any:
        (answer,) = await asyncio.gather(asks(None, state), return_exceptions=True)
        return answer

    async def good() -> str:
        return "good"

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return await state.parallel(swallowing(state), good(), on_error="collect")

    outcome, state = kept.start(pipeline)
    assert outcome.status is StateStatus.AWAITING
    outcome, _ = kept.resume(pipeline, state, {"refund[0]::decision": YES})
    assert outcome.output[1] == "good"
