"""Addresses of steps as a run gives them out: the path of calls, the tag, the number, the branch."""

import asyncio
from typing import Any

import pytest

from rh_agents import (
    LLM,
    AddressError,
    AddressNotFoundError,
    Agent,
    EventType,
    ExecutionEvent,
    ExecutionState,
    Question,
    StateError,
    Tool,
)
from tests.rh_agents.runs import YES, Calls, Kept, addresses, run


async def echo(input_data: Any, context: Any, state: Any) -> Any:
    return input_data


def tool(name: str, handler: Any = echo) -> Tool:
    return Tool(name=name, handler=handler)


def agent_of(name: str, *actors: Any) -> Agent:
    """An agent that calls each of `actors` once."""

    async def handler(input_data: Any, context: Any, state: Any) -> Any:
        return [(await ExecutionEvent(actor=actor)(input_data, None, state)).result for actor in actors]

    return Agent(name=name, handler=handler)


def addresses_of(main: Any) -> list[str]:
    state = ExecutionState()
    run(main(state))
    return addresses(state)


def test_a_step_is_named_by_its_actor_and_its_type() -> None:
    async def main(state: ExecutionState) -> None:
        for actor in (tool("process_data"), LLM(name="ask_model", handler=echo), Agent(name="planner", handler=echo)):
            await ExecutionEvent(actor=actor)(1, None, state)

    assert addresses_of(main) == ["process_data::tool_call", "ask_model::llm_call", "planner::agent_call"]


def test_a_step_inside_of_a_step_carries_its_path() -> None:
    async def main(state: ExecutionState) -> None:
        await ExecutionEvent(actor=agent_of("planner", agent_of("searcher", tool("search"))))(1, None, state)

    assert addresses_of(main) == [
        "planner::agent_call",
        "planner::searcher::agent_call",
        "planner::searcher::search::tool_call",
    ]


def test_a_tool_may_call_further_steps_and_is_then_their_parent() -> None:
    async def outer(input_data: Any, context: Any, state: Any) -> Any:
        return await ExecutionEvent(actor=tool("inner"))(1, None, state) and None

    async def main(state: ExecutionState) -> None:
        await ExecutionEvent(actor=tool("outer", outer))(1, None, state)

    assert addresses_of(main) == ["outer::tool_call", "outer::inner::tool_call"]


def test_a_repeated_call_is_numbered_within_its_parent_and_so_are_the_steps_inside_of_it() -> None:
    planner = agent_of("planner", tool("search"), tool("search"))

    async def main(state: ExecutionState) -> None:
        for _ in range(2):
            await ExecutionEvent(actor=planner)(1, None, state)
        await ExecutionEvent(actor=tool("search"))(1, None, state)

    assert addresses_of(main) == [
        "planner::agent_call",
        "planner::search::tool_call",
        "planner::search::tool_call#2",
        "planner::agent_call#2",
        "planner#2::search::tool_call",
        "planner#2::search::tool_call#2",
        "search::tool_call",
    ]


def test_a_tag_is_one_more_part_and_counts_on_its_own() -> None:
    async def main(state: ExecutionState) -> None:
        for tag in ("eu", "us", "eu", ""):
            await ExecutionEvent(actor=tool("fetch"), tag=tag)(1, None, state)

    assert addresses_of(main) == [
        "fetch::eu::tool_call",
        "fetch::us::tool_call",
        "fetch::eu::tool_call#2",
        "fetch::tool_call",
    ]


def test_a_tagged_agent_is_the_parent_of_its_steps_by_name_and_tag() -> None:
    async def main(state: ExecutionState) -> None:
        for _ in range(2):
            await ExecutionEvent(actor=agent_of("planner", tool("search")), tag="eu")(1, None, state)

    assert addresses_of(main)[1::2] == ["planner::eu::search::tool_call", "planner::eu#2::search::tool_call"]


def test_one_event_may_be_called_many_times_and_says_where_it_stood_last() -> None:
    async def main() -> list[str]:
        state, event, seen = ExecutionState(), ExecutionEvent(actor=tool("fetch")), []
        for _ in range(3):
            await event(1, None, state)
            seen.append(event.address)
        return seen

    assert run(main()) == ["fetch::tool_call", "fetch::tool_call#2", "fetch::tool_call#3"]


def test_branches_carry_their_index_whatever_their_order() -> None:
    async def branch(state: ExecutionState, delay: float) -> None:
        await asyncio.sleep(delay)
        await ExecutionEvent(actor=agent_of("planner", tool("search")))(1, None, state)
        await ExecutionEvent(actor=tool("fetch"), tag="eu")(1, None, state)

    async def main(state: ExecutionState) -> None:
        await state.parallel(branch(state, 0.01), branch(state, 0))

    assert sorted(addresses_of(main)) == [
        "fetch[0]::eu::tool_call",
        "fetch[1]::eu::tool_call",
        "planner[0]::agent_call",
        "planner[0]::search::tool_call",
        "planner[1]::agent_call",
        "planner[1]::search::tool_call",
    ]


