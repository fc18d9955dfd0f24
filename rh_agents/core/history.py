"""The records of a run, and what a step boundary needs to know of them."""

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from rh_agents.core.addressing import is_within, path_of
from rh_agents.core.errors import AddressNotFoundError
from rh_agents.core.state_recovery import EventRecord
from rh_agents.core.types import ExecutionStatus


class HistorySet:
    """All records of a run in order of position, and the newest completed one of each address."""

    def __init__(self, records: Iterable[EventRecord], load_artifact: Callable[[str], Any]) -> None:
        self._load_artifact = load_artifact
        self._fill(records)

    def _fill(self, records: Iterable[EventRecord]) -> None:
        self._records: list[EventRecord] = []
        self._sorted = True
        self.completed: dict[str, EventRecord] = {}
        self.open: dict[str, EventRecord] = {}
        self.attempts: dict[str, int] = {}
        for record in records:
            self.add(record)

    def add(self, record: EventRecord) -> None:
        if self._records and record.position < self._records[-1].position:
            self._sorted = False
        record.load_artifact = self._load_artifact
        self._records.append(record)
        if record.status is ExecutionStatus.COMPLETED:
            self.completed[record.address] = record
        elif record.status is ExecutionStatus.AWAITING:
            self.open[record.address] = record
            return
        self.attempts[record.address] = max(self.attempts.get(record.address, 0), record.attempt)

    def get_event_list(self) -> list[EventRecord]:
        """Every recorded attempt and open question, by position."""
        if not self._sorted:
            self._records.sort(key=lambda record: record.position)
            self._sorted = True
        return list(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, address: str) -> bool:
        return any(record.address == address for record in self._records)

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
        known = list(dict.fromkeys(record.address for record in records))
        if address not in known:
            raise AddressNotFoundError(address, difflib.get_close_matches(address, known, n=3, cutoff=0.3) or known[:3])
        # A parent that ran again after a crash has a later position than the children it kept: it began with them.
        began = _beginnings(records)
        start = began[address]
        return [
            record
            for record in records
            if (record.position >= start
            and began[record.address] >= start)
            or record.address == address
            or is_within(record.address, address)
            or is_within(address, record.address)
        ], start


def _beginnings(records: list[EventRecord]) -> dict[str, int]:
    """For each address the lowest position of its records and of those inside of it."""
    began: dict[str, int] = {}
    for record in records:
        began[record.address] = min(record.position, began.get(record.address, record.position))
    by_path: dict[tuple[str, ...], int] = {}
    for address, position in began.items():
        path = path_of(address)
        for length in range(1, len(path) + 1):
            by_path[path[:length]] = min(position, by_path.get(path[:length], position))
    return {address: min(position, by_path[path_of(address)]) for address, position in began.items()}
