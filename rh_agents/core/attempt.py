"""One attempt of one step: run the handler, write down how it ended."""

import asyncio
import time
import traceback
from typing import TYPE_CHECKING, Any

from rh_agents.core.addressing import Address
from rh_agents.core.events import ExecutionEvent, ExecutionResult
from rh_agents.core.frames import Frame, current_frame
from rh_agents.core.serialization import encode, fingerprint
from rh_agents.core.state_recovery import EventRecord
from rh_agents.core.stopping import is_stop
from rh_agents.core.types import ExecutionStatus

if TYPE_CHECKING:
    from rh_agents.core.execution import ExecutionState

LONGEST_MESSAGE = 20_000


class Call:
    """One call of a step, all its attempts. `is_overlapped`: a call of the same name ran at the same time."""

    __slots__ = ("fingerprint", "is_overlapped", "siblings")

    def __init__(self, siblings: "list[Call]", input_data: Any) -> None:
        self.fingerprint = fingerprint(input_data)
        self.siblings = siblings
        self.is_overlapped = bool(siblings)
        # Side by side under one name: their numbers depend on who came first, so replay has to look closer.
        for sibling in siblings:
            sibling.is_overlapped = True
        siblings.append(self)

    def end(self) -> None:
        self.siblings.remove(self)


class Attempt:
    """What one attempt knows of itself while it runs."""

    __slots__ = ("actor", "began", "call", "event_type", "frame", "position", "started_at", "state")

    def __init__(
        self, state: "ExecutionState", parent: Frame, event: ExecutionEvent[Any], address: Address, call: Call
    ) -> None:
        self.state = state
        self.actor = event.actor
        self.event_type = event.event_type
        self.call = call
        self.frame = Frame(
            state,
            address.path,
            address.text,
            parent.scope,
            parent,
            state.generation_of(address.text),
            parent.lanes_of(address, call.fingerprint),
        )
        self.position = state.tick()
        self.started_at = time.time()
        self.began = time.perf_counter()

    async def run(self, input_data: Any, context: Any) -> ExecutionResult[Any]:
        """The result. A failure is recorded and raised; a pause or a cancellation leaves the step unfinished."""
        state, frame = self.state, self.frame
        if inside := state.writers_inside(frame):
            frame.is_rerun = True
            state.storage.ahead.begin(inside, state.history.writers[()])
        if state.event_bus.has_subscribers:
            state.publish(self._record(ExecutionStatus.STARTED))
        token = current_frame.set(frame)
        try:
            result = await self.actor.perform(input_data, context, state)
            if frame.is_stopped:
                # A stop was turned into a value inside: what came of that is no result.
                raise state.stopped(frame)
            text = state.storage.spill(encode(result, where=f"the result of {frame.address}"))
        except BaseException as error:
            state.storage.undo(frame, state.history.writers.get((), ()))
            if isinstance(error, asyncio.CancelledError | GeneratorExit | KeyboardInterrupt | SystemExit):
                raise
            if is_stop(error):
                raise
            if frame.is_stopped and not state.is_failure(error):
                raise state.stopped(frame) from error
            self._fail(error)
            raise
        finally:
            current_frame.reset(token)
            frame.is_over = True
        return self._complete(result, text)

    def _complete(self, result: Any, text: str) -> ExecutionResult[Any]:
        state = self.state
        record = self._record(ExecutionStatus.COMPLETED)
        record.result_text = text
        record.storage_writes, record.artifact_writes = state.storage.commit(self.frame)
        state.finish_step(record, self.frame)
        return ExecutionResult(result, execution_time=record.execution_time)

    def _fail(self, error: BaseException) -> None:
        record = self._record(ExecutionStatus.FAILED)
        record.error_type = type(error).__name__
        record.error_message = storable(error)
        record.traceback = storable("".join(traceback.format_exception(error)))
        self.state.note_failure(error)
        self.state.finish_step(record, self.frame)

    def _record(self, status: ExecutionStatus) -> EventRecord:
        address = self.frame.address
        return EventRecord(
            position=self.position,
            address=address,
            event_type=self.event_type,
            actor=self.actor.name,
            status=status,
            generation=self.frame.generation,
            attempt=self.state.history.attempts.get(address, 0) + 1,
            started_at=self.started_at,
            execution_time=time.perf_counter() - self.began,
            fingerprint=self.call.fingerprint,
            overlapped=self.call.is_overlapped,
            lanes=self.frame.lanes,
        )


def storable(words: object) -> str:
    """As text that every store can hold; the middle of a very long one is left out."""
    try:
        text = str(words)
    except Exception:
        return f"<{type(words).__name__} that cannot be shown>"
    if len(text) > LONGEST_MESSAGE:
        half = LONGEST_MESSAGE // 2
        text = f"{text[:half]}\n…\n{text[-half:]}"
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
