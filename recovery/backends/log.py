"""Adding changes to a state's log: rows that went are closed, rows that came are added, none is ever rewritten."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from recovery.backends import sql
from recovery.backends.rows import (
    ENTRY_COLUMNS,
    EVENT_COLUMNS,
    REF_COLUMNS,
    Row,
    check_texts,
    entry_row,
    ref_row,
)
from recovery.models import Artifact, ArtifactRef, Event, StorageEntry
from rh_agents.core.state_recovery import Changes, Entry

_RESULT_ARTIFACT, _SIZE = EVENT_COLUMNS.index("result_artifact"), EVENT_COLUMNS.index("size")


class Grown(NamedTuple):
    """By how many rows each part of the log is longer than before."""

    events: int
    storage: int
    artifacts: int


def add_to_log(key: uuid.UUID, changes: Changes, events: list[Row]) -> Grown:
    """`events` are the rows of `changes.events`.

    Raises:
        ValueError: a text that no database holds, or too long a one; the message names it.
    """
    number = changes.base + 1
    check_events(events)
    _check_keys(changes.storage, "storage")
    _check_keys(changes.artifacts, "artifacts")
    storage = [entry_row(name, entry, number) for name, entry in changes.storage.items() if entry is not None]
    artifacts = [ref_row(name, entry, number) for name, entry in changes.artifacts.items() if entry is not None]
    for row in storage:
        check_texts(row, ENTRY_COLUMNS, f"storage[{row[0]!r:.80}]")
    for row in artifacts:
        check_texts(row, REF_COLUMNS, f"artifacts[{row[0]!r:.80}]")

    if changes.migrated_from:
        events_closed, storage_closed, artifacts_closed = (
            model.objects.current().filter(state_id=key).update(removed_in=number)
            for model in (Event, StorageEntry, ArtifactRef)
        )
    else:
        events_closed = _close(Event, key, "position", changes.closed, number)
        storage_closed = _close(StorageEntry, key, "key", changes.storage, number)
        artifacts_closed = _close(ArtifactRef, key, "key", changes.artifacts, number)
    _add(Event, EVENT_COLUMNS, key, _with_artifact_sizes(events))
    _add(StorageEntry, ENTRY_COLUMNS, key, storage)
    _add(ArtifactRef, REF_COLUMNS, key, artifacts)
    return Grown(len(events) - events_closed, len(storage) - storage_closed, len(artifacts) - artifacts_closed)


def canonical(changes: Changes, events: Sequence[Row], metadata: str) -> bytes:
    """The bytes that a checkpoint's digest is made of: whatever of the changes is stored, in a fixed order.

    `metadata` is its text, empty where it stays. Raises ValueError as `add_to_log` does.
    """
    parts = (
        changes.version,
        str(changes.status),
        changes.updated_at.timestamp(),
        changes.clock,
        events,
        changes.closed,
        sorted((key, tuple(entry) if entry else None) for key, entry in changes.storage.items()),
        sorted((key, tuple(entry) if entry else None) for key, entry in changes.artifacts.items()),
        metadata,
        changes.generations,
        changes.resolution_text,
        *([changes.migrated_from] if changes.migrated_from else []),
    )
    try:
        text = orjson.dumps(parts)
    except TypeError as error:
        check_events(events)
        raise ValueError(f"the changes to state {changes.state_id} cannot be stored: {error}") from error
    if b"\\u0000" in text:
        # A NUL, or a backslash and "u0000": only a closer look can tell.
        check_events(events)
    return text


def check_events(events: Sequence[Row]) -> None:
    for index, row in enumerate(events):
        check_texts(row, EVENT_COLUMNS, f"events[{index}]")


def refers_to_artifact(event: Row) -> bool:
    return bool(event[_RESULT_ARTIFACT])


def _check_keys(entries: Mapping[str, Entry | None], where: str) -> None:
    for key in entries:
        check_texts((key,), ("key",), f"{where}[{key!r:.80}]")


def _close(model: Any, key: uuid.UUID, column: str, values: Iterable[Any], number: int) -> int:
    """Close the current rows of a state that have one of `values` in `column`; how many there were."""
    wanted, closed = list(values), 0
    if len(wanted) == 1:
        return sql.close_row(model, column, key, wanted[0], number)
    for start in range(0, len(wanted), sql.BATCH):
        batch = {f"{column}__in": wanted[start : start + sql.BATCH]}
        closed += model.objects.current().filter(state_id=key, **batch).update(removed_in=number)
    return closed


def _add(model: Any, columns: Sequence[str], key: uuid.UUID, rows: Sequence[Row]) -> None:
    sql.insert_rows(model, ("state_id", *columns), [(key, *row) for row in rows])


def _with_artifact_sizes(events: list[Row]) -> list[Row]:
    """A result that is kept as an artifact has the artifact's size."""
    ids = [row[_RESULT_ARTIFACT] for row in events if refers_to_artifact(row)]
    if not ids:
        return events
    sizes: dict[str, int] = {}
    for start in range(0, len(ids), sql.BATCH):
        sizes.update(Artifact.objects.filter(pk__in=ids[start : start + sql.BATCH]).values_list("pk", "size"))
    return [(*row[:_SIZE], sizes.get(row[_RESULT_ARTIFACT], row[_SIZE]), *row[_SIZE + 1 :]) for row in events]
