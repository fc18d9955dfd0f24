"""The time axis of a run: work is to scale, each stop (waiting for people, not running) a band of fixed width."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import NamedTuple

from recovery.rendering import quantities

# In percent of the whole width.
_BAND_WIDTH = 14.0
_BANDS_WIDTH = 42.0
_ROOM_FOR_WORDS = 13.0
_WORDS_AT_MOST = len("1 h 12 min")
_ROOM_FOR_A_WORD = 8.0
_CHARACTER = 1.45
_GAP = 2.0

# A stop shorter than this is not worth breaking the axis for.
_SHORTEST_STOP_S = 0.05

_TICKS_AT_MOST = 5
_TICK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)


class Interval(NamedTuple):
    """Seconds since the epoch."""

    start: float
    end: float


class Halt(NamedTuple):
    """A time in which the run may have stood still. `is_waiting`: for people; else it was just not running.

    `only_end`: of what is left beside the work, only the piece that reaches `end` counts. Branches that go on beside
    an open question are not stopped by it, nor between their steps.
    """

    start: float
    end: float
    is_waiting: bool = True
    only_end: bool = False


class Stop(NamedTuple):
    start: float
    end: float
    is_waiting: bool


class Band(NamedTuple):
    """A stop as it is drawn; `label` is empty where there is no room for one."""

    x: float
    width: float
    is_waiting: bool
    duration_s: float
    label: str


class Tick(NamedTuple):
    x: float
    label: str


class Piece(NamedTuple):
    """A part of a bar; `is_stopped` inside of a band."""

    x: float
    width: float
    is_stopped: bool


@dataclass(frozen=True, slots=True)
class _Segment:
    """A stretch of work, or a stop. `work_s` is the work that was done before it."""

    start: float
    end: float
    x: float
    width: float
    work_s: float
    stop: Stop | None

    def x_at(self, moment: float) -> float:
        length = self.end - self.start
        share = min(1.0, max(0.0, (moment - self.start) / length)) if length > 0 else 0.0
        return self.x + share * self.width


def stops_between(work: Iterable[Interval], halts: Iterable[Halt]) -> list[Stop]:
    """When the run stood still: the halts without the work that went on beside them, in order, none touching."""
    busy = _merged(work)
    found: list[Stop] = []
    for halt in halts:
        pieces = _without(Interval(halt.start, halt.end), busy)
        if halt.only_end:
            pieces = [piece for piece in pieces if piece.end >= halt.end]
        found.extend(Stop(*piece, halt.is_waiting) for piece in pieces)
    joined: list[Stop] = []
    for stop in sorted(found):
        if joined and stop.start <= joined[-1].end:
            last = joined[-1]
            joined[-1] = Stop(last.start, max(last.end, stop.end), last.is_waiting or stop.is_waiting)
        else:
            joined.append(stop)
    return [stop for stop in joined if stop.end - stop.start >= _SHORTEST_STOP_S]


class TimeAxis:
    """From `start` to `end`, in percent of the width from 0 to 100."""

    def __init__(self, start: float, end: float, stops: Sequence[Stop] = ()) -> None:
        inside = [Stop(max(one.start, start), min(one.end, end), one.is_waiting) for one in stops]
        self.start, self.end = start, max(start, end)
        self._segments = list(_segments(self.start, self.end, [stop for stop in inside if stop.end > stop.start]))
        self._starts = [segment.start for segment in self._segments]

    @property
    def work_s(self) -> float:
        return self.work_between(self.start, self.end)

    @property
    def waiting_s(self) -> float:
        return sum(band.duration_s for band in self.bands if band.is_waiting)

    @property
    def bands(self) -> list[Band]:
        return [
            Band(one.x, one.width, one.stop.is_waiting, one.end - one.start, _band_label(one))
            for one in self._segments
            if one.stop
        ]

    @property
    def work_end_x(self) -> float:
        """Where the last work ends: before a stop that lasts until now."""
        return next((one.x + one.width for one in reversed(self._segments) if not one.stop), 0.0)

    def x(self, moment: float) -> float:
        return self._at(moment).x_at(moment)

    def work_between(self, start: float, end: float) -> float:
        """Seconds of work, without the stops."""
        return max(0.0, self._work_until(end) - self._work_until(start))

    def pieces(self, start: float, end: float) -> list[Piece]:
        """A bar from `start` to `end`, in parts where a stop goes through it."""
        if end <= start:
            segment = self._at(start)
            return [Piece(segment.x_at(start), 0.0, segment.stop is not None)]
        crossed = [one for one in self._segments if one.end > start and one.start < end]
        return [Piece(one.x_at(start), one.x_at(end) - one.x_at(start), one.stop is not None) for one in crossed]

    def ticks(self) -> list[Tick]:
        """Of work time, at round numbers, where they stand clear of each other and of the bands."""
        # The middle of each label and half of its width: two of them need both halves and a gap.
        first, last = _half("0 s"), _half(quantities.duration(self.work_s))
        taken = [(first, first), (self.work_end_x - last, last)]
        taken += [(one.x + one.width / 2, _half(one.label)) for one in self.bands]
        ticks = []
        step = _tick_step(self.work_s)
        for number in range(1, _TICKS_AT_MOST + 1):
            if number * step >= self.work_s:
                break
            x, label = (
                self._x_of_work(number * step),
                quantities.duration(number * step).replace(".0 s", " s").replace(",0 s", " s"),
            )
            if all(abs(x - other) >= half + _half(label) + _GAP for other, half in taken):
                taken.append((x, _half(label)))
                ticks.append(Tick(x, label))
        return ticks

    def _at(self, moment: float) -> _Segment:
        return self._segments[max(0, bisect_right(self._starts, moment) - 1)]

    def _work_until(self, moment: float) -> float:
        segment = self._at(moment)
        done = 0.0 if segment.stop else min(segment.end, max(segment.start, moment)) - segment.start
        return segment.work_s + done

    def _x_of_work(self, work_s: float) -> float:
        of_work = [one for one in self._segments if not one.stop and one.work_s <= work_s]
        segment = of_work[-1]
        return segment.x_at(segment.start + work_s - segment.work_s)


def _segments(start: float, end: float, stops: list[Stop]) -> Iterator[_Segment]:
    work_s = max(0.0, end - start - sum(stop.end - stop.start for stop in stops))
    width = min(_BAND_WIDTH, _BANDS_WIDTH / len(stops)) if stops else 0.0
    if stops and work_s <= 0:
        width = 100 / len(stops)
    scale = (100 - width * len(stops)) / work_s if work_s > 0 else 0.0
    at, x, done = start, 0.0, 0.0
    for stop in stops:
        if stop.start > at:
            yield _Segment(at, stop.start, x, (stop.start - at) * scale, done, None)
            x += (stop.start - at) * scale
            done += stop.start - at
        yield _Segment(stop.start, stop.end, x, width, done, stop)
        at, x = stop.end, x + width
    if at < end or not stops:
        yield _Segment(at, end, x, 100 - x, done, None)


def _half(label: str) -> float:
    return len(label) * _CHARACTER / 2


def _band_label(segment: _Segment) -> str:
    seconds = segment.end - segment.start
    words = quantities.duration(seconds)
    if segment.width >= _ROOM_FOR_WORDS and len(words) <= _WORDS_AT_MOST:
        return words
    return quantities.span(seconds) if segment.width >= _ROOM_FOR_A_WORD and seconds >= 1 else ""


def _tick_step(work_s: float) -> float:
    least = work_s / _TICKS_AT_MOST
    if least <= 0:
        return 1.0
    if least < 1:
        power = 10.0 ** floor(log10(least))
        return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
    days = 86_400.0
    return next((step for step in _TICK_STEPS_S if step >= least), days * (least // days + 1))


def _merged(intervals: Iterable[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for one in sorted(intervals):
        if merged and one.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, one.end))
        else:
            merged.append(one)
    return merged


def _without(whole: Interval, busy: list[Interval]) -> list[Interval]:
    """What of `whole` is in none of `busy`, which are in order and apart."""
    left, at = [], whole.start
    first = max(0, bisect_right(busy, Interval(whole.start, float("inf"))) - 1)
    for one in busy[first:]:
        if one.start >= whole.end:
            break
        if one.start > at:
            left.append(Interval(at, one.start))
        at = max(at, one.end)
    if at < whole.end:
        left.append(Interval(at, whole.end))
    return left
