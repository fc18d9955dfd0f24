"""A run: it executes steps, skips those that completed before, and asks people."""

import asyncio
import time
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Literal

from rh_agents.core.addressing import path_of
from rh_agents.core.approvals import Answer, AwaitingDecision, Question, complete_answer
from rh_agents.core.attempt import Attempt
from rh_agents.core.bus import EventBus
from rh_agents.core.errors import AddressNotFoundError, AmbiguousReplayError, RunCancelledError, StateError
from rh_agents.core.events import ExecutionEvent, ExecutionResult, Publication
from rh_agents.core.frames import Frame, PauseScope
from rh_agents.core.history import HistorySet
from rh_agents.core.parallel import run_branches
from rh_agents.core.retry import RetryPolicy
from rh_agents.core.saving import DEFAULT_LARGE_VALUE_BYTES, SavedState
from rh_agents.core.serialization import decode, encode, fingerprint
from rh_agents.core.state_backend import ArtifactBackend, StateBackend
from rh_agents.core.state_recovery import EventRecord, ReplayMode, StateMetadata, StateStatus
from rh_agents.core.store import ExecutionStore
from rh_agents.core.types import EventType, ExecutionStatus
from rh_agents.core.validation import Mismatch

__all__ = ["EventBus", "ExecutionState", "ExecutionStore", "HistorySet"]


