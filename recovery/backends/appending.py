"""Writing one checkpoint: the head moves by compare-and-set, and what changed is added behind it."""

import hashlib
import json
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import orjson
from django.db import DataError, IntegrityError, connection, transaction
from django.utils import timezone

from recovery.backends import metadata as known_by
from recovery.backends import sql
from recovery.backends.rows import (
    ENTRY_COLUMNS,
    EVENT_COLUMNS,
    MAX_INDEXED_BYTES,
    REF_COLUMNS,
    check_texts,
    entry_row,
    event_row,
    ref_row,
    state_uuid,
)
from recovery.backends.tips import Tip, read_tip
from recovery.models import Artifact, ArtifactRef, Checkpoint, Event, State, StorageEntry, Tag
from rh_agents.core.errors import CorruptStateError, StaleWriterError
from rh_agents.core.state_recovery import Changes, Entry, StateMetadata, StateStatus, check_version

_RESULT_ARTIFACT, _SIZE = EVENT_COLUMNS.index("result_artifact"), EVENT_COLUMNS.index("size")
_SURELY_SHORT = MAX_INDEXED_BYTES // 4
_TIPS_REMEMBERED = 1000
_LIST_LAG = timedelta(seconds=1)

OnAwaiting = Callable[[str, Changes, int, bytes], object]
Row = tuple[Any, ...]


