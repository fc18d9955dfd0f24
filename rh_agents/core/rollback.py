"""What stood in the storage at a point of the run that it goes back to."""

from collections.abc import Mapping, Sequence

from rh_agents.core.ahead import Slot, writes_of
from rh_agents.core.state_recovery import Entry, EventRecord


def entries_before(
    before: int, now: Mapping[Slot, Entry], kept: Sequence[EventRecord], removed: Sequence[EventRecord]
) -> dict[Slot, Entry]:
    """What stood there before sequence number `before`, as far as the `kept` records and writes outside of any step
    say it. Such a write that a step has replaced since is found in that step's record."""
    entries = {slot: entry for slot, entry in now.items() if not entry.owner and entry.seq < before}
    for record in (*kept, *removed):
        for slot, write in writes_of(record):
            if write.covers and write.covers[0] < before:
                _put_newer(entries, slot, Entry(*write.covers))
    deleted: set[Slot] = set()
    for record in kept:
        if not record.is_completed:
            continue
        for slot, write in writes_of(record):
            entry = Entry(write.seq, write.text or "", record.address, write.media_type, write.size)
            if _put_newer(entries, slot, entry):
                (deleted.add if write.text is None else deleted.discard)(slot)
    return {slot: entry for slot, entry in entries.items() if slot not in deleted}


def _put_newer(entries: dict[Slot, Entry], slot: Slot, entry: Entry) -> bool:
    """Whether `entry` is newer than what stood there, and stands there now."""
    if slot in entries and entries[slot].seq >= entry.seq:
        return False
    entries[slot] = entry
    return True
