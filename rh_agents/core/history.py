"""The records of a run, and what a step boundary needs to know of them."""

import difflib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rh_agents.core.addressing import SEPARATOR, caller_path, path_of
from rh_agents.core.ahead import writes_of
from rh_agents.core.errors import AddressNotFoundError
from rh_agents.core.frames import Frame
from rh_agents.core.state_recovery import EventRecord
from rh_agents.core.types import EventType, ExecutionStatus

Path = tuple[str, ...]


class HistorySet:
    """All records of a run in order of position, and the newest completed one of each address.

    `writers` are the completed records that wrote something, under the path of every step they ran inside of; all
    of them are under `()`.
    """

    def __init__(self, records: Iterable[EventRecord], load_artifact: Callable[[str], Any]) -> None:
        self._load_artifact = load_artifact
        self._fill(records)

    def _fill(self, records: Iterable[EventRecord]) -> None:
        self._records: list[EventRecord] = []
        self._sorted = True
        self.has_lanes = False
        self.completed: dict[str, EventRecord] = {}
        self.open: dict[str, EventRecord] = {}
        self.attempts: dict[str, int] = {}
        self.writers: dict[Path, list[EventRecord]] = {}
        # Made when they are asked for.
        self._tagged: dict[Path, Path] | None = None
        self._inside: dict[Path, list[EventRecord]] | None = None
        records = list(records)
        for record in records:
            self._keep(record)
        for record in self.completed.values():
            if record.storage_writes or record.artifact_writes:
                self._note_writer(record, self.callers(record))

    def add(self, record: EventRecord, frame: Frame | None = None) -> None:
        """`frame`: the attempt that ended with `record`."""
        self._keep(record)
        if record.status is not ExecutionStatus.COMPLETED:
            return
        self._tagged = self._inside = None
        if record.storage_writes or record.artifact_writes:
            self._note_writer(record, self.callers(record) if frame is None else frame.callers())

    def _keep(self, record: EventRecord) -> None:
        if self._records and record.position < self._records[-1].position:
            self._sorted = False
        if record.lanes:
            self.has_lanes = True
        record.load_artifact = self._load_artifact
        self._records.append(record)
        if record.status is ExecutionStatus.COMPLETED:
            self.completed[record.address] = record
        elif record.status is ExecutionStatus.AWAITING:
            self.open[record.address] = record
            return
        self.attempts[record.address] = max(self.attempts.get(record.address, 0), record.attempt)

    def _note_writer(self, record: EventRecord, callers: list[Path]) -> None:
        for path in (*callers, ()):
            self.writers.setdefault(path, []).append(record)

    def callers(self, record: EventRecord) -> list[Path]:
        """The paths of the steps that it ran inside of, innermost first."""
        if record.address.count(SEPARATOR) == 1:
            return []
        if self._tagged is None:
            self._tagged = _tagged(self.completed.values())
        found: list[Path] = []
        path = caller_path(record.address, record.actor)
        while path:
            found.append(path)
            path = self._tagged.get(path, path[:-1])
        return found

    def get_event_list(self) -> list[EventRecord]:
        """Every recorded attempt and open question, by position."""
        self._sort()
        return list(self._records)

    def _sort(self) -> None:
        if not self._sorted:
            self._records.sort(key=_position)
            self._sorted = True

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[EventRecord]:
        return iter(self.get_event_list())

    def __contains__(self, address: object) -> bool:
        return any(record.address == address for record in self._records)

    def inside(self, path: Path) -> list[EventRecord]:
        """The completed records of what ran inside of the step of that path, in the order they ended."""
        if self._inside is None:
            self._inside = {}
            for record in sorted(self.completed.values(), key=lambda one: one.started_at + one.execution_time):
                for caller in self.callers(record):
                    self._inside.setdefault(caller, []).append(record)
        return self._inside.get(path, [])

    def close(self, records: Iterable[EventRecord]) -> None:
        """Take `records` out of the history."""
        closed = list(records)
        if all(record.status is ExecutionStatus.AWAITING for record in closed):
            # A question is noted in two places alone: many answers must not each note everything else anew.
            for record in closed:
                self._forget_question(record)
            return
        gone = {id(record) for record in closed}
        self._fill([record for record in self.get_event_list() if id(record) not in gone])

    def _forget_question(self, question: EventRecord) -> None:
        self._sort()
        for place in range(bisect_left(self._records, question.position, key=_position), len(self._records)):
            if self._records[place] is question:
                del self._records[place]
                break
        if self.open.get(question.address) is question:
            del self.open[question.address]

    def at_and_after(self, address: str) -> tuple[list[EventRecord], int]:
        """The records that a resume from `address` runs again, and the position where it goes back to.

        These are the step and what it called, everything that started or wrote something after it had started (also
        beside it, in another branch), and the steps that called any of these.

        Raises:
            AddressNotFoundError: there is no such step; names the closest.
        """
        records = self.get_event_list()
        if not any(record.address == address for record in records):
            known = list(dict.fromkeys(record.address for record in records))
            raise AddressNotFoundError(address, difflib.get_close_matches(address, known, n=3, cutoff=0.3) or known[:3])
        paths = _paths(records)
        # A parent that ran again after a crash has a later position than the steps it kept: it began with them.
        began = self._beginnings(records, paths)
        start = began[address]

        def is_later(record: EventRecord) -> bool:
            return (record.position >= start and began[record.address] >= start) or any(
                write.seq >= start for _, write in writes_of(record)
            )

        later = [record for record in records if is_later(record)]
        gone = {id(record) for record in later}
        callers = {path for record in later for path in self.callers(record)}
        return [record for record in records if id(record) in gone or paths[record.address] in callers], start

    def _beginnings(self, records: list[EventRecord], paths: dict[str, Path]) -> dict[str, int]:
        """For each address the lowest position of its records and of those inside of it."""
        began: dict[str, int] = {}
        inside: dict[Path, int] = {}
        for record in records:
            began[record.address] = min(record.position, began.get(record.address, record.position))
            for path in self.callers(record):
                inside[path] = min(record.position, inside.get(path, record.position))
        return {address: min(position, inside.get(paths[address], position)) for address, position in began.items()}


def _position(record: EventRecord) -> int:
    return record.position


def _tagged(records: Iterable[EventRecord]) -> dict[Path, Path]:
    """Where a step was called from, by its own path: of those with a tag, which looks like one more caller."""
    tagged: dict[Path, Path] = {}
    for record in records:
        if f"{record.actor}{SEPARATOR}{record.event_type}" in record.address:
            continue  # Nearly all: there is no tag between the name and the type.
        path, caller = path_of(record.address), caller_path(record.address, record.actor)
        if len(path) - len(caller) > 1:
            tagged[path] = caller
    return tagged


def _paths(records: list[EventRecord]) -> dict[str, Path]:
    """For each address the path that the steps inside of it begin with (see `Frame.allot`)."""
    paths: dict[str, Path] = {}
    owners: dict[Path, str] = {}
    for record in records:
        path = path_of(record.address)
        if record.event_type == EventType.DECISION:
            path = (record.address,)  # Nothing runs inside of a question, whatever else has its name.
        elif owners.setdefault(path, record.event_type) != record.event_type:
            path = (*path[:-1], f"{path[-1]}({record.event_type})")
        paths[record.address] = path
    return paths
