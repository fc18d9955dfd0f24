"""Writing the audit: one entry an act, each holding the hash of the one before."""

import hashlib
import json
import uuid
from collections.abc import Generator, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection
from django.utils import timezone

from recovery.models import AuditEntry, AuditTail
from recovery.models.prepared import Prepared, PreparedUpdate, insert, open_cursor
from recovery.services.actors import Actor

# A project's own user model may allow longer ones.
LONGEST_NAME = 200
# In this order: every hash that was ever written rests on it.
HASHED = (
    "previous_hash",
    "number",
    "at",
    "action",
    "actor",
    "actor_kind",
    "channel",
    "state_id",
    "request_id",
    "detail",
)


def record(
    action: str,
    *,
    by: Any = None,
    actor_kind: str = "",
    channel: str = "",
    state_id: uuid.UUID | None = None,
    request_id: uuid.UUID | None = None,
    **detail: Any,
) -> AuditEntry:
    """Append one entry; `by` is a user or an `Actor`. Call it last in the transaction: it locks the end of the chain
    until the commit."""
    entry = AuditEntry(
        at=timezone.now(),
        action=action,
        actor=by.get_username()[:LONGEST_NAME] if by is not None else "",
        actor_kind=actor_kind or _kind_of(by),
        channel=channel,
        state_id=state_id,
        request_id=request_id,
        detail=json.dumps(detail, sort_keys=True, default=str),
    )
    if connection.vendor == "postgresql":
        _append_at_once(entry)
    else:
        tail = hold()
        entry.number, entry.previous_hash = tail.number + 1, tail.hash
        entry.hash = hash_of(entry)
        insert(entry)
        _MOVE_TAIL.run(number=entry.number, hash=entry.hash)
    return entry


def _append_at_once(entry: AuditEntry) -> None:
    """Everybody who decides waits here for everybody else, so that the tail is read, continued and moved in one round
    trip: PostgreSQL hashes the entry as `hash_of` does."""
    entry.check_texts()
    fields = as_dict(entry)
    said = json.dumps([fields[name] for name in HASHED if name not in ("previous_hash", "number")])
    values = [getattr(entry, name) for name in _SAID]
    with open_cursor() as cursor:
        for _ in range(2):
            cursor.execute(_APPEND, [*values, f", {said[1:]}"])
            if row := cursor.fetchone():
                entry.pk, entry.number, entry.previous_hash, entry.hash = row
                entry._state.adding, entry._state.db = False, DEFAULT_DB_ALIAS
                return
            hold()


_SAID = {
    "at": "timestamptz",
    "action": "text",
    "actor": "text",
    "actor_kind": "text",
    "channel": "text",
    "state_id": "uuid",
    "request_id": "uuid",
    "detail": "text",
}
_APPEND = f"""
    WITH tail AS MATERIALIZED (SELECT number, hash FROM {AuditTail._meta.db_table} WHERE id = 1 FOR UPDATE),
    entry AS (
        INSERT INTO {AuditEntry._meta.db_table} ({", ".join(_SAID)}, number, previous_hash, hash)
        SELECT {", ".join(f"%s::{kind}" for kind in _SAID.values())}, number + 1, hash,
            encode(sha256(convert_to('["' || hash || '", ' || number + 1 || %s::text, 'UTF8')), 'hex')
        FROM tail RETURNING id, number, previous_hash, hash
    )
    UPDATE {AuditTail._meta.db_table} AS moved SET number = entry.number, hash = entry.hash FROM entry
    WHERE moved.id = 1 RETURNING entry.id, entry.number, entry.previous_hash, entry.hash
"""  # noqa: S608  names of our own
_TAIL = Prepared(lambda given: AuditTail.objects.select_for_update().filter(pk=1))
_MOVE_TAIL = PreparedUpdate(
    lambda given: AuditTail.objects.filter(pk=1),
    lambda given: {"number": given.number, "hash": given.hash},
    number=int,
    hash=str,
)


def hold() -> AuditTail:
    """Lock the end of the chain until the commit: early, where two transactions would else wait for each other."""
    tail: AuditTail | None = _TAIL.first()
    if tail is not None:
        return tail
    AuditTail.objects.bulk_create([AuditTail(pk=1)], ignore_conflicts=True)
    return AuditTail.objects.select_for_update().get(pk=1)


def _kind_of(by: Any) -> str:
    if isinstance(by, Actor):
        return by.kind
    return "user" if by is not None else "system"


def hash_of(entry: AuditEntry) -> str:
    """SHA-256 over everything the entry says and the hash of the one before."""
    fields = as_dict(entry)
    said = [fields[name] for name in HASHED]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def broken_links() -> Iterator[tuple[int, str]]:
    """(number, what is wrong) of each entry that does not verify, in order."""
    previous_hash, previous_number = yield from _broken(AuditEntry.objects.order_by("number").iterator(2000))
    tail = AuditTail.objects.filter(pk=1).first()
    if (tail.number, tail.hash) != (previous_number, previous_hash) if tail else previous_number:
        yield previous_number, "is not the last that was written"


def broken_links_of_export(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The same of an export as JSON Lines; it may begin anywhere, and end before what was written later.

    Raises:
        ValueError: a line is no entry; the message says which.
    """
    yield from _broken(_entries(lines), is_whole=False)


def as_dict(entry: AuditEntry) -> dict[str, Any]:
    """Everything its hash is made of, and the hash."""
    return {
        "number": entry.number,
        "at": entry.at.astimezone(UTC).isoformat(),
        "action": entry.action,
        "actor": entry.actor,
        "actor_kind": entry.actor_kind,
        "channel": entry.channel,
        "state_id": str(entry.state_id or ""),
        "request_id": str(entry.request_id or ""),
        "detail": entry.detail,
        "previous_hash": entry.previous_hash,
        "hash": entry.hash,
    }


def _entries(lines: Iterable[str]) -> Iterator[AuditEntry]:
    for number, line in enumerate(lines, start=1):
        try:
            said = json.loads(line)
            ids = {name: uuid.UUID(said[name]) if said[name] else None for name in ("state_id", "request_id")}
            yield AuditEntry(**{**said, **ids, "at": datetime.fromisoformat(said["at"])})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"line {number} is no entry of the audit: {error!r}") from error


def _broken(
    entries: Iterable[AuditEntry], *, is_whole: bool = True
) -> Generator[tuple[int, str], None, tuple[str, int]]:
    """Gives the broken links; returns hash and number of the last entry. `is_whole`: the first has to be number 1."""
    previous_hash, previous_number = "", 0
    for entry in entries:
        if is_whole or previous_number:
            if entry.number != previous_number + 1:
                yield entry.number, f"follows {previous_number}: entries are missing"
            if entry.previous_hash != previous_hash:
                yield entry.number, "does not continue the entry before"
        if entry.hash != hash_of(entry):
            yield entry.number, "was changed"
        previous_hash, previous_number = entry.hash, entry.number
    return previous_hash, previous_number
