"""Reading a state as it stood at its newest checkpoint, or at any earlier one."""

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from recovery.backends import sql
from recovery.backends.metadata import read_custom_data, read_metadata
from recovery.backends.older import Rows, migrated_rows
from recovery.backends.rows import READ_COLUMNS, entries, event_records
from recovery.backends.tips import TIP_COLUMNS, Tip, read_tip, tip_of
from recovery.models import ArtifactRef, Checkpoint, Event, State, StorageEntry, Tag
from rh_agents.core.errors import CorruptStateError, SerializationError
from rh_agents.core.kinds import check_snapshot
from rh_agents.core.state_recovery import StateMetadata, StateSnapshot, StateStatus, check_version, is_older

STATE_COLUMNS = (
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
_VERSION, _HEAD = STATE_COLUMNS.index("schema_version"), STATE_COLUMNS.index("head")


def load(key: uuid.UUID) -> tuple[StateSnapshot, Tip] | None:
    """The newest checkpoint, and where it leaves the state."""
    with _damage_of(key):
        rows = sql.select(_newest(), [key])
    if not rows:
        return None
    state, checkpoint = rows[0][: len(STATE_COLUMNS)], rows[0][len(STATE_COLUMNS) : -1]
    version, head = state[_VERSION], state[_HEAD]
    check_version(version)
    if head == 0:
        return StateSnapshot(**snapshot_values(state, [row[-1] for row in rows if row[-1] is not None])), Tip()
    if checkpoint[0] is None:
        raise CorruptStateError(f"state {key} is damaged: its newest checkpoint, {head}, is missing")
    with _damage_of(key):
        tip = tip_of(checkpoint)
    if is_older(version):
        older = load_at(key, tip.number)
        return None if older is None else (older, tip)
    snapshot = StateSnapshot(**snapshot_values(state, [row[-1] for row in rows if row[-1] is not None]))
    snapshot.updated_at = tip.saved_at or snapshot.updated_at
    with _damage_of(key):
        check_snapshot(snapshot)
    _read_log(snapshot, key, tip)
    return snapshot, tip


def load_at(key: uuid.UUID, number: int) -> StateSnapshot | None:
    """The state as it stood at checkpoint `number`. What an earlier major version of the schema wrote is migrated."""
    tip = read_tip(key, number)
    state = State.objects.filter(pk=key).values_list("created_at", "schema_version", "head").first()
    if tip is None or state is None:
        return None
    created_at, version, head = state
    check_version(version)
    if number < head:
        version = _version_at(key, number) or version
    until_then = Checkpoint.objects.filter(state_id=key, number__lte=number).order_by("-number")
    metadata = until_then.exclude(metadata="").values_list("metadata", flat=True).first()
    generations: dict[str, int] = {}
    resolution: str | None = None
    for at, text in until_then.exclude(extra="").values_list("number", "extra"):
        extra = _loads(text, key)
        if at == number:
            resolution = extra.get("resolution")
        if "generations" in extra:
            generations = extra["generations"]
            break
    if is_older(version):
        plain = {
            "state_id": str(key),
            "version": version,
            "status": tip.status,
            "metadata": {} if metadata is None else _loads(metadata, key),
            "created_at": created_at.isoformat(),
            "updated_at": (tip.saved_at or created_at).isoformat(),
            "generations": generations,
            "clock": tip.clock,
            "resolution_text": resolution,
        }
        return migrated_rows(plain, number, *_log_rows(key, tip))
    snapshot = StateSnapshot(
        state_id=str(key),
        status=_status(tip.status, key),
        metadata=StateMetadata() if metadata is None else read_metadata(metadata, key),
        version=version,
        created_at=created_at,
        updated_at=tip.saved_at or created_at,
        generations=generations,
        clock=tip.clock,
        head=number,
        resolution_text=resolution,
    )
    with _damage_of(key):
        check_snapshot(snapshot)
    _read_log(snapshot, key, tip)
    return snapshot


def snapshot_values(row: Sequence[Any], tags: list[str]) -> dict[str, Any]:
    """The arguments of `StateSnapshot` that a row of STATE_COLUMNS holds.

    Raises:
        CorruptStateError: one of them is damaged.
        SerializationError: `custom_data` holds a value of a class that this process does not know.
    """
    (
        key,
        status,
        pipeline,
        description,
        custom_data,
        parent,
        version,
        created_at,
        updated_at,
        head,
        clock,
        generations,
        resolution,
    ) = row
    key = sql.as_uuid(key)
    with _damage_of(key):
        parent, created_at, updated_at = sql.as_uuid(parent), sql.as_time(created_at), sql.as_time(updated_at)
    return {
        "state_id": str(key),
        "status": _status(status, key),
        # It was checked when it was saved.
        "metadata": StateMetadata.model_construct(
            tags=tags,
            description=description,
            pipeline_name=pipeline,
            parent_state_id=str(parent) if parent else None,
            custom_data=read_custom_data(custom_data, key),
        ),
        "version": version,
        "created_at": created_at,
        "updated_at": updated_at,
        "generations": _loads(generations, key) if generations else {},
        "clock": clock,
        "head": head,
        "resolution_text": resolution or None,
    }


def _read_log(snapshot: StateSnapshot, key: uuid.UUID, tip: Tip) -> None:
    """Fill in what stood at checkpoint `tip`."""
    events, storage, artifacts = _log_rows(key, tip)
    snapshot.events = event_records(events, key)
    snapshot.storage = entries(storage, key)
    snapshot.artifacts = entries(artifacts, key)


def _log_rows(key: uuid.UUID, tip: Tip) -> tuple[Rows, Rows, Rows]:
    """What stood at checkpoint `tip`: events of READ_COLUMNS, and for storage and artifacts the key and its entry.

    Rows never change, so no transaction is needed to read them together.
    """
    at = [key, tip.number, tip.number]
    storage: Rows = []
    artifacts: Rows = []
    events = sql.select(_log(Event, READ_COLUMNS, "position"), at)
    if tip.storage_count:
        storage = sql.select(_log(StorageEntry, ("key", "seq", "text", "owner"), "id"), at)
    if tip.artifact_count:
        columns = ("key", "seq", "artifact_id", "owner", "media_type", "size")
        artifacts = sql.select(_log(ArtifactRef, columns, "id"), at)
    return events, storage, artifacts


def _version_at(key: uuid.UUID, number: int) -> str | None:
    """The version of the schema at checkpoint `number`, if there was a migration since."""
    later = Checkpoint.objects.filter(state_id=key, number__gt=number, extra__contains='"migrated_from"')
    extra = later.order_by("number").values_list("extra", flat=True).first()
    return None if extra is None else _loads(extra, key).get("migrated_from")


@cache
def _newest() -> str:
    """STATE_COLUMNS of a state, TIP_COLUMNS of its newest checkpoint, and its tags, one a row."""
    return (
        f'SELECT {sql.names(STATE_COLUMNS, "s")}, {sql.names(TIP_COLUMNS, "c")}, t."tag" '  # noqa: S608
        f"FROM {sql.table(State)} s "
        f'LEFT JOIN {sql.table(Checkpoint)} c ON c."state_id" = s."id" AND c."number" = s."head" '
        f'LEFT JOIN {sql.table(Tag)} t ON t."state_id" = s."id" WHERE s."id" = %s ORDER BY t."id"'
    )


@cache
def _log(model: Any, columns: tuple[str, ...], order: str) -> str:
    """What stood at a checkpoint: the conditions of `LogQuerySet.at_checkpoint`."""
    return (
        f'SELECT {sql.names(columns)} FROM {sql.table(model)} WHERE "state_id" = %s '  # noqa: S608
        f'AND "added_in" <= %s AND ("removed_in" IS NULL OR "removed_in" > %s) ORDER BY "{order}"'
    )


def _status(text: str, key: uuid.UUID) -> StateStatus:
    try:
        return StateStatus(text)
    except ValueError as error:
        raise CorruptStateError(f"state {key} is damaged: {text!r} is no status") from error


@contextmanager
def _damage_of(key: uuid.UUID) -> Iterator[None]:
    """What cannot be read in here is damage. SQLite keeps values of any kind in a column of any other."""
    try:
        yield
    except SerializationError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise CorruptStateError(f"state {key} is damaged: {error}") from error


def _loads(text: str, key: uuid.UUID) -> dict[str, Any]:
    try:
        loaded = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise CorruptStateError(f"state {key} is damaged: {error}") from error
    if not isinstance(loaded, dict):
        raise CorruptStateError(f"state {key} is damaged: {text[:80]!r} is no object")
    return loaded
