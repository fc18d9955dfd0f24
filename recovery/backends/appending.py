"""Writing one checkpoint: the head moves by compare-and-set, and what changed is added behind it."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from django.db import DataError, IntegrityError, connection, transaction
from django.utils import timezone

from recovery.backends import metadata as known_by
from recovery.backends import sql
from recovery.backends.log import add_to_log, canonical, refers_to_artifact
from recovery.backends.rows import MAX_INDEXED_BYTES, Row, check_texts, event_row, state_uuid
from recovery.backends.tips import Tip, read_tip
from recovery.models import ApprovalRequest, Checkpoint, State, Tag
from recovery.models.prepared import PreparedUpdate
from rh_agents.core.errors import CorruptStateError, StaleWriterError
from rh_agents.core.state_recovery import (
    CURRENT_SCHEMA_VERSION,
    Changes,
    EventRecord,
    StateMetadata,
    StateStatus,
    check_version,
)

_SURELY_SHORT = MAX_INDEXED_BYTES // 4
_TIPS_REMEMBERED = 1000
_GOES_ON = (StateStatus.RUNNING, StateStatus.PAUSED)

OnCheckpoint = Callable[[str, Changes, int, bytes], object]


class Appender:
    """Writes checkpoints, and remembers where each state stands so that the next one needs to read nothing."""

    def __init__(self, fence: int | None, author: str) -> None:
        self._fence = fence
        # The names of several people may be longer.
        self._author = author[:150]
        check_texts((self._author,), ("author",), "the backend")
        self._tips: dict[uuid.UUID, Tip] = {}

    def append(self, changes: Changes, on_checkpoint: OnCheckpoint | None) -> int:
        """See `StateBackend.append`. `on_checkpoint` is called as `DjangoStateBackend` says."""
        key = state_uuid(changes.state_id)
        check_version(changes.version)
        for name, time in (("updated_at", changes.updated_at), ("created_at", changes.created_at)):
            if time is not None and time.tzinfo is None:
                raise ValueError(f"{name} {time.isoformat()} has no time zone")
        if changes.resolution_text or changes.version != CURRENT_SCHEMA_VERSION:
            check_texts((changes.resolution_text, changes.version), ("resolution", "version"), "changes")
        try:
            tip = self._append(key, changes, on_checkpoint)
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
        if len(self._tips) >= _TIPS_REMEMBERED:
            self._tips.clear()
        self._tips[key] = tip

    def forget(self, key: uuid.UUID) -> None:
        self._tips.pop(key, None)

    def why_not_ours(self, key: uuid.UUID, fence: int, owner: str, until: datetime | None) -> str:
        """Who has the right to write this state, "" if it is whoever writes here. The last three are columns of it."""
        if self._fence is not None and fence != self._fence:
            return f"the lease of state {key} was lost: its fence is {fence}, not {self._fence}"
        if self._fence is None and until is not None and until > timezone.now():
            return f"state {key} is leased to {owner or 'another writer'} until {until.isoformat()}"
        return ""

    def _append(self, key: uuid.UUID, changes: Changes, on_checkpoint: OnCheckpoint | None) -> Tip:
        events = [event_row(event, changes.base + 1) for event in changes.events]
        tip = Tip()
        if changes.base > 0:
            known = self._tips.get(key)
            before = known if known and known.number == changes.base else read_tip(key, changes.base)
            if before is None:
                raise self._refusal(key, changes)
            tip = before
            # An awaiting state that goes on has tags to touch: not here.
            if tip.status != StateStatus.AWAITING and _is_one_step(changes, events):
                with _said_plainly(key):
                    return self._append_step(key, changes, events[0], tip)
            if self._fence is not None and _is_one_answer(changes, events) and sql.can_append_answer():
                with suppress(sql.NotOneRow), _said_plainly(key):
                    return self._append_answer(key, changes, events[0], tip)
        # Whoever holds the lease says itself which requests it has left behind.
        is_told = changes.status not in _GOES_ON or (tip.status == StateStatus.AWAITING and self._fence is None)
        with transaction.atomic(), _said_plainly(key):
            new = self._append_any(key, changes, events, tip)
            if on_checkpoint is not None and is_told:
                on_checkpoint(str(key), changes, new.number, new.digest)
        return new

    def _append_step(self, key: uuid.UUID, changes: Changes, event: Row, tip: Tip) -> Tip:
        """The checkpoint after every step: one round trip on PostgreSQL, one short transaction on SQLite."""
        new = tip.next(changes, canonical(changes, [event], ""), events=1)
        moved = _moved(changes, new.clock)
        if tip.is_in_a_burst(changes):
            # Four indexes hold these two. A run of quick steps would leave a dead entry in each of them at every step.
            del moved["status"], moved["updated_at"]
            new = new._replace(listed_at=tip.listed_at)
        is_fenced = self._fence is not None
        if not sql.append_step(moved, self._guard(key, changes), event, self._row(new, changes), is_fenced=is_fenced):
            raise self._refusal(key, changes)
        return new

    def _append_answer(self, key: uuid.UUID, changes: Changes, event: Row, tip: Tip) -> Tip:
        """The checkpoint that a decided run goes on from: its question is closed by the answer, in one round trip.

        Raises:
            NotOneRow: the question was not there once; nothing was written.
        """
        new = tip.next(changes, canonical(changes, [event], ""), events=0)
        moved, guard = _moved(changes, new.clock), self._guard(key, changes)
        with transaction.atomic():
            if not sql.append_answer(moved, guard, changes.closed[0], event, self._row(new, changes)):
                raise self._refusal(key, changes)
        return new

    def _append_any(self, key: uuid.UUID, changes: Changes, events: list[Row], tip: Tip) -> Tip:
        if changes.base == 0:
            metadata: StateMetadata | None = self._begin(key, changes)
        else:
            self._move(key, changes, max(tip.clock, changes.clock))
            metadata = changes.metadata and known_by.kept_in_its_pipeline(key, changes.metadata)
        text = known_by.metadata_text(metadata) if metadata else ""
        grown = add_to_log(key, changes, events)
        new = tip.next(changes, canonical(changes, events, text), *grown)

        columns: dict[str, Any] = {}
        if metadata:
            columns = known_by.state_columns(metadata)
        if changes.generations is not None:
            columns["generations"] = json.dumps(changes.generations)
        if columns:
            State.objects.filter(pk=key).update(**columns)
        awaiting_at = changes.updated_at if changes.status is StateStatus.AWAITING else None
        if metadata:
            known_by.write_tags(key, metadata.tags, awaiting_at)
            if changes.base:
                ApprovalRequest.objects.filter(state_id=key).renew_words()
        elif awaiting_at or tip.status == StateStatus.AWAITING:
            _TOUCH_TAGS.run(state=key, at=awaiting_at)
        sql.insert_rows(Checkpoint, ("state_id", *sql.CHECKPOINT_COLUMNS), [(key, *self._row(new, changes, text))])
        return new

    def _begin(self, key: uuid.UUID, changes: Changes) -> StateMetadata:
        """The row of a state's first checkpoint: a new one, or that of a run which was started and never saved yet."""
        state = State.objects.select_for_update(no_key=True).filter(pk=key).first()
        if state is not None:
            metadata = known_by.joined(state, changes.metadata)
            self._move(key, changes, changes.clock)
            return metadata
        if self._fence is not None:
            raise self._refusal(key, changes)
        row = State(id=key, created_at=changes.created_at or changes.updated_at, **_moved(changes, changes.clock))
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:
            # Somebody else saved it first, just now.
            raise self._refusal(key, changes) from None
        return changes.metadata or StateMetadata()

    def _move(self, key: uuid.UUID, changes: Changes, clock: int) -> None:
        if not sql.move_head(_moved(changes, clock), self._guard(key, changes), is_fenced=self._fence is not None):
            raise self._refusal(key, changes)

    def _guard(self, key: uuid.UUID, changes: Changes) -> Row:
        return key, changes.base, timezone.now() if self._fence is None else self._fence

    def _row(self, new: Tip, changes: Changes, metadata: str = "") -> Row:
        """In the order of CHECKPOINT_COLUMNS."""
        extra: dict[str, Any] = {}
        if changes.generations is not None:
            extra["generations"] = changes.generations
        if changes.migrated_from:
            extra["migrated_from"] = changes.migrated_from
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
        if reason := self.why_not_ours(key, fence, owner, until):
            return StaleWriterError(reason)
        if head == changes.base and head:
            return CorruptStateError(f"state {key} is damaged: its newest checkpoint, {head}, is missing")
        return StaleWriterError(f"state {key} stands at checkpoint {head}; these changes follow {changes.base}")


