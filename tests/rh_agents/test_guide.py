"""The migration guide: every block of code that it tells people to write runs as written and does what it says."""

import ast
import asyncio
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rh_agents import (
    BaseActor,
    ExecutionEvent,
    ExecutionState,
    FileSystemArtifactBackend,
    FileSystemStateBackend,
    StateMetadata,
    StateStatus,
    Tool,
)

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "state_recovery_guide.md"


def _blocks() -> tuple[dict[str, str], int]:
    """Python blocks by the heading above them, and how many more show the old cache system ("Before")."""
    blocks: dict[str, str] = {}
    old = 0
    heading, is_before, code = "", False, None
    for line in GUIDE.read_text().splitlines():
        if code is not None and line != "```":
            code.append(line)
        elif code is not None:
            if is_before:
                old += 1
            else:
                assert heading not in blocks, f"two blocks under {heading!r}"
                blocks[heading] = "\n".join(code)
            code = None
        elif line == "```python":
            code = []
        elif line.startswith("#"):
            heading = line.lstrip("# ")
            is_before = heading.startswith("Before")
        elif line.startswith(("**Before", "**After")):
            is_before = line.startswith("**Before")
    return blocks, old


BLOCKS, OLD_BLOCKS = _blocks()


def block(heading: str) -> str:
    return BLOCKS[heading]


def execute(code: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run a block as the body of a coroutine; the names it knew and made."""

    async def body() -> None:
        outcome = eval(compile(code, str(GUIDE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        if inspect.isawaitable(outcome):
            await outcome

    asyncio.run(body())
    return names


class Steps:
    """Events whose handlers count their calls: `event("a", work)` gives `work(input)`."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def event(self, name: str, work: Callable[[Any], Any]) -> ExecutionEvent[Any]:
        async def handler(input_data: Any, context: Any, state: Any) -> Any:
            self.called.append(name)
            return work(input_data)

        return ExecutionEvent(actor=Tool(name=name, handler=handler))

    def take(self) -> list[str]:
        called, self.called = self.called, []
        return called


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What the guide's first block leaves behind for the later ones, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return {
        "ExecutionState": ExecutionState,
        "ExecutionEvent": ExecutionEvent,
        "FileSystemStateBackend": FileSystemStateBackend,
        "FileSystemArtifactBackend": FileSystemArtifactBackend,
        "StateStatus": StateStatus,
        "StateMetadata": StateMetadata,
        "Tool": Tool,
        "state_backend": FileSystemStateBackend(".state_store"),
        "artifact_backend": FileSystemArtifactBackend(".state_store/artifacts"),
    }


def test_the_guide_has_the_blocks_that_are_tested_here() -> None:
    assert list(BLOCKS) == [
        "After: State Recovery System",
        "1. Update Imports",
        "2. Replace Backend Initialization",
        "3. Replace Manual Caching with Checkpoints",
        "4. Replace Cache Retrieval with State Restoration",
        "5. Remove Actor Caching Configuration",
        "User-in-the-Loop Workflows",
        "Error Recovery",
        "Selective Replay (Debug Mode)",
        "Q: How do I query saved states?",
        "Q: How do I delete old states?",
    ]
    tests = Path(__file__).read_text()
    assert [heading for heading in BLOCKS if f'block("{heading}")' not in tests] == []
    assert OLD_BLOCKS == 6
    assert GUIDE.read_text().count("```python") == len(BLOCKS) + OLD_BLOCKS


def test_a_restored_state_skips_what_ran_and_runs_what_is_new(names: dict[str, Any], steps: Steps) -> None:
    names = {
        "input_data": 3,
        "event1": steps.event("event1", lambda number: number + 1),
        "event2": steps.event("event2", lambda number: {"doubled": number * 2}),
        "event3": steps.event("event3", lambda found: found["doubled"] - 1),
    }
    execute(block("After: State Recovery System"), names)

    assert steps.called == ["event1", "event2", "event3"]
    assert names["result1_replayed"].result == names["result1"].result == 4
    assert names["result2_replayed"].result == names["result2"].result == {"doubled": 8}
    assert names["result3_new"].result == 7
    assert [names[event].is_replayed for event in ("event1", "event2", "event3")] == [True, True, False]
    saved = names["state_backend"].load_state(names["state"].state_id)
    assert (saved.status, saved.metadata.tags) == (StateStatus.PAUSED, ["checkpoint1"])
    assert [event.address for event in saved.events] == ["event1::tool_call", "event2::tool_call"]
    assert list(Path(".state_store/states").iterdir()) != []


