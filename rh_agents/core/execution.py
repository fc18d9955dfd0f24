"""A run: it executes steps, skips those that completed before, and asks people."""

import asyncio
from collections.abc import Collection
from typing import Any, Literal

from rh_agents.core.addressing import Address
from rh_agents.core.attempt import Attempt, Call, storable
from rh_agents.core.bus import EventBus
from rh_agents.core.errors import AddressError, AmbiguousReplayError, StateError
from rh_agents.core.events import ExecutionEvent, ExecutionResult
from rh_agents.core.frames import Frame
from rh_agents.core.history import HistorySet
from rh_agents.core.parallel import run_branches
from rh_agents.core.retry import RetryPolicy
from rh_agents.core.saving import DEFAULT_LARGE_VALUE_BYTES
from rh_agents.core.serialization import fingerprint
from rh_agents.core.state_backend import ArtifactBackend, StateBackend
from rh_agents.core.state_recovery import EventRecord, ReplayMode, StateMetadata, StateStatus
from rh_agents.core.stopping import StoppingState, is_stop
from rh_agents.core.store import ExecutionStore
from rh_agents.core.types import EventType
from rh_agents.core.validation import compare

__all__ = ["EventBus", "ExecutionState", "ExecutionStore", "HistorySet"]


class ExecutionState(StoppingState):
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

    def rewind(self) -> None:
        """The code of the run starts again from its beginning, in this process."""
        super().rewind()
        self._skipped: set[tuple[str, ...]] = set()
        self._validated: dict[str, EventRecord] = {}

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

    def unreached(self) -> list[str]:
        """Recorded steps that the code did not come to in this process, by position. A skipped step stands for
        everything that it had called."""

        def was_reached(record: EventRecord) -> bool:
            return record.address in self._reached or not self._skipped.isdisjoint(self.history.callers(record))

        records = self.history.get_event_list()
        return list(dict.fromkeys(record.address for record in records if not was_reached(record)))

    # ---- steps

    async def run_step(self, event: ExecutionEvent[Any], input_data: Any, context: Any) -> ExecutionResult[Any]:
        """One step: skip it if it completed before, else run it. `ExecutionEvent.__call__` leads here.

        Raises:
            AwaitingDecision: a question of this run is open.
            AddressError: another step has that address.
            AmbiguousReplayError: siblings of one name ran at once, and the recorded input is another one.
            RunCancelledError: the run was cancelled.
            StaleWriterError: somebody else has the state by now.
        """
        frame = self.current_frame()
        address = frame.allot(event.stem, event.event_type, lambda: fingerprint(input_data))
        event.address = address.text
        self.check_boundary(frame)
        self.reach(address.text, frame)
        record = self.history.completed.get(address.text)
        if record is not None and self.replay_mode is not ReplayMode.VALIDATION:
            event.is_replayed = True
            return self._skip(record, address, event, input_data)
        event.is_replayed = False
        self._is_paused_by_hand = False
        if self.resume_from_address == address.text:
            self.resume_from_address = None
        call = Call(frame.active.setdefault(address.base, []), input_data)
        try:
            result = await self._attempt(frame, event, address, call, input_data, context)
        finally:
            call.end()
            # Attempts before the last are no outcome.
            if (outcome := self._validated.pop(address.text, None)) is not None:
                compare(outcome, self._recorded_outcome(address.text), self.validation_report)
        if result.ok:
            self._save_after(event.event_type)
        return result

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

    # ---- what the other parts of the engine call

    def begin_run(self) -> Frame:
        """The code of the run starts, or starts again. Until `end_run` it sees what stood in the storage when it was
        at this point before (see `Ahead`). Gives the frame of the run."""
        self.rewind()
        if writers := self.writers_inside(self._root):
            self._root.is_rerun = True
            self.storage.ahead.begin(writers, writers)
        return self._root

    def end_run(self, *, is_completed: bool) -> None:
        self.storage.end_run(self._root, is_completed=is_completed)

    def writers_inside(self, frame: Frame) -> list[EventRecord]:
        """Completed steps that wrote something and were called by the step of `frame` in an earlier attempt."""
        if not self.history.writers or self.replay_mode is ReplayMode.VALIDATION:
            return []
        return self.history.writers.get(frame.path, [])

    def finish_step(self, record: EventRecord, frame: Frame) -> None:
        """An attempt ended: keep its record and tell subscribers."""
        if self.replay_mode is ReplayMode.VALIDATION:
            self._validated[record.address] = record
        else:
            self.add_record(record, frame)
        self.publish(record)

    # ---- inside

    async def _attempt(
        self, frame: Frame, event: ExecutionEvent[Any], address: Address, call: Call, input_data: Any, context: Any
    ) -> ExecutionResult[Any]:
        policy = event.retry or event.actor.retry or self.retry
        tries = 0
        while True:
            tries += 1
            try:
                return await Attempt(self, frame, event, address, call).run(input_data, context)
            except Exception as error:
                if is_stop(error) or self.is_lost:
                    raise
                delay_s = policy.delay_s(tries, error) if policy else None
                if delay_s is None:
                    if self.on_error == "raise":
                        raise
                    return ExecutionResult(ok=False, error_message=storable(error), error_type=type(error).__name__)
            await asyncio.sleep(delay_s)
            self.check_boundary(frame)
            self.note_recorded_calls()  # The next attempt comes to what this one has called.

    def _recorded_outcome(self, address: str) -> EventRecord | None:
        if record := self.history.completed.get(address):
            return record
        return next((one for one in reversed(self.history.get_event_list()) if one.address == address), None)

    def _skip(
        self, record: EventRecord, address: Address, event: ExecutionEvent[Any], input_data: Any
    ) -> ExecutionResult[Any]:
        if record.actor != event.actor.name:
            raise AddressError(
                f"{event!r} has the address {record.address}, but that is a step of {record.actor!r}: "
                "a tag makes the same path as a step inside; give another tag"
            )
        if record.overlapped and record.fingerprint != fingerprint(input_data):
            raise AmbiguousReplayError(
                f"{record.address} ran beside a sibling of the same name, and its input is not the recorded one: "
                "give siblings that run at once different names or tags, or use state.parallel"
            )
        self._skipped.add(address.path)
        if self.history.writers:
            for inside in self.history.writers.get(address.path, ()):
                self.storage.reach(inside)
            if record.storage_writes or record.artifact_writes:
                self.storage.reach(record)
        if self.replay_mode is ReplayMode.REPUBLISH_ALL and self.event_bus.has_subscribers:
            for inside in self.history.inside(address.path):
                self.publish(inside, is_replayed=True)
            self.publish(record, is_replayed=True)
        return ExecutionResult.recorded(record.result_text, record.execution_time, self.load_artifact)

    def _save_after(self, event_type: str) -> None:
        wanted = self.auto_checkpoint
        if wanted is True or (wanted and event_type in wanted):
            is_saved_as_awaiting = any(scope.parent is None for _, scope in self._asked)
            status = StateStatus.AWAITING if is_saved_as_awaiting else StateStatus.RUNNING
            self.save_if_possible(StateStatus.CANCELLED if self.is_cancelled else status)