_TOUCH_TAGS = PreparedUpdate(
    lambda given: Tag.objects.filter(state_id=given.state),
    lambda given: {"awaiting_at": given.at},
    state=uuid.UUID,
    at=datetime,
)


def _is_one_answer(changes: Changes, events: list[Row]) -> bool:
    """One event in the place of another, and nothing else."""
    return len(changes.closed) == 1 and _has_one_event(changes, events)


def _is_one_step(changes: Changes, events: list[Row]) -> bool:
    """One event and nothing else."""
    return not changes.closed and _has_one_event(changes, events)


def _has_one_event(changes: Changes, events: list[Row]) -> bool:
    return (
        len(events) == 1
        and not (changes.storage or changes.artifacts or changes.migrated_from)
        and changes.metadata is None
        and changes.generations is None
        and changes.status in _GOES_ON
        and not refers_to_artifact(events[0])
        and _is_surely_short(changes.events[0])
    )


def _is_surely_short(event: EventRecord) -> bool:
    """Whether every column has room for it. What may be too long is looked at closely, the slower way."""
    return (
        len(event.address) <= _SURELY_SHORT
        and len(event.actor) <= _SURELY_SHORT
        and len(event.fingerprint) <= 64
        and len(event.event_type) <= 16
    )


def _moved(changes: Changes, clock: int) -> dict[str, Any]:
    """The columns of a state that every checkpoint changes."""
    return {
        "head": changes.base + 1,
        "status": str(changes.status),
        "updated_at": changes.updated_at,
        "clock": clock,
        "resolution_text": changes.resolution_text or "",
        "schema_version": changes.version,
    }


@contextmanager
def _said_plainly(key: uuid.UUID) -> Iterator[None]:
    """What the database refuses (two records of one attempt, too long a text) is a mistake of the caller."""
    try:
        yield
    except (IntegrityError, DataError, OverflowError) as error:
        raise ValueError(f"the changes to state {key} do not fit what is stored: {error}") from error
