"""Reading states: the newest checkpoint, any earlier one, and lists that leave the log where it is."""

import json
import uuid
import warnings
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from django.db.models import Exists, OuterRef

from recovery.backends.appending import Tip, read_tip
from recovery.backends.metadata import read_custom_data, read_metadata, tags_of
from recovery.backends.rows import READ_COLUMNS, event_records
from recovery.models import ArtifactRef, Checkpoint, Event, State, StorageEntry, Tag
from rh_agents.core.errors import (
    CorruptStateError,
    IncompatibleVersionError,
    SerializationError,
    StateNotFoundError,
)
from rh_agents.core.state_recovery import Entry, StateMetadata, StateSnapshot, StateStatus, check_version

_STATE_COLUMNS = (
    "id",
    "status",
    "pipeline",
    "description",
    "custom_data",
    "parent_id",
    "schema_version",
    "created_at",
    "updated_at",
    "head",
    "clock",
    "generations",
    "resolution_text",
)
_UNREADABLE = (CorruptStateError, IncompatibleVersionError, SerializationError)


class ListedSnapshot(StateSnapshot):
    """A snapshot whose log (events, storage and artifacts) is read when somebody asks for it."""

    __slots__ = ("_load",)

    _load: Callable[[], StateSnapshot]

    _LOG = ("events", "storage", "artifacts")

    @classmethod
    def of(cls, load: Callable[[], StateSnapshot], **values: Any) -> "ListedSnapshot":
        snapshot = cls(**values)
        snapshot._load = load
        for name in cls._LOG:
            delattr(snapshot, name)
        return snapshot

    def __getattr__(self, name: str) -> Any:
        """Called for what is not there, which is the log before it was read."""
        if name not in self._LOG:
            raise AttributeError(name)
        loaded = self._load()
        for part in self._LOG:
            setattr(self, part, getattr(loaded, part))
        return getattr(loaded, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StateSnapshot):
            return NotImplemented
        return all(getattr(self, one.name) == getattr(other, one.name) for one in fields(StateSnapshot))

    __hash__ = None  # type: ignore[assignment]  # it can change, as every snapshot


def load(key: uuid.UUID) -> tuple[StateSnapshot, Tip] | None:
    """The newest checkpoint, and where it leaves the state."""
    row = State.objects.filter(pk=key).values_list(*_STATE_COLUMNS).first()
    if row is None:
        return None
    check_version(row[_STATE_COLUMNS.index("schema_version")])
    snapshot = StateSnapshot(**_values(row, tags_of(key)))
    if snapshot.head == 0:
        return snapshot, Tip()
    tip = read_tip(key, snapshot.head)
    if tip is None:
        if not State.objects.filter(pk=key).exists():
            return None  # Deleted while it was read.
        raise CorruptStateError(f"state {key} is damaged: its newest checkpoint, {snapshot.head}, is missing")
    _read_log(snapshot, key, tip)
    return snapshot, tip


def load_at(key: uuid.UUID, number: int) -> StateSnapshot | None:
    """The state as it stood at checkpoint `number`."""
    tip = read_tip(key, number)
    state = State.objects.filter(pk=key).values_list("created_at", "schema_version").first()
    if tip is None or state is None:
        return None
    created_at, version = state
    check_version(version)
    then = Checkpoint.objects.filter(state_id=key, number__lte=number).order_by("-number")
    extras = then.exclude(extra="").values_list("number", "extra")
    generations: dict[str, int] = {}
    resolution: str | None = None
    for at, text in extras:
        extra = _loads(text, key)
        if at == number:
            resolution = extra.get("resolution")
        if "generations" in extra:
            generations = extra["generations"]
            break
    metadata = then.exclude(metadata="").values_list("metadata", flat=True).first()
    snapshot = StateSnapshot(
        state_id=str(key),
        status=_status(tip.status, key),
        metadata=StateMetadata() if metadata is None else read_metadata(metadata, key),
        version=version,
        created_at=created_at,
        updated_at=then.values_list("created_at", flat=True)[0],
        generations=generations,
        clock=tip.clock,
        head=number,
        resolution_text=resolution,
    )
    _read_log(snapshot, key, tip)
    return snapshot


