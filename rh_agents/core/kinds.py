"""Whether what a store gave is of the kinds that the engine wrote: a checksum says only that it is what was saved."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from rh_agents.core.addressing import SEPARATOR

if TYPE_CHECKING:
    from rh_agents.core.state_recovery import Changes, Entry, EventRecord, StateSnapshot, Write

_NUMBER = (float, int)
_LANES = re.compile(r"(/\d{1,9}:[\d.]*:[0-9a-f]*)+")  # See `lanes.described`.
_TEXT_OR_NONE = (str, type(None))
_KINDS: dict[str, tuple[type, ...]] = {
    "position": (int,),
    "address": (str,),
    "event_type": (str,),
    "actor": (str,),
    "generation": (int,),
    "attempt": (int,),
    "started_at": _NUMBER,
    "execution_time": _NUMBER,
    "fingerprint": (str,),
    "result_text": _TEXT_OR_NONE,
    "error_type": (str,),
    "error_message": (str,),
    "traceback": (str,),
    "overlapped": (bool,),
    "lanes": (str,),
}


def check_event(event: "EventRecord") -> None:
    """Raises TypeError, naming the field, if one is of the wrong kind. Its writes were checked when they were read."""
    # Written out, because it runs for every record that is loaded. `type` rather than `isinstance`: True is no number.
    if (
        type(event.position) is not int
        or type(event.address) is not str
        or type(event.event_type) is not str
        or type(event.actor) is not str
        or type(event.generation) is not int
        or type(event.attempt) is not int
        or type(event.started_at) not in _NUMBER
        or type(event.execution_time) not in _NUMBER
        or type(event.fingerprint) is not str
        or type(event.result_text) not in _TEXT_OR_NONE
        or type(event.error_type) is not str
        or type(event.error_message) is not str
        or type(event.traceback) is not str
        or type(event.lanes) is not str
        or type(event.overlapped) is not bool
    ):
        for name, kinds in _KINDS.items():
            _check(getattr(event, name), kinds, name)
    if SEPARATOR not in event.address:
        _refuse(event.address, "address")
    if event.lanes and not _LANES.fullmatch(event.lanes):
        _refuse(event.lanes, "lanes")


def check_write(write: "Write", name: str) -> None:
    """As `check_event`."""
    _check(write.seq, (int,), f"{name}, number")
    _check(write.text, _TEXT_OR_NONE, f"{name}, text")
    _check(write.media_type, (str,), f"{name}, media type")
    _check(write.size, (int,), f"{name}, size")


def check_entry(entry: "Entry", name: str) -> None:
    """As `check_event`."""
    if (
        type(entry.seq) is not int
        or type(entry.text) is not str
        or type(entry.owner) is not str
        or type(entry.media_type) is not str
        or type(entry.size) is not int
    ):
        _refuse(entry, f"what stands under {name!r}")


def check_changes(changes: "Changes") -> None:
    """As `check_event`; its events and entries were checked when they were read."""
    if type(changes.clock) is not int:
        _refuse(changes.clock, "clock")
    if changes.updated_at.tzinfo is None:
        _refuse(changes.updated_at.isoformat(), "updated_at")
    if changes.created_at is not None and changes.created_at.tzinfo is None:
        _refuse(changes.created_at.isoformat(), "created_at")
    for position in check_list(changes.closed, "closed") if changes.closed != [] else ():
        _check(position, (int,), "closed")
    _check(changes.migrated_from, (str,), "migrated_from")
    if changes.generations is not None or changes.resolution_text is not None:
        _check_rest(changes.generations, changes.resolution_text)


def check_snapshot(snapshot: "StateSnapshot") -> None:
    """As `check_changes`, of a snapshot that was read from rows."""
    _check(snapshot.clock, (int,), "clock")
    _check(snapshot.head, (int,), "head")
    _check_time(snapshot.updated_at, "updated_at")
    _check_time(snapshot.created_at, "created_at")
    _check_rest(snapshot.generations, snapshot.resolution_text)
    _check(snapshot.metadata.description, (str,), "description")
    _check(snapshot.metadata.pipeline_name, (str,), "pipeline")
    for tag in snapshot.metadata.tags:
        _check(tag, (str,), "tag")


def check_list(values: Any, name: str) -> Sequence[Any]:
    """`values`, which must be a list: a text is a sequence too, and would be taken apart letter by letter."""
    _check(values, (list, tuple), name)
    found: Sequence[Any] = values
    return found


def check_object(values: Any, name: str) -> Mapping[str, Any]:
    _check(values, (dict,), name)
    found: Mapping[str, Any] = values
    return found


def _check_rest(generations: Any, resolution_text: Any) -> None:
    _check(resolution_text, _TEXT_OR_NONE, "resolution_text")
    if generations:
        for address, generation in check_object(generations, "generations").items():
            _check(generation, (int,), f"generations[{address!r}]")
    elif generations is not None:
        _check(generations, (dict,), "generations")


def _check(value: Any, kinds: tuple[type, ...], name: str) -> None:
    if type(value) not in kinds:
        _refuse(value, name)


def _check_time(value: Any, name: str) -> None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        _refuse(value, name)


def _refuse(value: Any, name: str) -> NoReturn:
    raise TypeError(f"{name} cannot be {value!r:.80}")
