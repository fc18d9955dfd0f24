"""The records of a run, and what a step boundary needs to know of them."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rh_agents.core.addressing import caller_path, path_of
from rh_agents.core.errors import AddressNotFoundError
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
        self.completed: dict[str, EventRecord] = {}
        self.open: dict[str, EventRecord] = {}
        self.attempts: dict[str, int] = {}
        self.writers: dict[Path, list[EventRecord]] = {}
        # Where a step was called from, by its own path: for those with a tag, which looks like one more caller.
        self._tagged: dict[Path, Path] = {}
        records = list(records)
        for record in records:
            self._note_tag(record)
        for record in records:
            self.add(record)

    def add(self, record: EventRecord, called_by: Iterable[Path] | None = None) -> None:
        """`called_by`: the paths of the steps around it, where they are known for certain (see `callers`)."""
        if self._records and record.position < self._records[-1].position:
            self._sorted = False
        record.load_artifact = self._load_artifact
        self._records.append(record)
        if record.status is ExecutionStatus.COMPLETED:
            self.completed[record.address] = record
            self._note_tag(record)
            if record.storage_writes or record.artifact_writes:
                for path in (*(self.callers(record) if called_by is None else called_by), ()):
                    self.writers.setdefault(path, []).append(record)
        elif record.status is ExecutionStatus.AWAITING:
            self.open[record.address] = record
            return
        self.attempts[record.address] = max(self.attempts.get(record.address, 0), record.attempt)

    def _note_tag(self, record: EventRecord) -> None:
        path, caller = path_of(record.address), caller_path(record.address, record.actor)
        if len(path) - len(caller) > 1:
            self._tagged[path] = caller

    def callers(self, record: EventRecord) -> list[Path]:
        """The paths of the steps that it ran inside of, innermost first."""
        found: list[Path] = []
        path = caller_path(record.address, record.actor)
        while path:
            found.append(path)
            path = self._tagged.get(path, path[:-1])
        return found

    def get_event_list(self) -> list[EventRecord]:
        """Every recorded attempt and open question, by position."""
        if not self._sorted:
            self._records.sort(key=lambda record: record.position)
            self._sorted = True
        return list(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[EventRecord]:
        return iter(self.get_event_list())

    def __contains__(self, address: object) -> bool:
        return any(record.address == address for record in self._records)

    def inside(self, path: Path) -> list[EventRecord]:
        """The completed records of what ran inside of the step of that path, in the order they ended."""
        found = [record for record in self.completed.values() if path in self.callers(record)]
        return sorted(found, key=lambda record: record.started_at + record.execution_time)

    def close(self, records: Iterable[EventRecord]) -> None:
        """Take `records` out of the history."""
        gone = {id(record) for record in records}
        self._fill([record for record in self.get_event_list() if id(record) not in gone])

    def at_and_after(self, address: str) -> tuple[list[EventRecord], int]:
        """The records that a resume from `address` runs again, and the position where it goes back to.

        These are the step, what it called, the steps it was called by, and everything that started after it.

        Raises:
            AddressNotFoundError: there is no such step; names the closest.
        """
        records = self.get_event_list()
        target = next((record for record in records if record.address == address), None)
        if target is None:
            known = list(dict.fromkeys(record.address for record in records))
            raise AddressNotFoundError(address, difflib.get_close_matches(address, known, n=3, cutoff=0.3) or known[:3])
        paths = _paths(records)
        # A parent that ran again after a crash has a later position than the steps it kept: it began with them.
        began = self._beginnings(records, paths)
        start, own = began[address], paths[address]
        called_by = self.callers(target)

        def runs_again(record: EventRecord) -> bool:
            return (
                record.address == address
                or (record.position >= start and began[record.address] >= start)
                or own in self.callers(record)
                or paths[record.address] in called_by
            )

        return [record for record in records if runs_again(record)], start

    def _beginnings(self, records: list[EventRecord], paths: dict[str, Path]) -> dict[str, int]:
        """For each address the lowest position of its records and of those inside of it."""
        began: dict[str, int] = {}
        inside: dict[Path, int] = {}
        for record in records:
            began[record.address] = min(record.position, began.get(record.address, record.position))
            for path in self.callers(record):
                inside[path] = min(record.position, inside.get(path, record.position))
        return {address: min(position, inside.get(paths[address], position)) for address, position in began.items()}


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
