"""One attempt of one step: run the handler, write down how it ended."""

import asyncio
import time
import traceback
from typing import TYPE_CHECKING, Any

from rh_agents.core.approvals import AwaitingDecision
from rh_agents.core.errors import RunCancelledError
from rh_agents.core.events import ExecutionEvent, ExecutionResult
from rh_agents.core.frames import Frame, current_frame
from rh_agents.core.parallel import is_pause
from rh_agents.core.serialization import encode, fingerprint
from rh_agents.core.state_recovery import EventRecord
from rh_agents.core.types import ExecutionStatus

if TYPE_CHECKING:
    from rh_agents.core.execution import ExecutionState


class Attempt:
    """What one attempt knows of itself while it runs."""

    __slots__ = (
        "actor",
        "began",
        "fingerprint",
        "frame",
        "is_overlapped",
        "position",
        "siblings",
        "started_at",
        "state",
    )

    def __init__(
        self,
        state: "ExecutionState",
        parent: Frame,
        event: ExecutionEvent[Any],
        path: tuple[str, ...],
        base: str,
        input_data: Any,
    ) -> None:
        self.state = state
        self.actor = event.actor
        self.frame = Frame(state, path, event.address, parent.scope, generation=state.generation_of(event.address))
        self.siblings = parent.active.setdefault(base, [])
        self.is_overlapped = False
        self.fingerprint = fingerprint(input_data)
        self.position = state.tick()
        self.started_at = time.time()
        self.began = time.perf_counter()

    async def run(self, input_data: Any, context: Any) -> ExecutionResult[Any]:
        """The result. A failure is recorded and raised; a pause or a cancellation leaves the step unfinished."""
        state, siblings = self.state, self.siblings
        if siblings:
            # Side by side under one name: their numbers depend on who came first, so replay has to look closer.
            self.is_overlapped = True
            for sibling in siblings:
                sibling.is_overlapped = True
        siblings.append(self)
        if state.event_bus.has_subscribers:
            state.publish(self._record(ExecutionStatus.STARTED))
        token = current_frame.set(self.frame)
        try:
            result = await self.actor.perform(input_data, context, state)
            text = state.storage.spill(encode(result, where=f"the result of {self.frame.address}"))
        except (
            AwaitingDecision,
            asyncio.CancelledError,
            RunCancelledError,
            GeneratorExit,
            KeyboardInterrupt,
            SystemExit,
        ):
            state.storage.undo(self.frame)
            raise
        except BaseException as error:
            state.storage.undo(self.frame)
            if not is_pause(error):
                self._fail(error)
            raise
        finally:
            current_frame.reset(token)
            siblings.remove(self)
        return self._complete(result, text)

    def _complete(self, result: Any, text: str) -> ExecutionResult[Any]:
        state = self.state
        record = self._record(ExecutionStatus.COMPLETED)
        record.result_text = text
        record.storage_writes, record.artifact_writes = state.storage.commit(self.frame)
        state.finish_step(record)
        return ExecutionResult(result, execution_time=record.execution_time)

    def _fail(self, error: BaseException) -> None:
        record = self._record(ExecutionStatus.FAILED)
        record.error_type = type(error).__name__
        record.error_message = _storable(error)
        record.traceback = _storable("".join(traceback.format_exception(error)))
        self.state.finish_step(record)

    def _record(self, status: ExecutionStatus) -> EventRecord:
        address = self.frame.address
        return EventRecord(
            position=self.position,
            address=address,
            event_type=str(self.actor.event_type),
            actor=self.actor.name,
            status=status,
            generation=self.frame.generation,
            attempt=self.state.history.attempts.get(address, 0) + 1,
            started_at=self.started_at,
            execution_time=time.perf_counter() - self.began,
            fingerprint=self.fingerprint,
            overlapped=self.is_overlapped,
        )


def _storable(words: object) -> str:
    """As text that every store can hold."""
    try:
        text = str(words)
    except Exception:
        return f"<{type(words).__name__} that cannot be shown>"
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
