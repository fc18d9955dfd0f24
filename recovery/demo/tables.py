"""The database tables that the sample loads into: one a run, its rows keyed by their line."""

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

from recovery.demo.csv_file import ColumnType

PREFIX = "loaded_"
LINE = "line"
# Taken by the row's number, and by PostgreSQL's own columns.
RESERVED = frozenset({LINE, "tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"})
OWNERS = "table_owners"
_LOCK = 0x7AB1E5

_TYPES = {
    ColumnType.INTEGER: "bigint",
    ColumnType.DECIMAL: "numeric",
    ColumnType.DATE: "date",
    ColumnType.TEXT: "text",
}


class TableTaken(RuntimeError):
    """Another run loaded a table of that name."""

    def __init__(self, name: str, owner: str) -> None:
        super().__init__(f"the table {name} belongs to the run {owner}; choose another name")


def create(name: str, columns: dict[str, ColumnType], state_id: str) -> None:
    """Create the table for this run; nothing happens if this run did so before.

    Raises:
        TableTaken: it belongs to another run.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        owner = _owner(cursor, name)
        if owner and owner != state_id:
            raise TableTaken(name, owner)
        if owner:
            return
        cursor.execute(f"INSERT INTO {OWNERS} (name, state_id) VALUES (%s, %s)", [name, state_id])  # noqa: S608
        fields = ", ".join(f"{_quoted(column)} {_TYPES[kind]}" for column, kind in columns.items())
        cursor.execute(f"CREATE TABLE {_table(name)} ({_quoted(LINE)} bigint PRIMARY KEY, {fields})")


def insert(name: str, columns: Sequence[str], rows: Sequence[tuple[int, Sequence[Any]]]) -> None:
    """Insert (line, values) in one transaction. Lines that are there already stay as they are."""
    if not rows:
        return
    fields = ", ".join(_quoted(column) for column in (LINE, *columns))
    marks = ", ".join(["%s"] * (len(columns) + 1))
    statement = f"INSERT INTO {_table(name)} ({fields}) VALUES ({marks}) ON CONFLICT ({_quoted(LINE)}) DO NOTHING"  # noqa: S608
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(statement, [[line, *map(_adapted, values)] for line, values in rows])


def count(name: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {_table(name)}")  # noqa: S608  the name is checked and quoted
        return int(cursor.fetchone()[0])


def check_free(name: str, state_id: str) -> None:
    """Raises `TableTaken` if the table belongs to another run."""
    with transaction.atomic(), connection.cursor() as cursor:
        owner = _owner(cursor, name)
    if owner and owner != state_id:
        raise TableTaken(name, owner)


def free_name(name: str, state_id: str) -> str:
    """`name`, or `name_2` and so on if other runs have that."""
    with transaction.atomic(), connection.cursor() as cursor:
        _create_owners(cursor)
        cursor.execute(f"SELECT name, state_id FROM {OWNERS}")  # noqa: S608  a constant
        taken = {row[0] for row in cursor.fetchall() if row[1] != state_id}
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name[:36]}_{number}"
    return candidate


def _owner(cursor: Any, name: str) -> str:
    """The id of the run whose table it is, "" if there is none yet."""
    _create_owners(cursor)
    cursor.execute(f"SELECT state_id FROM {OWNERS} WHERE name = %s", [name])  # noqa: S608  a constant
    found = cursor.fetchone()
    return str(found[0]) if found else ""


def _create_owners(cursor: Any) -> None:
    """Nobody else gets past here until the transaction ends: on PostgreSQL, two that create one table would fail."""
    if connection.vendor == "postgresql":
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    cursor.execute(f"CREATE TABLE IF NOT EXISTS {OWNERS} (name text PRIMARY KEY, state_id text NOT NULL)")


def _table(name: str) -> str:
    return _quoted(PREFIX + name)


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _adapted(value: Any) -> Any:
    """As every driver takes it: SQLite has no decimals and no dates."""
    return value if value is None or isinstance(value, int | str) else str(value)