class Appender:
    """Writes checkpoints, and remembers where each state stands so that the next one needs to read nothing."""

    def __init__(self, fence: int | None, author: str) -> None:
        self._fence = fence
        self._author = author
        self._tips: OrderedDict[uuid.UUID, Tip] = OrderedDict()

    def append(self, changes: Changes, on_awaiting: OnAwaiting | None) -> int:
        """See `StateBackend.append`. `on_awaiting` is called inside of the transaction of an awaiting checkpoint."""
        key = state_uuid(changes.state_id)
        check_version(changes.version)
        for name, time in (("updated_at", changes.updated_at), ("created_at", changes.created_at)):
            if time is not None and time.tzinfo is None:
                raise ValueError(f"{name} {time.isoformat()} has no time zone")
        try:
            tip = self._append(key, changes, on_awaiting)
        except BaseException:
            self.forget(key)
            raise
        # Inside of somebody's transaction it may all be taken back yet.
        if connection.in_atomic_block:
            self.forget(key)
        else:
            self.remember(key, tip)
        return tip.number

    def remember(self, key: uuid.UUID, tip: Tip) -> None:
        self._tips[key] = tip
        self._tips.move_to_end(key)
        if len(self._tips) > _TIPS_REMEMBERED:
            self._tips.popitem(last=False)

    def forget(self, key: uuid.UUID) -> None:
        self._tips.pop(key, None)

    def _append(self, key: uuid.UUID, changes: Changes, on_awaiting: OnAwaiting | None) -> Tip:
        events = [event_row(event, changes.base + 1) for event in changes.events]
        tip = self._tips.get(key)
        if tip is not None and tip.number != changes.base:
            tip = None
        if changes.base > 0:
            tip = tip or read_tip(key, changes.base)
            if tip is None:
                raise self._refusal(key, changes)
            # An awaiting state that goes on has tags to touch: not here.
            if _is_one_step(changes, events) and tip.status != StateStatus.AWAITING:
                with _said_plainly(key):
                    return self._append_step(key, changes, events[0], tip)
        with transaction.atomic():
            with _said_plainly(key):
                new = self._append_any(key, changes, events, tip or Tip())
            if changes.status is StateStatus.AWAITING and on_awaiting is not None:
                on_awaiting(str(key), changes, new.number, new.digest)
        return new

    def _append_step(self, key: uuid.UUID, changes: Changes, event: Row, tip: Tip) -> Tip:
        """The checkpoint after every step: one round trip on PostgreSQL, one short transaction on SQLite."""
        new = _follow(tip, changes, _canonical(changes, [event], None))._replace(event_count=tip.event_count + 1)
        moved, guard, checkpoint = _moved(new, changes), self._guard(key, changes), self._checkpoint(new, changes, "")
        if _is_in_a_burst(tip, new):
            # Four indexes hold these two. A run of quick steps would leave a dead entry in each of them at every step.
            del moved["status"], moved["updated_at"]
            new = new._replace(listed_at=tip.listed_at)
        if not sql.append_step(moved, guard, event, checkpoint, is_fenced=self._fence is not None):
            raise self._refusal(key, changes)
        return new

    def _append_any(self, key: uuid.UUID, changes: Changes, events: list[Row], tip: Tip) -> Tip:
        number, metadata = changes.base + 1, changes.metadata
        if changes.base == 0:
            metadata = self._begin(key, changes)
        else:
            self._move(key, changes, _follow(tip, changes, b""))
            if metadata is not None:
                metadata = known_by.kept_in_its_pipeline(key, metadata)
        for index, row in enumerate(events):
            check_texts(row, EVENT_COLUMNS, f"events[{index}]")
        events = _with_artifact_sizes(events)
        storage = [entry_row(name, entry, number) for name, entry in changes.storage.items() if entry is not None]
        artifacts = [ref_row(name, entry, number) for name, entry in changes.artifacts.items() if entry is not None]
        _check_entries(changes.storage, storage, ENTRY_COLUMNS, "storage")
        _check_entries(changes.artifacts, artifacts, REF_COLUMNS, "artifacts")

        new = _follow(tip, changes, _canonical(changes, events, metadata))._replace(
            event_count=tip.event_count + len(events) - _close(Event, key, "position", changes.closed, number),
            storage_count=tip.storage_count + len(storage) - _close(StorageEntry, key, "key", changes.storage, number),
            artifact_count=tip.artifact_count
            + len(artifacts)
            - _close(ArtifactRef, key, "key", changes.artifacts, number),
        )
        for model, columns, rows in (
            (Event, EVENT_COLUMNS, events),
            (StorageEntry, ENTRY_COLUMNS, storage),
            (ArtifactRef, REF_COLUMNS, artifacts),
        ):
            sql.insert_rows(model, ("state_id", *columns), [(key, *row) for row in rows])

        if metadata is not None and changes.base:
            State.objects.filter(pk=key).update(**known_by.state_columns(metadata))
        if changes.generations is not None:
            State.objects.filter(pk=key).update(generations=json.dumps(changes.generations))
        awaiting_at = changes.updated_at if changes.status is StateStatus.AWAITING else None
        if metadata is not None:
            known_by.write_tags(key, metadata.tags, awaiting_at)
        elif awaiting_at or tip.status == StateStatus.AWAITING:
            Tag.objects.filter(state_id=key).update(awaiting_at=awaiting_at)
        text = "" if metadata is None else known_by.metadata_text(metadata)
        checkpoint = self._checkpoint(new, changes, text)
        sql.insert_rows(Checkpoint, ("state_id", *sql.CHECKPOINT_COLUMNS), [(key, *checkpoint)])
        return new

    def _begin(self, key: uuid.UUID, changes: Changes) -> StateMetadata:
        """The row of a state's first checkpoint: a new one, or that of a run which was started and never saved yet."""
        state = State.objects.select_for_update(no_key=True).filter(pk=key).first()
        if state is None:
            return self._create(key, changes)
        metadata = known_by.joined(state, changes.metadata)
        self._move(key, changes, _follow(Tip(), changes, b""))
        State.objects.filter(pk=key).update(**known_by.state_columns(metadata))
        return metadata

    def _create(self, key: uuid.UUID, changes: Changes) -> StateMetadata:
        metadata = changes.metadata or StateMetadata()
        if self._fence is not None:
            raise self._refusal(key, changes)
        row = State(
            id=key,
            status=changes.status,
            created_at=changes.created_at or changes.updated_at,
            updated_at=changes.updated_at,
            head=1,
            clock=changes.clock,
            resolution_text=changes.resolution_text or "",
            schema_version=changes.version,
            **known_by.state_columns(metadata),
        )
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:
            # Somebody else saved it first, just now.
            raise self._refusal(key, changes) from None
        return metadata

    def _move(self, key: uuid.UUID, changes: Changes, new: Tip) -> None:
        if not sql.move_head(_moved(new, changes), self._guard(key, changes), is_fenced=self._fence is not None):
            raise self._refusal(key, changes)

    def _guard(self, key: uuid.UUID, changes: Changes) -> Row:
        return key, changes.base, timezone.now() if self._fence is None else self._fence

    def _checkpoint(self, new: Tip, changes: Changes, metadata: str) -> Row:
        """In the order of CHECKPOINT_COLUMNS."""
        extra: dict[str, Any] = {}
        if changes.generations is not None:
            extra["generations"] = changes.generations
        if changes.resolution_text is not None:
            extra["resolution"] = changes.resolution_text
        return (
            new.number,
            new.status,
            metadata,
            json.dumps(extra) if extra else "",
            self._author,
            changes.updated_at,
            new.clock,
            new.event_count,
            new.storage_count,
            new.artifact_count,
            new.digest,
        )

    def _refusal(self, key: uuid.UUID, changes: Changes) -> Exception:
        """Why the head did not move."""
        row = State.objects.filter(pk=key).values_list("head", "fence", "lease_owner", "lease_until").first()
        if row is None:
            return StaleWriterError(f"state {key} is gone; these changes follow its checkpoint {changes.base}")
        head, fence, owner, until = row
        if self._fence is not None and fence != self._fence:
            return StaleWriterError(
                f"the lease of state {key} was lost: its fence is {fence}, this writer's {self._fence}"
            )
        if self._fence is None and until is not None and until > timezone.now():
            return StaleWriterError(f"state {key} is leased to {owner or 'another writer'} until {until.isoformat()}")
        if head == changes.base and head:
            return CorruptStateError(f"state {key} is damaged: its newest checkpoint, {head}, is missing")
        return StaleWriterError(
            f"state {key} stands at checkpoint {head}; these changes follow checkpoint {changes.base}"
        )


