"""Who does the work of a step: tools, language models and agents."""

import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from inspect import isawaitable
from types import GenericAlias
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar, overload

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter, model_validator

from rh_agents.core.addressing import check_part
from rh_agents.core.errors import PreconditionError
from rh_agents.core.events import ExecutionEvent, ExecutionResult
from rh_agents.core.retry import RetryPolicy
from rh_agents.core.types import EventType

Out = TypeVar("Out")

Handler = Callable[..., Any]
Condition = Callable[..., bool | Awaitable[bool]]


class BaseActor(BaseModel):
    """Something that a step can call.

    The work is the function given as `handler=`, or a method `async def handler(self, input_data, context, state)`
    of a subclass. `input_model`: a dict is validated into it. `output_model`: what the handler must give, `None` for
    any value. A condition is called as `condition(value, context, state)`, before with the input and after with the
    result; one that gives `False` fails the step. `cacheable` and `cache_ttl` are accepted and ignored.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", defer_build=True)

    default_event_type: ClassVar[EventType] = EventType.TOOL_CALL

    name: str = ""
    description: str = ""
    input_model: type[BaseModel] | None = None
    output_model: Any = None
    event_type: EventType | None = None
    preconditions: list[Condition] = Field(default_factory=list)
    postconditions: list[Condition] = Field(default_factory=list)
    retry: RetryPolicy | None = None
    cacheable: bool = False
    cache_ttl: int | None = None

    # Not a field: pydantic would make a method of that name in a subclass the unbound default of the field.
    _handler: Handler | None = PrivateAttr(default=None)

    def __init__(self, *, handler: Handler | None = None, **fields: Any) -> None:
        if handler is not None and "name" not in fields and not type(self).model_fields["name"].default:
            fields["name"] = getattr(handler, "__name__", "")
        super().__init__(**fields)
        if handler is not None and not callable(handler):
            raise TypeError(f"the handler of {self.name!r} must be callable, not {type(handler).__name__}")
        self._handler = handler

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if not self.name:
            self.name = _snake_case(type(self).__name__)
        check_part(self.name)
        if self.event_type is None:
            self.event_type = self.default_event_type
        return self

    async def handler(self, input_data: Any, context: Any, state: Any) -> Any:
        """Do the work. Subclasses override it; otherwise the function given as `handler=` is called."""
        if self._handler is None:
            raise TypeError(f"the actor {self.name!r} has no handler: give handler=, or define one in a subclass")
        result = self._handler(input_data, context, state)
        return await result if isawaitable(result) else result

    async def perform(self, input_data: Any, context: Any, state: Any) -> Any:
        """Check the input, do the work, check the result."""
        if self.input_model is not None and not isinstance(input_data, self.input_model):
            input_data = self.input_model.model_validate(input_data)
        if self.preconditions:
            await self._check(self.preconditions, "precondition", input_data, context, state)
        do = self.handler if self._handler is None else self._handler
        result = do(input_data, context, state)
        if isawaitable(result):
            result = await result
        if self.output_model is not None:
            result = self._checked_output(result)
        if self.postconditions:
            await self._check(self.postconditions, "postcondition", result, context, state)
        return result

    def _checked_output(self, result: Any) -> Any:
        wanted = self.output_model
        if isinstance(wanted, type) and not isinstance(wanted, GenericAlias):
            if isinstance(result, wanted):
                return result
            if not issubclass(wanted, BaseModel):
                raise TypeError(f"{self.name} must give {wanted.__name__}, but gave {type(result).__name__}")
        return TypeAdapter(wanted).validate_python(result)

    async def _check(self, conditions: list[Condition], what: str, value: Any, context: Any, state: Any) -> None:
        for condition in conditions:
            holds = condition(value, context, state)
            if isawaitable(holds):
                holds = await holds
            if not holds:
                raise PreconditionError(f"the {what} {_name_of(condition)!r} of {self.name} does not hold")

    async def __call__(self, input_data: Any = None, context: Any = None, state: Any = None) -> ExecutionResult[Any]:
        """Run this actor as a step: the same as `ExecutionEvent(actor=self)(...)`."""
        return await ExecutionEvent(actor=self)(input_data, context, state)


class Tool(BaseActor):
    """A function with an effect or an answer."""

    if TYPE_CHECKING:  # pydantic's typing would make `__init__` of the fields alone, here and in the next two

        def __init__(self, *, handler: Handler | None = None, **fields: Any) -> None: ...


class LLM(BaseActor):
    """A call of a language model."""

    default_event_type = EventType.LLM_CALL

    if TYPE_CHECKING:

        def __init__(self, *, handler: Handler | None = None, **fields: Any) -> None: ...


class Agent(BaseActor):
    """Something that decides which further steps to run."""

    default_event_type = EventType.AGENT_CALL

    tools: "ToolSet | None" = None
    llm: LLM | None = None

    if TYPE_CHECKING:

        def __init__(self, *, handler: Handler | None = None, **fields: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _a_list_of_tools_is_a_tool_set(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("tools"), list | tuple):
            return {**data, "tools": ToolSet(data["tools"])}
        return data


class ToolSet:
    """Tools by name, in the order they were given."""

    def __init__(self, tools: Iterable[BaseActor] = ()) -> None:
        self._tools: dict[str, BaseActor] = {}
        for tool in tools:
            self.add(tool)

    def add(self, tool: BaseActor) -> None:
        if tool.name in self._tools:
            raise ValueError(f"two tools are named {tool.name!r}")
        self._tools[tool.name] = tool

    def get(self, name: str) -> BaseActor:
        if name not in self._tools:
            raise KeyError(f"no tool is named {name!r}; there are: {', '.join(self._tools) or 'none'}")
        return self._tools[name]

    __getitem__ = get

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    def __iter__(self) -> Iterator[BaseActor]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)


if TYPE_CHECKING:
    # What a type checker takes a decorated function for: its step gives what the function gives.

    class StepOf(BaseActor, Generic[Out]):
        async def __call__(
            self, input_data: Any = None, context: Any = None, state: Any = None
        ) -> ExecutionResult[Out]: ...

    class ToolOf(Tool, StepOf[Out]): ...

    class AgentOf(Agent, StepOf[Out]): ...


@overload
def tool(function: "Callable[..., Coroutine[Any, Any, Out]]", /) -> "ToolOf[Out]": ...
@overload
def tool(function: "Callable[..., Out]", /) -> "ToolOf[Out]": ...
@overload
def tool(**fields: Any) -> "_ToolMaker": ...
def tool(function: Handler | None = None, /, **fields: Any) -> Any:
    """Make a function a `Tool`: `@tool` or `@tool(name=..., output_model=...)`."""
    return _decorate(Tool, function, fields)


@overload
def agent(function: "Callable[..., Coroutine[Any, Any, Out]]", /) -> "AgentOf[Out]": ...
@overload
def agent(function: "Callable[..., Out]", /) -> "AgentOf[Out]": ...
@overload
def agent(**fields: Any) -> "_AgentMaker": ...
def agent(function: Handler | None = None, /, **fields: Any) -> Any:
    """Make a function an `Agent`: `@agent` or `@agent(name=..., tools=[...])`."""
    return _decorate(Agent, function, fields)


class _ToolMaker(Protocol):
    @overload
    def __call__(self, function: "Callable[..., Coroutine[Any, Any, Out]]", /) -> "ToolOf[Out]": ...
    @overload
    def __call__(self, function: "Callable[..., Out]", /) -> "ToolOf[Out]": ...


class _AgentMaker(Protocol):
    @overload
    def __call__(self, function: "Callable[..., Coroutine[Any, Any, Out]]", /) -> "AgentOf[Out]": ...
    @overload
    def __call__(self, function: "Callable[..., Out]", /) -> "AgentOf[Out]": ...


def _decorate(kind: type[BaseActor], function: Handler | None, fields: dict[str, Any]) -> Any:
    def make(handler: Handler) -> BaseActor:
        described = {"description": (handler.__doc__ or "").strip(), **fields}
        return kind(handler=handler, **described)

    return make if function is None else make(function)


def _snake_case(class_name: str) -> str:
    """`ProcessDataActor` is `process_data`."""
    stem = re.sub(r"(?<=.)(Actor|Tool|Agent|LLM)$", "", class_name)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", stem).lower()


def _name_of(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)