class ExecutionState(SavedState):
    """One run and everything it knows. Works without backends; artifacts then live in memory.

    `auto_checkpoint`: save after each completed step (`True`), or after those of some types. `on_error="return"`:
    a failing step gives `ExecutionResult(ok=False)` instead of raising. `large_value_bytes`: longer encoded results
    and storage values are kept as artifacts.
    """

    def __init__(
        self,
        state_backend: StateBackend | None = None,
        artifact_backend: ArtifactBackend | None = None,
        event_bus: EventBus | None = None,
        *,
        state_id: str | None = None,
        metadata: StateMetadata | None = None,
        auto_checkpoint: bool | Collection[EventType] = False,
        on_error: Literal["raise", "return"] = "raise",
        replay_mode: ReplayMode = ReplayMode.NORMAL,
        retry: RetryPolicy | None = None,
        large_value_bytes: int = DEFAULT_LARGE_VALUE_BYTES,
        **removed: Any,
    ) -> None:
        if "cache_backend" in removed:
            raise TypeError("cache_backend was removed: give state_backend= (and artifact_backend=) instead")
        if removed:
            raise TypeError(f"ExecutionState knows no {', '.join(sorted(removed))}")
        if on_error not in ("raise", "return"):
            raise ValueError(f"on_error is 'raise' or 'return', not {on_error!r}")
        super().__init__(state_backend, artifact_backend, event_bus, state_id, metadata, replay_mode, large_value_bytes)
        self.on_error = on_error
        self.retry = retry
        self.auto_checkpoint = auto_checkpoint
        self._asked: list[tuple[str, PauseScope]] = []
        self._reached: set[str] = set()
        self._skipped: set[tuple[str, ...]] = set()
        self._cancel_reason: str | None = None
        self.has_failed_step = False

    # ---- what handlers and their callers ask

    @property
    def execution_stack(self) -> list[str]:
        """The path of the step that is running here, outermost first."""
        return list(self.current_frame().path)

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of the running step, through retries and crashes: hand it to side effects."""
        frame = self.current_frame()
        if not frame.address:
            raise StateError("idempotency_key names a step: ask for it inside of a handler")
        later = f":{frame.generation}" if frame.generation > 1 else ""
        return f"{self.state_id}:{frame.address}{later}"

    @property
    def resolution(self) -> Answer | None:
        """What a person decided about a pause made by hand, `None` before that."""
        return None if self._resolution_text is None else decode(self._resolution_text)

    @resolution.setter
    def resolution(self, answer: Answer | None) -> None:
        self._resolution_text = None if answer is None else encode(answer, where="the resolution")

    @property
    def open_questions(self) -> dict[str, Question]:
        """Address to what waits there for an answer."""
        return {address: record.result for address, record in self.history.open.items()}

    @property
    def is_waiting(self) -> bool:
        """Whether this run, as far as it came, waits for a person."""
        return bool(self._asked) or self._is_paused_by_hand

    def unreached(self) -> list[str]:
        """Recorded steps that the code did not come to in this process, by position. A skipped step stands for
        everything that it had called."""

        def was_reached(address: str) -> bool:
            path = path_of(address)
            return address in self._reached or any(path[:length] in self._skipped for length in range(1, len(path)))

        addresses = dict.fromkeys(record.address for record in self.history.get_event_list())
        return [address for address in addresses if not was_reached(address)]

    def cancel(self, reason: str = "") -> None:
        """Stop the run at its next step boundary."""
        self._cancel_reason = reason or "cancelled"

    def check_cancelled(self) -> None:
        """Raises `RunCancelledError` if the run was cancelled, as a step boundary does."""
        if self._cancel_reason is not None:
            raise RunCancelledError(self._cancel_reason)

    # ---- steps

    async def run_step(self, event: ExecutionEvent[Any], input_data: Any, context: Any) -> ExecutionResult[Any]:
        """One step: skip it if it completed before, else run it. `ExecutionEvent.__call__` leads here.

        Raises:
            AwaitingDecision: a question of this run is open.
            AmbiguousReplayError: siblings of one name ran at once, and the recorded input is another one.
            RunCancelledError: the run was cancelled.
        """
        frame = self.current_frame()
        address, path, base = frame.allot(event.stem, str(event.actor.event_type))
        event.address = address
        self._boundary(frame)
        self._reached.add(address)
        record = self.history.completed.get(address)
        if record is not None and self.replay_mode is not ReplayMode.VALIDATION:
            self._skipped.add(path)
            event.is_replayed = True
            return self._skip(record, input_data)
        event.is_replayed = False
        self._is_paused_by_hand = False
        if self.resume_from_address == address:
            self.resume_from_address = None
        policy = event.retry or event.actor.retry or self.retry
        tries = 0
        while True:
            tries += 1
            try:
                return await Attempt(self, frame, event, path, base, input_data).run(input_data, context)
            except RunCancelledError:
                raise
            except Exception as error:
                delay_s = policy.delay_s(tries, error) if policy else None
                if delay_s is None:
                    if self.on_error == "raise":
                        raise
                    return ExecutionResult(ok=False, error_message=str(error), error_type=type(error).__name__)
            await asyncio.sleep(delay_s)
            self._boundary(frame)

    async def parallel(
        self,
        *branches: Any,
        max_concurrency: int | None = None,
        on_error: Literal["fail_fast", "collect"] = "fail_fast",
    ) -> list[Any]:
        """Run `branches` (coroutines, or functions that give one) side by side; their results in order.

        Each runs until it is done or waits for a person; then the run pauses once. `fail_fast`: the first error
        cancels the others and is raised. `collect`: an error stands in the place of its result.
        """
        return await run_branches(self, self.current_frame(), branches, max_concurrency, on_error)

    # ---- asking

    async def ask(self, question: Question) -> Answer:
        """Ask a person. The first time the run pauses here; on resume the answer is returned.

        Raises:
            AwaitingDecision: there is no answer yet. The question is recorded and the state saved as `awaiting`.
        """
        frame = self.current_frame()
        address, _, _ = frame.allot((question.key,), EventType.DECISION)
        self._boundary(frame)
        self._reached.add(address)
        if record := self.history.completed.get(address):
            answer: Answer = record.result
            return answer
        if self.resume_from_address == address:
            self.resume_from_address = None
        if address not in self.history.open and self.replay_mode is not ReplayMode.VALIDATION:
            self._add(
                EventRecord(
                    position=self.tick(),
                    address=address,
                    event_type=EventType.DECISION,
                    actor=question.key,
                    status=ExecutionStatus.AWAITING,
                    generation=self.generation_of(address),
                    started_at=time.time(),
                    fingerprint=fingerprint(question.proposal),
                    result_text=self.storage.spill(encode(question, where=f"the question at {address}")),
                    artifact_writes=self.storage.evidence([*question.evidence]),
                )
            )
        self._asked.append((address, frame.scope))
        raise self.pause(frame)

    def pause(self, frame: Frame) -> AwaitingDecision:
        """What is raised in `frame` because questions are open. Saves, unless other branches go on first."""
        waiting = self._waiting_for(frame.scope)
        if frame.scope.parent is None:
            self.save_if_possible(StateStatus.AWAITING)
        return AwaitingDecision(waiting)

    def answer(self, address: str, answer: Answer) -> None:
        """Give the answer to the open question at `address`, before the run is started again.

        Raises:
            AddressNotFoundError: no question is open there.
            ValueError: it does not fit the question (`pydantic.ValidationError` for what the models refuse).
        """
        record = self.history.open.get(address)
        if record is None:
            raise AddressNotFoundError(address, list(self.history.open))
        completed = complete_answer(record.result, answer)
        decided_at = (completed.decided_at or datetime.now(UTC)).timestamp()
        self._close_questions([record])
        self._add(
            EventRecord(
                position=record.position,
                address=address,
                event_type=record.event_type,
                actor=record.actor,
                status=ExecutionStatus.COMPLETED,
                generation=record.generation,
                started_at=record.started_at,
                execution_time=max(0.0, decided_at - record.started_at),
                fingerprint=record.fingerprint,
                result_text=self.storage.spill(encode(completed, where=f"the answer at {address}")),
            )
        )

    def close_unasked(self) -> list[str]:
        """Close the open questions that the finished run no longer came to; their addresses."""
        stale = [record for address, record in self.history.open.items() if address not in self._reached]
        self._close_questions(stale)
        return [record.address for record in stale]

    # ---- what the other parts of the engine call

    def finish_step(self, record: EventRecord) -> None:
        """An attempt ended: keep its record, tell subscribers, save if that is wanted."""
        if self.replay_mode is ReplayMode.VALIDATION:
            self._compare(record)
        else:
            self._add(record)
        self.has_failed_step = self.has_failed_step or not record.is_completed
        if self.event_bus.has_subscribers:
            self.publish(record)
        wanted = self.auto_checkpoint
        if record.is_completed and (wanted is True or (wanted and record.event_type in wanted)):
            is_saved_as_awaiting = any(scope.parent is None for _, scope in self._asked)
            self.save_if_possible(StateStatus.AWAITING if is_saved_as_awaiting else StateStatus.RUNNING)

    def publish(self, record: EventRecord, *, is_replayed: bool = False) -> None:
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

    def _boundary(self, frame: Frame) -> None:
        """Where a run stops when it was cancelled or a question is open."""
        if self._cancel_reason is not None:
            raise RunCancelledError(self._cancel_reason)
        if self._asked and (waiting := self._waiting_for(frame.scope)):
            raise AwaitingDecision(waiting)

    def _waiting_for(self, scope: PauseScope) -> list[str]:
        return [address for address, asked_in in self._asked if asked_in.concerns(scope)]

    def _skip(self, record: EventRecord, input_data: Any) -> ExecutionResult[Any]:
        if record.overlapped and record.fingerprint != fingerprint(input_data):
            raise AmbiguousReplayError(
                f"{record.address} ran beside a sibling of the same name, and its input is not the recorded one: "
                "give siblings that run at once different names or tags, or use state.parallel"
            )
        if self.replay_mode is ReplayMode.REPUBLISH_ALL and self.event_bus.has_subscribers:
            self.publish(record, is_replayed=True)
        return ExecutionResult.recorded(record.result_text, record.execution_time, self.load_artifact)

    def _add(self, record: EventRecord) -> None:
        self.history.add(record)
        self._new_records.append(record)

    def _close_questions(self, records: list[EventRecord]) -> None:
        if not records:
            return
        self.history.close(records)
        unsaved = {id(record) for record in self._new_records}
        closed = {id(record) for record in records}
        self._closed.extend(record.position for record in records if id(record) not in unsaved)
        self._new_records = [record for record in self._new_records if id(record) not in closed]

    def _compare(self, record: EventRecord) -> None:
        recorded = self.history.completed.get(record.address)
        if recorded is None:
            return
        self.validation_report.compared += 1
        if record.is_completed and record.result_text == recorded.result_text:
            return
        actual = record.result if record.is_completed else f"{record.error_type}: {record.error_message}"
        self.validation_report.mismatches.append(Mismatch(record.address, recorded.result, actual))
