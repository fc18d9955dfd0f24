"""How the engine's records stand in rows: what is written, what may not be, and how it is read back."""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rh_agents.core.errors import CorruptStateError
from rh_agents.core.kinds import check_event, check_object
from rh_agents.core.serialization import referenced_artifact
from rh_agents.core.state_recovery import Entry, EventRecord, Write, entry_from_list, writes_from_dict
from rh_agents.core.types import ExecutionStatus

Row = tuple[Any, ...]

# PostgreSQL holds at most 2 704 bytes in an entry of an index; state and numbers take their part of that.
MAX_INDEXED_BYTES = 2600

EVENT_COLUMNS = (
    "position",
    "address",
    "generation",
    "attempt",
    "status",
    "actor",
    "event_type",
    "started_at",
    "duration_s",
    "fingerprint",
    "result",
    "result_artifact",
    "size",
    "error_type",
    "error_message",
    "traceback",
    "wrote",
    "overlapped",
    "lanes",
    "added_in",
)
READ_COLUMNS = tuple(name for name in EVENT_COLUMNS if name not in ("result_artifact", "size", "added_in"))
ENTRY_COLUMNS = ("key", "seq", "text", "owner", "artifact", "added_in")
REF_COLUMNS = ("key", "seq", "artifact_id", "owner", "media_type", "size", "added_in")

_LONGEST = {
    "address": 1000,
    "actor": 1000,
    "owner": 1000,
    "event_type": 16,
    "fingerprint": 64,
    "media_type": 200,
    "codec": 16,
    "artifact": 200,
    "artifact_id": 200,
    "result_artifact": 200,
    "pipeline_name": 200,
    "tag": 100,
    "version": 32,
}
_STATUSES = {status.value: status for status in ExecutionStatus}
_WORDS = ("error_type", "error_message", "traceback")
_LONGEST_ERROR_TYPE = 300


def state_uuid(state_id: str) -> uuid.UUID:
    """Raises ValueError, naming `state_id`, if it is no UUID."""
    try:
        return uuid.UUID(state_id)
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"{state_id!r:.80} is no state id: a UUID is") from error


def event_row(event: EventRecord, number: int) -> Row:
    """In the order of EVENT_COLUMNS; `number` is that of the checkpoint."""
    result = event.result_text
    artifact, size = "", 0
    if result is not None:
        artifact = referenced_artifact(result) or ""
        size = len(result) if result.isascii() else len(result.encode("utf-8", "surrogatepass"))
    error_type, error_message, traceback, wrote = event.error_type, event.error_message, event.traceback, ""
    if (
        error_message
        or error_type
        or traceback
        or event.storage_writes is not None
        or event.artifact_writes is not None
    ):
        error_type, error_message, traceback, wrote = _words_and_writes(event)
    return (
        event.position,
        event.address,
        event.generation,
        event.attempt,
        str(event.status),
        event.actor,
        str(event.event_type),
        event.started_at,
        event.execution_time,
        event.fingerprint,
        result,
        artifact,
        size,
        error_type,
        error_message,
        traceback,
        wrote,
        event.overlapped,
        event.lanes,
        number,
    )