def _is_one_step(changes: Changes, events: Sequence[Row]) -> bool:
    """One event and nothing else."""
    return (
        len(events) == 1
        and not (changes.closed or changes.storage or changes.artifacts)
        and changes.metadata is None
        and changes.generations is None
        and changes.status is not StateStatus.AWAITING
        and not events[0][_RESULT_ARTIFACT]
        and len(changes.events[0].address) <= _SURELY_SHORT
    )


def _follow(tip: Tip, changes: Changes, canonical: bytes) -> Tip:
    """The next tip, with the counts of the one before."""
    return tip._replace(
        number=tip.number + 1,
        digest=hashlib.sha256(tip.digest + canonical).digest(),
        status=str(changes.status),
        saved_at=changes.updated_at,
        clock=max(tip.clock, changes.clock),
        listed_at=changes.updated_at,
    )


def _moved(new: Tip, changes: Changes) -> dict[str, Any]:
    """The columns of the state that a checkpoint changes."""
    return {
        "head": new.number,
        "status": new.status,
        "updated_at": changes.updated_at,
        "clock": new.clock,
        "resolution_text": changes.resolution_text or "",
        "schema_version": changes.version,
    }


def _is_in_a_burst(tip: Tip, new: Tip) -> bool:
    """Whether a running state was put in its place in the lists a moment ago, and may keep it for now."""
    if tip.listed_at is None or new.saved_at is None or not tip.status == new.status == StateStatus.RUNNING:
        return False
    return new.saved_at - tip.listed_at < _LIST_LAG


def _canonical(changes: Changes, events: Sequence[Row], metadata: StateMetadata | None) -> bytes:
    """The bytes that a checkpoint's digest is made of: whatever of the changes is stored, in a fixed order.

    Raises:
        ValueError: a text that no database holds; it names which.
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
        None if metadata is None else known_by.metadata_text(metadata),
        changes.generations,
        changes.resolution_text,
    )
    try:
        canonical = orjson.dumps(parts)
    except TypeError as error:
        for index, row in enumerate(events):
            check_texts(row, EVENT_COLUMNS, f"events[{index}]")
        raise ValueError(f"the changes to state {changes.state_id} cannot be stored: {error}") from error
    if b"\\u0000" in canonical:
        for index, row in enumerate(events):
            check_texts(row, EVENT_COLUMNS, f"events[{index}]")
    return canonical


def _check_entries(
    entries: Mapping[str, Entry | None], rows: Sequence[Row], columns: Sequence[str], where: str
) -> None:
    for key in entries:
        check_texts((key,), ("key",), f"{where}[{key!r:.80}]")
    for row in rows:
        check_texts(row, columns, f"{where}[{row[0]!r:.80}]")


def _close(model: Any, key: uuid.UUID, column: str, values: Any, number: int) -> int:
    """Close the current rows of a state that have one of `values` in `column`; how many there were."""
    wanted = list(values)
    return sum(
        model.objects.current()
        .filter(state_id=key, **{f"{column}__in": wanted[start : start + sql.BATCH]})
        .update(removed_in=number)
        for start in range(0, len(wanted), sql.BATCH)
    )


def _with_artifact_sizes(events: list[Row]) -> list[Row]:
    """A result that is kept as an artifact has the artifact's size."""
    ids = [row[_RESULT_ARTIFACT] for row in events if row[_RESULT_ARTIFACT]]
    if not ids:
        return events
    sizes: dict[str, int] = {}
    for start in range(0, len(ids), sql.BATCH):
        sizes.update(Artifact.objects.filter(pk__in=ids[start : start + sql.BATCH]).values_list("pk", "size"))
    return [(*row[:_SIZE], sizes.get(row[_RESULT_ARTIFACT], row[_SIZE]), *row[_SIZE + 1 :]) for row in events]


@contextmanager
def _said_plainly(key: uuid.UUID) -> Iterator[None]:
    """What the database refuses (two records of one attempt, too long a text) is a mistake of the caller."""
    try:
        yield
    except (IntegrityError, DataError) as error:
        raise ValueError(f"the changes to state {key} do not fit what is stored: {error}") from error
