"""The statements of the checkpoint after every step, written out: they run a thousand times where others run once."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper

from recovery.backends.rows import EVENT_COLUMNS
from recovery.models import Checkpoint, Event, State

MOVED_COLUMNS = ("head", "status", "updated_at", "clock", "resolution_text", "schema_version")
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


def move_head(moved: Sequence[Any], guard: Sequence[Any], *, is_fenced: bool) -> bool:
    """Set MOVED_COLUMNS of a state. `guard` is its id, the head that it must have, and its fence or else the time.

    `False`: there is no such state, it has another head, another fence, or somebody holds its lease.
    """
    with connection.cursor() as cursor:
        cursor.execute(_move(is_fenced), (*_database_values(moved), *_database_values(guard)))
        return bool(cursor.rowcount)


def insert_rows(model: Any, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.executemany(_insert(model, columns), [_database_values(row) for row in rows])


def append_one(
    moved: Sequence[Any], guard: Sequence[Any], event: Sequence[Any], checkpoint: Sequence[Any], *, is_fenced: bool
) -> bool:
    """Move the head and insert one event and one checkpoint, all in one statement. PostgreSQL only.

    `False` is as for `move_head`; nothing is inserted then.
    """
    with _server_cursor() as cursor:
        cursor.execute(_append_one(is_fenced), (*moved, *guard, *event, *checkpoint))
        return bool(cursor.rowcount)


@cache
def _move(is_fenced: bool, *, with_types: bool = False) -> str:
    table, types = _table(State), _types(State, MOVED_COLUMNS) if with_types else [""] * len(MOVED_COLUMNS)
    sets = ", ".join(f'"{name}" = %s{kind}' for name, kind in zip(MOVED_COLUMNS, types, strict=True))
    guard = '"fence" = %s' if is_fenced else '("lease_until" IS NULL OR "lease_until" <= %s)'
    return f'UPDATE {table} SET {sets} WHERE "id" = %s AND "head" = %s AND {guard}'  # noqa: S608  names of our own


@cache
def _insert(model: Any, columns: Sequence[str]) -> str:
    names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join(["%s"] * len(columns))
    return f"INSERT INTO {_table(model)} ({names}) VALUES ({marks})"  # noqa: S608  names of our own


@cache
def _append_one(is_fenced: bool) -> str:
    return (
        f"WITH moved AS ({_move(is_fenced, with_types=True)} RETURNING id), "
        f"event AS ({_insert_from_moved(Event, EVENT_COLUMNS)}) "
        f"{_insert_from_moved(Checkpoint, CHECKPOINT_COLUMNS)}"
    )


def _insert_from_moved(model: Any, columns: Sequence[str]) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join(f"%s{kind}" for kind in _types(model, columns))
    return f'INSERT INTO {_table(model)} ("state_id", {names}) SELECT id, {marks} FROM moved'  # noqa: S608


def _table(model: Any) -> str:
    return f'"{model._meta.db_table}"'


def _types(model: Any, columns: Sequence[str]) -> list[str]:
    """Casts, because a parameter in a SELECT has no type of its own. Without lengths: a cast would cut to them."""
    kinds = [model._meta.get_field(name).db_type(connection) for name in columns]
    return [f"::{kind.partition('(')[0]}" for kind in kinds]


def _server_cursor() -> CursorWrapper:
    """A cursor that leaves the parameters to the server, so that the statement is planned once a connection, where
    the settings allow it (`prepare_threshold`). Django's own one is planned each time: 0.3 ms for this statement."""
    connection.ensure_connection()
    cursor: Any = psycopg.Cursor(connection.connection)
    return connection.make_debug_cursor(cursor) if connection.queries_logged else connection.make_cursor(cursor)


def _database_values(values: Sequence[Any]) -> list[Any]:
    return [_database_value(value) for value in values]


def _database_value(value: Any) -> Any:
    """Ids and times are text on SQLite."""
    if connection.vendor == "postgresql":
        return value
    if isinstance(value, UUID):
        return value.hex
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value