def test_branches_inside_of_branches_and_one_parallel_after_another_have_addresses_of_their_own() -> None:
    async def leaf(state: ExecutionState) -> None:
        await ExecutionEvent(actor=tool("fetch"))(1, None, state)

    async def twig(state: ExecutionState) -> None:
        await state.parallel(leaf(state), leaf(state))

    async def main(state: ExecutionState) -> None:
        await state.parallel(twig(state), leaf(state))
        await state.parallel(leaf(state), leaf(state))

    assert sorted(addresses_of(main)) == [
        "fetch[0]::tool_call",
        "fetch[0][0]::tool_call",
        "fetch[0][1]::tool_call",
        "fetch[1]::tool_call",
        "fetch[1]::tool_call#2",
    ]


def test_an_agent_and_a_tool_of_one_name_keep_the_steps_inside_of_them_apart() -> None:
    async def nested(input_data: Any, context: Any, state: Any) -> Any:
        return (await ExecutionEvent(actor=tool("work"))(input_data, None, state)).result

    async def main(state: ExecutionState) -> list[Any]:
        return [
            (await ExecutionEvent(actor=actor)(number, None, state)).result
            for number, actor in enumerate((Agent(name="planner", handler=nested), tool("planner", nested)))
        ]

    state = ExecutionState()
    assert run(main(state)) == [0, 1]
    assert addresses(state) == [
        "planner::agent_call",
        "planner::work::tool_call",
        "planner::tool_call",
        "planner(tool_call)::work::tool_call",
    ]


def test_a_question_and_a_tool_of_one_name_do_not_disturb_each_other() -> None:
    kept, calls = Kept(), Calls()

    async def pay(input_data: Any, context: Any, state: Any) -> Any:
        return (await ExecutionEvent(actor=calls.tool("transfer"))(5, None, state)).result

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        await state.ask(Question(key="refund", title="Refund?"))
        return (await ExecutionEvent(actor=tool("refund", pay))(None, None, state)).result

    _, state = kept.start(pipeline)
    outcome, state = kept.resume(pipeline, state, {"refund::decision": YES})
    assert outcome.output == 5
    assert addresses(state) == ["refund::decision", "refund::tool_call", "refund::transfer::tool_call"]

    again = kept.load(state, resume_from_address="refund::transfer::tool_call")
    assert list(again.history.completed) == ["refund::decision"]


def test_a_tag_that_makes_the_address_of_another_step_is_refused_and_never_gives_its_result() -> None:
    async def main(state: ExecutionState) -> None:
        await ExecutionEvent(actor=agent_of("fetch", tool("eu")))("from the agent", None, state)
        await ExecutionEvent(actor=Tool(name="fetch", handler=echo), tag="eu")("from the tag", None, state)

    with pytest.raises(AddressError, match=r"fetch::eu::tool_call.*another tag"):
        run(main(ExecutionState()))


def test_a_tag_that_makes_the_address_of_a_step_of_the_same_name_is_refused_too() -> None:
    async def main(state: ExecutionState) -> None:
        await ExecutionEvent(actor=agent_of("fetch", tool("fetch")))("from the agent", None, state)
        await ExecutionEvent(actor=Tool(name="fetch", handler=echo), tag="fetch")("from the tag", None, state)

    with pytest.raises(AddressError, match=r"fetch::fetch::tool_call.*inside of fetch.*another tag"):
        run(main(ExecutionState()))


@pytest.mark.parametrize("bad", ["a::b", "a#2", "  ", "a\nb", ":a", "a:"])
def test_a_name_a_tag_or_a_key_that_would_blur_addresses_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"name"):
        Tool(name=bad, handler=echo)
    with pytest.raises(AddressError, match=r"tag"):
        ExecutionEvent(actor=tool("fetch"), tag=bad)
    with pytest.raises(ValueError, match=r"key"):
        Question(key=bad, title="?")


def test_an_address_of_a_thousand_characters_is_taken_and_a_longer_one_refused() -> None:
    name = "n" * (1000 - len("::tool_call"))

    async def main(state: ExecutionState, name: str, times: int = 1) -> None:
        for _ in range(times):
            await ExecutionEvent(actor=tool(name))(1, None, state)

    state = ExecutionState()
    run(main(state, name))
    assert [len(address) for address in addresses(state)] == [1000]
    with pytest.raises(AddressError, match=r"at most 1000 characters; this has 1001"):
        run(main(ExecutionState(), name + "n"))
    with pytest.raises(AddressError, match=r"this has 1002"):
        run(main(ExecutionState(), name, times=2))


