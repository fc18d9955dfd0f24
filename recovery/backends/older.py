"""States whose rows an earlier major version of the schema wrote."""

import json
from collections.abc import Sequence
from typing import Any

from recovery.backends.rows import READ_COLUMNS
from rh_agents.core.errors import CorruptStateError
from rh_agents.core.kinds import check_object
from rh_agents.core.migrations import PlainState, migrated
from rh_agents.core.state_recovery import StateSnapshot

Rows = Sequence[Sequence[Any]]

# What a column, or a part of `wrote`, is called in a record.
_FIELDS = {
    "duration_s": "execution_time",
    "result": "result_text",
    "storage": "storage_writes",
    "artifacts": "artifact_writes",
}


def migrated_rows(known: PlainState, head: int, events: Rows, storage: Rows, artifacts: Rows) -> StateSnapshot:
    """What migrations make of a state. `known` is all of it but its log; rows of events are of READ_COLUMNS, and
    those of storage and artifacts begin with the key.

    Raises:
        CorruptStateError: a row cannot be read at all; and what `migrated` raises.
    """
    try:
        records = [_record(row) for row in events]
    except (ValueError, TypeError, RecursionError) as error:
        raise CorruptStateError(f"state {known['state_id']} is damaged: {error}") from error
    snapshot = migrated(
        {
            **known,
            "events": records,
            "storage": {name: entry for name, *entry in storage},
            "artifacts": {name: entry for name, *entry in artifacts},
        }
    )
    snapshot.head = head
    return snapshot


def _record(row: Sequence[Any]) -> dict[str, Any]:
    record = {_FIELDS.get(column, column): value for column, value in zip(READ_COLUMNS, row, strict=True)}
    if text := record.pop("wrote"):
        wrote = dict(check_object(json.loads(text), "wrote"))
        words = check_object(wrote.pop("words", {}), "words")
        record |= {**{_FIELDS.get(name, name): value for name, value in wrote.items()}, **words}
    return record
