"""Why a run stops at a step boundary: a person is asked, or it was cancelled. Neither is a failure."""

import asyncio
import time
from collections import deque
from datetime import UTC, datetime

from rh_agents.core.approvals import Answer, AwaitingDecision, Question, complete_answer
from rh_agents.core.errors import AddressError, AddressNotFoundError, RejectedError, RunCancelledError, StateError
from rh_agents.core.events import Publication
from rh_agents.core.frames import Frame, PauseScope
from rh_agents.core.saving import SavedState
from rh_agents.core.serialization import decode, encode, fingerprint
from rh_agents.core.state_recovery import EventRecord, ReplayMode, StateMetadata, StateStatus
from rh_agents.core.types import EventType, ExecutionStatus


class StoppingState(SavedState):
    """The part of `ExecutionState` that asks, waits and is cancelled."""

    _asked: list[tuple[str, PauseScope]]
    _failures: deque[BaseException]
    _cancel_reason: str | None = None

    def rewind(self) -> None:
        """The code of the run starts again from its beginning, in this process."""
        super().rewind()
        self._asked = []
        # The newest are enough: they are looked up while they travel up the stack.
        self._failures = deque(maxlen=20)

    def save_checkpoint(self, status: StateStatus = StateStatus.PAUSED, metadata: StateMetadata | None = None) -> bool:
        """See `SavedState.save_checkpoint`. A validating run saves nothing over the original, and goes on.

        Raises:
            StateError: it is to be saved as completed while a question that the run came to is open.
        """
        status = StateStatus(status)
        if status is StateStatus.COMPLETED and self._asked:
            waiting = ", ".join(address for address, _ in self._asked)
            raise StateError(f"the run waits for a decision at {waiting}: it is not completed")
        if self.replay_mode is ReplayMode.VALIDATION:
            self.status = status
            return True
        return super().save_checkpoint(status, metadata)

    # ---- asking

    async def ask(self, question: Question) -> Answer:
        """Ask a person. The first time the run pauses here; on resume the answer is returned.

        Raises:
            AwaitingDecision: there is no answer yet. The question is recorded and the state saved as `awaiting`.
            RejectedError: it was rejected, and the question says `on_reject="fail"`.
        """
        frame = self.current_frame()
        asked = fingerprint((question.title, question.message, question.proposal))
        place = frame.allot((question.key,), EventType.DECISION, lambda: asked, may_call=False)
        address = place.text
        self.check_boundary(frame)
        self.reach(address, frame)
        if record := self.history.completed.get(address):
            if self.replay_mode is ReplayMode.REPUBLISH_ALL:
                self.publish(record, is_replayed=True)
            answer: Answer = record.result
            return _as_wanted(question, answer, address)
        if self.resume_from_address == address:
            self.resume_from_address = None
        if address not in self.history.open and self.replay_mode is not ReplayMode.VALIDATION:
            self._record_question(address, question, frame.lanes_of(place, asked))
        self.save_pause(frame)
        self._asked.append((address, frame.scope))
        raise self.stopped(frame)

    def answer(self, address: str, answer: Answer) -> None:
        """Give the answer to the open question at `address`, before the run is started again.

        Raises:
            AddressNotFoundError: no question is open there.
            ValueError: it does not fit the question (`pydantic.ValidationError` for what the models refuse).
        """
        record = self.history.open.get(address)
        if record is None:
            raise AddressNotFoundError(address, list(self.history.open))
        decided_at = answer.decided_at or datetime.now(UTC)
        where = f"state {self.state_id!r} at {address}"
        completed = complete_answer(record.result, answer.model_copy(update={"decided_at": decided_at}), where)
        text = self.storage.spill(encode(completed, where=f"the answer at {address}"))
        self._close_questions([record])
        self.add_record(
            EventRecord(
                position=record.position,
                address=address,
                event_type=record.event_type,
                actor=record.actor,
                status=ExecutionStatus.COMPLETED,
                generation=record.generation,
                started_at=record.started_at,
                execution_time=max(0.0, decided_at.timestamp() - record.started_at),
                fingerprint=record.fingerprint,
                result_text=text,
                lanes=record.lanes,
            )
        )
        if self._asked:
            # The code that asked has ended; what comes next is its replay.
            self.rewind()

    @property
    def open_questions(self) -> dict[str, Question]:
        """Address to what waits there for an answer."""
        return {address: record.result for address, record in self.history.open.items()}

    @property
    def is_waiting(self) -> bool:
        """Whether this run, as far as it came, waits for a person."""
        return bool(self._asked) or self._is_paused_by_hand

    def close_unasked(self) -> list[str]:
        """Close the open questions that the finished run no longer came to; their addresses."""
        stale = [record for address, record in self.history.open.items() if address not in self._reached]
        self._close_questions(stale)
        return [record.address for record in stale]

    @property
    def resolution(self) -> Answer | None:
        """What a person decided about a pause made by hand, `None` before that."""
        if self._resolution_text is None:
            return None
        answer: Answer = decode(self._resolution_text, load_artifact=self.load_artifact)
        return answer

    @resolution.setter
    def resolution(self, answer: Answer | None) -> None:
        self._resolution_text = None if answer is None else encode(answer, where="the resolution")

    # ---- cancelling

    def cancel(self, reason: str = "") -> None:
        """Stop the run at its next step boundary."""
        self._cancel_reason = reason or "cancelled"

    def check_cancelled(self) -> None:
        """Raises `RunCancelledError` if the run was cancelled, as a step boundary does; `StaleWriterError` if it is
        lost."""
        self.check_not_lost()
        if self._cancel_reason is not None:
            raise self.stopped(self.current_frame())

    @property
    def is_cancelled(self) -> bool:
        return self._cancel_reason is not None

    # ---- what the other parts of the engine call

    def cancellation(self) -> RunCancelledError:
        return RunCancelledError(self._cancel_reason or "cancelled")

    def reach(self, address: str, frame: Frame) -> None:
        """The code came to the step at `address`, called in `frame`.

        Raises:
            AddressError: it came to another step there before.
        """
        path = self._reached.setdefault(address, frame.path)
        if path != frame.path:
            raise AddressError(
                f"two steps have the address {address}, one inside of {'::'.join(path) or 'the run'}, one inside of "
                f"{'::'.join(frame.path) or 'the run'}: a tag makes the same path as a step inside; give another tag"
            )

    def check_boundary(self, frame: Frame) -> None:
        """Raise here what stops the run, if anything does."""
        self.check_not_lost()
        if self._cancel_reason is not None or (self._asked and self._waiting_for(frame.scope)):
            raise self.stopped(frame)
        if frame.step.is_over:
            raise StateError(f"{frame.address} is over: a task that outlives its step cannot run further steps")

    def stopped(self, frame: Frame) -> AwaitingDecision | RunCancelledError:
        """What to raise in `frame`, where the run stops. No step around it can complete any more."""
        frame.stop()
        if self._cancel_reason is not None:
            if self.status is not StateStatus.CANCELLED:
                self.save_if_possible(StateStatus.CANCELLED)
            return self.cancellation()
        return AwaitingDecision(self._waiting_for(frame.scope))

    def save_pause(self, frame: Frame) -> None:
        """Save before the run pauses in `frame`, unless other branches go on first."""
        if frame.scope.parent is None:
            self.save_if_possible(StateStatus.AWAITING)

    def note_failure(self, error: BaseException) -> None:
        """Remember that `error` is a failure of its own."""
        self._failures.append(error)

    def is_failure(self, error: BaseException) -> bool:
        """Whether `error`, out of code where the run stops, is more than the doing of a stop that was swallowed
        (`gather(return_exceptions=True)` makes a value of it, which no code expects)."""
        if isinstance(error, BaseExceptionGroup | StateError):
            return not is_stop(error)
        cause: BaseException | None = error
        for _ in range(100):
            if cause is None or any(cause is failure for failure in self._failures):
                break
            cause = cause.__cause__ or cause.__context__
        return cause is not None

    def add_record(self, record: EventRecord, frame: Frame | None = None) -> None:
        self.history.add(record, frame)
        self._new_records.append(record)

    def publish(self, record: EventRecord, *, is_replayed: bool = False) -> None:
        if not self.event_bus.has_subscribers:
            return
        self.event_bus.publish(
            Publication(
                state_id=self.state_id,
                address=record.address,
                actor=record.actor,
                event_type=record.event_type,
                execution_status=record.status,
                is_replayed=is_replayed,
                execution_time=record.execution_time,
                error_message=record.error_message,
                result_text=record.result_text,
                load_artifact=self.load_artifact,
            )
        )

    # ---- inside

    def _record_question(self, address: str, question: Question, lanes: str) -> None:
        record = EventRecord(
            position=self.tick(),
            address=address,
            event_type=EventType.DECISION,
            actor=question.key,
            status=ExecutionStatus.AWAITING,
            generation=self.generation_of(address),
            started_at=time.time(),
            fingerprint=fingerprint(question.proposal),
            lanes=lanes,
            result_text=self.storage.spill(encode(question, where=f"the question at {address}")),
            artifact_writes=self.storage.evidence([*question.evidence]),
        )
        self.add_record(record)
        self.publish(record)

    def _waiting_for(self, scope: PauseScope) -> list[str]:
        return [address for address, asked_in in self._asked if asked_in.concerns(scope)]

    def _close_questions(self, records: list[EventRecord]) -> None:
        if not records:
            return
        self.history.close(records)
        closed = {id(record) for record in records}
        unsaved = {id(record) for record in self._new_records if id(record) in closed}
        self._closed.extend(record.position for record in records if id(record) not in unsaved)
        if unsaved:
            self._new_records = [record for record in self._new_records if id(record) not in unsaved]


def _as_wanted(question: Question, answer: Answer, address: str) -> Answer:
    """What the author of the question gets of a rejection."""
    if answer.approved or question.on_reject == "feedback":
        return answer
    if question.on_reject == "skip":
        # The reason stays in the history, for people.
        return answer.model_copy(update={"comment": ""})
    by = ", ".join(answer.by) or "nobody"
    why = f": {answer.comment}" if answer.comment else ""
    raise RejectedError(f"{address}: {question.title!r} came to {answer.kind!r} by {by}{why}")


def is_stop(error: BaseException) -> bool:
    """Whether `error` says only that the run stops: for a person, or because it was cancelled. An exception group of
    nothing else, too."""
    if isinstance(error, BaseExceptionGroup):
        stops, rest = error.split((AwaitingDecision, RunCancelledError, asyncio.CancelledError))
        return rest is None and stops is not None
    return isinstance(error, AwaitingDecision | RunCancelledError)
