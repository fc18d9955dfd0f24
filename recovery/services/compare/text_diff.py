"""The difference of two texts: by lines, and inside of changed lines by words."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from django.utils.translation import gettext

from recovery.services.compare.align import Effort, align, match
from recovery.services.compare.rows import Diff, Line, Part, Row, SameRows, Segment, join_segments, line

# A number with its point, a date, and an escape of JSON are words too: a mark never splits them.
TOKEN = re.compile(r"\\u[0-9a-fA-F]{4}|\\.|\d[\d.,:/-]*\d(?!\w)|\w+|\s+|.", re.DOTALL)
WORD = re.compile(r"\w+")

LONGEST_LINE_BY_WORDS = 50_000
MOST_DIFFERING_ROWS = 2_000


def too_many() -> str:
    return gettext("Only the first %(count)s differing lines are shown.") % {"count": f"{MOST_DIFFERING_ROWS:,}"}


Segments = tuple[Segment, ...]
Splitter = Callable[[str, str, Effort], tuple[Segments, Segments]]


def diff_texts(left: str, right: str, *, inside: Splitter | None = None) -> Diff:
    """By lines; `inside` marks what differs within a pair of changed lines (default: words)."""
    parts: list[Part] = []
    room = MOST_DIFFERING_ROWS
    for part in parts_of_lines(left.split("\n"), right.split("\n"), Effort(), inside or by_words):
        room -= isinstance(part, Row)
        if room < 0:
            return Diff(tuple(parts), too_many())
        parts.append(part)
    return Diff(tuple(parts))


def parts_of_lines(left: Sequence[str], right: Sequence[str], effort: Effort, inside: Splitter) -> Iterator[Part]:
    same: list[str] = []
    for i, j in align(left, right, _likeness(left, right), effort):
        if i is not None and j is not None and left[i] == right[j]:
            same.append(left[i])
            continue
        if same:
            yield SameRows(same)
            same = []
        if i is None or j is None:
            yield _one_sided(None if i is None else left[i], None if j is None else right[j])
        else:
            segments_left, segments_right = inside(left[i], right[j], effort)
            yield Row("changed", Line(segments_left), Line(segments_right))
    if same:
        yield SameRows(same)


def one_sided_text(side: Literal["left", "right"], text: str) -> Diff:
    """All of a text, as what the other side does not have."""
    lines = text.split("\n")
    shown = lines[:MOST_DIFFERING_ROWS]
    rows = tuple(_one_sided(line, None) if side == "left" else _one_sided(None, line) for line in shown)
    return Diff(rows, too_many() if len(lines) > len(shown) else "")


def by_words(left: str, right: str, effort: Effort) -> tuple[Segments, Segments]:
    """Words that differ are marked; texts that have little in common are marked whole."""
    if left == right:
        return (Segment(left),), (Segment(right),)
    if max(len(left), len(right)) > LONGEST_LINE_BY_WORDS:
        return by_ends(left, right)
    tokens_left, tokens_right = TOKEN.findall(left), TOKEN.findall(right)
    if not effort.spend(len(tokens_left) + len(tokens_right)):
        return by_ends(left, right)
    kept = match(tokens_left, tokens_right, effort)
    kept_words = sum(len(tokens_left[i]) for i, _ in kept if WORD.match(tokens_left[i]))
    all_words = max(sum(len(word) for word in WORD.findall(text)) for text in (left, right))
    if kept_words * 3 < all_words or not kept:
        return (Segment(left, True),), (Segment(right, True),)
    return _mark(tokens_left, tokens_right, kept)


def by_ends(left: str, right: str) -> tuple[Segments, Segments]:
    """Everything between the common start and the common end is marked; linear however long the texts are."""
    start = _common_prefix(left, right)
    tail = _common_prefix(left[start:][::-1], right[start:][::-1])
    return _marked_between(left, start, len(left) - tail), _marked_between(right, start, len(right) - tail)


def by_cells(left: str, right: str, effort: Effort) -> tuple[Segments, Segments]:
    """Two rows of CSV: the cells that differ are marked, when both have as many; otherwise words."""
    cells_left, cells_right = _cells(left), _cells(right)
    if len(cells_left) != len(cells_right):
        return by_words(left, right, effort)
    segments_left, segments_right = [], []
    for index, (a, b) in enumerate(zip(cells_left, cells_right, strict=True)):
        comma = Segment("," if index else "")
        segments_left += [comma, Segment(a, a != b)]
        segments_right += [comma, Segment(b, a != b)]
    return join_segments(segments_left), join_segments(segments_right)


def _marked_between(text: str, start: int, stop: int) -> Segments:
    return join_segments([Segment(text[:start]), Segment(text[start:stop], True), Segment(text[stop:])])


def _one_sided(left: str | None, right: str | None) -> Row:
    if left is not None:
        return Row("old", line(left, is_marked=True), None)
    return Row("new", None, line(right or "", is_marked=True))


def likeness(left: str, right: str) -> float:
    """How many words two texts share, 0 to 1."""
    return _share(Counter(WORD.findall(left)), Counter(WORD.findall(right)))


def _mark(tokens_left: list[str], tokens_right: list[str], kept: list[tuple[int, int]]) -> tuple[Segments, Segments]:
    """Spaces and signs between two marked words are marked with them: one mark reads better than three."""
    segments_left: list[Segment] = []
    segments_right: list[Segment] = []
    at_left = at_right = 0
    runs = _runs(kept)
    for number, (i, j, length) in enumerate([*runs, (len(tokens_left), len(tokens_right), 0)]):
        gap_left, gap_right = "".join(tokens_left[at_left:i]), "".join(tokens_right[at_right:j])
        common = "".join(tokens_left[i : i + length])
        at_left, at_right = i + length, j + length
        is_joint = 0 < number < len(runs) - 1 and len(common) <= 3 and not WORD.search(common)
        segments_left += [Segment(gap_left, True), Segment(common, is_joint)]
        segments_right += [Segment(gap_right, True), Segment(common, is_joint)]
    return join_segments(segments_left), join_segments(segments_right)


def _runs(kept: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Index pairs that follow each other on both sides, as (left, right, length)."""
    runs: list[tuple[int, int, int]] = []
    for i, j in kept:
        if runs and runs[-1][0] + runs[-1][2] == i and runs[-1][1] + runs[-1][2] == j:
            runs[-1] = (runs[-1][0], runs[-1][1], runs[-1][2] + 1)
        else:
            runs.append((i, j, 1))
    return runs


