"""What subscribers of the event bus are told, and when."""

import asyncio
import logging
from typing import Any

import pytest

from rh_agents import (
    Agent,
    EventBus,
    ExecutionEvent,
    ExecutionState,
    Question,
    ReplayMode,
    StateStatus,
    Tool,
)
from rh_agents.core.runner import run_pipeline
from tests.rh_agents.runs import YES, Calls, Kept, call_each, run

Step = ExecutionEvent[Any]


def _told(state: ExecutionState) -> list[tuple[str, str, bool]]:
    told: list[tuple[str, str, bool]] = []
    state.event_bus.subscribe(lambda p: told.append((p.address, str(p.execution_status), p.is_replayed)))
    return told


def test_subscribers_are_told_of_new_work_only_or_of_every_skipped_step_too(kept: Kept, calls: Calls) -> None:
    planner = Agent(name="planner", handler=call_each(calls.tool("a")))

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(planner)(1, None, state)
        await state.ask(Question(key="go", title="Go?"))
        await Step(calls.tool("b"))(1, None, state)

    state = kept.new()
    told = _told(state)
    run(run_pipeline(pipeline, None, state))
    state.save_checkpoint(StateStatus.AWAITING)
    assert told == [
        ("planner::agent_call", "started", False),
        ("planner::a::tool_call", "started", False),
        ("planner::a::tool_call", "completed", False),
        ("planner::agent_call", "completed", False),
        ("go::decision", "awaiting", False),
    ]

    for mode, skipped in (
        (ReplayMode.NORMAL, []),
        (
            ReplayMode.REPUBLISH_ALL,
            [
                ("planner::a::tool_call", "completed", True),
                ("planner::agent_call", "completed", True),
                ("go::decision", "completed", True),
            ],
        ),
    ):
        loaded = kept.load(state, replay_mode=mode)
        loaded.answer("go::decision", YES)
        told = _told(loaded)
        run(run_pipeline(pipeline, None, loaded))
        assert told == [*skipped, ("b::tool_call", "started", False), ("b::tool_call", "completed", False)]


def test_a_publication_holds_the_result_or_what_went_wrong(kept: Kept, calls: Calls) -> None:
    seen: list[Any] = []

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        state.event_bus.subscribe(lambda p: seen.append((p.result, p.error_message)))
        await Step(calls.tool("good", lambda _: {"n": (1, 2)}))(1, None, state)
        await Step(calls.tool("bad", lambda _: 1 / 0))(1, None, state)

    kept.start(pipeline)
    assert seen == [(None, ""), ({"n": (1, 2)}, ""), (None, ""), (None, "division by zero")]


def test_a_sync_subscriber_is_called_before_the_step_returns_and_an_async_one_before_the_run_ends(kept: Kept) -> None:
    order: list[str] = []

    async def told_later(publication: Any) -> None:
        await asyncio.sleep(0.005)
        order.append(f"async {publication.execution_status}")

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(Tool(name="step", handler=lambda *_: 1))(1, None, state)
        order.append("returned")

    bus = EventBus()
    bus.subscribe(lambda publication: order.append(f"sync {publication.execution_status}"))
    bus.subscribe(told_later)
    kept.start(pipeline, event_bus=bus)
    assert order == ["sync started", "sync completed", "returned", "async started", "async completed"]


def test_a_failing_subscriber_is_logged_and_stops_nothing(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    def broken(publication: Any) -> None:
        raise RuntimeError("the sync one")

    async def broken_later(publication: Any) -> None:
        raise RuntimeError("the async one")

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return (await Step(Tool(name="step", handler=lambda *_: 1))(1, None, state)).result

    bus = EventBus()
    bus.subscribe(broken)
    unsubscribe = bus.subscribe(broken_later)
    with caplog.at_level(logging.ERROR, "rh_agents"):
        outcome, _ = kept.start(pipeline, event_bus=bus)
    assert outcome.output == 1
    assert "step::tool_call" in caplog.text
    assert "the sync one" in caplog.text
    assert "the async one" in caplog.text
    unsubscribe()
    unsubscribe()
    assert bus.has_subscribers