def listed(tags: Sequence[str], status: StateStatus | None, pipeline: str | None, limit: int) -> list[StateSnapshot]:
    """Newest first. Warns about a state that cannot be read, and goes on."""
    rows = list(_rows(list(dict.fromkeys(tags)), status, pipeline, limit))
    tags_by_state: dict[uuid.UUID, list[str]] = {row[0]: [] for row in rows}
    of_these = Tag.objects.filter(state_id__in=tags_by_state).order_by("pk")
    for key, tag in of_these.values_list("state_id", "tag"):
        tags_by_state[key].append(tag)
    found: list[StateSnapshot] = []
    for row in rows:
        try:
            found.append(_listed(row, tags_by_state[row[0]]))
        except _UNREADABLE as error:
            warnings.warn(f"left out of the list: {error}", stacklevel=4)
    return found


def _rows(tags: list[str], status: StateStatus | None, pipeline: str | None, limit: int) -> Any:
    """Rows of _STATE_COLUMNS. The index of the awaiting states of a tag is used where it can be."""
    first, others = (tags[0], tags[1:]) if tags else (None, [])
    if first is not None and status == StateStatus.AWAITING:
        tagged = Tag.objects.filter(tag=first, awaiting_at__isnull=False)
        if pipeline is not None:
            tagged = tagged.filter(state__pipeline=pipeline)
        for tag in others:
            tagged = tagged.filter(Exists(Tag.objects.filter(state=OuterRef("state"), tag=tag)))
        columns = ["state_id", *(f"state__{name}" for name in _STATE_COLUMNS[1:])]
        return tagged.order_by("-awaiting_at", "-state").values_list(*columns)[:limit]
    states = State.objects.tagged(others)
    if first is not None:
        states = states.filter(tags__tag=first)
    if status is not None:
        states = states.with_status(status)
    if pipeline is not None:
        states = states.of_pipeline(pipeline)
    return states.newest_first().values_list(*_STATE_COLUMNS)[:limit]


def _listed(row: Sequence[Any], tags: list[str]) -> StateSnapshot:
    values = _values(row, tags)
    key, head = row[0], values["head"]

    def read() -> StateSnapshot:
        if head == 0:
            return StateSnapshot(state_id=str(key))
        loaded = load_at(key, head)
        if loaded is None:
            raise StateNotFoundError(f"state {key} was deleted since it was listed")
        return loaded

    return ListedSnapshot.of(read, **values)


def _values(row: Sequence[Any], tags: list[str]) -> dict[str, Any]:
    key, status, pipeline, description, custom, parent, version, created_at, updated_at, head, clock, rolled, answer = (
        row
    )
    return {
        "state_id": str(key),
        "status": _status(status, key),
        # Checked when it was saved.
        "metadata": StateMetadata.model_construct(
            tags=tags,
            description=description,
            pipeline_name=pipeline,
            parent_state_id=str(parent) if parent else None,
            custom_data=read_custom_data(custom, key),
        ),
        "version": version,
        "created_at": created_at,
        "updated_at": updated_at,
        "generations": _loads(rolled, key) if rolled else {},
        "clock": clock,
        "head": head,
        "resolution_text": answer or None,
    }


def _read_log(snapshot: StateSnapshot, key: uuid.UUID, tip: Tip) -> None:
    """Fill in what stood at checkpoint `tip`. Rows never change, so no transaction is needed to read them together."""
    snapshot.events = event_records(
        Event.objects.filter(state_id=key)
        .at_checkpoint(tip.number)
        .order_by("position", "pk")
        .values_list(*READ_COLUMNS)
        .iterator(chunk_size=1000),
        key,
    )
    if tip.storage_count:
        entries = StorageEntry.objects.filter(state_id=key).at_checkpoint(tip.number).order_by("pk")
        snapshot.storage = {
            name: Entry(seq, text, owner)
            for name, seq, text, owner in entries.values_list("key", "seq", "text", "owner")
        }
    if tip.artifact_count:
        refs = ArtifactRef.objects.filter(state_id=key).at_checkpoint(tip.number).order_by("pk")
        columns = ("key", "seq", "artifact_id", "owner", "media_type", "size")
        snapshot.artifacts = {name: Entry(*entry) for name, *entry in refs.values_list(*columns)}


def _status(text: str, key: uuid.UUID) -> StateStatus:
    try:
        return StateStatus(text)
    except ValueError as error:
        raise CorruptStateError(f"state {key} is damaged: {text!r} is no status") from error


def _loads(text: str, key: uuid.UUID) -> dict[str, Any]:
    try:
        loaded = json.loads(text)
    except ValueError as error:
        raise CorruptStateError(f"state {key} is damaged: {error}") from error
    if not isinstance(loaded, dict):
        raise CorruptStateError(f"state {key} is damaged: {text[:80]!r} is no object")
    return loaded
