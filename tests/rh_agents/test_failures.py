"""Steps that fail: what is recorded, raised, returned, tried again."""

from typing import Any

import pytest

from rh_agents import (
    Agent,
    ExecutionEvent,
    ExecutionState,
    RetryPolicy,
    SerializationError,
    StateError,
)
from rh_agents.core.runner import run_pipeline
from tests.rh_agents.runs import Calls, Kept, call_each, run

Step = ExecutionEvent[Any]


def test_a_failed_step_is_recorded_with_its_error_raised_and_run_again(kept: Kept, calls: Calls) -> None:
    outage = iter([True])

    def work(number: int) -> int:
        if next(outage, False):
            raise ConnectionError("no route \x00 to \ud800 host")
        return number

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(calls.tool("a"))(1, None, state)
        return (await Step(calls.tool("b", work))(2, None, state)).result

    outcome, state = kept.start(pipeline)
    assert isinstance(outcome.error, ConnectionError)
    failed = kept.load(state).history.get_event_list()[-1]
    assert (failed.address, failed.execution_status, failed.result) == ("b::tool_call", "failed", None)
    assert (failed.error_type, failed.error_message) == ("ConnectionError", "no route \\x00 to \\ud800 host")
    assert "in work" in failed.traceback

    outcome, state = kept.resume(pipeline, state)
    assert (outcome.output, calls) == (2, ["a", "b", "b"])
    assert [(r.address, str(r.status), r.attempt) for r in state.history] == [
        ("a::tool_call", "completed", 1),
        ("b::tool_call", "failed", 1),
        ("b::tool_call", "completed", 2),
    ]


def test_a_failure_may_be_returned_instead_of_raised(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        result = await Step(calls.tool("a", lambda _: 1 / 0))(1, None, state)
        return result.ok, result.error_type, result.error_message, result.result

    outcome, state = kept.start(pipeline, on_error="return", auto_checkpoint=True)
    assert outcome.output == (False, "ZeroDivisionError", "division by zero", None)
    outcome, _ = kept.resume(pipeline, state, on_error="return")
    assert calls == ["a", "a"]


def test_an_error_that_cannot_be_shown_or_is_very_long_is_recorded_all_the_same(kept: Kept, calls: Calls) -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def silent(_: Any) -> None:
        raise Silent

    def talkative(_: Any) -> None:
        raise ValueError("x" * 10_000_000)

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(calls.tool("silent", silent))(1, None, state)
        await Step(calls.tool("talkative", talkative))(1, None, state)

    _, state = kept.start(pipeline, on_error="return")
    first, second = kept.load(state).history
    assert first.error_message == "<Silent that cannot be shown>"
    assert len(second.error_message) < 30_000
    assert len(second.traceback) < 30_000


def test_a_result_that_cannot_be_written_fails_its_step_by_name_and_loses_nothing_before(
    kept: Kept, calls: Calls
) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(calls.tool("good"))(1, None, state)
        await Step(calls.tool("bad", lambda _: {"found": [open]}))(1, None, state)

    outcome, state = kept.start(pipeline, auto_checkpoint=True, retry=RetryPolicy(backoff=0))
    assert isinstance(outcome.error, SerializationError)
    assert "bad::tool_call" in str(outcome.error)
    assert "builtin_function_or_method" in str(outcome.error)
    assert list(kept.load(state).history.completed) == ["good::tool_call"]
    # Trying again would do the work again and end the same way.
    assert calls == ["good", "bad"]


def test_each_attempt_of_a_retried_step_is_recorded_and_its_finished_steps_are_kept(kept: Kept, calls: Calls) -> None:
    outages = iter([True, True])

    def shaky(_: Any) -> str:
        if next(outages, False):
            raise ConnectionError("down")
        return "done"

    planner = Agent(
        name="planner",
        handler=call_each(calls.tool("sure"), calls.tool("shaky", shaky)),
        retry=RetryPolicy(max_attempts=3, backoff=0, retry_on=(ConnectionError,)),
    )

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return (await Step(planner)(1, None, state)).result

    outcome, state = kept.start(pipeline)
    assert outcome.output == [1, "done"]
    assert calls == ["sure", "shaky", "shaky", "shaky"]
    assert [(r.address, str(r.status), r.attempt) for r in state.history if r.actor != "sure"] == [
        ("planner::agent_call", "failed", 1),
        ("planner::shaky::tool_call", "failed", 1),
        ("planner::agent_call", "failed", 2),
        ("planner::shaky::tool_call", "failed", 2),
        ("planner::agent_call", "completed", 3),
        ("planner::shaky::tool_call", "completed", 3),
    ]


@pytest.mark.parametrize("level", ["event", "actor", "state"])
def test_a_retry_policy_may_stand_at_the_event_the_actor_or_the_state(calls: Calls, level: str) -> None:
    policy = RetryPolicy(max_attempts=2, backoff=0)
    tool = calls.tool("bad", lambda _: 1 / 0, retry=policy if level == "actor" else None)
    state = ExecutionState(retry=policy if level == "state" else None)
    with pytest.raises(ZeroDivisionError):
        run(Step(tool, retry=policy if level == "event" else None)(1, None, state))
    assert calls == ["bad", "bad"]


def test_an_error_that_the_policy_does_not_name_is_not_tried_again(calls: Calls) -> None:
    policy = RetryPolicy(max_attempts=5, backoff=0, retry_on=(ConnectionError,))
    with pytest.raises(ZeroDivisionError):
        run(Step(calls.tool("bad", lambda _: 1 / 0), retry=policy)(1, None, ExecutionState()))
    assert calls == ["bad"]


def test_waiting_doubles_after_each_failure() -> None:
    policy = RetryPolicy(max_attempts=4, backoff=0.5)
    assert [policy.delay_s(tries, ValueError()) for tries in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, None]


def test_waiting_has_an_end_however_often_it_doubles() -> None:
    policy = RetryPolicy(max_attempts=100_000, backoff=1)
    assert [policy.delay_s(tries, ValueError()) for tries in (6, 7, 8, 2000, 99_999)] == [32, 60, 60, 60, 60]
    assert RetryPolicy(backoff=1, max_backoff=5).delay_s(2, ValueError()) == 2
    assert RetryPolicy(max_attempts=9, backoff=1, max_backoff=5).delay_s(8, ValueError()) == 5
    assert RetryPolicy(backoff=90).delay_s(1, ValueError()) == RetryPolicy(backoff=90).delay_s(2, ValueError()) == 90


def test_a_checkpoint_that_cannot_be_saved_does_not_run_its_step_again(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(calls.tool("a"))(1, None, state)
        kept.states.delete_state(state.state_id)
        await Step(calls.tool("b"))(1, None, state)

    state = kept.new(auto_checkpoint=True, retry=RetryPolicy(backoff=0), on_error="return")
    with pytest.raises(StateError):
        run(run_pipeline(pipeline, None, state))
    assert calls == ["a", "b"]
