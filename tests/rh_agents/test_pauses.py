"""A pause is no error: nothing swallows it, and no step around it counts as done or failed."""

import asyncio
import contextlib
import gc
import logging
from typing import Any

import pytest

from rh_agents import (
    Agent,
    AwaitingDecision,
    ExecutionEvent,
    ExecutionState,
    Question,
    RetryPolicy,
    StateError,
    StateStatus,
    Tool,
)
from tests.rh_agents.refunds import Refund, asks, refund_question
from tests.rh_agents.runs import NO, YES, Calls, Kept, addresses, run

Step = ExecutionEvent[Any]


def test_except_exception_does_not_swallow_a_pause(kept: Kept) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        try:
            return await asks(input_data, state)
        except Exception:
            return "swallowed"

    assert kept.start(pipeline)[0].status is StateStatus.AWAITING


@pytest.mark.parametrize("nested", [False, True])
def test_a_pause_that_gather_turned_into_a_value_is_still_a_pause(kept: Kept, calls: Calls, nested: bool) -> None:
    async def work(input_data: Any, context: Any, state: ExecutionState) -> Any:
        results = await asyncio.gather(
            asks(None, state), Step(calls.tool("beside"))(1, None, state), return_exceptions=True
        )
        return [type(result).__name__ for result in results]

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        if nested:
            return (await Step(Agent(name="agent", handler=work))(1, None, state)).result
        return await work(input_data, None, state)

    outcome, state = kept.start(pipeline)
    assert (outcome.status, outcome.output) == (StateStatus.AWAITING, None)
    assert all(record.actor != "agent" for record in state.history)
    address = "agent::refund::decision" if nested else "refund::decision"
    outcome, _ = kept.resume(pipeline, state, {address: YES})
    assert (outcome.status, outcome.output) == (StateStatus.COMPLETED, ["tuple", "ExecutionResult"])
    assert calls == ["beside"]


@pytest.mark.parametrize("nested", [False, True])
def test_the_error_that_a_swallowed_pause_leads_to_is_still_the_pause(kept: Kept, nested: bool) -> None:
    async def work(input_data: Any, context: Any, state: ExecutionState) -> Any:
        (answer,) = await asyncio.gather(state.ask(refund_question()), return_exceptions=True)
        return answer.proposal.amount  # type: ignore[union-attr]

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        agent = Agent(name="agent", handler=work, retry=RetryPolicy(backoff=0))
        return (await Step(agent)(1, None, state)).result if nested else await work(input_data, None, state)

    outcome, state = kept.start(pipeline)
    assert (outcome.status, outcome.error) == (StateStatus.AWAITING, None)
    assert [str(record.status) for record in state.history] == ["awaiting"]
    address = "agent::refund::decision" if nested else "refund::decision"
    assert kept.resume(pipeline, state, {address: YES})[0].output == 420


def test_a_pause_swallowed_whole_by_a_handler_is_no_result_of_its_step(kept: Kept) -> None:
    async def stubborn(input_data: Any, context: Any, state: ExecutionState) -> Any:
        try:
            return await asks(None, state)
        except BaseException:
            return "I know better"

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return (await Step(Agent(name="agent", handler=stubborn))(1, None, state)).result

    outcome, state = kept.start(pipeline)
    assert (outcome.status, addresses(state)) == (StateStatus.AWAITING, ["agent::refund::decision"])
    outcome, _ = kept.resume(pipeline, state, {"agent::refund::decision": NO})
    assert outcome.output == ("reject", False, Refund(order="A-17", amount=420))


def test_a_pause_two_steps_further_in_swallowed_on_its_way_is_no_result_either(kept: Kept) -> None:
    async def inner(input_data: Any, context: Any, state: ExecutionState) -> Any:
        return await asks(None, state)

    async def stubborn(input_data: Any, context: Any, state: ExecutionState) -> Any:
        try:
            return (await Step(Agent(name="inner", handler=inner))(1, None, state)).result[0]
        except BaseException:
            return "I know better"

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return (await Step(Agent(name="outer", handler=stubborn))(1, None, state)).result

    outcome, state = kept.start(pipeline)
    assert (outcome.status, addresses(state)) == (StateStatus.AWAITING, ["outer::inner::refund::decision"])
    assert kept.resume(pipeline, state, {"outer::inner::refund::decision": YES})[0].output == "approve"


