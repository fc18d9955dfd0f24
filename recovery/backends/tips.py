"""Where a state stands: what the next checkpoint needs to know of the one before."""

import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from recovery.backends import sql
from recovery.models import Checkpoint
from rh_agents.core.state_recovery import Changes, StateStatus

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

_LIST_LAG = timedelta(seconds=1)


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

    def next(self, changes: Changes, canonical: bytes, events: int, storage: int = 0, artifacts: int = 0) -> "Tip":
        """The tip after `changes`, which make the log longer by so many rows."""
        return Tip(
            number=changes.base + 1,
            digest=hashlib.sha256(self.digest + canonical).digest(),
            status=str(changes.status),
            saved_at=changes.updated_at,
            clock=max(self.clock, changes.clock),
            event_count=self.event_count + events,
            storage_count=self.storage_count + storage,
            artifact_count=self.artifact_count + artifacts,
            listed_at=changes.updated_at,
        )

    def is_in_a_burst(self, changes: Changes) -> bool:
        """Whether a running state was put in its place in the lists a moment ago, and may keep it for now."""
        if self.listed_at is None or not self.status == changes.status == StateStatus.RUNNING:
            return False
        return changes.updated_at - self.listed_at < _LIST_LAG


def tip_of(row: Sequence[Any]) -> Tip:
    """Of a row of TIP_COLUMNS."""
    number, digest, status, saved_at, *counts = row
    return Tip(number, bytes(digest), status, sql.as_time(saved_at), *counts)


def read_tip(key: uuid.UUID, number: int) -> Tip | None:
    row = Checkpoint.objects.filter(state_id=key, number=number).values_list(*TIP_COLUMNS).first()
    return None if row is None else tip_of(row)
