"""A state as plain data: what a migration gets, and what the lines of a file are made of."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rh_agents.core import serialization
from rh_agents.core.errors import CorruptStateError, SerializationError
from rh_agents.core.kinds import check_list, check_object, check_snapshot
from rh_agents.core.state_recovery import (
    Entry,
    EventRecord,
    StateMetadata,
    StateSnapshot,
    StateStatus,
    entry_from_list,
)

_STATUSES = {status.value: status for status in StateStatus}
_NOT_CARRIED_ON = ("check", "number", "closed", "migrated_from", "events", "storage", "artifacts")


def snapshot_to_dict(snapshot: StateSnapshot) -> dict[str, Any]:
    """`head` and `migrated_from` are left out: they belong to the store."""
    return {
        "state_id": snapshot.state_id,
        "version": snapshot.version,
        "status": str(snapshot.status),
        "metadata": metadata_to_dict(snapshot.metadata),
        "created_at": time_to_text(snapshot.created_at, "created_at"),
        "updated_at": time_to_text(snapshot.updated_at, "updated_at"),
        "clock": snapshot.clock,
        "events": [event.to_dict() for event in snapshot.events],
        "storage": entries_to_dict(snapshot.storage),
        "artifacts": entries_to_dict(snapshot.artifacts),
        "generations": dict(snapshot.generations),
        "resolution_text": snapshot.resolution_text,
    }


def snapshot_from_dict(data: Mapping[str, Any], where: str) -> StateSnapshot:
    """The inverse of `snapshot_to_dict`. What is empty may be left out.

    Raises:
        CorruptStateError: something is missing, unknown or of the wrong kind; the message begins with `where`.
        SerializationError: `custom_data` holds a value of a class that this process does not know.
    """
    rest = dict(data)
    try:
        snapshot = StateSnapshot(
            state_id=rest.pop("state_id"),
            version=rest.pop("version"),
            status=_STATUSES[rest.pop("status")],
            metadata=metadata_from_dict(rest.pop("metadata", {})),
            created_at=datetime.fromisoformat(rest.pop("created_at")),
            updated_at=datetime.fromisoformat(rest.pop("updated_at")),
            clock=rest.pop("clock"),
            events=[EventRecord.from_dict(event) for event in check_list(rest.pop("events", []), "events")],
            storage=_without_none(entries_from_dict(rest.pop("storage", {}), "storage")),
            artifacts=_without_none(entries_from_dict(rest.pop("artifacts", {}), "artifacts")),
            generations=dict(check_object(rest.pop("generations", {}), "generations")),
            resolution_text=rest.pop("resolution_text", None),
        )
        check_snapshot(snapshot)
    except SerializationError:
        raise
    except KeyError as error:
        raise CorruptStateError(f"{where}: {error} is missing or unknown") from error
    except (CorruptStateError, TypeError, ValueError, AttributeError) as error:
        raise CorruptStateError(f"{where}: {error}") from error
    if rest:
        raise CorruptStateError(f"{where}: a state has no {', '.join(map(repr, rest))}")
    snapshot.events.sort(key=lambda event: event.position)
    return snapshot


def add_record(state: Mapping[str, Any] | None, record: Mapping[str, Any]) -> dict[str, Any]:
    """The plain state after one more checkpoint, whatever the schema says about what is inside of its parts.

    Raises:
        TypeError, AttributeError: it is not put together as a checkpoint of any schema is.
    """
    added = dict(state or {})
    closed = set(check_list(record.get("closed", []), "closed"))
    events = [event for event in added.get("events", []) if event.get("position") not in closed]
    events.extend(check_object(event, "a record") for event in check_list(record.get("events", []), "events"))
    for kind in ("storage", "artifacts"):
        entries = {**added.get(kind, {}), **check_object(record.get(kind, {}), kind)}
        added[kind] = {key: entry for key, entry in entries.items() if entry is not None}
    added.update({name: value for name, value in record.items() if name not in _NOT_CARRIED_ON})
    added["events"] = events
    added["resolution_text"] = record.get("resolution_text")
    return added


def metadata_to_dict(metadata: StateMetadata) -> dict[str, Any]:
    data = metadata.model_dump(exclude={"custom_data"}, exclude_defaults=True)
    if metadata.custom_data:
        data["custom_data"] = serialization.encode(metadata.custom_data, where="custom_data")
    return data


def metadata_from_dict(data: Any) -> StateMetadata:
    metadata = dict(check_object(data, "metadata"))
    if "custom_data" in metadata:
        metadata["custom_data"] = serialization.decode(metadata["custom_data"])
    return StateMetadata(**metadata)


def entries_to_dict(entries: Mapping[str, Entry] | Mapping[str, Entry | None]) -> dict[str, Any]:
    return {key: None if entry is None else _without_defaults(entry) for key, entry in entries.items()}


def entries_from_dict(data: Any, name: str) -> dict[str, Entry | None]:
    return {
        key: None if values is None else entry_from_list(values, f"{name}[{key!r}]")
        for key, values in check_object(data, name).items()
    }


def time_to_text(time: datetime, name: str) -> str:
    if time.tzinfo is None:
        raise ValueError(f"{name} {time.isoformat()} has no time zone")
    return time.isoformat()


def _without_defaults(entry: Entry) -> list[Any]:
    values = list(entry)
    while len(values) > 2 and not values[-1]:
        values.pop()
    return values


def _without_none(entries: Mapping[str, Entry | None]) -> dict[str, Entry]:
    return {key: entry for key, entry in entries.items() if entry is not None}
