"""Storage: the run's key-value memory and its artifacts, with what each step wrote kept apart until it completes.

Values have value semantics: `set` writes them down at once, `get` gives a fresh copy. A change made to a value in
place is therefore not kept until it is set again; were it kept, it would be there in the first run and missing after
a resume.
"""

from collections.abc import Callable
from typing import Any

from rh_agents.core.frames import Frame
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
        writer: Callable[[], Frame | None],
        load_artifact: Callable[[str], Any],
        large_value_bytes: int | None,
    ) -> None:
        self._tick = tick
        self._writer = writer
        self._load_artifact = load_artifact
        self._large_value_bytes = large_value_bytes
        self.committed: dict[bool, dict[str, Entry]] = {STORAGE: {}, ARTIFACT: {}}
        self.changed: dict[bool, set[str]] = {STORAGE: set(), ARTIFACT: set()}
        self._live: dict[tuple[bool, str], list[_Live]] = {}
        self.unsaved_artifacts: dict[str, EncodedArtifact] = {}

    # ---- what people call

    def get(self, key: str, default: Any = None) -> Any:
        text = self._newest(STORAGE, key)
        return default if text is None else decode(text, load_artifact=self._load_artifact)

    def set(self, key: str, value: Any) -> None:
        """Put `value` under `key`.

        Raises:
            SerializationError: it cannot be written; the message names the key and the type.
        """
        check_key(key)
        self._write(STORAGE, key, Write(self._tick(), self.spill(encode(value, where=f"storage[{key!r}]"))))

    def delete(self, key: str) -> bool:
        """`True` if there was something under `key`."""
        return self._delete(STORAGE, key)

    def get_artifact(self, key: str, default: Any = None) -> Any:
        """The value, loaded now.

        Raises:
            CorruptArtifactError: its bytes are damaged, or gone from the artifact backend.
        """
        identity = self._newest(ARTIFACT, key)
        return default if identity is None else self._load_artifact(identity)

    def set_artifact(self, key: str, value: Any, media_type: str = "") -> str:
        """Put `value` into the artifact backend (at the next checkpoint) under its content's id, which is returned.

        The media type of text and bytes is guessed from the key: `preview.csv` is `text/csv`.
        """
        check_key(key)
        encoded = encode_artifact(value, key=key)
        identity = artifact_id(encoded)
        self.unsaved_artifacts[identity] = encoded
        kind = media_type or encoded.media_type
        self._write(ARTIFACT, key, Write(self._tick(), identity, kind, len(encoded.payload)))
        return identity

    def delete_artifact(self, key: str) -> bool:
        """Forget the key; the bytes go when nothing refers to them any more."""
        return self._delete(ARTIFACT, key)

    @property
    def data(self) -> dict[str, Any]:
        """A copy of everything under a storage key."""
        return {key: self.get(key) for key in self.keys()}

    def keys(self) -> list[str]:
        return self._keys(STORAGE)

    @property
    def artifact_keys(self) -> list[str]:
        return self._keys(ARTIFACT)

    def __contains__(self, key: str) -> bool:
        return self._newest(STORAGE, key) is not None

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
        if frame.writes is None:
            return None, None
        wrote: dict[bool, dict[str, Write]] = {STORAGE: {}, ARTIFACT: {}}
        for (kind, key), write in frame.writes.items():
            self._forget(kind, key, frame)
            standing = self.committed[kind].get(key)
            if standing is not None and not standing.owner:
                write = write._replace(covers=tuple(standing))
            wrote[kind][key] = write
            if standing is None or standing.seq < write.seq:
                self._settle(kind, key, write, frame.address)
        frame.writes = None
        return wrote[STORAGE] or None, wrote[ARTIFACT] or None

    def undo(self, frame: Frame) -> None:
        """The step failed or was interrupted: what it wrote never was."""
        for kind, key in frame.writes or ():
            self._forget(kind, key, frame)
        frame.writes = None

    def evidence(self, keys: list[str]) -> dict[str, Write] | None:
        """The artifacts under `keys` as they stand now, uncommitted ones too: what a question shows beside it."""
        found: dict[str, Write] = {}
        for key in keys:
            if (live := self._live.get((ARTIFACT, key))) and live[-1].write.text is not None:
                found[key] = live[-1].write
            elif entry := self.committed[ARTIFACT].get(key):
                found[key] = Write(entry.seq, entry.text, entry.media_type, entry.size)
        return found or None

    def roll_back(self, kept: list[EventRecord], removed: list[EventRecord], before: int) -> None:
        """Put back what stood before sequence number `before`, as far as the `kept` records and writes outside of
        any step say it."""
        for kind in (STORAGE, ARTIFACT):
            then = {key: entry for key, entry in self.committed[kind].items() if not entry.owner and entry.seq < before}
            gone: set[str] = set()
            for record in (*kept, *removed):
                for key, write in (_writes(record, kind) or {}).items():
                    if write.covers and write.covers[0] < before:
                        _put_newer(then, key, Entry(*write.covers))
            for record in kept:
                for key, write in (_writes(record, kind) or {}).items():
                    if record.is_completed and _put_newer(
                        then, key, Entry(write.seq, write.text or "", record.address, write.media_type, write.size)
                    ):
                        (gone.add if write.text is None else gone.discard)(key)
            for key in gone:
                del then[key]
            now = self.committed[kind]
            self.changed[kind] |= {key for key in {*then, *now} if then.get(key) != now.get(key)}
            self.committed[kind] = then

    # ---- inside

    def _newest(self, kind: bool, key: str) -> str | None:
        if self._live and (live := self._live.get((kind, key))):
            return live[-1].write.text
        entry = self.committed[kind].get(key)
        return None if entry is None else entry.text

    def _keys(self, kind: bool) -> list[str]:
        live = [key for of, key in self._live if of is kind]
        return [key for key in dict.fromkeys((*self.committed[kind], *live)) if self._newest(kind, key) is not None]

    def _delete(self, kind: bool, key: str) -> bool:
        if self._newest(kind, key) is None:
            return False
        self._write(kind, key, Write(self._tick(), None))
        return True

    def _write(self, kind: bool, key: str, write: Write) -> None:
        frame = self._writer()
        if frame is None:
            self._settle(kind, key, write, "")
            return
        self._forget(kind, key, frame)
        self._live.setdefault((kind, key), []).append(_Live(frame, write))
        if frame.writes is None:
            frame.writes = {}
        frame.writes[kind, key] = write

    def _settle(self, kind: bool, key: str, write: Write, owner: str) -> None:
        self.changed[kind].add(key)
        if write.text is None:
            self.committed[kind].pop(key, None)
        else:
            self.committed[kind][key] = Entry(write.seq, write.text, owner, write.media_type, write.size)

    def _forget(self, kind: bool, key: str, frame: Frame) -> None:
        if live := self._live.get((kind, key)):
            live[:] = [one for one in live if one.frame is not frame]
            if not live:
                del self._live[kind, key]


def check_key(key: str) -> str:
    """Give `key` back if something can be kept under it.

    Raises:
        ValueError: it is empty, too long, or no text that every store can hold.
    """
    if not isinstance(key, str) or not key or len(key) > 1000:
        raise ValueError(f"a storage key is a string of 1 to 1 000 characters, not {key!r:.80}")
    if "\x00" in key or (not key.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in key)):
        raise ValueError(f"the storage key {key!r:.80} holds a NUL or a lone surrogate, which no store can hold")
    return key


def _writes(record: EventRecord, kind: bool) -> dict[str, Write] | None:
    return record.artifact_writes if kind else record.storage_writes


def _put_newer(entries: dict[str, Entry], key: str, entry: Entry) -> bool:
    """Whether `entry` is newer than what stood there, and stands there now."""
    if key in entries and entries[key].seq >= entry.seq:
        return False
    entries[key] = entry
    return True
