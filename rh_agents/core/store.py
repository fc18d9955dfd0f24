"""Storage: the run's key-value memory and its artifacts, with what each step wrote kept apart until it completes.

Values have value semantics: `set` writes them down at once, `get` gives a fresh copy. A change made to a value in
place is therefore not kept until it is set again; were it kept, it would be there in the first run and missing after
a resume.
"""

from collections.abc import Callable, Iterable
from typing import Any

from rh_agents.core.ahead import Ahead, Slot, writes_of
from rh_agents.core.errors import StateError
from rh_agents.core.frames import Frame
from rh_agents.core.rollback import entries_before
from rh_agents.core.serialization import (
    EncodedArtifact,
    artifact_id,
    artifact_reference,
    decode,
    encode,
    encode_artifact,
)
from rh_agents.core.state_recovery import Entry, EventRecord, Write

STORAGE, ARTIFACT = False, True


class _Live:
    """One write that is not committed yet: its step is still running."""

    __slots__ = ("frame", "write")

    def __init__(self, frame: Frame, write: Write) -> None:
        self.frame = frame
        self.write = write


class ExecutionStore:
    """`state.storage`. Keys are non-empty strings."""

    def __init__(
        self,
        tick: Callable[[], int],
        current_frame: Callable[[], Frame],
        load_artifact: Callable[[str], Any],
        large_value_bytes: int | None,
        allow_pickle: bool = False,
    ) -> None:
        self._tick = tick
        self._current_frame = current_frame
        self._load_artifact = load_artifact
        self._large_value_bytes = large_value_bytes
        self._allow_pickle = allow_pickle
        self.committed: dict[bool, dict[str, Entry]] = {STORAGE: {}, ARTIFACT: {}}
        self.changed: dict[bool, set[str]] = {STORAGE: set(), ARTIFACT: set()}
        self.unsaved_artifacts: dict[str, EncodedArtifact] = {}
        # By slot in the order of writing; and when a committed deletion was written, which steps still at work may
        # have written before.
        self._live: dict[Slot, list[_Live]] = {}
        self._deleted: dict[Slot, int] = {}
        # What a step wrote and code outside of any step has replaced in this process.
        self._beneath: dict[Slot, Entry] = {}
        self.ahead = Ahead(self._live_before, self._cover, self._settle)

    # ---- what people call

    def get(self, key: str, default: Any = None) -> Any:
        text = self._text(STORAGE, key)
        return default if text is None else decode(text, load_artifact=self._load_artifact)

    def set(self, key: str, value: Any) -> None:
        """Put `value` under `key`.

        Raises:
            SerializationError: it cannot be written; the message names the key and the type.
        """
        check_key(key)
        self._write((STORAGE, key), Write(self._tick(), self.spill(encode(value, where=f"storage[{key!r}]"))))

    def delete(self, key: str) -> bool:
        """`True` if there was something under `key`."""
        return self._delete(STORAGE, key)

    def get_artifact(self, key: str, default: Any = None) -> Any:
        """The value, loaded now.

        Raises:
            CorruptArtifactError: its bytes are damaged, or gone from the artifact backend.
        """
        identity = self._text(ARTIFACT, key)
        return default if identity is None else self._load_artifact(identity)

    def set_artifact(self, key: str, value: Any, media_type: str = "") -> str:
        """Put `value` into the artifact backend (at the next checkpoint) under its content's id, which is returned.

        The media type of text and bytes is guessed from the key: `preview.csv` is `text/csv`.
        """
        check_key(key)
        encoded = encode_artifact(value, key=key, allow_pickle=self._allow_pickle)
        identity = artifact_id(encoded)
        self.unsaved_artifacts[identity] = encoded
        kind = media_type or encoded.media_type
        self._write((ARTIFACT, key), Write(self._tick(), identity, kind, len(encoded.payload)))
        return identity

    def delete_artifact(self, key: str) -> bool:
        """Forget the key; the bytes go when nothing refers to them any more."""
        return self._delete(ARTIFACT, key)

    @property
    def data(self) -> dict[str, Any]:
        """A copy of everything under a storage key."""
        return {key: self.get(key) for key in self.keys()}

    def keys(self) -> list[str]:
        """All keys, sorted."""
        return self._keys(STORAGE)

    @property
    def artifact_keys(self) -> list[str]:
        return self._keys(ARTIFACT)

    def __contains__(self, key: str) -> bool:
        return self._text(STORAGE, key) is not None

    # ---- what the engine calls

    def spill(self, text: str) -> str:
        """`text`, or a reference to the artifact it becomes when it is large."""
        if self._large_value_bytes is None or len(text) <= self._large_value_bytes:
            return text
        encoded = EncodedArtifact("json", text.encode(), "application/json")
        identity = artifact_id(encoded)
        self.unsaved_artifacts[identity] = encoded
        return artifact_reference(identity)

    def commit(self, frame: Frame) -> tuple[dict[str, Write] | None, dict[str, Write] | None]:
        """The step completed: what it wrote counts from now on. Its writes, for its record."""
        if frame.is_rerun and (beneath := self.ahead.release(frame)):
            frame.writes = {**beneath, **(frame.writes or {})}
        if frame.writes is None:
            return None, None
        wrote: dict[bool, dict[str, Write]] = {STORAGE: {}, ARTIFACT: {}}
        for (kind, key), write in frame.writes.items():
            self._forget((kind, key), frame)
            standing = self.committed[kind].get(key)
            if standing is not None and not standing.owner and standing.seq < write.seq:
                write = write._replace(covers=tuple(standing))
            wrote[kind][key] = write
            if max(standing.seq if standing else 0, self._deleted.get((kind, key), 0)) < write.seq:
                self._settle((kind, key), write, frame.address)
                self.ahead.show((kind, key), write)
        frame.writes = None
        return wrote[STORAGE] or None, wrote[ARTIFACT] or None

    def undo(self, frame: Frame, writers: Iterable[EventRecord]) -> None:
        """The step failed or was interrupted: what it wrote never was. `writers`: all records that wrote something."""
        for slot in frame.writes or ():
            self._forget(slot, frame)
        frame.writes = None
        if frame.is_rerun:
            self.ahead.undo(frame, writers)

    def reach(self, record: EventRecord) -> None:
        """The run came to a completed step again and skips it: what it wrote stands over what was written before."""
        self.ahead.reach(record)
        for (kind, key), _ in writes_of(record):
            if (entry := self._beneath.pop((kind, key), None)) is not None:
                self.committed[kind][key] = entry
                self.changed[kind].add(key)

    def rewind(self) -> None:
        """The code of the run starts again."""
        self._beneath.clear()
        self.ahead.clear()

    def end_run(self, root: Frame, *, is_completed: bool) -> None:
        """The code that ran again is through. What it wrote beneath steps that it never came to counts if it
        `is_completed`, else it will be written again."""
        if is_completed:
            for slot, write in self.ahead.release(root).items():
                self._settle(slot, write, "")
        self.ahead.clear()

    def evidence(self, keys: list[str]) -> dict[str, Write] | None:
        """The artifacts under `keys` as they stand now, uncommitted ones too: what a question shows beside it."""
        standing = {key: self._standing((ARTIFACT, key)) for key in keys}
        found = {
            key: Write(one.seq, one.text, one.media_type, one.size)
            for key, one in standing.items()
            if one is not None and one.text is not None
        }
        return found or None

    def roll_back(self, kept: list[EventRecord], removed: list[EventRecord], before: int) -> None:
        """Put back what stood before sequence number `before`."""
        now = {(kind, key): entry for kind, entries in self.committed.items() for key, entry in entries.items()}
        then = entries_before(before, now, kept, removed)
        for kind, key in {*then, *now}:
            if then.get((kind, key)) != now.get((kind, key)):
                self.changed[kind].add(key)
        self.committed = {
            kind: {key: entry for (of, key), entry in then.items() if of is kind} for kind in (STORAGE, ARTIFACT)
        }

    # ---- inside

    def _text(self, kind: bool, key: str) -> str | None:
        standing = self._standing((kind, key))
        return None if standing is None else standing.text

    def _standing(self, slot: Slot) -> Write | Entry | None:
        """What stands under a key for the code that asks."""
        if self.ahead and slot in self.ahead and self._current_frame().step.is_rerun:
            return self.ahead.seen(slot)
        kind, key = slot
        entry = self.committed[kind].get(key)
        if self._live and (live := self._live.get(slot)):
            newest = self._newest_of_mine(live)
            if newest is not None and newest.seq > (entry.seq if entry else self._deleted.get(slot, 0)):
                return newest
        return entry

    def _newest_of_mine(self, live: Iterable[_Live]) -> Write | None:
        """What the running step or one of its callers wrote last. What a step beside it wrote counts when that one
        completes: it may fail yet."""
        frame: Frame | None = self._current_frame()
        mine = set()
        while frame is not None:
            mine.add(id(frame.step))
            frame = frame.parent
        return max((one.write for one in live if id(one.frame) in mine), key=_seq, default=None)

    def _keys(self, kind: bool) -> list[str]:
        others = [key for of, key in (*self._live, *self.ahead.slots()) if of is kind]
        return sorted(key for key in {*self.committed[kind], *others} if self._text(kind, key) is not None)

    def _delete(self, kind: bool, key: str) -> bool:
        if self._text(kind, key) is None:
            return False
        self._write((kind, key), Write(self._tick(), None))
        return True

    def _write(self, slot: Slot, write: Write) -> None:
        frame = self._current_frame().step
        if frame.is_over:
            raise StateError(f"{frame.address} is over: a task that outlives its step cannot write {slot[1]!r}")
        if self.ahead and frame.is_rerun and slot in self.ahead:
            self.ahead.hide(slot, frame, write)
            return
        if not frame.address:
            kind, key = slot
            standing = self.committed[kind].get(key)
            if standing is not None and standing.owner:
                self._beneath[slot] = standing
            self._settle(slot, write, "")
            return
        self._forget(slot, frame)
        self._live.setdefault(slot, []).append(_Live(frame, write))
        if frame.writes is None:
            frame.writes = {}
        frame.writes[slot] = write

    def _settle(self, slot: Slot, write: Write, owner: str) -> None:
        kind, key = slot
        self.changed[kind].add(key)
        if owner:
            self._beneath.pop(slot, None)
        if write.text is None:
            self.committed[kind].pop(key, None)
            self._deleted[slot] = write.seq
        else:
            self.committed[kind][key] = Entry(write.seq, write.text, owner, write.media_type, write.size)
            self._deleted.pop(slot, None)

    def _forget(self, slot: Slot, frame: Frame) -> None:
        if live := self._live.get(slot):
            live[:] = [one for one in live if one.frame is not frame]
            if not live:
                del self._live[slot]

    def _live_before(self, slot: Slot, seq: int) -> Write | None:
        return self._newest_of_mine(one for one in self._live.get(slot, ()) if one.write.seq < seq)

    def _cover(self, slot: Slot, newest: Write) -> Write | None:
        kind, key = slot
        entry = self.committed[kind].get(key)
        if entry is None:
            return None if newest.text is None else Write(self._deleted.get(slot, newest.seq + 1), None)
        if entry.owner or entry.seq < newest.seq:
            return None
        return Write(entry.seq, entry.text, entry.media_type, entry.size)


def _seq(write: Write) -> int:
    return write.seq


def check_key(key: str) -> str:
    """Give `key` back if something can be kept under it.

    Raises:
        ValueError: it is empty, too long, or no text that every store can hold.
    """
    given: object = key  # Callers err, whatever their type checker says.
    if not isinstance(given, str) or not 0 < len(given) <= 1000:
        raise ValueError(f"a storage key is a string of 1 to 1 000 characters, not {key!r:.80}")
    if "\x00" in key or (not key.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in key)):
        raise ValueError(f"the storage key {key!r:.80} holds a NUL or a lone surrogate, which no store can hold")
    return key
