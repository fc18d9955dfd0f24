"""What of a run is saved: its records, its storage, its metadata, and the difference between two of them."""

import re
from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from rh_agents.core.errors import CorruptStateError, IncompatibleVersionError, SerializationError
from rh_agents.core.kinds import check_entry, check_event, check_list, check_object, check_write
from rh_agents.core.serialization import decode
from rh_agents.core.texts import check_text
from rh_agents.core.types import ExecutionStatus

CURRENT_SCHEMA_VERSION = "1.0.0"
_PART = "(0|[1-9][0-9]{0,8})"
_VERSION = re.compile(rf"{_PART}\.{_PART}\.{_PART}")


class StateStatus(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    AWAITING = "awaiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ReplayMode(StrEnum):
    """How completed steps are treated when a run is resumed."""

    NORMAL = "normal"
    VALIDATION = "validation"
    REPUBLISH_ALL = "republish_all"


class StateMetadata(BaseModel):
    """What people know a state by. `custom_data` holds anything the engine can write."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    tags: list[str] = Field(default_factory=list)
    description: str = ""
    pipeline_name: str = ""
    parent_state_id: str | None = None
    custom_data: dict[str, Any] = Field(default_factory=dict)

    @field_validator("tags")
    @classmethod
    def _tags_are_words(cls, tags: list[str]) -> list[str]:
        for tag in tags:
            check_text(tag, "a tag", 100)
            if not tag.strip():
                raise ValueError("a tag must not be empty")
        return list(dict.fromkeys(tags))

    @field_validator("description")
    @classmethod
    def _description_is_text(cls, description: str) -> str:
        return check_text(description, "the description", 10_000)

    @field_validator("pipeline_name")
    @classmethod
    def _pipeline_name_is_text(cls, name: str) -> str:
        return check_text(name, "the pipeline name", 200)


class Write(NamedTuple):
    """The last thing one step wrote under one key.

    `seq` orders writes among all steps; `text` is the encoded value (an artifact's: its id as plain text),
    `None` a deletion; `media_type` and `size` (bytes) are filled for artifacts. `covers` is what stood there when
    that was written outside of any step (the fields of its `Entry`): no record holds it, and a roll-back needs it.
    """

    seq: int
    text: str | None
    media_type: str = ""
    size: int = 0
    covers: Sequence[Any] | None = None


class Entry(NamedTuple):
    """What stands under a storage or artifact key now; `owner` is the address that wrote it, "" outside of any step."""

    seq: int
    text: str
    owner: str = ""
    media_type: str = ""
    size: int = 0


@dataclass(slots=True, kw_only=True)
class EventRecord:
    """One attempt of one step, written when the attempt ends (or, for a question, when it is asked).

    `position` is allotted when the attempt starts; `started_at` is seconds since the epoch, `execution_time`
    seconds. `result_text` is the encoded result, decoded only when somebody asks for `.result`; that of a question
    is the `Question`. `overlapped` says that a sibling of the same name ran at the same time; `lanes`
    says by which task it and its callers were called, where that was not the code's own (see `lanes.described`).
    """

    position: int
    address: str
    event_type: str
    actor: str
    status: ExecutionStatus
    generation: int = 1
    attempt: int = 1
    started_at: float = 0.0
    execution_time: float = 0.0
    fingerprint: str = ""
    result_text: str | None = None
    error_type: str = ""
    error_message: str = ""
    traceback: str = ""
    storage_writes: dict[str, Write] | None = None
    artifact_writes: dict[str, Write] | None = None
    overlapped: bool = False
    lanes: str = ""
    load_artifact: Callable[[str], Any] | None = field(default=None, repr=False, compare=False)

    @property
    def result(self) -> Any:
        """The decoded result, `None` if there is none.

        Raises:
            SerializationError: it cannot be read back in this process.
        """
        return None if self.result_text is None else decode(self.result_text, load_artifact=self.load_artifact)

    @property
    def execution_status(self) -> ExecutionStatus:
        return self.status

    @property
    def is_completed(self) -> bool:
        return self.status is ExecutionStatus.COMPLETED

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        """For copies: without the way to its artifacts, which belongs to one run in one process."""
        return None, {f.name: None if f.name == "load_artifact" else getattr(self, f.name) for f in fields(self)}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; fields at their default are left out."""
        data: dict[str, Any] = {}
        for name, default in _RECORD_DEFAULTS.items():
            value = getattr(self, name)
            if value != default:
                data[name] = value
        for name in ("storage_writes", "artifact_writes"):
            if data.get(name):
                data[name] = {key: list(write) for key, write in data[name].items()}
        data["status"] = str(self.status)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "EventRecord":
        """The inverse of `to_dict`.

        Raises:
            CorruptStateError: a field is missing, unknown or of the wrong kind.
        """
        try:
            values = dict(data)
            if "load_artifact" in values:
                raise ValueError("load_artifact is no field of a record")
            values["status"] = _STATUSES[values["status"]]
            for name in ("storage_writes", "artifact_writes"):
                if name in values:
                    values[name] = writes_from_dict(values[name], name)
            record = cls(**values)
            check_event(record)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise CorruptStateError(f"a record cannot be read: {error}") from error
        return record


_STATUSES = {status.value: status for status in ExecutionStatus}
_REQUIRED = object()
_RECORD_DEFAULTS: dict[str, Any] = {
    f.name: _REQUIRED if f.name in ("position", "address", "event_type", "actor", "status") else f.default
    for f in fields(EventRecord)
    if f.name != "load_artifact"
}


@dataclass(slots=True, kw_only=True)
class StateSnapshot:
    """A state as it stood at one checkpoint. Artifacts are held as ids alone.

    `events` are in order of `position`; `head` is the number of the checkpoint (0: never saved); `clock` is the
    highest position or sequence number handed out; `generations` counts, by address, how often it was rolled back.
    `resolution_text` is the encoded `Answer` to a pause that was made by hand. `migrated_from` is the version that is
    stored, where a migration made this of it.
    """

    state_id: str
    status: StateStatus = StateStatus.PAUSED
    metadata: StateMetadata = field(default_factory=StateMetadata)
    version: str = CURRENT_SCHEMA_VERSION
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    events: list[EventRecord] = field(default_factory=list)
    storage: dict[str, Entry] = field(default_factory=dict)
    artifacts: dict[str, Entry] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    clock: int = 0
    head: int = 0
    resolution_text: str | None = None
    migrated_from: str = field(default="", compare=False)

    @property
    def artifact_ids(self) -> dict[str, str]:
        """Artifact key to artifact id."""
        return {key: entry.text for key, entry in self.artifacts.items()}

    @staticmethod
    def diff(a: "StateSnapshot", b: "StateSnapshot") -> "StateDiff":
        """What has to change to get from `a` to `b`."""
        return diff_snapshots(a, b)


@dataclass(slots=True, kw_only=True)
class Changes:
    """What a checkpoint adds to the one before: the argument of `StateBackend.append`.

    `base` is the number of the checkpoint that these changes follow (0: the state is new). `closed` are the
    positions of events that are no longer part of the history from here on (rolled back, or a question that got
    its answer; the answer's record has the same position and stands in `events`). `None` under a key of `storage`
    or `artifacts` removes it. `metadata=None` keeps the earlier one. With `migrated_from`, the version of what stood
    before, they are all that stands from here on: nothing of an earlier schema is mixed with it.
    """

    state_id: str
    base: int
    status: StateStatus
    updated_at: datetime
    created_at: datetime | None = None
    metadata: StateMetadata | None = None
    events: list[EventRecord] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    storage: dict[str, Entry | None] = field(default_factory=dict)
    artifacts: dict[str, Entry | None] = field(default_factory=dict)
    generations: dict[str, int] | None = None
    clock: int = 0
    resolution_text: str | None = None
    version: str = CURRENT_SCHEMA_VERSION
    migrated_from: str = ""

    def apply_to(self, snapshot: StateSnapshot | None) -> StateSnapshot:
        """The snapshot after these changes. `snapshot` is the one before (`None` if the state is new) and is reused."""
        if snapshot is None:
            snapshot = StateSnapshot(state_id=self.state_id, created_at=self.created_at or self.updated_at)
        if self.migrated_from:
            snapshot.events, snapshot.storage, snapshot.artifacts = [], {}, {}
            snapshot.migrated_from = ""
        if self.closed:
            closed = set(self.closed)
            snapshot.events = [event for event in snapshot.events if event.position not in closed]
        for event in self.events:
            # A parent ends after its children but stands before them: sorting anew each time would be quadratic.
            insort(snapshot.events, event, key=_position)
        _apply_entries(snapshot.storage, self.storage)
        _apply_entries(snapshot.artifacts, self.artifacts)
        if self.metadata is not None:
            snapshot.metadata = self.metadata
        if self.generations is not None:
            snapshot.generations = dict(self.generations)
        snapshot.status = self.status
        snapshot.version = self.version
        snapshot.updated_at = self.updated_at
        snapshot.clock = max(snapshot.clock, self.clock)
        snapshot.resolution_text = self.resolution_text
        snapshot.head = self.base + 1
        return snapshot

    @classmethod
    def between(cls, before: StateSnapshot | None, after: StateSnapshot) -> "Changes":
        """The changes that turn `before` into `after`: what a plain `save_state` has to write.

        `updated_at` moves even if the caller left it alone: unless `after`'s is later than `before`'s, it is now.

        Raises:
            IncompatibleVersionError: `after` is of an earlier major version than `before`.
        """
        if before and major_of(after.version) < major_of(before.version):
            raise IncompatibleVersionError(
                f"state {after.state_id!r} stands at schema {before.version}; {after.version} cannot follow it"
            )
        if before and before.migrated_from:
            return cls._after_migration(before, after)
        old_events = {_event_key(event): event for event in before.events} if before else {}
        new_events = {_event_key(event): event for event in after.events}
        # Records that went and records that changed: both are closed, and what now stands at their positions is added.
        closed = {event.position for key, event in old_events.items() if new_events.get(key) != event}
        return cls(
            state_id=after.state_id,
            base=before.head if before else 0,
            status=after.status,
            created_at=before.created_at if before else after.created_at,
            updated_at=_later(before.updated_at, after.updated_at) if before else after.updated_at,
            # Written every time: it is small, and arrays or `1` and `True` in custom_data have no honest `==`.
            metadata=after.metadata,
            events=[e for e in after.events if e.position in closed or _event_key(e) not in old_events],
            closed=sorted(closed),
            storage=_entry_changes(before.storage if before else {}, after.storage),
            artifacts=_entry_changes(before.artifacts if before else {}, after.artifacts),
            generations=None if before and before.generations == after.generations else after.generations,
            clock=after.clock,
            resolution_text=after.resolution_text,
            version=after.version,
        )

    @classmethod
    def _after_migration(cls, before: StateSnapshot, after: StateSnapshot) -> "Changes":
        whole = cls.between(None, after)
        whole.base, whole.created_at = before.head, before.created_at
        whole.updated_at = _later(before.updated_at, after.updated_at)
        whole.migrated_from = before.migrated_from
        return whole


@dataclass(frozen=True, slots=True)
class ArtifactReference:
    """In the place of a value that was too large to be kept in the state: the id of the artifact that it is."""

    artifact_id: str


@dataclass(slots=True, kw_only=True)
class StateDiff:
    """The difference of two snapshots, by address and by key.

    `changed_storage` holds values, old and new; the missing side is `None`. A value that is kept as an artifact is an
    `ArtifactReference`, one that this process cannot read the `SerializationError` that says why.
    """

    new_events: list[EventRecord] = field(default_factory=list)
    removed_events: list[EventRecord] = field(default_factory=list)
    changed_events: list[tuple[EventRecord, EventRecord]] = field(default_factory=list)
    changed_storage: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    new_artifacts: list[str] = field(default_factory=list)
    removed_artifacts: list[str] = field(default_factory=list)
    changed_artifacts: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not any(getattr(self, f.name) for f in fields(self))


def diff_snapshots(a: StateSnapshot, b: StateSnapshot) -> StateDiff:
    """See `StateSnapshot.diff`."""
    left, right = _newest_by_address(a.events), _newest_by_address(b.events)
    keys = list(dict.fromkeys((*a.storage, *b.storage)))
    storage = {
        key: (_value(a.storage.get(key)), _value(b.storage.get(key)))
        for key in keys
        if _text(a.storage.get(key)) != _text(b.storage.get(key))
    }
    return StateDiff(
        new_events=[event for address, event in right.items() if address not in left],
        removed_events=[event for address, event in left.items() if address not in right],
        changed_events=[
            (event, right[address])
            for address, event in left.items()
            if address in right
            and (event.result_text, event.status) != (right[address].result_text, right[address].status)
        ],
        changed_storage=storage,
        new_artifacts=[key for key in b.artifacts if key not in a.artifacts],
        removed_artifacts=[key for key in a.artifacts if key not in b.artifacts],
        changed_artifacts=[
            key for key in a.artifacts if key in b.artifacts and a.artifacts[key].text != b.artifacts[key].text
        ],
    )


def check_version(version: str) -> None:
    """Refuse what a later major version of the schema wrote.

    Raises:
        IncompatibleVersionError: naming both versions.
        CorruptStateError: `version` is no version.
    """
    if version != CURRENT_SCHEMA_VERSION and major_of(version) > major_of(CURRENT_SCHEMA_VERSION):
        raise IncompatibleVersionError(
            f"the state was written by schema {version}; this program reads up to {CURRENT_SCHEMA_VERSION}"
        )


def is_older(version: str) -> bool:
    """Whether an earlier major version of the schema wrote it.

    Raises:
        CorruptStateError: `version` is no version.
    """
    return version != CURRENT_SCHEMA_VERSION and major_of(version) < major_of(CURRENT_SCHEMA_VERSION)


def major_of(version: str) -> int:
    """The major part of a semantic version, MAJOR.MINOR.PATCH.

    Raises:
        CorruptStateError: `version` is no version.
    """
    given: object = version  # A store may hold anything.
    match = _VERSION.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        raise CorruptStateError(f"{version!r:.80} is no schema version: MAJOR.MINOR.PATCH")
    return int(match[1])


def writes_from_dict(data: Any, name: str) -> dict[str, Write] | None:
    """What a record wrote, from its plain form.

    Raises:
        TypeError: it is of the wrong kind.
    """
    if data is None:
        return None
    writes: dict[str, Write] = {}
    for key, values in check_object(data, name).items():
        write = Write(*check_list(values, f"{name}[{key!r}]"))
        check_write(write, f"{name}[{key!r}]")
        if write.covers is not None:
            write = write._replace(covers=tuple(entry_from_list(write.covers, f"{name}[{key!r}], covers")))
        writes[key] = write
    return writes


def entry_from_list(values: Any, name: str) -> Entry:
    """Raises TypeError if it is of the wrong kind."""
    entry = Entry(*check_list(values, name))
    check_entry(entry, name)
    return entry


def _position(event: EventRecord) -> int:
    return event.position


def _later(before: datetime, after: datetime) -> datetime:
    return after if after > before else max(datetime.now(UTC), before + timedelta(microseconds=1))


def _event_key(event: EventRecord) -> tuple[int, str, int, str]:
    return event.position, event.address, event.attempt, event.status


def _newest_by_address(events: Iterable[EventRecord]) -> dict[str, EventRecord]:
    return {event.address: event for event in events}


def _text(entry: Entry | None) -> str | None:
    return None if entry is None else entry.text


def _value(entry: Entry | None) -> Any:
    if entry is None:
        return None
    try:
        return decode(entry.text, load_artifact=ArtifactReference)
    except SerializationError as error:
        return error


def _apply_entries(entries: dict[str, Entry], changes: Mapping[str, Entry | None]) -> None:
    for key, entry in changes.items():
        if entry is None:
            entries.pop(key, None)
        else:
            entries[key] = entry


def _entry_changes(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> dict[str, Entry | None]:
    changed: dict[str, Entry | None] = {key: entry for key, entry in after.items() if before.get(key) != entry}
    changed.update({key: None for key in before if key not in after})
    return changed
