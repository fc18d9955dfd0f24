"""What code sees of the storage when it runs again, and what going back restores."""

import contextlib
from typing import Any

from rh_agents import (
    Agent,
    ExecutionEvent,
    ExecutionState,
    Question,
    RetryPolicy,
    StateStatus,
)
from rh_agents.core.runner import run_pipeline
from tests.rh_agents.runs import YES, Kept, run
from tests.rh_agents.writers import add, fail, put, writer

Step = ExecutionEvent[Any]


def counting(*, ask_after: int, of: int = 4) -> Any:
    """Sets a total, adds to it in steps, asks in between, and reads it everywhere."""

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        state.storage.set("total", 100)
        seen = [state.storage.get("total")]
        for number in range(of):
            if number == ask_after:
                await state.ask(Question(key="go", title="Go on?"))
            await Step(writer("add", add(1)))(1, None, state)
            seen.append(state.storage.get("total"))
        return seen

    return pipeline


def test_setting_a_key_again_does_not_undo_what_skipped_steps_added(kept: Kept) -> None:
    pipeline = counting(ask_after=2)
    _, state = kept.start(pipeline)
    assert kept.load(state).storage.get("total") == 102
    outcome, state = kept.resume(pipeline, state, {"go::decision": YES})
    assert outcome.output == [100, 101, 102, 103, 104]
    assert kept.load(state).storage.get("total") == 104


def test_setting_a_key_again_does_not_undo_them_without_the_runner_either(kept: Kept) -> None:
    async def main() -> Any:
        state = kept.new()
        await counting(ask_after=9)(None, state)
        state.save_checkpoint()
        loaded = kept.load(state)
        await counting(ask_after=9, of=5)(None, loaded)
        return loaded.storage.get("total")

    assert run(main()) == 105


def test_a_loop_over_what_its_steps_wrote_turns_as_often_as_before(kept: Kept) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        results = []
        while state.storage.get("total", 0) < 3:
            results.append((await Step(writer("add", add(1)))(1, None, state)).result)
        answer = await state.ask(Question(key="go", title="Go on?"))
        return results, answer.kind

    _, state = kept.start(pipeline)
    assert kept.resume(pipeline, state, {"go::decision": YES})[0].output == ([1, 2, 3], "approve")


def test_an_agent_that_runs_again_sees_what_stood_there_when_it_was_at_this_point_before(kept: Kept) -> None:
    async def handler(input_data: Any, context: Any, state: ExecutionState) -> Any:
        before = state.storage.get("total")
        state.storage.set("total", 10)
        await Step(writer("add", add(1)))(1, None, state)
        between = state.storage.get("total")
        state.storage.set("total", between * 10)
        await state.ask(Question(key="go", title="Go on?"))
        return before, between, state.storage.get("total")

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(writer("start", put(7)))(1, None, state)
        seen = (await Step(Agent(name="agent", handler=handler))(1, None, state)).result
        return seen, state.storage.get("total")

    _, state = kept.start(pipeline)
    assert kept.load(state).storage.get("total") == 11
    outcome, state = kept.resume(pipeline, state, {"agent::go::decision": YES})
    assert outcome.output == ((7, 11, 110), 110)
    assert kept.load(state).storage.get("total") == 110


def test_branches_that_add_to_one_total_lose_nothing_whichever_is_left(kept: Kept) -> None:
    down: set[int] = set()

    async def branch(state: ExecutionState, number: int) -> None:
        def outage(storage: Any) -> None:
            if number in down:
                fail(storage)

        await Step(writer("add", outage, add(10**number)))(number, None, state)

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        state.storage.set("total", 0)
        await state.parallel(*(branch(state, number) for number in range(4)), on_error="collect")
        return state.storage.get("total")

    for left in range(4):
        down.add(left)
        outcome, state = kept.start(pipeline)
        assert outcome.output == 1111 - 10**left
        down.clear()
        assert kept.resume(pipeline, state)[0].output == 1111


def test_a_key_that_is_set_anew_in_each_turn_of_a_loop_is_seen_as_it_was_in_each(kept: Kept) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        seen = []
        for number in range(3):
            state.storage.set("parts", 100 * number)
            await state.ask(Question(key="go", title=f"Turn {number}?"))
            await Step(writer("add", add(1, "parts")))(1, None, state)
            seen.append(state.storage.get("parts"))
            state.storage.delete("parts")
            seen.append(state.storage.get("parts"))
        return seen

    _, state = kept.start(pipeline)
    for address in ("go::decision", "go::decision#2", "go::decision#3"):
        outcome, state = kept.resume(pipeline, state, {address: YES})
    assert outcome.output == [1, None, 101, None, 201, None]
    assert kept.resume(pipeline, state)[0].output == outcome.output


def test_an_agent_that_is_tried_again_sees_nothing_of_its_failed_attempt(kept: Kept) -> None:
    outages = iter([False, True])

    async def handler(input_data: Any, context: Any, state: ExecutionState) -> Any:
        before = state.storage.get("total")
        state.storage.set("total", 10)
        if next(outages, False):
            raise ConnectionError("down")
        await Step(writer("add", add(1)))(1, None, state)
        await state.ask(Question(key="go", title="Go on?"))
        return before, state.storage.get("total")

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(writer("start", put(7)))(1, None, state)
        return (await Step(Agent(name="agent", handler=handler, retry=RetryPolicy(backoff=0)))(1, None, state)).result

    _, state = kept.start(pipeline)
    assert kept.resume(pipeline, state, {"agent::go::decision": YES})[0].output == (7, 11)