def _likeness(left: Sequence[str], right: Sequence[str]) -> Callable[[int, int], float]:
    words_left: dict[int, Counter[str]] = {}
    words_right: dict[int, Counter[str]] = {}

    def alike(i: int, j: int) -> float:
        if i not in words_left:
            words_left[i] = Counter(WORD.findall(left[i][:2_000]))
        if j not in words_right:
            words_right[j] = Counter(WORD.findall(right[j][:2_000]))
        share = _share(words_left[i], words_right[j])
        return share if share >= 0.3 or left[i] == right[j] else 0.0

    return alike


def _share(left: Counter[str], right: Counter[str]) -> float:
    longest = max(left.total(), right.total())
    return (left & right).total() / longest if longest else 1.0


def _cells(text: str) -> list[str]:
    """The cells as they are written, quotes and all; a row that CSV cannot read is one cell."""
    try:
        values = next(csv.reader([text], strict=True), [])
    except csv.Error:
        return [text]
    cells, rest = [], text
    for value in values:
        quoted = '"' + value.replace('"', '""') + '"'
        cells.append(quoted if rest.startswith(quoted) else value)
        rest = rest[len(cells[-1]) + 1 :]
    return cells if ",".join(cells) == text else [text]


def _common_prefix(left: str, right: str) -> int:
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
