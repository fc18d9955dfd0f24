"""What code that runs again sees of the storage while it has not come to the recorded writes yet.

A resumed run starts from its beginning, but its storage already holds what the completed steps wrote. Without this,
`set("total", 0)` before a loop would undo what the skipped steps of the loop had added, and `while not get("done")`
would leave out the loop whose results are needed. So a key that steps wrote shows what stood there at this point of
the run, and a write goes beneath the recorded ones. A step that runs for the first time sees the newest.
"""

from collections.abc import Callable, Iterable, Iterator

from rh_agents.core.frames import Frame
from rh_agents.core.state_recovery import EventRecord, Write

Slot = tuple[bool, str]
"""Whether it is an artifact's, and the key."""


class Ahead:
    """Keys with recorded writers that the run has not come to again.

    `live(slot, seq)`: the newest uncommitted write before `seq`. `cover(slot, write)`: the write outside of any step
    that has replaced `write`, the newest recorded one. It is seen, for a program may have set it meanwhile, until the
    code that runs again writes to that key too: then it did before, and `uncover` puts the recorded write back.
    """

    def __init__(
        self,
        live: Callable[[Slot, int], Write | None],
        cover: Callable[[Slot, Write], Write | None],
        uncover: Callable[[Slot, Write, str], None],
    ) -> None:
        self._live = live
        self._cover = cover
        self._uncover = uncover
        self._writers: dict[Slot, dict[str, int]] = {}
        self._seen: dict[Slot, Write | None] = {}
        self._covered: dict[Slot, tuple[Write, str]] = {}
        self._hidden: dict[Slot, tuple[Frame, Write]] = {}

    def __bool__(self) -> bool:
        return bool(self._writers)

    def __contains__(self, slot: Slot) -> bool:
        return slot in self._writers

    def slots(self) -> Iterable[Slot]:
        return self._writers.keys()

    def seen(self, slot: Slot) -> Write | None:
        return self._seen[slot]

    def begin(self, records: Iterable[EventRecord], writers: Iterable[EventRecord]) -> None:
        """The code that called `records` starts again. `writers` are all completed records that wrote something."""
        again: dict[Slot, dict[str, int]] = {}
        for record in records:
            for slot, write in writes_of(record):
                if record.address not in self._writers.get(slot, ()):
                    again.setdefault(slot, {})[record.address] = write.seq
        if not again:
            return
        first = {slot: min((*seqs.values(), *self._writers.get(slot, {}).values())) for slot, seqs in again.items()}
        newest, stood = self._standing(first, writers)
        for slot, seqs in again.items():
            self._writers.setdefault(slot, {}).update(seqs)
            self._hidden.pop(slot, None)
            if cover := self._cover(slot, newest[slot][0]):
                self._covered[slot] = newest[slot]
                self._seen[slot] = cover
            else:
                self._seen[slot] = stood.get(slot)

    def hide(self, slot: Slot, frame: Frame, write: Write) -> None:
        """`frame` runs again and wrote `write`: it stands beneath what the recorded steps wrote after it."""
        if slot in self._covered:
            self._uncover(slot, *self._covered.pop(slot))
        self._hidden[slot] = frame, write
        self._seen[slot] = write

    def show(self, slot: Slot, write: Write) -> None:
        """A step that was not in the record completed and wrote `write`."""
        if slot in self._writers:
            self._hidden.pop(slot, None)
            self._covered.pop(slot, None)
            self._seen[slot] = write

    def reach(self, record: EventRecord) -> None:
        """The run came to this step again."""
        for slot, write in writes_of(record):
            if slot in self._writers:
                seen = self._seen[slot]
                if self._hidden.pop(slot, None) or seen is None or seen.seq < write.seq:
                    self._seen[slot] = write  # Never one that is covered: its cover is newer than all of them.
                self._writers[slot].pop(record.address, None)
                if not self._writers[slot]:
                    del self._writers[slot], self._seen[slot]
                    self._covered.pop(slot, None)

    def release(self, frame: Frame) -> dict[Slot, Write]:
        """What `frame` wrote beneath steps that it never came to. It completed, so that counts after all."""
        mine = {slot: write for slot, (owner, write) in self._hidden.items() if owner is frame}
        for slot in mine:
            del self._hidden[slot]
        return mine

    def undo(self, frame: Frame, writers: Iterable[EventRecord]) -> None:
        """What `frame` wrote beneath the recorded steps never was."""
        mine = [slot for slot in self.release(frame) if slot in self._writers]
        if mine:
            _, stood = self._standing({slot: min(self._writers[slot].values()) for slot in mine}, writers)
            self._seen.update({slot: stood.get(slot) for slot in mine})

    def clear(self) -> None:
        self._writers.clear()
        self._seen.clear()
        self._covered.clear()
        self._hidden.clear()

    def _standing(
        self, first: dict[Slot, int], writers: Iterable[EventRecord]
    ) -> tuple[dict[Slot, tuple[Write, str]], dict[Slot, Write]]:
        """For each slot the newest recorded write and its step, and what stood there before the number in `first`."""
        newest: dict[Slot, tuple[Write, str]] = {}
        stood: dict[Slot, Write] = {}
        for slot, before in first.items():
            if (live := self._live(slot, before)) is not None:
                stood[slot] = live
        for record in writers:
            for slot, write in writes_of(record):
                if slot in first:
                    if slot not in newest or newest[slot][0].seq < write.seq:
                        newest[slot] = write, record.address
                    for earlier in (write, _covered_by(write)):
                        if earlier is not None and earlier.seq < first[slot]:
                            _put_newer(stood, slot, earlier)
        return newest, stood


def writes_of(record: EventRecord) -> Iterator[tuple[Slot, Write]]:
    for key, write in (record.storage_writes or {}).items():
        yield (False, key), write
    for key, write in (record.artifact_writes or {}).items():
        yield (True, key), write


def _covered_by(write: Write) -> Write | None:
    if not write.covers:
        return None
    seq, text, _, *rest = write.covers
    return Write(seq, text, *rest)


def _put_newer(writes: dict[Slot, Write], slot: Slot, write: Write) -> None:
    if slot not in writes or writes[slot].seq < write.seq:
        writes[slot] = write