def test_what_a_step_adds_that_had_failed_before_later_ones_is_seen_and_kept(kept: Kept) -> None:
    outages = iter([True])

    def shaky(storage: Any) -> None:
        if next(outages, False):
            fail(storage)

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        state.storage.set("total", 0)
        with contextlib.suppress(ConnectionError):
            await Step(writer("shaky", shaky, add(10)))(1, None, state)
        seen = state.storage.get("total")
        await Step(writer("sure", add(1)))(1, None, state)
        await state.ask(Question(key="go", title="Go on?"))
        return seen, state.storage.get("total")

    _, state = kept.start(pipeline)
    assert kept.resume(pipeline, state, {"go::decision": YES})[0].output == (11, 11)


def test_a_write_outside_of_any_step_runs_again_with_the_code_around_it(kept: Kept) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        state.storage.set("runs", state.storage.get("runs", 0) + 1)
        await state.ask(Question(key="go", title="Go on?"))
        return state.storage.get("runs")

    _, state = kept.start(pipeline)
    assert kept.resume(pipeline, state, {"go::decision": YES})[0].output == 2


def test_what_a_program_sets_on_a_loaded_state_stands(kept: Kept) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(writer("limit", put(50, "limit")))(1, None, state)
        await state.ask(Question(key="go", title="Go on?"))
        return state.storage.get("limit")

    _, state = kept.start(pipeline)
    loaded = kept.load(state)
    loaded.storage.set("limit", 100)
    assert loaded.storage.get("limit") == 100
    loaded.save_checkpoint(StateStatus.AWAITING)
    assert kept.resume(pipeline, state, {"go::decision": YES})[0].output == 100


def test_a_write_beneath_a_step_that_the_code_no_longer_calls_counts_in_the_end(kept: Kept) -> None:
    def pipeline(*names: str) -> Any:
        async def function(input_data: Any, state: ExecutionState) -> Any:
            state.storage.set("x", "from the run")
            for name in names:
                await Step(writer(name, put(f"from {name}", "x")))(1, None, state)

        return function

    _, state = kept.start(pipeline("a", "b"))
    _, state = kept.resume(pipeline(), state)
    assert kept.load(state).storage.get("x") == "from the run"


def test_going_back_restores_what_stood_there_before(kept: Kept) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        for name in "abc":
            actions = [put(name), lambda s, name=name: s.set_artifact("file", name), put(1, f"only {name}")]
            await Step(writer(name, *actions))(1, None, state)
        await Step(writer("d", lambda s: s.delete("only a"), lambda s: s.delete_artifact("file")))(1, None, state)
        await Step(writer("e", put(2, "only a")))(1, None, state)

    _, state = kept.start(pipeline)
    assert kept.load(state).storage.data == {"total": "c", "only a": 2, "only b": 1, "only c": 1}
    for address, storage, file in (
        ("e::tool_call", {"total": "c", "only b": 1, "only c": 1}, None),
        ("d::tool_call", {"total": "c", "only a": 1, "only b": 1, "only c": 1}, "c"),
        ("b::tool_call", {"total": "a", "only a": 1}, "a"),
        ("a::tool_call", {}, None),
    ):
        loaded = kept.load(state, resume_from_address=address)
        assert loaded.storage.data == storage
        assert loaded.storage.get_artifact("file") == file
        loaded.save_checkpoint()
        assert kept.load(state).storage.data == storage
        assert kept.load(state).storage.get_artifact("file") == file


def test_going_back_restores_what_code_outside_of_steps_had_written_and_a_step_then_covered(kept: Kept) -> None:
    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        state.storage.set("total", "first")
        await Step(writer("a", put("a")))(1, None, state)
        state.storage.set("total", "second")
        state.storage.set("other", "kept")
        await Step(writer("b", put("b")))(1, None, state)
        await Step(writer("c", put("c")))(1, None, state)

    _, state = kept.start(pipeline)
    for address, total in (("c::tool_call", "b"), ("b::tool_call", "second"), ("a::tool_call", "first")):
        assert kept.load(state, resume_from_address=address).storage.get("total") == total
    assert kept.load(state, resume_from_address="b::tool_call").storage.get("other") == "kept"
    assert kept.load(state, resume_from_address="a::tool_call").storage.get("other") is None


def test_going_back_inside_of_an_agent_takes_back_what_the_agent_wrote_too(kept: Kept) -> None:
    async def handler(input_data: Any, context: Any, state: ExecutionState) -> Any:
        state.storage.set("plan", "made")
        await Step(writer("a", add(1)))(1, None, state)
        await Step(writer("b", add(10)))(1, None, state)

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await Step(Agent(name="agent", handler=handler))(1, None, state)

    _, state = kept.start(pipeline)
    loaded = kept.load(state, resume_from_address="agent::b::tool_call")
    assert loaded.storage.data == {"total": 1}
    run(run_pipeline(pipeline, None, loaded))
    assert loaded.storage.data == {"total": 11, "plan": "made"}
