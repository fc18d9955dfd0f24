"""A step as the caller writes it, what it gives back, and what others are told of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, cast, overload

from typing_extensions import TypeVar

from rh_agents.core.addressing import check_part
from rh_agents.core.serialization import decode
from rh_agents.core.types import ExecutionStatus

if TYPE_CHECKING:
    from rh_agents.core.actors import BaseActor, StepOf
    from rh_agents.core.execution import ExecutionState
    from rh_agents.core.retry import RetryPolicy

Out = TypeVar("Out", default=Any)
Given = TypeVar("Given")

_UNREAD: Any = object()


class ExecutionResult(Generic[Out]):
    """What a step gave. A skipped step's result is decoded when it is first asked for."""

    __slots__ = ("_load_artifact", "_text", "_value", "error_message", "error_type", "execution_time", "ok")

    def __init__(
        self,
        result: Any = None,
        *,
        ok: bool = True,
        error_message: str = "",
        error_type: str = "",
        execution_time: float = 0.0,
    ) -> None:
        self._value = result
        self._text: str | None = None
        self._load_artifact: Callable[[str], Any] | None = None
        self.ok = ok
        self.error_message = error_message
        self.error_type = error_type
        self.execution_time = execution_time

    @classmethod
    def recorded(
        cls, text: str | None, execution_time: float, load_artifact: Callable[[str], Any] | None
    ) -> "ExecutionResult[Out]":
        """The result of a step that ran before, from its encoded text."""
        made = cls(None if text is None else _UNREAD, execution_time=execution_time)
        made._text = text
        made._load_artifact = load_artifact
        return made

    @property
    def result(self) -> Out:
        """The value.

        Raises:
            SerializationError: a recorded value cannot be read back in this process.
        """
        if self._value is _UNREAD:
            self._value = decode(cast(str, self._text), load_artifact=self._load_artifact)
        return cast(Out, self._value)

    def __repr__(self) -> str:
        shown = "<recorded>" if self._value is _UNREAD else repr(self._value)
        failure = "" if self.ok else f", ok=False, error_message={self.error_message!r}"
        return f"ExecutionResult({shown}{failure})"


class ExecutionEvent(Generic[Out]):
    """One step of a run: `await event(input_data, extra_context, state)`.

    `tag` is one more part of its address, for telling calls of one actor apart. After the call `address` says where
    it stood and `is_replayed` whether it was skipped because it had run before. It may be called many times.
    """

    __slots__ = ("actor", "address", "event_type", "is_replayed", "retry", "stem", "tag")

    @overload
    def __init__(
        self: "ExecutionEvent[Given]", actor: "StepOf[Given]", tag: str = "", retry: "RetryPolicy | None" = None
    ) -> None: ...
    @overload
    def __init__(self, actor: "BaseActor", tag: str = "", retry: "RetryPolicy | None" = None) -> None: ...
    def __init__(self, actor: "BaseActor", tag: str = "", retry: "RetryPolicy | None" = None) -> None:
        self.actor = actor
        self.tag = check_part(tag, "tag") if tag else ""
        self.retry = retry
        self.address = ""
        self.is_replayed = False
        self.event_type = str(actor.event_type)
        self.stem = (actor.name, self.tag) if self.tag else (actor.name,)

    async def __call__(
        self, input_data: Any = None, extra_context: Any = None, state: "ExecutionState | None" = None
    ) -> ExecutionResult[Out]:
        if state is None:
            raise TypeError(
                f"the step {self.actor.name!r} was called without a state: await event(input, context, state)"
            )
        if type(input_data) is ExecutionResult:
            input_data = input_data.result
        return await state.run_step(self, input_data, extra_context)

    def __repr__(self) -> str:
        tag = f", tag={self.tag!r}" if self.tag else ""
        return f"ExecutionEvent({self.actor.name!r}{tag})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What subscribers of the event bus are told of a step, when it starts and when it ends."""

    state_id: str
    address: str
    actor: str
    event_type: str
    execution_status: ExecutionStatus
    is_replayed: bool = False
    execution_time: float = 0.0
    error_message: str = ""
    result_text: str | None = None
    load_artifact: Callable[[str], Any] | None = None

    @property
    def result(self) -> Any:
        return None if self.result_text is None else decode(self.result_text, load_artifact=self.load_artifact)
