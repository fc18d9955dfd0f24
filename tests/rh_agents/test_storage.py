"""Storage: values, keys, and what a step's writes are worth before it completes."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from rh_agents import (
    Agent,
    ExecutionEvent,
    ExecutionState,
    RetryPolicy,
    SerializationError,
    Tool,
)
from rh_agents.core.runner import run_pipeline
from tests.rh_agents.runs import Kept, run
from tests.rh_agents.writers import add, fail, put, writer

Step = ExecutionEvent[Any]


def test_a_value_is_written_down_when_it_is_set_and_read_anew_each_time() -> None:
    storage = ExecutionState().storage
    found = {"rows": [1]}
    storage.set("found", found)
    found["rows"].append(2)
    assert storage.get("found") == {"rows": [1]}
    storage.get("found")["rows"].append(3)
    assert storage.get("found") == {"rows": [1]}


def test_values_keep_their_type(kept: Kept) -> None:
    state = kept.new()
    state.storage.set("price", Decimal("1.20"))
    state.storage.set("pair", (1, {2}))
    state.save_checkpoint()
    loaded = kept.load(state).storage
    assert loaded.data == {"price": Decimal("1.20"), "pair": (1, {2})}


def test_keys_come_and_go() -> None:
    storage = ExecutionState().storage
    assert (storage.get("a"), storage.get("a", 5), "a" in storage, storage.delete("a")) == (None, 5, False, False)
    storage.set("a", None)
    storage.set("b", 1)
    assert (storage.get("a", 5), "a" in storage, storage.keys()) == (None, True, ["a", "b"])
    assert storage.delete("a") is True
    assert (storage.data, "a" in storage) == ({"b": 1}, False)


@pytest.mark.parametrize("key", ["", None, 7, "k" * 1001, "a\x00b", "a\ud800"])
def test_a_key_that_no_store_can_hold_is_refused(key: Any) -> None:
    storage = ExecutionState().storage
    for setting in (storage.set, storage.set_artifact):
        with pytest.raises(ValueError, match="key"):
            setting(key, 1)


def test_a_value_that_cannot_be_written_is_refused_by_its_key_and_changes_nothing() -> None:
    storage = ExecutionState().storage
    storage.set("open", 1)
    with pytest.raises(SerializationError, match=r"storage\['open'\].*builtin_function_or_method"):
        storage.set("open", {"f": open})
    assert storage.get("open") == 1


def test_a_step_sees_its_own_writes_and_they_count_when_it_completes(kept: Kept) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return (await Step(writer("add", add(2), add(3)))(1, None, state)).result

    outcome, state = kept.start(pipeline)
    assert (outcome.output, kept.load(state).storage.get("total")) == (5, 5)


def test_what_a_failed_step_wrote_and_deleted_is_undone(kept: Kept) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(writer("good", put(1, "kept"), put(1, "gone?"), lambda s: s.set_artifact("file", "v1")))(
            1, None, state
        )
        bad = [put(2, "kept"), lambda s: s.delete("gone?"), put(3, "new"), lambda s: s.set_artifact("file", "v2"), fail]
        with pytest.raises(ConnectionError):
            await Step(writer("bad", *bad))(1, None, state)
        return state.storage.data, state.storage.get_artifact("file")

    outcome, state = kept.start(pipeline)
    assert outcome.output == ({"kept": 1, "gone?": 1}, "v1")
    loaded = kept.load(state).storage
    assert (loaded.data, loaded.get_artifact("file")) == outcome.output


def test_what_an_unfinished_step_wrote_is_not_there_after_a_crash(kept: Kept) -> None:
    async def crash(input_data: Any, context: Any, state: ExecutionState) -> None:
        state.storage.set("half", "done")
        await Step(writer("inner", put("whole", "inner")))(1, None, state)
        assert state.storage.get("half") == "done"
        raise KeyboardInterrupt

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(Agent(name="crash", handler=crash))(1, None, state)

    state = kept.new(auto_checkpoint=True)
    with pytest.raises(KeyboardInterrupt):
        run(run_pipeline(pipeline, None, state))
    assert kept.load(state).storage.data == {"inner": "whole"}


def test_every_attempt_of_a_retried_step_starts_from_what_stood_before_the_first(kept: Kept) -> None:
    outages = iter([True, True])

    def shaky(storage: Any) -> None:
        if next(outages, False):
            fail(storage)

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        state.storage.set("total", 10)
        return (await Step(writer("add", add(1), shaky, add(1)), retry=RetryPolicy(backoff=0))(1, None, state)).result

    assert kept.start(pipeline)[0].output == 12


def test_a_step_sees_what_its_caller_wrote_and_its_caller_sees_what_it_wrote() -> None:
    async def outer(input_data: Any, context: Any, state: ExecutionState) -> Any:
        state.storage.set("x", 1)
        inner = (await Step(writer("inner", add(1, "x"), lambda s: s.get("x")))(1, None, state)).result
        seen = state.storage.get("x")
        await Step(writer("delete", lambda s: s.delete("x")))(1, None, state)
        return inner, seen, state.storage.get("x"), state.storage.keys()

    state = ExecutionState()
    assert run(Step(Agent(name="outer", handler=outer))(1, None, state)).result == (2, 2, None, [])
    assert state.storage.data == {}


def test_what_was_written_later_counts_whoever_completes_first() -> None:
    async def outer(input_data: Any, context: Any, state: ExecutionState) -> Any:
        state.storage.set("early", "outer")
        await Step(writer("inner", put("inner", "early"), put("inner", "late")))(1, None, state)
        state.storage.set("late", "outer")

    state = ExecutionState()
    run(Step(Agent(name="outer", handler=outer))(1, None, state))
    assert state.storage.data == {"early": "inner", "late": "outer"}


def test_what_a_branch_writes_belongs_to_the_step_it_is_a_part_of(kept: Kept) -> None:
    async def branch(state: ExecutionState, number: int) -> None:
        state.storage.set(f"branch {number}", number)
        await asyncio.sleep(0)

    async def outer(input_data: Any, context: Any, state: ExecutionState) -> Any:
        await state.parallel(branch(state, 0), branch(state, 1))
        if input_data == "fail":
            raise ConnectionError("down")

    async def pipeline(how: Any, state: ExecutionState) -> Any:
        await Step(Agent(name="outer", handler=outer))(how, None, state)

    assert kept.start(pipeline, "fail")[1].storage.data == {}
    _, state = kept.start(pipeline, "well")
    assert kept.load(state).storage.data == {"branch 0": 0, "branch 1": 1}
    (record,) = state.history
    assert sorted(record.storage_writes or {}) == ["branch 0", "branch 1"]


def test_large_values_and_results_become_artifacts_by_themselves(kept: Kept) -> None:
    large = "x" * 2000

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        result = await Step(writer("large", put(large, "large"), lambda s: s.get("large")))(1, None, state)
        return result.result == state.storage.get("large") == large

    outcome, state = kept.start(pipeline, large_value_bytes=1000)
    assert outcome.output is True
    assert len(kept.artifacts.list_artifacts()) == 1
    assert all(len(record.result_text or "") < 1000 for record in state.history)
    assert kept.load(state).storage.get("large") == large
    assert kept.resume(pipeline, state)[0].output is True


def test_what_a_step_wrote_is_seen_beside_it_when_it_completes_and_never_if_it_fails() -> None:
    wrote, read = asyncio.Event(), asyncio.Event()
    seen = []

    async def write(number: int, context: Any, state: ExecutionState) -> None:
        state.storage.set("rate", number)
        state.storage.set_artifact("rates", number)
        seen.append((await ExecutionEvent[Any](actor=Tool(name="inside", handler=look))(None, None, state)).result)
        wrote.set()
        await read.wait()
        raise ConnectionError("down")

    async def look(given: Any, context: Any, state: ExecutionState) -> Any:
        return state.storage.get("rate"), state.storage.get_artifact("rates"), "rates" in state.storage.artifact_keys

    async def beside(given: Any, context: Any, state: ExecutionState) -> Any:
        await wrote.wait()
        found = await look(given, context, state)
        read.set()
        return found

    async def main(state: ExecutionState) -> Any:
        state.storage.set("rate", 1)
        steps = (
            ExecutionEvent[Any](actor=Tool(name=name, handler=handler))(99, None, state)
            for name, handler in (("write", write), ("beside", beside))
        )
        return (await asyncio.gather(*steps, return_exceptions=True))[1].result

    assert run(main(ExecutionState())) == (1, None, False)
    assert seen == [(99, 99, True)]
