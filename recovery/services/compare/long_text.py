"""Texts of several lines inside of JSON: their lines are rows, their quotes and commas belong to none of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from recovery.services.compare.place import Place, comma_if
from recovery.services.compare.rows import Line, Part, Row, SameRows, Segment, join_segments


@dataclass
class LongText:
    """Counts the lines of both sides as they pass: a line that is not the last any more is still the same line."""

    place: Place
    types: tuple[str, str]
    length_left: int
    length_right: int
    at_left: int = 0
    at_right: int = 0

    def placed(self, parts: Iterable[Part]) -> Iterator[Part]:
        """The parts with what stands around the text: its key and quote in the first line, the rest in the last."""
        for part in parts:
            if isinstance(part, Row):
                yield self._row(part)
            elif self._is_alike(len(part.texts)):
                yield self._run(part)
            else:
                first, *middle = part.rows(0, len(part.texts))
                yield self._row(first)
                if len(middle) > 1:
                    yield self._run(SameRows(part.texts[1:-1]))
                if middle:
                    yield self._row(middle[-1])

    def _is_alike(self, length: int) -> bool:
        """Whether the next lines are the first on both sides or on none, and the last so too."""
        starts = self.at_left == 0, self.at_right == 0
        ends = self.at_left + length == self.length_left, self.at_right + length == self.length_right
        return starts[0] == starts[1] and ends[0] == ends[1] and not (starts[0] and self.types[0])

    def _run(self, run: SameRows) -> SameRows:
        texts = list(run.texts)
        is_first, is_last = self.at_left == 0, self.at_left + len(texts) == self.length_left
        self.at_left += len(texts)
        self.at_right += len(texts)
        if is_first:
            texts[0] = f'{self.place.indent}{self.place.head}"{texts[0]}'
        going_on = range(1 if is_first else 0, len(texts))
        if not is_last:
            return SameRows(texts, self.place.path, going_on)
        texts[-1] += '"'
        return SameRows(texts, self.place.path, going_on, self.place.comma_left, self.place.comma_right)

    def _row(self, row: Row) -> Row:
        left, right, kind = row.left, row.right, row.kind
        if left is not None:
            if self.at_left == 0 and self.types[0] and kind == "same":
                kind = "changed"
            self.at_left += 1
            left = self._line(left, self.at_left, self.length_left, self.types[0], self.place.comma_left)
        if right is not None:
            self.at_right += 1
            right = self._line(right, self.at_right, self.length_right, self.types[1], self.place.comma_right)
        return Row(kind, left, right, self.place.path)

    def _line(self, line: Line, number: int, length: int, type_note: str, has_comma: bool) -> Line:
        segments = list(line.segments)
        if number == 1:
            segments.insert(0, Segment(f'{self.place.indent}{self.place.head}"'))
        if number == length:
            segments += [Segment('"'), comma_if(has_comma)]
        return Line(join_segments(segments), type_note if number == 1 else "", number > 1)