def test_the_new_imports_are_there() -> None:
    names = execute(block("1. Update Imports"), {})
    assert names["FileSystemStateBackend"] is FileSystemStateBackend
    assert names["ReplayMode"].VALIDATION == "validation"


def test_a_state_takes_the_two_backends(names: dict[str, Any]) -> None:
    execute(block("2. Replace Backend Initialization"), names)
    assert names["state"].state_backend is names["state_backend"]
    assert names["state"].artifact_backend is names["artifact_backend"]


def test_a_checkpoint_after_a_step_is_restored_and_the_step_is_skipped(names: dict[str, Any], steps: Steps) -> None:
    execute(block("2. Replace Backend Initialization"), names)
    names.update(input_data=20, event=steps.event("event", lambda number: number + 1))
    execute(block("3. Replace Manual Caching with Checkpoints"), names)
    assert names["state_backend"].load_state(names["state"].state_id).metadata.tags == ["after-event1"]
    assert names["event"].is_replayed is False

    execute(block("4. Replace Cache Retrieval with State Restoration"), names)
    assert names["result_replayed"].result == names["result"].result == 21
    assert names["event"].is_replayed is True
    assert steps.called == ["event"]


def test_an_actor_needs_no_caching_configuration_and_ignores_it(names: dict[str, Any]) -> None:
    async def handler_func(input_data: Any, context: Any, state: Any) -> str:
        return f"did {input_data}"

    names["handler_func"] = handler_func
    execute(block("5. Remove Actor Caching Configuration"), names)
    old = Tool(name="my_tool", handler=handler_func, cacheable=True, cache_ttl=3600)

    async def both() -> list[str]:
        return [
            (await ExecutionEvent(actor=actor)("it", None, ExecutionState())).result for actor in (names["actor"], old)
        ]

    assert asyncio.run(both()) == ["did it", "did it"]


def test_a_run_waits_for_the_user_and_goes_on_with_the_decision(names: dict[str, Any], steps: Steps) -> None:
    names.update(
        user_input={"amount": 12},
        user_decision="approve",
        validate_data_event=steps.event("validate", lambda data: data["amount"]),
        analyze_data_event=steps.event("analyze", lambda amount: amount > 10),
        process_decision_event=steps.event("process", lambda decision: f"processed {decision}"),
    )
    execute(block("User-in-the-Loop Workflows"), names)

    assert steps.called == ["validate", "analyze", "process"]
    assert names["result3"].result == "processed approve"
    (waiting,) = names["state_backend"].list_states(tags=["awaiting-user-approval"], status=StateStatus.AWAITING)
    assert waiting.state_id == names["state"].state_id == names["restored_state"].state_id
    assert waiting.metadata.custom_data == {"user_id": "123"}


def test_a_failed_run_is_retried_from_its_checkpoint(names: dict[str, Any], steps: Steps) -> None:
    outages = iter([True])

    def third(number: int) -> int:
        if next(outages, False):
            raise ConnectionError("the service is down")
        return number * 10

    names.update(
        state=ExecutionState(names["state_backend"], names["artifact_backend"]),
        data=1,
        event1=steps.event("event1", lambda number: number + 1),
        event2=steps.event("event2", lambda number: number + 1),
        event3=steps.event("event3", third),
    )
    execute(block("Error Recovery"), names)

    assert steps.called == ["event1", "event2", "event3", "event3"]
    assert names["result3"].result == 30
    (failed,) = names["state_backend"].list_states(tags=["failed-at-event3"], status=StateStatus.FAILED)
    record = failed.events[-1]
    assert (record.address, record.execution_status) == ("event3::tool_call", "failed")
    assert (record.error_type, record.error_message) == ("ConnectionError", "the service is down")
    assert "in third" in record.traceback


