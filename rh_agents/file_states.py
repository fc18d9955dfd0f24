"""States as files: `<base_path>/states/<id>.jsonl`, one checkpoint a line."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from rh_agents.checkpoint_lines import HASHES, Summary, decode_lines, encode_line, number_of, split_lines, summarise
from rh_agents.core.errors import CorruptStateError, IncompatibleVersionError, SerializationError, StaleWriterError
from rh_agents.core.state_backend import StateBackend
from rh_agents.core.state_recovery import Changes, StateSnapshot, StateStatus, check_version
from rh_agents.durable_files import locked, read_all, remove, remove_leftovers, write_all, write_whole
from rh_agents.safe_ids import check_id

_SUFFIX = ".jsonl"
_TAIL_BYTES = 1 << 16
_HEADS_REMEMBERED = 10_000

_UNREADABLE = (CorruptStateError, IncompatibleVersionError, SerializationError, OSError)

# What changes when somebody else writes a file: its inode, size and time of change.
_Stamp = tuple[int, int, int]


class FileSystemStateBackend(StateBackend):
    """Keeps every state, with all of its checkpoints, in a JSON Lines file of its own that only grows.

    Processes may share a folder: writers of one state take turns by a lock on its file, and the one that comes late
    is told so. What a call returned from survives a power failure.
    """

    supports_append = True

    def __init__(self, base_path: str | os.PathLike[str]) -> None:
        self._folder = Path(base_path) / "states"
        self._heads: dict[str, tuple[_Stamp, int]] = {}
        self._summaries: dict[str, tuple[_Stamp, Summary]] = {}

    def save_state(self, snapshot: StateSnapshot) -> bool:
        path = self._path(snapshot.state_id)
        check_version(snapshot.version)
        while True:
            try:
                changes = self._save_over(path, snapshot)
            except FileNotFoundError:
                changes = Changes.between(None, snapshot)
                try:
                    write_whole(path, encode_line(changes), exclusive=True)
                except FileExistsError:
                    continue  # Somebody else saved it first just now: save over that.
            snapshot.head = changes.base + 1
            snapshot.created_at = changes.created_at or snapshot.created_at
            snapshot.updated_at = changes.updated_at
            return True

    def append(self, changes: Changes) -> int:
        path = self._path(changes.state_id)
        if changes.base == 0:
            try:
                write_whole(path, encode_line(changes), exclusive=True)
            except FileExistsError:
                raise StaleWriterError(f"state {changes.state_id!r} was saved by somebody else meanwhile") from None
            return 1
        line = encode_line(changes)
        try:
            with _locked(path, to_write=True) as descriptor:
                head = self._head(descriptor, changes.state_id)
                if changes.base != head:
                    raise StaleWriterError(
                        f"state {changes.state_id!r} stands at checkpoint {head}; "
                        f"these changes follow checkpoint {changes.base}"
                    )
                self._write_line(descriptor, line, changes)
        except FileNotFoundError:
            raise StaleWriterError(
                f"state {changes.state_id!r} is not there; these changes follow its checkpoint {changes.base}"
            ) from None
        return head + 1

    def load_state(self, state_id: str) -> StateSnapshot | None:
        lines = self._lines(state_id)
        return None if lines is None else decode_lines(lines, state_id)

    def load_checkpoint(self, state_id: str, number: int) -> StateSnapshot | None:
        lines = self._lines(state_id)
        if lines is None or not 1 <= number <= len(lines):
            return None
        return decode_lines(lines, state_id, until=number)

    def list_states(
        self,
        tags: Sequence[str] | None = None,
        status: StateStatus | None = None,
        pipeline_name: str | None = None,
        limit: int = 100,
    ) -> list[StateSnapshot]:
        """See `StateBackend`. Warns about a state that cannot be read, and goes on."""
        if limit < 0:
            raise ValueError(f"limit is {limit}; it must not be negative")
        matching = [
            (summary.updated_at, state_id)
            for state_id, summary in self._all_summaries()
            if summary.matches(tags, status, pipeline_name)
        ]
        found: list[StateSnapshot] = []
        for _, state_id in sorted(matching, reverse=True):
            if len(found) == limit:
                break
            try:
                snapshot = self.load_state(state_id)
            except _UNREADABLE as error:
                warnings.warn(f"left out of the list: {error}", stacklevel=2)
                continue
            if snapshot is not None:
                found.append(snapshot)
        return found

    def delete_state(self, state_id: str) -> bool:
        path = self._path(state_id)
        try:
            with _locked(path, to_write=True):
                removed = remove(path)
        except FileNotFoundError:
            return False
        self._heads.pop(state_id, None)
        self._summaries.pop(state_id, None)
        return removed

    def exists(self, state_id: str) -> bool:
        return self._path(state_id).is_file()

    def artifact_references(self) -> set[str]:
        """See `StateBackend`. Whatever looks like the id of an artifact is one, so damaged files count too."""
        found: set[bytes] = set()
        for path in self._folder.glob(f"[!.]*{_SUFFIX}"):
            with suppress(FileNotFoundError, IsADirectoryError):
                found.update(HASHES.findall(path.read_bytes()))
        return {identity.decode() for identity in found}

    def remove_leftovers(self, before: datetime) -> None:
        remove_leftovers(self._folder, before)

    def _path(self, state_id: str) -> Path:
        return self._folder / (check_id(state_id, "state id") + _SUFFIX)

    def _lines(self, state_id: str) -> list[bytes] | None:
        try:
            with _locked(self._path(state_id)) as descriptor:
                data = read_all(descriptor)
        except FileNotFoundError:
            return None
        return split_lines(data, state_id)

    def _save_over(self, path: Path, snapshot: StateSnapshot) -> Changes:
        with _locked(path, to_write=True) as descriptor:
            lines = split_lines(read_all(descriptor), snapshot.state_id)
            changes = Changes.between(decode_lines(lines, snapshot.state_id), snapshot)
            line = encode_line(changes)
            os.ftruncate(descriptor, sum(map(len, lines)) + len(lines))
            self._write_line(descriptor, line, changes)
        return changes

    def _write_line(self, descriptor: int, line: bytes, changes: Changes) -> None:
        """Write and sync; the file ends with a whole line. What fails on the way is taken back."""
        end = os.lseek(descriptor, 0, os.SEEK_END)
        self._heads.pop(changes.state_id, None)
        try:
            write_all(descriptor, line)
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, end)
            raise
        if len(self._heads) >= _HEADS_REMEMBERED:
            self._heads.clear()
        self._heads[changes.state_id] = _stamp(os.fstat(descriptor)), changes.base + 1

    def _head(self, descriptor: int, state_id: str) -> int:
        """The number of the newest checkpoint. A torn end of the file is cut off."""
        known = self._heads.get(state_id)
        status = os.fstat(descriptor)
        if known is not None and known[0] == _stamp(status):
            return known[1]
        start, lines = _tail(descriptor, status.st_size, state_id)
        if not lines:
            raise CorruptStateError(f"state {state_id!r} is damaged: its first checkpoint is missing")
        head = number_of(lines[-1], state_id)
        os.ftruncate(descriptor, start + sum(map(len, lines)) + len(lines))
        return head

    def _all_summaries(self) -> Iterator[tuple[str, Summary]]:
        for path in self._folder.glob(f"[!.]*{_SUFFIX}"):
            state_id = path.name.removesuffix(_SUFFIX)
            try:
                summary = self._summary(path, check_id(state_id, "state id"))
            except FileNotFoundError:
                continue  # Deleted meanwhile.
            except (*_UNREADABLE, ValueError) as error:
                warnings.warn(f"left out of the list: {error}", stacklevel=4)
                continue
            yield state_id, summary

    def _summary(self, path: Path, state_id: str) -> Summary:
        known = self._summaries.get(state_id)
        if known is not None and known[0] == _stamp(path.stat()):
            return known[1]
        with _locked(path) as descriptor:
            stamp = _stamp(os.fstat(descriptor))
            data = read_all(descriptor)
        summary = summarise(split_lines(data, state_id), state_id)
        self._summaries[state_id] = stamp, summary
        return summary


@contextmanager
def _locked(path: Path, *, to_write: bool = False) -> Iterator[int]:
    """See `locked`.

    Raises:
        CorruptStateError: what stands there is no file: a folder, or a link to nowhere.
    """
    try:
        with locked(path, to_write=to_write) as descriptor:
            yield descriptor
    except (FileNotFoundError, IsADirectoryError):
        if path.is_dir() or (path.is_symlink() and not path.exists()):
            state_id = path.name.removesuffix(_SUFFIX)
            raise CorruptStateError(f"state {state_id!r} is damaged: {path} is no file") from None
        raise


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _tail(descriptor: int, size: int, state_id: str) -> tuple[int, list[bytes]]:
    """Whole lines at the end of the file, at least one if there is one, and where the first of them starts."""
    length = _TAIL_BYTES
    while True:
        start = max(0, size - length)
        data = os.pread(descriptor, size - start, start)
        lines = split_lines(data, state_id)
        if start == 0:
            return 0, lines
        if len(lines) > 1:  # The first may have been cut in the middle.
            return start + len(lines[0]) + 1, lines[1:]
        length *= 2
