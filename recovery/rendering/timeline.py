"""The timeline of a run: one row a step with its bars, by windows, so that ten thousand steps stay usable."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

from recovery.rendering.step_tree import Attempt, Step, StepTree
from recovery.rendering.time_axis import Halt, Interval, TimeAxis, stops_between
from rh_agents.core.types import EventType, ExecutionStatus

WINDOW = 200

# The stylesheet indents so far and no further.
_DEEPEST = 12

# What is shorter would not be seen at all.
_NARROWEST = 0.35


class Span(NamedTuple):
    """What the axis needs of an attempt."""

    event_type: str
    status: str
    started_at: float
    duration_s: float


class Bar(NamedTuple):
    """`kind`: "work", "failed", "wait" (for people), "stopped" (a thin line through a band). Places are SVG lengths."""

    kind: str
    x: str
    width: str


class BandMark(NamedTuple):
    x: str
    width: str
    middle: str
    label: str
    is_waiting: bool


class TickMark(NamedTuple):
    x: str
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    """One step. `position` is that of its newest attempt, `None` for one that did not end yet.

    `status` is that of the newest attempt; of one that did not end `running`, `awaiting` or `started`.
    """

    step: Step
    position: int | None
    anchor: str
    depth: int
    status: str
    duration_s: float
    bars: tuple[Bar, ...]
    version: str

    @property
    def attempts(self) -> list[Attempt]:
        return self.step.attempts


class Timeline:
    """`attempts` in the order of their positions; `halts` are times in which the run may have stood still."""

    def __init__(self, attempts: Iterable[Attempt], halts: Iterable[Halt], now: float, *, is_running: bool) -> None:
        self.tree = StepTree(attempts, now)
        self._is_running = is_running
        tried = (one for step in self.tree.steps for one in step.attempts)
        spans = (Span(one.event_type, one.status, one.started_at, one.duration_s) for one in tried)
        self.axis = axis_of(spans, halts, now)

    def __len__(self) -> int:
        return len(self.tree)

    @cached_property
    def unfinished_count(self) -> int:
        return sum(1 for step in self.tree.steps if not step.attempts)

    @property
    def recorded_count(self) -> int:
        return len(self.tree) - self.unfinished_count

    @cached_property
    def bands(self) -> list[BandMark]:
        return [
            BandMark(_percent(one.x), _percent(one.width), _percent(one.x + one.width / 2), one.label, one.is_waiting)
            for one in self.axis.bands
        ]

    @cached_property
    def ticks(self) -> list[TickMark]:
        return [TickMark(_percent(tick.x), tick.label) for tick in self.axis.ticks()]

    def window(self, first: int, at_most: int = WINDOW) -> list[Row]:
        return [self._row(step) for step in self.tree.steps[first : first + at_most]]

    def above(self, first: int) -> list[Step]:
        """The callers of the first step of a window, outermost first."""
        callers: list[Step] = []
        step = self.tree.steps[first].parent if 0 <= first < len(self) else None
        while step is not None:
            callers.insert(0, step)
            step = step.parent
        return callers

    def _row(self, step: Step) -> Row:
        newest = step.newest
        status = newest.status if newest else self._unfinished(step)
        return Row(
            step=step,
            position=newest.position if newest else None,
            anchor=anchor_of(step.address),
            depth=min(step.depth, _DEEPEST),
            status=status,
            duration_s=step.end - step.start if step.is_decision else self._work_s(step, status),
            bars=tuple(self._bars(step, status)),
            version=f"{newest.position if newest else 0}.{len(step.attempts)}.{status}",
        )

    def _unfinished(self, step: Step) -> str:
        if step.has_open_question:
            return ExecutionStatus.AWAITING.value
        return "running" if self._is_running else ExecutionStatus.STARTED.value

    def _work_s(self, step: Step, status: str) -> float:
        end = self.axis.end if status == "running" else step.end
        return self.axis.work_between(step.start, end)

    def _bars(self, step: Step, status: str) -> Iterable[Bar]:
        if step.is_decision:
            yield self._bar("wait", step.start, step.end)
            return
        attempts = step.attempts
        if step.children:
            # It was at work from its first child on, whatever of that is recorded; only what failed stands out.
            yield from self._split("work", step.start, self.axis.end if status == "running" else step.end)
            attempts = [one for one in attempts if one.is_failed] if len(attempts) > 1 else []
        for attempt in attempts:
            yield from self._split("failed" if attempt.is_failed else "work", attempt.started_at, attempt.ended_at)

    def _split(self, kind: str, start: float, end: float) -> Iterable[Bar]:
        for piece in self.axis.pieces(start, end):
            yield _bar("stopped" if piece.is_stopped else kind, piece.x, piece.width)

    def _bar(self, kind: str, start: float, end: float) -> Bar:
        left, right = self.axis.x(start), self.axis.x(end)
        return _bar(kind, left, right - left)


def anchor_of(address: str) -> str:
    """The id of its row: the same whatever comes before it, and however often it is tried."""
    return f"at-{blake2b(address.encode(), digest_size=6).hexdigest()}"


def _bar(kind: str, x: float, width: float) -> Bar:
    width = max(width, _NARROWEST)
    return Bar(kind, _percent(min(x, 100 - width)), _percent(width))


def _percent(number: float) -> str:
    return f"{number:.2f}%"


def axis_of(spans: Iterable[Span], halts: Iterable[Halt], now: float) -> TimeAxis:
    """The axis of a run that has these attempts. An open question lasts until `now`."""
    work: list[Interval] = []
    waits: list[Halt] = []
    for event_type, status, started_at, duration_s in spans:
        end = started_at + duration_s
        if event_type != EventType.DECISION:
            work.append(Interval(started_at, end))
        else:
            is_open = status == ExecutionStatus.AWAITING
            waits.append(Halt(started_at, max(end, now) if is_open else end, only_end=True))
    start = min([*(one.start for one in work), *(one.start for one in waits)], default=now)
    end = max([*(one.end for one in work), *(one.end for one in waits)], default=now)
    return TimeAxis(start, end, stops_between(work, [*waits, *halts]))
