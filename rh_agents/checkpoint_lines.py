"""A checkpoint as one line of JSON: what it changed, with a checksum in front."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, NamedTuple

from rh_agents.core import serialization
from rh_agents.core.errors import CorruptStateError, IncompatibleVersionError, SerializationError
from rh_agents.core.kinds import check_changes, check_list, check_object
from rh_agents.core.state_recovery import (
    CURRENT_SCHEMA_VERSION,
    Changes,
    Entry,
    EventRecord,
    StateMetadata,
    StateSnapshot,
    StateStatus,
    check_version,
    entry_from_list,
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
        record["metadata"] = _metadata_to_dict(changes.metadata)  # In front, where `summarise` looks for it.
    record["number"] = changes.base + 1
    if changes.base == 0:
        record["state_id"] = changes.state_id
        record["created_at"] = _time_to_text(changes.created_at or changes.updated_at, "created_at")
    record["version"] = changes.version
    record["status"] = str(changes.status)
    record["updated_at"] = _time_to_text(changes.updated_at, "updated_at")
    record["clock"] = changes.clock
    if changes.closed:
        record["closed"] = list(changes.closed)
    if changes.events:
        record["events"] = [event.to_dict() for event in changes.events]
    if changes.storage:
        record["storage"] = _entries_to_dict(changes.storage)
    if changes.artifacts:
        record["artifacts"] = _entries_to_dict(changes.artifacts)
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
    where = f"state {state_id!r} is damaged at checkpoint {number}"
    record = _unseal(line, where)
    try:
        check_version(record["version"])
        if record["number"] != number:
            raise CorruptStateError(f"checkpoint {record['number']} stands in its place")
        if number == 1 and record["state_id"] != state_id:
            raise CorruptStateError(f"it is of the state {record['state_id']!r}")
        changes = Changes(
            state_id=state_id,
            base=number - 1,
            version=record["version"],
            status=_STATUSES[record["status"]],
            updated_at=datetime.fromisoformat(record["updated_at"]),
            created_at=datetime.fromisoformat(record["created_at"]) if "created_at" in record else None,
            metadata=_metadata_from_dict(record["metadata"]) if "metadata" in record else None,
            clock=record["clock"],
            closed=record.get("closed", []),
            events=_events_from_list(record["events"], record["version"]) if "events" in record else [],
            storage=_entries_from_dict(record["storage"], "storage") if "storage" in record else {},
            artifacts=_entries_from_dict(record["artifacts"], "artifacts") if "artifacts" in record else {},
            generations=record.get("generations"),
            resolution_text=record.get("resolution_text"),
        )
        check_changes(changes)
    except IncompatibleVersionError as error:
        raise IncompatibleVersionError(f"state {state_id!r}: {error}") from None
    except SerializationError as error:
        raise SerializationError(f"custom_data of state {state_id!r}, checkpoint {number}: {error}") from error
    except KeyError as error:
        raise CorruptStateError(f"{where}: {error} is missing or unknown") from error
    except (CorruptStateError, TypeError, ValueError, AttributeError) as error:
        # A `pydantic.ValidationError` is a ValueError.
        raise CorruptStateError(f"{where}: {error}") from error
    return changes


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
    """The state as it stood at checkpoint `until`, else at the newest.

    Raises:
        CorruptStateError: a line up to there is damaged, or there is none.
        IncompatibleVersionError: a later major version of the schema wrote one of them.
    """
    snapshot: StateSnapshot | None = None
    for number, line in enumerate(lines[:until], start=1):
        snapshot = decode_line(line, state_id, number).apply_to(snapshot)
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
    newest = decode_line(lines[-1], state_id, len(lines))
    metadata = newest.metadata
    for number in range(len(lines) - 1, 0, -1):
        if metadata is not None:
            break
        if not lines[number - 1].startswith(_NO_METADATA, FRONT_LENGTH):
            metadata = decode_line(lines[number - 1], state_id, number).metadata
    metadata = metadata or StateMetadata()
    return Summary(newest.updated_at, newest.status, frozenset(metadata.tags), metadata.pipeline_name)


def _unseal(line: bytes, where: str) -> dict[str, Any]:
    try:
        return unseal(line)
    except ValueError as error:
        raise CorruptStateError(f"{where}: {error}") from error


def _events_from_list(data: Any, version: str) -> list[EventRecord]:
    records = check_list(data, "events")
    if version != CURRENT_SCHEMA_VERSION:
        # A later minor version may add fields that this program need not know.
        records = [
            {name: value for name, value in check_object(record, "a record").items() if name in _EVENT_FIELDS}
            for record in records
        ]
    return [EventRecord.from_dict(record) for record in records]


def _metadata_to_dict(metadata: StateMetadata) -> dict[str, Any]:
    data = metadata.model_dump(exclude={"custom_data"}, exclude_defaults=True)
    if metadata.custom_data:
        data["custom_data"] = serialization.encode(metadata.custom_data, where="custom_data")
    return data


def _metadata_from_dict(data: Any) -> StateMetadata:
    metadata = check_object(data, "metadata")
    known = {name: value for name, value in metadata.items() if name in StateMetadata.model_fields}
    if "custom_data" in known:
        known["custom_data"] = serialization.decode(known["custom_data"])
    return StateMetadata(**known)


def _entries_to_dict(entries: Mapping[str, Entry | None]) -> dict[str, Any]:
    return {key: None if entry is None else _without_defaults(entry) for key, entry in entries.items()}


def _without_defaults(entry: Entry) -> list[Any]:
    values = list(entry)
    while len(values) > 2 and not values[-1]:
        values.pop()
    return values


def _entries_from_dict(data: Any, name: str) -> dict[str, Entry | None]:
    return {
        key: None if values is None else entry_from_list(values, f"{name}[{key!r}]")
        for key, values in check_object(data, name).items()
    }


def _time_to_text(time: datetime, name: str) -> str:
    if time.tzinfo is None:
        raise ValueError(f"{name} {time.isoformat()} has no time zone")
    return time.isoformat()
