"""What was paid, in a database table: an expense of a batch is in it once, whoever pays it and however often."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection, transaction

TABLE = "expense_payouts"
_LOCK = 0xEC5BE1


class Payment(NamedTuple):
    """`amount` in euros, whole cents."""

    line: int
    person: str
    amount: Decimal


def pay(batch: str, state_id: str, reference: str, payments: Sequence[Payment]) -> dict[int, str]:
    """Pay what was not paid yet, all of it or nothing. Line to the run that has paid it: this or an earlier one."""
    rows = [(batch, one.line, state_id, reference, one.person, int(one.amount * 100)) for one in payments]
    with transaction.atomic(), connection.cursor() as cursor:
        _create(cursor)
        cursor.executemany(
            f"INSERT INTO {TABLE} (batch, line, state_id, reference, person, cents) "  # noqa: S608  a constant
            "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (batch, line) DO NOTHING",
            rows,
        )
        paid = _paid(cursor, batch)
    return {one.line: paid[one.line] for one in payments}


def paid(batch: str) -> dict[int, str]:
    """Line to the run that has paid it."""
    with transaction.atomic(), connection.cursor() as cursor:
        _create(cursor)
        return _paid(cursor, batch)


def _paid(cursor: Any, batch: str) -> dict[int, str]:
    cursor.execute(f"SELECT line, state_id FROM {TABLE} WHERE batch = %s", [batch])  # noqa: S608  a constant
    return {int(line): str(state_id) for line, state_id in cursor.fetchall()}


def _create(cursor: Any) -> None:
    """Nobody else gets past here until the transaction ends: on PostgreSQL, two that create one table would fail."""
    if connection.vendor == "postgresql":
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    cursor.execute(
        f"CREATE TABLE IF NOT EXISTS {TABLE} (batch text NOT NULL, line bigint NOT NULL, state_id text NOT NULL, "
        "reference text NOT NULL, person text NOT NULL, cents bigint NOT NULL, PRIMARY KEY (batch, line))"
    )