def test_the_path_of_the_running_step_is_on_the_execution_stack() -> None:
    seen: list[list[str]] = []

    async def look(input_data: Any, context: Any, state: Any) -> None:
        seen.append(state.execution_stack)

    async def main(state: ExecutionState) -> None:
        seen.append(state.execution_stack)
        for _ in range(2):
            await ExecutionEvent(actor=agent_of("planner", tool("look", look)))(1, None, state)
        seen.append(state.execution_stack)

    run(main(ExecutionState()))
    assert seen == [[], ["planner", "look"], ["planner#2", "look"], []]


def test_steps_side_by_side_keep_their_own_paths() -> None:
    async def slow(input_data: Any, context: Any, state: Any) -> Any:
        await asyncio.sleep(0.001 * input_data)
        await ExecutionEvent(actor=tool("inner"))(1, None, state)
        return state.execution_stack

    async def main(state: ExecutionState) -> list[Any]:
        events = [ExecutionEvent(actor=Agent(name=name, handler=slow)) for name in ("a", "b", "c")]
        results = await asyncio.gather(*(event(3 - i, None, state) for i, event in enumerate(events)))
        return [result.result for result in results]

    state = ExecutionState()
    assert run(main(state)) == [["a"], ["b"], ["c"]]
    assert sorted(addresses(state)) == sorted(
        f"{name}{inner}" for name in "abc" for inner in ("::agent_call", "::inner::tool_call")
    )


def test_two_states_in_one_program_do_not_see_each_others_paths() -> None:
    other = ExecutionState()

    async def nested(input_data: Any, context: Any, state: Any) -> None:
        await ExecutionEvent(actor=tool("elsewhere"))(1, None, other)
        await ExecutionEvent(actor=tool("here"))(1, None, state)

    async def main(state: ExecutionState) -> None:
        await ExecutionEvent(actor=Agent(name="planner", handler=nested))(1, None, state)

    assert addresses_of(main) == ["planner::agent_call", "planner::here::tool_call"]
    assert addresses(other) == ["elsewhere::tool_call"]


def test_an_idempotency_key_is_the_states_id_and_the_address() -> None:
    kept, keys = Kept(), []

    async def charge(input_data: Any, context: Any, state: ExecutionState) -> None:
        keys.append(state.idempotency_key.removeprefix(state.state_id))
        if len(keys) == 1:
            raise ConnectionError("down")

    async def pipeline(input_data: Any, state: ExecutionState) -> None:
        await ExecutionEvent(actor=agent_of("shop", tool("charge", charge)))(1, None, state)

    outcome, state = kept.start(pipeline)
    assert str(outcome.error) == "down"
    kept.resume(pipeline, state)
    kept.resume(pipeline, state, resume_from_address="shop::charge::tool_call")
    kept.resume(pipeline, state, resume_from_address="shop::agent_call")
    assert keys == [
        ":shop::charge::tool_call",
        ":shop::charge::tool_call",
        ":shop::charge::tool_call:2",
        ":shop::charge::tool_call:3",
    ]
    with pytest.raises(StateError, match="inside of a handler"):
        _ = state.idempotency_key


def test_an_event_may_say_what_it_gives() -> None:
    event = ExecutionEvent[int](actor=tool("count"), tag="a")
    assert repr(event) == "ExecutionEvent('count', tag='a')"
    assert run(event(3, None, ExecutionState())).result == 3


def test_a_step_without_a_state_says_what_is_missing() -> None:
    with pytest.raises(TypeError, match=r"'count' was called without a state"):
        run(ExecutionEvent(actor=tool("count"))(3, None))


@pytest.mark.parametrize("event_type", list(EventType))
def test_the_type_of_a_step_may_be_given(event_type: EventType) -> None:
    async def main(state: ExecutionState) -> None:
        await ExecutionEvent(actor=Tool(name="step", handler=echo, event_type=event_type))(1, None, state)

    assert addresses_of(main) == [f"step::{event_type.value}"]


def test_an_address_that_nobody_has_is_named_with_the_closest() -> None:
    kept = Kept()

    async def pipeline(input_data: Any, state: ExecutionState) -> None:
        for name in ("load_data", "process_data", "write"):
            await ExecutionEvent(actor=tool(name))(1, None, state)

    _, state = kept.start(pipeline)
    with pytest.raises(AddressNotFoundError, match=r"'proces_data::tool_call'; closest: process_data::tool_call") as e:
        kept.load(state, resume_from_address="proces_data::tool_call")
    assert e.value.address == "proces_data::tool_call"
    assert e.value.closest[0] == "process_data::tool_call"
