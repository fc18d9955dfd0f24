"""Statements written out, for what runs after every step and at every resume: to compile them anew each time would
take longer than to run them."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from recovery.backends.rows import EVENT_COLUMNS
from recovery.models import Checkpoint, Event, State, Tag
from recovery.models.prepared import adapted, open_cursor

# An older SQLite takes no more than 999 parameters in a statement.
BATCH = 500

CHECKPOINT_COLUMNS = (
    "number",
    "status",
    "metadata",
    "extra",
    "author",
    "created_at",
    "clock",
    "event_count",
    "storage_count",
    "artifact_count",
    "digest",
)


def move_head(moved: Mapping[str, Any], guard: Sequence[Any], *, is_fenced: bool) -> bool:
    """Set columns of a state. `guard` is its id, the head that it must have, and its fence or else the time.

    `False`: there is no such state, it has another head, another fence, or somebody holds its lease.
    """
    database = connections[DEFAULT_DB_ALIAS]
    with open_cursor() as cursor:
        cursor.execute(_move(tuple(moved), is_fenced), adapted(database, (*moved.values(), *guard)))
        return bool(cursor.rowcount)


def close_row(model: Any, column: str, key: UUID, value: Any, number: int) -> int:
    """Close the current row of a state that has `value` in `column`; how many there were."""
    with open_cursor() as cursor:
        cursor.execute(_close(model, column), adapted(connections[DEFAULT_DB_ALIAS], [number, key, value]))
        count: int = cursor.rowcount
        return count


def insert_rows(model: Any, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if not rows:
        return
    database = connections[DEFAULT_DB_ALIAS]
    with open_cursor() as cursor:
        if len(rows) == 1:  # Quicker by itself.
            cursor.execute(_insert(model, columns), adapted(database, rows[0]))
            return
        cursor.executemany(_insert(model, columns), [adapted(database, row) for row in rows])


def append_step(
    moved: Mapping[str, Any], guard: Sequence[Any], event: Sequence[Any], checkpoint: Sequence[Any], *, is_fenced: bool
) -> bool:
    """Move the head and insert one event and one checkpoint: in one statement on PostgreSQL, else in one transaction.

    `event` and `checkpoint` are in the order of EVENT_COLUMNS and CHECKPOINT_COLUMNS. `False` is as for `move_head`;
    nothing is inserted then.
    """
    database = connections[DEFAULT_DB_ALIAS]
    if database.vendor == "postgresql":
        with _savepoint_if_needed(database), open_cursor() as cursor:
            values = (*moved.values(), *guard, *event, *checkpoint)
            cursor.execute(_append_step(tuple(moved), is_fenced), values)
            return bool(cursor.rowcount)
    with transaction.atomic(), open_cursor() as cursor:
        moved_and_guard = adapted(database, (*moved.values(), *guard))
        cursor.execute(_move(tuple(moved), is_fenced), moved_and_guard)
        if not cursor.rowcount:
            return False
        key = moved_and_guard[len(moved)]
        cursor.execute(_insert(Event, ("state_id", *EVENT_COLUMNS)), (key, *event))
        cursor.execute(_insert(Checkpoint, ("state_id", *CHECKPOINT_COLUMNS)), (key, *adapted(database, checkpoint)))
    return True


class NotOneRow(Exception):
    """What was to be closed was not there, or more than once."""


def can_append_answer() -> bool:
    return connections[DEFAULT_DB_ALIAS].vendor == "postgresql"


def append_answer(
    moved: Mapping[str, Any], guard: Sequence[Any], closed: int, event: Sequence[Any], checkpoint: Sequence[Any]
) -> bool:
    """As `append_step` of a fenced state, and closes the event at the position `closed`; it is awaiting no more. Inside
    of a transaction that is given up if it raises.

    Raises:
        NotOneRow: that event is not there.
    """
    with open_cursor() as cursor:
        number = moved["head"]
        cursor.execute(_append_answer(tuple(moved)), (*moved.values(), *guard, number, closed, *event, *checkpoint))
        rows = cursor.fetchall()
    if rows and rows[0] != (1,):
        raise NotOneRow
    return bool(rows)


def select(statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Rows as the database gives them: see `as_time` and `as_uuid`."""
    database = connections[DEFAULT_DB_ALIAS]
    with open_cursor() as cursor:
        cursor.execute(statement, adapted(database, values))
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def as_time(value: Any) -> Any:
    """A time, which is text without a time zone on SQLite."""
    database = connections[DEFAULT_DB_ALIAS]
    if value is None or database.vendor == "postgresql":
        return value
    return database.ops.convert_datetimefield_value(value, None, database)  # type: ignore[attr-defined]


