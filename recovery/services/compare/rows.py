"""A difference as people read it: lines side by side, what differs inside of them marked, equal stretches folded."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

RowKind = Literal["same", "changed", "old", "new"]

CONTEXT_ROWS = 3
SHORTEST_FOLD = 4


class Segment(NamedTuple):
    """A piece of a line; `marked` is what the other side does not have."""

    text: str
    marked: bool = False


class Line(NamedTuple):
    """`type` is named where the text alone does not tell both sides apart; `goes_on` continues the line above, as a
    text of several lines inside of JSON does."""

    segments: tuple[Segment, ...]
    type: str = ""
    goes_on: bool = False

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)


class Row(NamedTuple):
    """`path` leads to the value, as in `lines[2].amount`; it is empty for what stands at the top."""

    kind: RowKind
    left: Line | None
    right: Line | None
    path: str = ""


class SameRows(NamedTuple):
    """A run of equal lines; rows are made of them only when somebody looks, because there may be very many.

    `going_on` are the indexes of the lines that continue the one above. The last line may end in a comma on one side
    only.
    """

    texts: Sequence[str]
    path: str = ""
    going_on: Collection[int] = ()
    comma_left: bool = False
    comma_right: bool = False

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        for index in range(start, stop):
            is_last, goes_on = index == len(self.texts) - 1, index in self.going_on
            text = self.texts[index]
            left = line(text + "," if is_last and self.comma_left else text, goes_on=goes_on)
            right = line(text + "," if is_last and self.comma_right else text, goes_on=goes_on)
            yield Row("same", left, right, self.path)


Part = Row | SameRows
Slice = tuple[Part, int, int]


@dataclass(frozen=True)
class Stretch:
    """Rows to show one under the other; a folded one is equal throughout and comes before something at `path`."""

    slices: tuple[Slice, ...]
    is_folded: bool = False
    path: str = ""

    def __len__(self) -> int:
        return sum(stop - start for _, start, stop in self.slices)

    @property
    def rows(self) -> Iterator[Row]:
        for part, start, stop in self.slices:
            if isinstance(part, SameRows):
                yield from part.rows(start, stop)
            else:
                yield part


@dataclass(frozen=True)
class Diff:
    """Both texts whole, unless `note` says what is missing."""

    parts: tuple[Part, ...]
    note: str = ""

    @cached_property
    def is_empty(self) -> bool:
        return all(_is_same(part) for part in self.parts)

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        return tuple(_fold(self.parts))

    @property
    def rows(self) -> Iterator[Row]:
        return Stretch(tuple((part, 0, _length(part)) for part in self.parts)).rows

    def text(self, side: Literal["left", "right"]) -> str:
        """What stands on one side, without marks."""
        lines: Iterable[Line | None] = (getattr(row, side) for row in self.rows)
        return "".join(("" if line.goes_on else "\n") + line.text for line in lines if line).removeprefix("\n")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: a folded stretch is its length, a line's segments are [text, is marked]."""
        rows: list[dict[str, Any]] = []
        for stretch in self.stretches:
            if stretch.is_folded:
                rows.append({"kind": "fold", "count": len(stretch), "path": stretch.path})
            else:
                rows.extend(_row_dict(row) for row in stretch.rows)
        return {"note": self.note, "rows": rows}


def line(text: str, *, is_marked: bool = False, goes_on: bool = False) -> Line:
    return Line((Segment(text, is_marked),), "", goes_on)


def join_segments(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """Neighbours of the same kind become one, empty ones go."""
    joined: list[Segment] = []
    for segment in segments:
        if not segment.text:
            continue
        if joined and joined[-1].marked == segment.marked:
            joined[-1] = Segment(joined[-1].text + segment.text, segment.marked)
        else:
            joined.append(segment)
    return tuple(joined)


def _is_same(part: Part) -> bool:
    return isinstance(part, SameRows) or part.kind == "same"


def _length(part: Part) -> int:
    return len(part.texts) if isinstance(part, SameRows) else 1


def _fold(parts: Sequence[Part]) -> Iterator[Stretch]:
    """Equal rows further than `CONTEXT_ROWS` from any difference are folded, unless they are few."""
    shown: list[Slice] = []
    same: list[Slice] = []
    is_first = True
    for part in (*parts, None):
        if part is not None and _is_same(part):
            same.append((part, 0, _length(part)))
            continue
        length = sum(stop for _, _, stop in same)
        start = 0 if is_first else CONTEXT_ROWS
        stop = length if part is None else length - CONTEXT_ROWS
        if stop - start >= SHORTEST_FOLD:
            shown.extend(_cut(same, 0, start))
            if shown:
                yield Stretch(tuple(shown))
            path = part.path if isinstance(part, Row) else ""
            yield Stretch(tuple(_cut(same, start, stop)), is_folded=True, path=path)
            shown = list(_cut(same, stop, length))
        else:
            shown.extend(same)
        same = []
        is_first = False
        if part is not None:
            shown.append((part, 0, 1))
    if shown:
        yield Stretch(tuple(shown))


def _cut(slices: Iterable[Slice], start: int, stop: int) -> Iterator[Slice]:
    """The rows from `start` to `stop`, counted over all slices."""
    at = 0
    for part, first, last in slices:
        length = last - first
        low, high = max(start - at, 0), min(stop - at, length)
        if low < high:
            yield part, first + low, first + high
        at += length


def _row_dict(row: Row) -> dict[str, Any]:
    return {"kind": row.kind, "path": row.path, "left": _line_dict(row.left), "right": _line_dict(row.right)}


def _line_dict(line: Line | None) -> dict[str, Any] | None:
    if line is None:
        return None
    return {"segments": [list(segment) for segment in line.segments], "type": line.type, "goes_on": line.goes_on}