def test_a_step_is_run_again_with_other_parameters(names: dict[str, Any], steps: Steps) -> None:
    class ProcessDataActor(BaseActor):
        debug_mode: bool = False

        async def handler(self, input_data: Any, context: Any, state: Any) -> dict[str, Any]:
            steps.called.append("process_data")
            state.storage.set("processed_by", "debug" if self.debug_mode else "normal")
            return {"value": input_data, "debug": self.debug_mode}

    names.update(
        data=1,
        event1=steps.event("event1", lambda number: number + 1),
        event2=steps.event("event2", lambda number: number + 1),
        event4=steps.event("event4", lambda found: found["debug"]),
        ProcessDataActor=ProcessDataActor,
    )

    async def report() -> str:
        state = ExecutionState(names["state_backend"], names["artifact_backend"])
        names["result1"] = await names["event1"](1, None, state)
        names["result2"] = await names["event2"](names["result1"], None, state)
        processed = await ExecutionEvent(actor=ProcessDataActor())(names["result2"], None, state)
        assert (await names["event4"](processed, None, state)).result is False
        state.save_checkpoint()
        return state.state_id

    names["reported_state_id"] = asyncio.run(report())
    steps.take()
    execute(block("Selective Replay (Debug Mode)"), names)

    assert steps.called == ["process_data", "event4"]
    assert names["result3_debug"].result == {"value": 3, "debug": True}
    restored = names["restored_state"]
    assert restored.resume_from_address is None
    assert restored.history.completed["event4::tool_call"].result is True
    assert restored.storage.get("processed_by") == "debug"
    assert restored.history.completed["process_data::tool_call"].generation == 2


def test_saved_states_are_listed_by_tag_and_status(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    for tags, status in (
        (["production", "eu"], StateStatus.PAUSED),
        (["production"], StateStatus.FAILED),
        ([], "paused"),
    ):
        state = ExecutionState(names["state_backend"])
        state.save_checkpoint(StateStatus(status), StateMetadata(tags=tags, description=f"the run of {tags}"))
        if len(tags) == 2:
            names["wanted"] = state.state_id
    execute(block("Q: How do I query saved states?"), names)
    assert [snapshot.state_id for snapshot in names["states"]] == [names["wanted"]]
    assert capsys.readouterr().out == f"State {names['wanted']}: the run of ['production', 'eu']\n"


def test_an_old_state_is_deleted(names: dict[str, Any]) -> None:
    kept, deleted = ExecutionState(names["state_backend"]), ExecutionState(names["state_backend"])
    kept.save_checkpoint()
    deleted.save_checkpoint()
    names["state_id"] = deleted.state_id
    execute(block("Q: How do I delete old states?"), names)
    assert [snapshot.state_id for snapshot in names["backend"].list_states()] == [kept.state_id]
    assert names["backend"].load_state(deleted.state_id) is None


# ---- what the guide says in words


def test_a_cache_backend_is_refused_by_name_together_with_what_replaces_it() -> None:
    with pytest.raises(TypeError, match=r"cache_backend.*state_backend"):
        ExecutionState(cache_backend=object())


@pytest.mark.parametrize("module", ["rh_agents.core.cache", "rh_agents.cache_backends"])
def test_the_retired_modules_can_still_be_imported_and_warn(module: str) -> None:
    with pytest.warns(DeprecationWarning, match="rh_agents"):
        importlib.reload(importlib.import_module(module))


def test_old_cached_results_are_left_alone(names: dict[str, Any], steps: Steps) -> None:
    old = Path(".cache/result.json")
    old.parent.mkdir()
    old.write_text('"from the cache"')

    async def main() -> Any:
        state = ExecutionState(names["state_backend"], names["artifact_backend"])
        result = await steps.event("event", lambda _: "computed")(None, None, state)
        state.save_checkpoint()
        return result.result

    assert asyncio.run(main()) == "computed"
    assert old.read_text() == '"from the cache"'
    assert len(list(Path(".state_store/states").iterdir())) == 1


def test_replay_matches_by_address_and_never_by_input(names: dict[str, Any], steps: Steps) -> None:
    event = steps.event("event", lambda number: number * 2)

    async def main() -> tuple[Any, Any]:
        state = ExecutionState(names["state_backend"])
        first = await event(1, None, state)
        state.save_checkpoint()
        restored = ExecutionState.load_from_state_id(state.state_id, names["state_backend"])
        return first.result, (await event(100, None, restored)).result

    assert asyncio.run(main()) == (2, 2)
    assert steps.called == ["event"]
