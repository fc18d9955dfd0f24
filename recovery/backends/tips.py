"""Where a state stands: what the next checkpoint needs to know of the one before."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from recovery.backends import sql
from recovery.models import Checkpoint

TIP_COLUMNS = (
    "number",
    "digest",
    "status",
    "created_at",
    "clock",
    "event_count",
    "storage_count",
    "artifact_count",
)


class Tip(NamedTuple):
    """The first fields are TIP_COLUMNS; `listed_at` is the state's own `updated_at`, `None` where it is not known."""

    number: int = 0
    digest: bytes = b""
    status: str = ""
    saved_at: datetime | None = None
    clock: int = 0
    event_count: int = 0
    storage_count: int = 0
    artifact_count: int = 0
    listed_at: datetime | None = None


def tip_of(row: Sequence[Any]) -> Tip:
    """Of a row of TIP_COLUMNS."""
    number, digest, status, saved_at, *counts = row
    return Tip(number, bytes(digest), status, sql.as_time(saved_at), *counts)


def read_tip(key: uuid.UUID, number: int) -> Tip | None:
    row = Checkpoint.objects.filter(state_id=key, number=number).values_list(*TIP_COLUMNS).first()
    return None if row is None else tip_of(row)
