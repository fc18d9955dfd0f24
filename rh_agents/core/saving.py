"""What is saved of a run, and how it is loaded again."""

import uuid
from datetime import UTC, datetime
from typing import Any, Self

from rh_agents.core.approvals import Instruction
from rh_agents.core.bus import EventBus
from rh_agents.core.errors import CorruptArtifactError, StaleWriterError, StateError, StateNotFoundError
from rh_agents.core.frames import Frame, PauseScope, current_frame
from rh_agents.core.history import HistorySet
from rh_agents.core.lanes import RecordedCalls
from rh_agents.core.migrations import up_to_date
from rh_agents.core.serialization import decode_artifact
from rh_agents.core.state_backend import ArtifactBackend, StateBackend
from rh_agents.core.state_recovery import (
    Changes,
    Entry,
    EventRecord,
    ReplayMode,
    StateMetadata,
    StateSnapshot,
    StateStatus,
)
from rh_agents.core.store import ARTIFACT, STORAGE, ExecutionStore
from rh_agents.core.types import ExecutionStatus
from rh_agents.core.validation import ValidationReport
from rh_agents.safe_ids import check_id

DEFAULT_LARGE_VALUE_BYTES = 64 * 1024
# Where the instructions of a fork stand in its metadata.
INSTRUCTIONS = "instructions"


