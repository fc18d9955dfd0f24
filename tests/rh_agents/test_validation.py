"""Runs that only compare: everything runs afresh, nothing is saved."""

from contextlib import suppress
from typing import Any

from rh_agents import (
    ExecutionEvent,
    ExecutionState,
    Question,
    ReplayMode,
    RetryPolicy,
    StateStatus,
    Tool,
)
from rh_agents.core.runner import run_pipeline
from tests.rh_agents.runs import YES, Calls, Kept, run

Step = ExecutionEvent[Any]


def test_a_validating_run_does_everything_afresh_compares_and_saves_nothing(kept: Kept, calls: Calls) -> None:
    results = iter([1, 2, 1, 3])

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        for name in ("steady", "shaky"):
            event = Step(calls.tool(name, lambda _: next(results)))
            await event(None, None, state)
            assert event.is_replayed is False

    _, state = kept.start(pipeline, auto_checkpoint=True)
    before = kept.states.load_state(state.state_id)
    calls.clear()
    validating = kept.load(state, replay_mode=ReplayMode.VALIDATION, auto_checkpoint=True)
    outcome = run(run_pipeline(pipeline, None, validating))

    assert outcome.status is StateStatus.COMPLETED
    assert calls == ["steady", "shaky"]
    report = validating.validation_report
    assert (report.compared, report.ok) == (2, False)
    (mismatch,) = report.mismatches
    assert (mismatch.address, mismatch.expected, mismatch.actual) == ("shaky::tool_call", 2, 3)
    assert validating.save_checkpoint() is True  # Code that saves by hand can be validated as it is.
    assert kept.states.load_state(state.state_id) == before


def test_a_validating_run_starts_from_the_storage_that_stood_before_the_first_step(kept: Kept) -> None:
    async def add(number: int, context: Any, state: ExecutionState) -> int:
        state.storage.set("total", state.storage.get("total", 0) + number)
        state.storage.set_artifact("last", number)
        return int(state.storage.get("total"))

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        for number in (1, 2):
            await Step(Tool(name="add", handler=add))(number, None, state)

    state = kept.new()
    state.storage.set("total", 100)
    run(run_pipeline(pipeline, None, state))
    state.save_checkpoint()
    validating = kept.load(state, replay_mode=ReplayMode.VALIDATION)
    assert (validating.storage.get("total"), validating.storage.get_artifact("last")) == (100, None)
    run(run_pipeline(pipeline, None, validating))
    assert validating.validation_report.mismatches == []
    assert validating.storage.get("total") == 103


def test_a_validating_run_reports_a_step_that_fails_now_and_ignores_the_order_of_keys(kept: Kept) -> None:
    is_later = False

    async def shaky(input_data: Any, context: Any, state: Any) -> Any:
        if is_later:
            raise ConnectionError("down")
        return 1

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        pairs = {"b": 1, "a": 2} if is_later else {"a": 2, "b": 1}
        await Step(Tool(name="ordered", handler=lambda *_: pairs))(None, None, state)
        await Step(Tool(name="shaky", handler=shaky))(None, None, state)

    _, state = kept.start(pipeline)
    is_later = True
    validating = kept.load(state, replay_mode=ReplayMode.VALIDATION)
    run(run_pipeline(pipeline, None, validating))
    (mismatch,) = validating.validation_report.mismatches
    assert (mismatch.expected, mismatch.actual) == (1, "ConnectionError: down")


def test_a_validating_run_compares_how_steps_end_not_their_attempts(kept: Kept) -> None:
    tries: list[int] = []

    async def flaky(input_data: Any, context: Any, state: Any) -> str:
        tries.append(1)
        if len(tries) % 2:
            raise ConnectionError("down")
        return "there"

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(Tool(name="flaky", handler=flaky, retry=RetryPolicy(backoff=0)))(None, None, state)

    _, state = kept.start(pipeline)
    validating = kept.load(state, replay_mode=ReplayMode.VALIDATION)
    assert run(run_pipeline(pipeline, None, validating)).status is StateStatus.COMPLETED
    assert (validating.validation_report.compared, validating.validation_report.mismatches) == (1, [])


def test_a_validating_run_reports_a_step_that_had_failed_and_now_does_not(kept: Kept) -> None:
    is_down = [True]

    async def shaky(input_data: Any, context: Any, state: Any) -> str:
        if is_down[0]:
            raise ConnectionError("down")
        return "there"

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        with suppress(ConnectionError):
            await Step(Tool(name="shaky", handler=shaky))(None, None, state)

    _, state = kept.start(pipeline)
    validating = kept.load(state, replay_mode=ReplayMode.VALIDATION)
    run(run_pipeline(pipeline, None, validating))
    assert validating.validation_report.mismatches == []
    is_down[0] = False
    validating = kept.load(state, replay_mode=ReplayMode.VALIDATION)
    run(run_pipeline(pipeline, None, validating))
    (mismatch,) = validating.validation_report.mismatches
    assert (mismatch.expected, mismatch.actual) == ("ConnectionError: down", "there")


def test_a_validating_run_takes_the_recorded_answers(kept: Kept, calls: Calls) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        answer = await state.ask(Question(key="go", title="Go?"))
        return (await Step(calls.tool("a"))(answer.approved, None, state)).result

    _, state = kept.start(pipeline)
    _, state = kept.resume(pipeline, state, {"go::decision": YES})
    validating = kept.load(state, replay_mode=ReplayMode.VALIDATION)
    assert run(run_pipeline(pipeline, None, validating)).output is True
    assert calls == ["a", "a"]
    assert validating.validation_report.ok