def test_while_a_question_is_open_every_next_step_raises_again(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await asyncio.gather(asks(None, state), return_exceptions=True)
        for boundary in (Step(calls.tool("next"))(1, None, state), state.ask(Question(key="other", title="?"))):
            with pytest.raises(AwaitingDecision, match=r"refund::decision"):
                await boundary
        return "done"

    outcome, state = kept.start(pipeline)
    assert (outcome.status, list(state.open_questions), calls) == (StateStatus.AWAITING, ["refund::decision"], [])


@pytest.mark.filterwarnings("error")
def test_siblings_of_a_bare_gather_are_cancelled_and_awaited_before_the_run_counts_as_paused(
    kept: Kept, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[str] = []

    async def slow(input_data: Any, context: Any, state: ExecutionState) -> None:
        state.storage.set("slow", "half done")
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0.001)
            ended.append("slow")

    async def stopped_later(state: ExecutionState) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await Step(calls.tool("never"))(1, None, state)

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await asyncio.gather(
            Step(Tool(name="slow", handler=slow))(1, None, state), stopped_later(state), asks(1, state)
        )

    with caplog.at_level(logging.WARNING):
        outcome, state = kept.start(pipeline)
        gc.collect()
    assert (outcome.status, ended, calls) == (StateStatus.AWAITING, ["slow"], [])
    # A cancelled step is unfinished, not failed, and what it wrote never was.
    assert addresses(state) == ["refund::decision"]
    assert state.storage.get("slow") is None
    assert caplog.messages == []


def test_a_pause_in_a_task_group_is_a_pause(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(asks(None, state))
            beside = group.create_task(Step(calls.tool("beside"))(1, None, state))
        return asked.result()[0], beside.result().result

    outcome, state = kept.start(pipeline)
    assert (outcome.status, outcome.error) == (StateStatus.AWAITING, None)
    assert kept.resume(pipeline, state, {"refund::decision": YES})[0].output == ("approve", 1)


@pytest.mark.parametrize("in_step", [False, True])
def test_a_pause_and_a_real_error_in_a_task_group_are_a_failure(kept: Kept, in_step: bool) -> None:
    async def broken(input_data: Any, context: Any, state: Any) -> None:
        raise ConnectionError("down")

    async def group(input_data: Any, context: Any, state: ExecutionState) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asks(None, state))
            tasks.create_task(broken(None, None, state))

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await (Step(Agent(name="agent", handler=group))(1, None, state) if in_step else group(1, None, state))

    outcome, state = kept.start(pipeline)
    assert outcome.status is StateStatus.FAILED
    assert isinstance(outcome.error, BaseExceptionGroup)
    assert [str(r.status) for r in state.history] == (["failed", "awaiting"] if in_step else ["awaiting"])


def test_a_step_that_failed_before_the_question_was_asked_and_was_caught_does_not_fail_the_pause(kept: Kept) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        with contextlib.suppress(ZeroDivisionError):
            await Step(Tool(name="broken", handler=lambda *_: 1 / 0))(1, None, state)
        (answer,) = await asyncio.gather(state.ask(refund_question()), return_exceptions=True)
        return answer.proposal.amount  # type: ignore[union-attr]

    assert kept.start(pipeline)[0].status is StateStatus.AWAITING


def test_a_step_that_fails_beside_an_open_question_fails_the_run(kept: Kept) -> None:
    async def broken(input_data: Any, context: Any, state: Any) -> None:
        await asyncio.sleep(0.001)
        raise ConnectionError("down")

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        broken_step = Step(Tool(name="broken", handler=broken))(1, None, state)
        results = await asyncio.gather(broken_step, asks(None, state), return_exceptions=True)
        for result in results:
            if isinstance(result, ConnectionError):
                raise RuntimeError("cannot go on") from result

    outcome, _ = kept.start(pipeline)
    assert (outcome.status, str(outcome.error)) == (StateStatus.FAILED, "cannot go on")


def test_a_pause_is_never_retried_nor_returned_as_a_failure(kept: Kept, calls: Calls) -> None:
    async def handler(input_data: Any, context: Any, state: ExecutionState) -> Any:
        calls.append("agent")
        return await asks(None, state)

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return await Step(Agent(name="agent", handler=handler))(1, None, state)

    outcome, _ = kept.start(pipeline, retry=RetryPolicy(max_attempts=5, backoff=0), on_error="return")
    assert (outcome.status, calls) == (StateStatus.AWAITING, ["agent"])


def test_a_run_that_waits_cannot_be_saved_as_completed(kept: Kept) -> None:
    async def by_hand(state: ExecutionState) -> None:
        question = Question(key="go", title="Go?")
        await asyncio.gather(state.ask(question), return_exceptions=True)
        state.save_checkpoint(StateStatus.COMPLETED)

    state = kept.new()
    with pytest.raises(StateError, match=r"waits for a decision at go::decision"):
        run(by_hand(state))
    snapshot = kept.states.load_state(state.state_id)
    assert snapshot is not None
    assert snapshot.status is StateStatus.AWAITING