class SavedState:
    """The part of `ExecutionState` that outlives the process."""

    def __init__(
        self,
        state_backend: StateBackend | None,
        artifact_backend: ArtifactBackend | None,
        event_bus: EventBus | None,
        state_id: str | None,
        metadata: StateMetadata | None,
        replay_mode: ReplayMode,
        large_value_bytes: int,
    ) -> None:
        self.state_id = str(uuid.uuid4()) if state_id is None else check_id(state_id, "state id")
        self.state_backend = state_backend
        self.artifact_backend = artifact_backend
        self.event_bus = event_bus or EventBus()
        self.metadata = metadata or StateMetadata()
        self.status = StateStatus.RUNNING
        self.replay_mode = ReplayMode(replay_mode)
        self.resume_from_address: str | None = None
        self.validation_report = ValidationReport()
        self.created_at = self.updated_at = datetime.now(UTC)
        self.head = 0

        self.storage = ExecutionStore(
            self.tick,
            self.current_frame,
            self.load_artifact,
            # Without a place for artifacts that lasts, a large value stays where it is.
            None if artifact_backend is None else large_value_bytes,
            allow_pickle=artifact_backend is not None and artifact_backend.allow_pickle,
        )
        self.history = HistorySet((), self.load_artifact)
        self._clock = 0
        self._generations: dict[str, int] = {}
        self._resolution_text: str | None = None

        self._new_records: list[EventRecord] = []
        self._closed: list[int] = []
        self._is_metadata_new = True
        self._are_generations_new = False
        self._migrated_from = ""
        self._lost: str | None = None
        self.rewind()

    def rewind(self) -> None:
        """The code of the run starts again from its beginning, in this process."""
        self.note_recorded_calls()
        self._root = Frame(self, (), "", PauseScope())  # type: ignore[arg-type]  # always an ExecutionState
        self._reached: dict[str, tuple[str, ...]] = {}
        self._is_paused_by_hand = False
        self.storage.rewind()

    def save_checkpoint(self, status: StateStatus = StateStatus.PAUSED, metadata: StateMetadata | None = None) -> bool:
        """Save what changed since the last checkpoint. `metadata=None` keeps the earlier one. `True`, or raises.

        Raises:
            StateError: there is no state backend.
            StaleWriterError: somebody else saved the state meanwhile, or it was lost before (see `lose`).
        """
        if self.state_backend is None:
            raise StateError("there is no state_backend to save to: ExecutionState(state_backend=...)")
        status = StateStatus(status)
        before = self.metadata, self._is_metadata_new, self._resolution_text
        if status is StateStatus.AWAITING and not self.history.open:
            # A new pause by hand: the decision about the one before has been used.
            self._resolution_text = None
        if metadata is not None and metadata != self.metadata:
            self.metadata = metadata
            self._is_metadata_new = True
        try:
            self._save(self.state_backend, status)
        except BaseException:
            # What could not be saved must not stop the next save too.
            self.metadata, self._is_metadata_new, self._resolution_text = before
            raise
        self._is_paused_by_hand = status is StateStatus.AWAITING
        return True

    async def asave_checkpoint(
        self, status: StateStatus = StateStatus.PAUSED, metadata: StateMetadata | None = None
    ) -> bool:
        """`save_checkpoint` for coroutines. Saving is short and must stay in order, so no thread is used."""
        return self.save_checkpoint(status, metadata)

    def save_if_possible(self, status: StateStatus) -> None:
        """Save unless there is nowhere to save to, or nothing may be saved."""
        if self.state_backend is not None and self.replay_mode is not ReplayMode.VALIDATION:
            self._save(self.state_backend, status)
        self.status = status

    def to_snapshot(self, status: StateStatus | None = None, metadata: StateMetadata | None = None) -> StateSnapshot:
        """The state as it stands now: what is saved of it. Steps that are still running are not in it.

        The artifacts that it refers to are saved, if there is an artifact backend.
        """
        if self.artifact_backend is not None:
            self._save_artifacts()
        return StateSnapshot(
            state_id=self.state_id,
            status=StateStatus(status) if status else self.status,
            metadata=metadata or self.metadata,
            created_at=self.created_at,
            updated_at=self._now(),
            events=self.history.get_event_list(),
            storage=dict(self.storage.committed[STORAGE]),
            artifacts=dict(self.storage.committed[ARTIFACT]),
            generations=dict(self._generations),
            clock=self._clock,
            head=self.head,
            resolution_text=self._resolution_text,
        )

    @classmethod
    def from_snapshot(
        cls,
        snapshot: StateSnapshot,
        state_backend: StateBackend | None = None,
        artifact_backend: ArtifactBackend | None = None,
        event_bus: EventBus | None = None,
        *,
        resume_from_address: str | None = None,
        replay_mode: ReplayMode = ReplayMode.NORMAL,
        **options: Any,
    ) -> Self:
        """A run that goes on where `snapshot` stands; see `load_from_state_id`."""
        snapshot = up_to_date(snapshot)
        state = cls(
            state_backend,
            artifact_backend,
            event_bus,
            state_id=snapshot.state_id,
            metadata=snapshot.metadata,
            replay_mode=replay_mode,
            **options,
        )
        state.status = snapshot.status
        state.created_at, state.updated_at = snapshot.created_at, snapshot.updated_at
        state.head = snapshot.head
        state._clock = snapshot.clock
        state._is_metadata_new = snapshot.head == 0
        state._migrated_from = snapshot.migrated_from if snapshot.head else ""
        state._generations = dict(snapshot.generations)
        state._resolution_text = snapshot.resolution_text
        state.storage.committed = {STORAGE: dict(snapshot.storage), ARTIFACT: dict(snapshot.artifacts)}
        state.history = HistorySet(snapshot.events, state.load_artifact)
        if snapshot.head == 0:
            state._new_records = list(snapshot.events)
            state.storage.changed = {kind: set(entries) for kind, entries in state.storage.committed.items()}
        if resume_from_address is not None:
            state._go_back_to(resume_from_address)
        if state.replay_mode is ReplayMode.VALIDATION and snapshot.events:
            # Every step runs afresh, on what stood there before the first.
            state.storage.roll_back([], snapshot.events, snapshot.events[0].position)
        state.note_recorded_calls()
        state._root.recorded = state.recorded_calls
        return state

    @classmethod
    def load_from_state_id(
        cls,
        state_id: str,
        state_backend: StateBackend,
        artifact_backend: ArtifactBackend | None = None,
        event_bus: EventBus | None = None,
        *,
        resume_from_address: str | None = None,
        replay_mode: ReplayMode = ReplayMode.NORMAL,
        checkpoint: int | None = None,
        **options: Any,
    ) -> Self:
        """Load a saved state; steps that completed before are then skipped.

        `resume_from_address`: that step and everything after it run again; what they wrote is rolled back.
        `checkpoint`: as the state stood there, to be looked at or validated. Unless it is the newest, the state cannot
        be run or saved from there (StaleWriterError): what came after it would be lost.

        Raises:
            StateNotFoundError: no state has that id, or it has no such checkpoint.
            AddressNotFoundError: no step has that address; names the closest.
            CorruptStateError, IncompatibleVersionError: what is stored cannot be read.
        """
        snapshot = state_backend.load_state(state_id)
        if snapshot is None:
            raise StateNotFoundError(f"no state has the id {state_id!r}")
        newest = snapshot.head
        if checkpoint is not None and checkpoint != newest:
            snapshot = state_backend.load_checkpoint(state_id, checkpoint)
            if snapshot is None:
                raise StateNotFoundError(f"state {state_id!r} has no checkpoint {checkpoint}; the newest is {newest}")
        state = cls.from_snapshot(
            snapshot,
            state_backend,
            artifact_backend,
            event_bus,
            resume_from_address=resume_from_address,
            replay_mode=replay_mode,
            **options,
        )
        if snapshot.head != newest and state.replay_mode is not ReplayMode.VALIDATION:
            state.lose(
                f"state {state_id!r} was loaded as it stood at checkpoint {snapshot.head} and stands at {newest}: "
                "from there it can be looked at and validated, not run or saved"
            )
        return state

    @classmethod
    def fork(
        cls,
        state_id: str,
        state_backend: StateBackend,
        artifact_backend: ArtifactBackend | None = None,
        *,
        from_address: str,
        new_state_id: str | None = None,
        instruction: Instruction | None = None,
        checkpoint: int | None = None,
        **options: Any,
    ) -> Self:
        """A new run that begins as a copy of a saved one and goes on from `from_address`, which runs again, and so
        does what came after it. The original stays as it is, and may be deleted. The fork is not saved yet.

        `instruction` is what its steps find in `state.instructions`; `checkpoint`: copied as it stood there.

        Raises:
            StateNotFoundError: no state has that id, or it has no such checkpoint.
            AddressNotFoundError: no step has that address; names the closest.
        """
        source = cls.load_from_state_id(
            state_id,
            state_backend,
            artifact_backend,
            resume_from_address=from_address,
            checkpoint=checkpoint,
            **options,
        )
        snapshot = source.to_snapshot(StateStatus.PAUSED)
        snapshot.state_id = str(uuid.uuid4()) if new_state_id is None else check_id(new_state_id, "state id")
        snapshot.head, snapshot.migrated_from = 0, ""
        snapshot.generations = {}  # Nothing was rolled back in this one.
        snapshot.created_at = snapshot.updated_at = datetime.now(UTC)
        custom_data = dict(source.metadata.custom_data)
        if instruction is not None:
            earlier = [*custom_data.get(INSTRUCTIONS, [])]
            custom_data[INSTRUCTIONS] = [*earlier, instruction.model_dump(mode="json")]
        snapshot.metadata = source.metadata.model_copy(update={"parent_state_id": state_id, "custom_data": custom_data})
        return cls.from_snapshot(snapshot, state_backend, artifact_backend, **options)

    @property
    def instructions(self) -> list[Instruction]:
        """What people wrote when they sent this run back, the newest last; empty for a run that is no fork."""
        return [Instruction.model_validate(one) for one in self.metadata.custom_data.get(INSTRUCTIONS, [])]

    @classmethod
    async def aload_from_state_id(cls, *args: Any, **kwargs: Any) -> Self:
        """`load_from_state_id` for coroutines."""
        return cls.load_from_state_id(*args, **kwargs)

    # ---- what the other parts of the engine call

    def lose(self, why: str) -> None:
        """Somebody else has the state by now: from here on every step boundary and every save raises
        `StaleWriterError(why)`, however often that is caught. Any thread may call it; there is no way back."""
        if self._lost is None:
            self._lost = why

    @property
    def is_lost(self) -> bool:
        """Whether somebody else has the state: what this run still does is worth nothing."""
        return self._lost is not None

    def check_not_lost(self) -> None:
        """Raises `StaleWriterError` if somebody else has the state."""
        if self._lost is not None:
            raise StaleWriterError(self._lost)

    def note_recorded_calls(self) -> None:
        """The calls that a replay has to tell apart by the tasks that made them; `None` if there are none."""
        history = self.history
        self.recorded_calls = RecordedCalls(history, history.callers) if history.has_lanes else None

    def tick(self) -> int:
        """The next position or sequence number."""
        self._clock += 1
        return self._clock

    def generation_of(self, address: str) -> int:
        return self._generations.get(address, 0) + 1 if self._generations else 1

    def load_artifact(self, artifact_id: str) -> Any:
        """The value of an artifact, from memory if it is not saved yet.

        Raises:
            CorruptArtifactError: it is damaged or gone.
        """
        if encoded := self.storage.unsaved_artifacts.get(artifact_id):
            may_be_pickled = self.artifact_backend is not None and self.artifact_backend.allow_pickle
            return decode_artifact(encoded.codec, encoded.payload, allow_pickle=may_be_pickled)
        try:
            is_there = self.artifact_backend is not None and self.artifact_backend.exists(artifact_id)
        except ValueError as error:
            raise CorruptArtifactError(f"state {self.state_id!r} refers to an artifact by no id: {error}") from error
        if self.artifact_backend is None or not is_there:
            raise CorruptArtifactError(f"the artifact {artifact_id} is not in the artifact backend")
        return self.artifact_backend.load_artifact(artifact_id)

    def current_frame(self) -> Frame:
        frame = current_frame.get()
        return frame if frame is not None and frame.state is self else self._root

    # ---- inside

    def _now(self) -> datetime:
        """Now, and never before the last time: a clock that was set back must not reorder checkpoints."""
        return max(datetime.now(UTC), self.updated_at)

    def _go_back_to(self, address: str) -> None:
        removed, start = self.history.at_and_after(address)
        gone = {id(record) for record in removed}
        kept = [record for record in self.history.get_event_list() if id(record) not in gone]
        self.history.close(removed)
        self.storage.roll_back(kept, removed, start)
        self._closed.extend(record.position for record in removed)
        for rolled_back in dict.fromkeys(record.address for record in removed):
            self._generations[rolled_back] = self._generations.get(rolled_back, 0) + 1
        self._are_generations_new = True
        self._resolution_text = None
        self.resume_from_address = address

    def _save(self, backend: StateBackend, status: StateStatus) -> None:
        self.check_not_lost()
        try:
            self._save_to(backend, status)
        except StaleWriterError as error:
            # Whoever runs the state may catch it: that must not let them go on beside the one who has it now.
            self.lose(str(error))
            raise

    def _save_to(self, backend: StateBackend, status: StateStatus) -> None:
        self._save_artifacts()
        self.updated_at = self._now()
        # A question comes with the pause: until then other branches go on, and nobody can answer it.
        held_back = [] if status is StateStatus.AWAITING else [one for one in self._new_records if _is_question(one)]
        if backend.supports_append:
            self.head = backend.append(self._changes(status, held_back))
        else:
            self._check_is_newest(backend)
            snapshot = self.to_snapshot(status)
            snapshot.events = [event for event in snapshot.events if event not in held_back]
            backend.save_state(snapshot)
            self.head = snapshot.head
        self.status = status
        self._new_records = held_back
        self._closed = []
        self._is_metadata_new = self._are_generations_new = False
        self._migrated_from = ""
        for keys in self.storage.changed.values():
            keys.clear()

    def _check_is_newest(self, backend: StateBackend) -> None:
        """As far as a backend can tell that keeps whole snapshots alone: somebody may still come in between."""
        stored = backend.load_state(self.state_id)
        if stored is not None and stored.head != self.head:
            raise StaleWriterError(
                f"state {self.state_id!r} stands at checkpoint {stored.head}; this run follows checkpoint {self.head}"
            )

    def _save_artifacts(self) -> None:
        unsaved = self.storage.unsaved_artifacts
        if self.artifact_backend is None:
            lost = [key for key, entry in self.storage.committed[ARTIFACT].items() if entry.text in unsaved]
            if lost:
                raise StateError(f"there is no artifact_backend to save the artifacts to: {', '.join(lost)}")
            return
        for identity, encoded in unsaved.items():
            self.artifact_backend.save_encoded(identity, encoded.codec, encoded.payload, encoded.media_type)
        unsaved.clear()

    def _changes(self, status: StateStatus, held_back: list[EventRecord]) -> Changes:
        if self._migrated_from:
            whole = self.to_snapshot(status)
            whole.events = [event for event in whole.events if event not in held_back]
            changes = Changes.between(None, whole)
            changes.base, changes.updated_at, changes.migrated_from = self.head, self.updated_at, self._migrated_from
            return changes
        store = self.storage
        entries: dict[bool, dict[str, Entry | None]] = {
            kind: {key: store.committed[kind].get(key) for key in sorted(store.changed[kind])}
            for kind in (STORAGE, ARTIFACT)
        }
        return Changes(
            state_id=self.state_id,
            base=self.head,
            status=status,
            created_at=self.created_at,
            updated_at=self.updated_at,
            metadata=self.metadata if self._is_metadata_new else None,
            events=[one for one in self._new_records if one not in held_back] if held_back else self._new_records,
            closed=self._closed,
            storage=entries[STORAGE],
            artifacts=entries[ARTIFACT],
            generations=dict(self._generations) if self._are_generations_new else None,
            clock=self._clock,
            resolution_text=self._resolution_text,
        )


def _is_question(record: EventRecord) -> bool:
    return record.status is ExecutionStatus.AWAITING
