"""Which task made a call, so that calls of one name by tasks side by side get back their own on replay.

A task's lane is the order in which the code of a step made its tasks (`2`, and `2.1` for the first that the second
made): it is the same in every run, whichever task comes first. The code's own task has the lane "". Only tasks that are
made under `run_pipeline` have one.
"""

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from rh_agents.core.addressing import path_of

if TYPE_CHECKING:
    from rh_agents.core.frames import Frame
    from rh_agents.core.state_recovery import EventRecord

Path = tuple[str, ...]

_FINGERPRINT_LENGTH = 8

current_lane: ContextVar["tuple[Frame, str] | None"] = ContextVar("rh_agents_lane", default=None)


class Recorded(NamedTuple):
    """A call of an earlier run: when it began, its task, and the beginning of its input's fingerprint."""

    position: int
    lane: str
    fingerprint: str


Calls = dict[int, Recorded]
"""The recorded calls of one name in one step, by number."""


def enter(frame: "Frame") -> None:
    """A new task of the step of `frame` begins: called in the context that the task gets."""
    held = current_lane.get()
    parent = held[1] if held is not None and held[0] is frame else ""
    number = frame.spawned.get(parent, 0) + 1
    frame.spawned[parent] = number
    current_lane.set((frame, _below(parent, str(number))))


def lane_in(frame: "Frame") -> str:
    """That of the task that is running, seen from `frame`."""
    held = current_lane.get()
    own = held[1] if held is not None and held[0] is frame else ""
    return _below(frame.lane_before, own) if frame.lane_before else own


def described(depth: int, lane: str, fingerprint: str) -> str:
    """A part of `EventRecord.lanes`: at `depth` steps from the run, the call was made in `lane`."""
    return f"/{depth}:{lane}:{fingerprint[:_FINGERPRINT_LENGTH]}"


class RecordedCalls:
    """The calls of earlier runs of a state, as far as any of their kind was made side by side."""

    def __init__(self, records: Iterable["EventRecord"], callers: "Callable[[EventRecord], list[Path]]") -> None:
        self._calls: dict[tuple[Path, str], Calls] = {}
        self._unfinished: dict[Path, Calls] = {}
        for record in records:
            parts = _parse(record.lanes)
            outer = callers(record)[::-1]
            path, number = _numbered(path_of(record.address))
            lane, asked = parts.get(len(outer), ("", record.fingerprint[:_FINGERPRINT_LENGTH]))
            self._calls.setdefault((path, str(record.event_type)), {})[number] = Recorded(record.position, lane, asked)
            for depth, caller in enumerate(outer):
                # A caller that did not finish has no record of its own: what it called says where it was called.
                path, number = _numbered(caller)
                self._unfinished.setdefault(path, {}).setdefault(
                    number, Recorded(record.position, *parts.get(depth, ("", "")))
                )

    def of(self, path: Path, event_type: str) -> "Numbers | None":
        """`None` if no call of this name was made side by side with anything."""
        recorded = {**self._unfinished.get(path, {}), **self._calls.get((path, event_type), {})}
        return Numbers(recorded) if any(call.lane for call in recorded.values()) else None


class Numbers:
    """Gives the calls of one name in one step their numbers."""

    def __init__(self, recorded: Calls) -> None:
        self._recorded = recorded
        self._free = set(recorded)
        self._in_lane: dict[str, list[int]] = {}
        for number in sorted(recorded, key=lambda number: recorded[number].position):
            self._in_lane.setdefault(recorded[number].lane, []).append(number)
        self._calls: dict[str, int] = {}
        self._new = 0

    def next(self, lane: str, fingerprint: str) -> int:
        """The number of the recorded call that this one is, else one that no recorded call has."""
        index = self._calls.get(lane, 0)
        self._calls[lane] = index + 1
        number = self._recorded_one(lane, index, fingerprint[:_FINGERPRINT_LENGTH])
        if number is not None:
            self._free.discard(number)
            return number
        self._new += 1
        while self._new in self._recorded:
            self._new += 1
        return self._new

    def _recorded_one(self, lane: str, index: int, fingerprint: str) -> int | None:
        mine = self._in_lane.get(lane, [])
        if index < len(mine):
            number = mine[index]
            is_free = number in self._free
            if is_free and (not lane or self._recorded[number].fingerprint in (fingerprint, "")):
                return number
            # Tasks made in another order, as those of a set are: their inputs tell them apart.
            return self._same_input_elsewhere(fingerprint) or (number if is_free else None)
        # One of the two was made by the code's own task: the code has changed, or `wait_for` makes no tasks here.
        others = (number for number in sorted(self._free) if not lane or not self._recorded[number].lane)
        return next(others, None) or self._same_input_elsewhere(fingerprint)

    def _same_input_elsewhere(self, fingerprint: str) -> int | None:
        for number in sorted(self._free):
            if self._recorded[number].lane and self._recorded[number].fingerprint == fingerprint:
                return number
        return None


def _below(parent: str, lane: str) -> str:
    return f"{parent}.{lane}" if parent and lane else parent or lane


def _parse(lanes: str) -> dict[int, tuple[str, str]]:
    """By depth: the lane, and the beginning of the fingerprint."""
    parts: dict[int, tuple[str, str]] = {}
    for part in lanes.split("/")[1:]:
        depth, lane, fingerprint = part.split(":")
        parts[int(depth)] = lane, fingerprint
    return parts


def _numbered(path: Path) -> tuple[Path, int]:
    """The path of the first namesake, and the number."""
    last, _, number = path[-1].partition("#")
    number, _, kind = number.partition("(")  # `planner#2(tool_call)`, see `Frame.allot`.
    return (*path[:-1], f"{last}({kind}" if kind else last), int(number) if number.isdigit() else 1