def event_records(rows: Iterable[Sequence[Any]], state_id: uuid.UUID) -> list[EventRecord]:
    """The inverse of `event_row`, of rows of READ_COLUMNS.

    Raises:
        CorruptStateError: a row is damaged.
    """
    statuses = _STATUSES
    records: list[EventRecord] = []
    add = records.append
    try:
        for (
            position,
            address,
            generation,
            attempt,
            status,
            actor,
            event_type,
            started_at,
            duration_s,
            fingerprint,
            result,
            error_type,
            error_message,
            traceback,
            wrote,
            overlapped,
            lanes,
        ) in rows:
            record = EventRecord(
                position=position,
                address=address,
                event_type=event_type,
                actor=actor,
                status=statuses[status],
                generation=generation,
                attempt=attempt,
                started_at=started_at,
                execution_time=duration_s,
                fingerprint=fingerprint,
                result_text=result,
                error_type=error_type,
                error_message=error_message,
                traceback=traceback,
                overlapped=overlapped,
                lanes=lanes,
            )
            if wrote:
                _read_wrote(record, wrote)
            check_event(record)
            add(record)
    except (AttributeError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise CorruptStateError(
            f"state {state_id} is damaged: the record at {address!r:.80} cannot be read: {error!r}"
        ) from error
    return records


def entries(rows: Iterable[Sequence[Any]], state_id: uuid.UUID) -> dict[str, Entry]:
    """Of rows that begin with the key and go on with the fields of an `Entry`.

    Raises:
        CorruptStateError: a row is damaged.
    """
    found: dict[str, Entry] = {}
    for key, *values in rows:
        try:
            found[key] = entry_from_list(values, key)
        except TypeError as error:
            raise CorruptStateError(f"state {state_id} is damaged: {error}") from error
    return found


def entry_row(key: str, entry: Entry, number: int) -> Row:
    """In the order of ENTRY_COLUMNS."""
    return key, entry.seq, entry.text, entry.owner, referenced_artifact(entry.text) or "", number


def ref_row(key: str, entry: Entry, number: int) -> Row:
    """In the order of REF_COLUMNS."""
    return key, entry.seq, entry.text, entry.owner, entry.media_type, entry.size, number


def check_texts(row: Sequence[Any], columns: Sequence[str], where: str) -> None:
    """Refuse what no database holds or no column has room for.

    Raises:
        ValueError: naming `where` and the column.
    """
    for column, value in zip(columns, row, strict=True):
        if not isinstance(value, str):
            continue
        if "\x00" in value:
            raise ValueError(f"{where}.{column} holds a NUL character, which no database holds")
        try:
            size = len(value) if value.isascii() else len(value.encode())
        except UnicodeEncodeError as error:
            raise ValueError(f"{where}.{column} holds a lone surrogate, which is no text") from error
        if len(value) > _LONGEST.get(column, len(value)):
            raise ValueError(f"{where}.{column} has {len(value)} characters; at most {_LONGEST[column]} fit")
        if column in ("address", "key") and size > MAX_INDEXED_BYTES:
            raise ValueError(f"{where}.{column} takes {size} bytes; at most {MAX_INDEXED_BYTES} fit")


def _words_and_writes(event: EventRecord) -> tuple[str, str, str, str]:
    """What a failure said, as a database can hold it, and the JSON of `wrote`, which keeps the very words."""
    wrote: dict[str, Any] = {}
    if event.storage_writes is not None:
        wrote["storage"] = _writes(event.storage_writes)
    if event.artifact_writes is not None:
        wrote["artifacts"] = _writes(event.artifact_writes)
    said = {name: getattr(event, name) for name in _WORDS}
    shown = {
        name: words.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
        for name, words in said.items()
    }
    shown["error_type"] = shown["error_type"][:_LONGEST_ERROR_TYPE]
    if exact := {name: words for name, words in said.items() if words != shown[name]}:
        wrote["words"] = exact
    text = json.dumps(wrote, ensure_ascii=True) if wrote else ""
    return shown["error_type"], shown["error_message"], shown["traceback"], text


def _writes(writes: Mapping[str, Write]) -> dict[str, list[Any]]:
    return {key: list(write) if any(write[2:]) else list(write[:2]) for key, write in writes.items()}


def _read_wrote(record: EventRecord, text: str) -> None:
    wrote = check_object(json.loads(text), "wrote")
    record.storage_writes = writes_from_dict(wrote.get("storage"), "storage")
    record.artifact_writes = writes_from_dict(wrote.get("artifacts"), "artifacts")
    for name, words in check_object(wrote.get("words", {}), "words").items():
        if name not in _WORDS:
            raise ValueError(f"{name!r:.80} is none of {', '.join(_WORDS)}")
        setattr(record, name, words)
