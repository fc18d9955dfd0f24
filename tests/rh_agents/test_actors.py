"""Actors: how a handler is given, what is checked before and after it, and what they are called."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from rh_agents import (
    LLM,
    Agent,
    BaseActor,
    EventType,
    ExecutionEvent,
    ExecutionResult,
    ExecutionState,
    PreconditionError,
    Tool,
    ToolSet,
    agent,
    tool,
)
from tests.rh_agents.runs import addresses, run

Step = ExecutionEvent[Any]


class Order(BaseModel):
    number: int
    lines: list[str] = Field(default_factory=list)


def call(actor: BaseActor, input_data: Any = None, context: Any = None) -> Any:
    return run(Step(actor)(input_data, context, ExecutionState())).result


# ---- handlers


def test_a_handler_may_be_given_as_a_function() -> None:
    async def double(input_data: int, context: Any, state: ExecutionState) -> int:
        return input_data * 2

    assert call(Tool(name="double", handler=double), 4) == 8


def test_a_handler_may_be_a_method_of_a_subclass_with_fields_of_its_own() -> None:
    class ProcessDataActor(BaseActor):
        debug_mode: bool = False
        factor: int = Field(default=2, ge=1)

        async def handler(self, input_data: int, context: Any, state: ExecutionState) -> Any:
            return self.name, self.debug_mode, input_data * self.factor

    assert call(ProcessDataActor(debug_mode=True, factor=3), 5) == ("process_data", True, 15)
    assert call(ProcessDataActor(name="other"), 5) == ("other", False, 10)
    with pytest.raises(ValidationError):
        ProcessDataActor(factor=0)


def test_a_subclass_may_build_on_the_handler_of_its_parent() -> None:
    class Doubling(Tool):
        async def handler(self, input_data: int, context: Any, state: ExecutionState) -> int:
            return input_data * 2

    class Loud(Doubling):
        async def handler(self, input_data: int, context: Any, state: ExecutionState) -> Any:
            return f"{await super().handler(input_data, context, state)}!"

    assert call(Loud(), 2) == "4!"
    assert call(Loud(handler=lambda *_: "given instead"), 2) == "given instead"


def test_a_handler_may_be_a_plain_function_a_partial_or_a_callable_object() -> None:
    class Adder:
        def __call__(self, input_data: int, context: Any, state: Any) -> int:
            return input_data + 1

    def add(amount: int, input_data: int, context: Any, state: Any) -> int:
        return input_data + amount

    async def later(amount: int, input_data: int, context: Any, state: Any) -> int:
        await asyncio.sleep(0)
        return input_data + amount

    assert call(Tool(name="a", handler=add.__get__(10)), 1) == 11
    assert call(Tool(name="b", handler=partial(add, 20)), 1) == 21
    assert call(Tool(name="c", handler=partial(later, 30)), 1) == 31
    assert call(Tool(name="d", handler=Adder()), 1) == 2


def test_the_handler_gets_the_input_the_context_and_the_state() -> None:
    state = ExecutionState()
    seen: list[Any] = []
    context = {"user": "ada"}
    run(Step(Tool(name="look", handler=lambda *given: seen.extend(given)))(1, context, state))
    assert seen == [1, context, state]
    assert seen[1] is context


def test_an_actor_without_a_handler_says_so_when_it_is_called() -> None:
    with pytest.raises(TypeError, match=r"'empty' has no handler"):
        call(Tool(name="empty"))
    with pytest.raises(TypeError, match=r"'wrong' must be callable, not str"):
        Tool(name="wrong", handler="not a function")  # type: ignore[arg-type]


# ---- names and types


def test_a_name_is_taken_from_the_handler_or_from_the_class() -> None:
    async def fetch_page(input_data: Any, context: Any, state: Any) -> None: ...

    class HTMLSummaryAgent(Agent):
        async def handler(self, input_data: Any, context: Any, state: Any) -> None: ...

    class Named(Tool):
        name: str = "chosen"

    assert Tool(handler=fetch_page).name == "fetch_page"
    assert HTMLSummaryAgent().name == "html_summary"
    assert Named(handler=fetch_page).name == "chosen"
    assert Tool(name="given", handler=fetch_page).name == "given"


@pytest.mark.parametrize(
    ("kind", "event_type"), [(BaseActor, "tool_call"), (Tool, "tool_call"), (LLM, "llm_call"), (Agent, "agent_call")]
)
def test_each_kind_of_actor_has_its_type_of_step(kind: type[BaseActor], event_type: str) -> None:
    assert kind(name="a").event_type == event_type
    assert kind(name="a", event_type=EventType.DECISION).event_type is EventType.DECISION


def test_caching_is_accepted_and_ignored() -> None:
    calls: list[int] = []
    old = Tool(name="old", handler=lambda n, *_: calls.append(n), cacheable=True, cache_ttl=3600)

    async def main() -> None:
        state = ExecutionState()
        for _ in range(2):
            await Step(old)(1, None, state)

    run(main())
    assert calls == [1, 1]


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="colour"):
        Tool(name="a", colour="red")


# ---- input and output


def test_a_dict_is_validated_into_the_input_model() -> None:
    seen: list[Any] = []
    taker = Tool(name="take", input_model=Order, handler=lambda order, *_: seen.append(order))
    order = Order(number=1)

    async def main() -> None:
        state = ExecutionState()
        for given in ({"number": "7", "lines": ["a"]}, order, ExecutionResult({"number": 8})):
            await Step(taker)(given, None, state)

    run(main())
    assert seen == [Order(number=7, lines=["a"]), order, Order(number=8)]
    assert seen[1] is order


@pytest.mark.parametrize("wrong", [{"number": "many"}, None, 7, []])
def test_an_input_that_does_not_fit_fails_the_step_before_its_handler(wrong: Any) -> None:
    state, called = ExecutionState(), []
    with pytest.raises(ValidationError):
        run(Step(Tool(name="take", input_model=Order, handler=called.append))(wrong, None, state))
    assert called == []
    assert [(r.address, r.error_type) for r in state.history] == [("take::tool_call", "ValidationError")]


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("model", "given", "result"),
    [
        (None, {"any": [1]}, {"any": [1]}),
        (Order, {"number": 3}, Order(number=3)),
        (Order, Order(number=3), Order(number=3)),
        (int, 3, 3),
        (Point, Point(1), Point(1)),
        (list[int], [1, 2], [1, 2]),
        (int | None, None, None),
    ],
    ids=str,
)
def test_a_result_is_of_the_output_model(model: Any, given: Any, result: Any) -> None:
    assert call(Tool(name="give", output_model=model, handler=lambda *_: given)) == result


@pytest.mark.parametrize(
    ("model", "given", "error"),
    [(Order, {"number": "x"}, ValidationError), (int, "3", TypeError), (list[int], ["x"], ValidationError)],
    ids=str,
)
def test_a_result_that_is_not_of_the_output_model_fails_the_step(model: Any, given: Any, error: type) -> None:
    with pytest.raises(error):
        call(Tool(name="give", output_model=model, handler=lambda *_: given))


def test_a_wrong_type_of_result_is_named() -> None:
    with pytest.raises(TypeError, match="give must give int, but gave str"):
        call(Tool(name="give", output_model=int, handler=lambda *_: "3"))


# ---- conditions


async def is_positive(value: Any, context: Any, state: Any) -> bool:
    return bool(value > 0)


def test_conditions_are_checked_before_and_after() -> None:
    called: list[int] = []

    def negate(number: int, context: Any, state: Any) -> int:
        called.append(number)
        return -number

    careful = Tool(name="negate", handler=negate, preconditions=[is_positive], postconditions=[lambda n, *_: n > -5])
    assert call(careful, 3) == -3
    with pytest.raises(PreconditionError, match="precondition 'is_positive' of negate does not hold"):
        call(careful, -3)
    assert called == [3]
    with pytest.raises(PreconditionError, match="postcondition '<lambda>' of negate does not hold"):
        call(careful, 9)


# ---- agents, tool sets and decorators


def test_an_agent_has_tools_by_name() -> None:
    search, fetch = Tool(name="search", handler=lambda q, *_: f"found {q}"), Tool(name="fetch")

    class Researcher(Agent):
        async def handler(self, input_data: Any, context: Any, state: ExecutionState) -> Any:
            assert self.tools is not None
            return (await self.tools["search"](input_data, None, state)).result

    researcher = Researcher(tools=[search, fetch], llm=LLM(name="model"))
    state = ExecutionState()
    assert run(Step(researcher)("bees", None, state)).result == "found bees"
    assert addresses(state) == ["researcher::agent_call", "researcher::search::tool_call"]


def test_a_tool_set_keeps_its_order_and_names_what_is_missing() -> None:
    tools = ToolSet([Tool(name="b"), Tool(name="a")])
    assert [one.name for one in tools] == ["b", "a"]
    assert (len(tools), "a" in tools, "c" in tools) == (2, True, False)
    assert tools.get("a").name == "a"
    with pytest.raises(KeyError, match="no tool is named 'c'; there are: b, a"):
        tools["c"]
    with pytest.raises(ValueError, match="two tools are named 'a'"):
        tools.add(Tool(name="a"))


def test_decorators_make_actors_of_functions() -> None:
    @tool
    async def double(number: int, context: Any, state: Any) -> int:
        """Twice as much."""
        return number * 2

    @agent(name="planner", tools=[double], description="plans")
    async def plan(number: int, context: Any, state: ExecutionState) -> Any:
        return (await double(number, None, state)).result + 1

    assert (type(double), double.name, double.description) == (Tool, "double", "Twice as much.")
    assert (type(plan), plan.name, plan.description) == (Agent, "planner", "plans")
    state = ExecutionState()
    assert run(plan(4, None, state)).result == 9
    assert addresses(state) == ["planner::agent_call", "planner::double::tool_call"]


def test_an_actor_that_is_called_without_a_state_says_so() -> None:
    with pytest.raises(TypeError, match="'a' was called without a state"):
        run(Tool(name="a")(1))