def as_uuid(value: Any) -> Any:
    """An id, which is text on SQLite."""
    return UUID(value) if isinstance(value, str) else value


def names(columns: Sequence[str], table: str = "") -> str:
    prefix = f"{table}." if table else ""
    return ", ".join(f'{prefix}"{name}"' for name in columns)


def table(model: Any) -> str:
    return f'"{model._meta.db_table}"'


@cache
def _move(columns: tuple[str, ...], is_fenced: bool) -> str:
    sets = ", ".join(f'"{name}" = %s' for name in columns)
    guard = '"fence" = %s' if is_fenced else '("lease_until" IS NULL OR "lease_until" <= %s)'
    return f'UPDATE {table(State)} SET {sets} WHERE "id" = %s AND "head" = %s AND {guard}'  # noqa: S608  names of our own


@cache
def _close(model: Any, column: str) -> str:
    return (
        f'UPDATE {table(model)} SET "removed_in" = %s '  # noqa: S608  names of our own
        f'WHERE "state_id" = %s AND "{column}" = %s AND "removed_in" IS NULL'
    )


@cache
def _insert(model: Any, columns: Sequence[str]) -> str:
    marks = ", ".join(["%s"] * len(columns))
    return f"INSERT INTO {table(model)} ({names(columns)}) VALUES ({marks})"  # noqa: S608  names of our own


@cache
def _append_step(columns: tuple[str, ...], is_fenced: bool) -> str:
    return (
        f"WITH moved AS ({_move(columns, is_fenced)} RETURNING id), "
        f"event AS ({_insert_from_moved(Event, EVENT_COLUMNS)}) "
        f"{_insert_from_moved(Checkpoint, CHECKPOINT_COLUMNS)}"
    )


@cache
def _append_answer(columns: tuple[str, ...]) -> str:
    # The new event follows from the closed one, so that the other is closed by then: an attempt stands there once.
    return (
        f"WITH moved AS ({_move(columns, is_fenced=True)} RETURNING id), "  # noqa: S608  names of our own
        f'closed AS (UPDATE {table(Event)} SET "removed_in" = %s FROM moved WHERE "state_id" = id AND "position" = %s '
        f'AND "removed_in" IS NULL RETURNING 1), '
        f'tags AS (UPDATE {table(Tag)} AS tag SET "awaiting_at" = NULL FROM moved WHERE tag."state_id" = moved.id), '
        f"event AS ({_insert_from_moved(Event, EVENT_COLUMNS)}, closed) "
        f"{_insert_from_moved(Checkpoint, CHECKPOINT_COLUMNS)} RETURNING (SELECT count(*) FROM closed)"
    )


def _insert_from_moved(model: Any, columns: Sequence[str]) -> str:
    marks = ", ".join(f"%s{kind}" for kind in _types(model, columns))
    return f'INSERT INTO {table(model)} ("state_id", {names(columns)}) SELECT id, {marks} FROM moved'  # noqa: S608


def _types(model: Any, columns: Sequence[str]) -> list[str]:
    """Casts, because a parameter in a SELECT has no type of its own. Without lengths: a cast would cut to them."""
    kinds = [model._meta.get_field(name).db_type(connection) for name in columns]
    return [f"::{kind.partition('(')[0]}" for kind in kinds]


def _savepoint_if_needed(database: BaseDatabaseWrapper) -> AbstractContextManager[Any]:
    """One statement is a transaction of its own; inside of somebody's transaction its failure must not end that."""
    return transaction.atomic() if database.in_atomic_block else nullcontext()
