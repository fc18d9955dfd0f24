"""A checkpoint as one line of JSON: what it changed, with a checksum in front."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, NamedTuple

from rh_agents.core.errors import CorruptStateError, IncompatibleVersionError, SerializationError
from rh_agents.core.kinds import check_changes, check_list, check_object
from rh_agents.core.migrations import PlainState, migrated
from rh_agents.core.plain_states import (
    add_record,
    entries_from_dict,
    entries_to_dict,
    metadata_from_dict,
    metadata_to_dict,
    time_to_text,
)
from rh_agents.core.state_recovery import (
    CURRENT_SCHEMA_VERSION,
    Changes,
    EventRecord,
    StateMetadata,
    StateSnapshot,
    StateStatus,
    check_version,
    is_older,
    major_of,
)
from rh_agents.sealed_json import FRONT_LENGTH, is_sealed, seal, unseal

_EVENT_FIELDS = frozenset(f.name for f in fields(EventRecord) if f.name != "load_artifact")
_NO_METADATA = b'"number":'
_STATUSES = {status.value: status for status in StateStatus}

HASHES = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
"""What may be the id of an artifact in a line."""


class Summary(NamedTuple):
    """What a list asks about a state before it loads it."""

    updated_at: datetime
    status: StateStatus
    tags: frozenset[str]
    pipeline_name: str

    def matches(self, tags: Sequence[str] | None, status: StateStatus | None, pipeline_name: str | None) -> bool:
        wanted = [tags] if isinstance(tags, str) else tags or ()
        return (
            self.tags.issuperset(wanted)
            and (status is None or self.status == status)
            and (pipeline_name is None or self.pipeline_name == pipeline_name)
        )


def encode_line(changes: Changes) -> bytes:
    """The line of checkpoint `changes.base + 1`, with its line break.

    Raises:
        IncompatibleVersionError: `changes.version` is of a later major version.
        SerializationError: `custom_data` holds what cannot be written.
        ValueError: a time has no time zone.
    """
    check_version(changes.version)
    record: dict[str, Any] = {}
    if changes.metadata is not None:
        record["metadata"] = metadata_to_dict(changes.metadata)  # In front, where `summarise` looks for it.
    record["number"] = changes.base + 1
    if changes.migrated_from:
        record["migrated_from"] = changes.migrated_from
    if changes.base == 0 or changes.migrated_from:
        record["state_id"] = changes.state_id
        record["created_at"] = time_to_text(changes.created_at or changes.updated_at, "created_at")
    record["version"] = changes.version
    record["status"] = str(changes.status)
    record["updated_at"] = time_to_text(changes.updated_at, "updated_at")
    record["clock"] = changes.clock
    if changes.closed:
        record["closed"] = list(changes.closed)
    if changes.events:
        record["events"] = [event.to_dict() for event in changes.events]
    if changes.storage:
        record["storage"] = entries_to_dict(changes.storage)
    if changes.artifacts:
        record["artifacts"] = entries_to_dict(changes.artifacts)
    if changes.generations is not None:
        record["generations"] = changes.generations
    if changes.resolution_text is not None:
        record["resolution_text"] = changes.resolution_text
    return seal(record) + b"\n"


def decode_line(line: bytes, state_id: str, number: int) -> Changes:
    """The inverse of `encode_line`. The line stands at `number` (from 1) in the file of `state_id`.

    Raises:
        CorruptStateError: it is damaged, or is another state's or checkpoint's.
        IncompatibleVersionError: a later major version of the schema wrote it.
        SerializationError: `custom_data` holds a value of a class that this process does not know.
    """
    return _changes_of(_read(line, state_id, number), state_id, number)


def split_lines(data: bytes, state_id: str) -> list[bytes]:
    """The lines of a file, without their breaks. An unterminated last one was promised to nobody: it is left out.

    Raises:
        CorruptStateError: the last line is whole, but its break is another character.
    """
    *lines, rest = data.split(b"\n")
    if rest and is_sealed(rest[:-1]):
        raise CorruptStateError(f"state {state_id!r} is damaged: its last line break is {rest[-1:]!r}")
    return lines


def decode_lines(lines: Sequence[bytes], state_id: str, until: int | None = None) -> StateSnapshot:
    """The state as it stood at checkpoint `until`, else at the newest. What an earlier major version of the schema
    wrote is migrated.

    Raises:
        CorruptStateError: a line up to there is damaged, or there is none.
        IncompatibleVersionError: a later major version of the schema wrote one of them, or a migration is missing.
    """
    snapshot: StateSnapshot | None = None
    older: PlainState | None = None
    for number, line in enumerate(lines[:until], start=1):
        record = _read(line, state_id, number)
        if "migrated_from" in record:
            # It holds everything, so a migration need not be kept for states that were saved after it.
            snapshot = older = None
        if is_older(record["version"]):
            before = snapshot.version if snapshot is not None else older["version"] if older is not None else None
            _check_follows(before, record, state_id)
            older = _added(older, record, state_id)
            continue
        if older is not None:
            snapshot, older = migrated(older), None
        snapshot = _changes_of(record, state_id, number).apply_to(snapshot)
    if older is not None:
        snapshot = migrated(older)
        snapshot.head = len(lines[:until])
    if snapshot is None:
        raise CorruptStateError(f"state {state_id!r} is damaged: its first checkpoint is missing")
    return snapshot


def number_of(line: bytes, state_id: str) -> int:
    """The number of the checkpoint that `line` says it is.

    Raises:
        CorruptStateError: the line is damaged.
    """
    where = f"the newest checkpoint of state {state_id!r} is damaged"
    number = _unseal(line, where).get("number")
    if type(number) is not int:
        raise CorruptStateError(f"{where}: its number is {number!r:.80}")
    return number


def summarise(lines: Sequence[bytes], state_id: str) -> Summary:
    """What a list asks first. Every checksum is checked, but only the lines that matter are decoded.

    Raises:
        CorruptStateError: a line is damaged or missing.
    """
    for number, line in enumerate(lines, start=1):
        if not is_sealed(line):
            raise CorruptStateError(f"state {state_id!r} is damaged at checkpoint {number}")
    if not lines or number_of(lines[-1], state_id) != len(lines):
        raise CorruptStateError(f"state {state_id!r} is damaged: a checkpoint is missing")
    newest = _read(lines[-1], state_id, len(lines))
    if is_older(newest["version"]):
        return _summary_of(decode_lines(lines, state_id))
    changes = _changes_of(newest, state_id, len(lines))
    metadata = changes.metadata
    for number in range(len(lines) - 1, 0, -1):
        if metadata is not None:
            break
        if not lines[number - 1].startswith(_NO_METADATA, FRONT_LENGTH):
            record = _read(lines[number - 1], state_id, number)
            if is_older(record["version"]):
                return _summary_of(decode_lines(lines, state_id))
            metadata = _changes_of(record, state_id, number).metadata
    metadata = metadata or StateMetadata()
    return Summary(changes.updated_at, changes.status, frozenset(metadata.tags), metadata.pipeline_name)


def _summary_of(snapshot: StateSnapshot) -> Summary:
    metadata = snapshot.metadata
    return Summary(snapshot.updated_at, snapshot.status, frozenset(metadata.tags), metadata.pipeline_name)


def _read(line: bytes, state_id: str, number: int) -> dict[str, Any]:
    """The record in the line at `number`, which is of that state and number, and of no later major version."""
    where = _where(state_id, number)
    record = _unseal(line, where)
    try:
        check_version(record["version"])
        if record["number"] != number:
            raise CorruptStateError(f"checkpoint {record['number']} stands in its place")
        if number == 1 and record["state_id"] != state_id:
            raise CorruptStateError(f"it is of the state {record['state_id']!r}")
    except IncompatibleVersionError as error:
        raise IncompatibleVersionError(f"state {state_id!r}: {error}") from None
    except KeyError as error:
        raise CorruptStateError(f"{where}: {error} is missing") from error
    except CorruptStateError as error:
        raise CorruptStateError(f"{where}: {error}") from None
    return record


def _changes_of(record: dict[str, Any], state_id: str, number: int) -> Changes:
    try:
        changes = Changes(
            state_id=state_id,
            base=number - 1,
            version=record["version"],
            status=_STATUSES[record["status"]],
            updated_at=datetime.fromisoformat(record["updated_at"]),
            created_at=datetime.fromisoformat(record["created_at"]) if "created_at" in record else None,
            metadata=_metadata_of(record) if "metadata" in record else None,
            clock=record["clock"],
            closed=record.get("closed", []),
            events=_events_of(record) if "events" in record else [],
            storage=entries_from_dict(record["storage"], "storage") if "storage" in record else {},
            artifacts=entries_from_dict(record["artifacts"], "artifacts") if "artifacts" in record else {},
            generations=record.get("generations"),
            resolution_text=record.get("resolution_text"),
            migrated_from=record.get("migrated_from", ""),
        )
        check_changes(changes)
    except SerializationError as error:
        raise SerializationError(f"custom_data of state {state_id!r}, checkpoint {number}: {error}") from error
    except KeyError as error:
        raise CorruptStateError(f"{_where(state_id, number)}: {error} is missing or unknown") from error
    except (CorruptStateError, TypeError, ValueError, AttributeError) as error:
        # A `pydantic.ValidationError` is a ValueError.
        raise CorruptStateError(f"{_where(state_id, number)}: {error}") from error
    return changes


def _added(older: PlainState | None, record: dict[str, Any], state_id: str) -> PlainState:
    try:
        return add_record(older, record)
    except (TypeError, AttributeError) as error:
        raise CorruptStateError(f"{_where(state_id, record['number'])}: {error}") from error


def _check_follows(before: str | None, record: dict[str, Any], state_id: str) -> None:
    """Whoever goes on from an earlier major version migrates it, and says so."""
    if before is not None and major_of(before) != major_of(record["version"]):
        raise CorruptStateError(
            f"{_where(state_id, record['number'])}: schema {record['version']} wrote it, and {before} the one before"
        )


def _where(state_id: str, number: int) -> str:
    return f"state {state_id!r} is damaged at checkpoint {number}"


def _unseal(line: bytes, where: str) -> dict[str, Any]:
    try:
        return unseal(line)
    except ValueError as error:
        raise CorruptStateError(f"{where}: {error}") from error


def _events_of(record: Mapping[str, Any]) -> list[EventRecord]:
    events = check_list(record["events"], "events")
    if record["version"] != CURRENT_SCHEMA_VERSION:
        # A later minor version may add fields that this program need not know.
        events = [
            {name: value for name, value in check_object(event, "a record").items() if name in _EVENT_FIELDS}
            for event in events
        ]
    return [EventRecord.from_dict(event) for event in events]


def _metadata_of(record: Mapping[str, Any]) -> StateMetadata:
    known = check_object(record["metadata"], "metadata")
    if record["version"] != CURRENT_SCHEMA_VERSION:
        known = {name: value for name, value in known.items() if name in StateMetadata.model_fields}
    return metadata_from_dict(known)
