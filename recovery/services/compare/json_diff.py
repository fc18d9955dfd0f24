"""The difference of two JSON values, line by line: keys aligned by name, items by content, words inside of texts."""

from collections.abc import Iterable, Iterator
from typing import Literal

from django.utils.translation import gettext

from recovery.languages import lazy as _
from recovery.services.compare.align import Effort
from recovery.services.compare.json_inline import Inline, aligned_items, merged_keys, type_notes
from recovery.services.compare.json_lines import INDENT, Lines, literal, text_pieces
from recovery.services.compare.json_nodes import Node, read_node
from recovery.services.compare.long_text import LongText
from recovery.services.compare.place import Place, comma_if
from recovery.services.compare.rows import Diff, Line, Part, Row, RowKind, SameRows, Segment, join_segments
from recovery.services.compare.text_diff import (
    MOST_DIFFERING_ROWS,
    by_ends,
    by_words,
    one_sided_text,
    parts_of_lines,
    too_many,
)

LARGEST_TEXTS = 4_000_000
EXCERPT = 500
HIDDEN = _("What can be shown is the same; private attributes, set fields or the order of keys differ.")

Parts = Iterable[tuple[Node | None, Node | None, Place]]


def diff_json(left: str, right: str) -> Diff:
    """Of two encoded values. What is too large or too deep to look inside is cut down to its first difference."""
    if len(left) + len(right) > LARGEST_TEXTS:
        return _excerpt(
            left,
            right,
            gettext("%(count)s and %(count_2)s characters are too much to compare inside")
            % {"count": f"{len(left):,}", "count_2": f"{len(right):,}"},
        )
    try:
        return diff_nodes(read_node(left), read_node(right))
    except RecursionError:
        return _excerpt(left, right, gettext("These values are nested too deeply to compare inside"))
    except ValueError as error:
        return _excerpt(left, right, gettext("This is no JSON (%(error)s)") % {"error": error})


def diff_nodes(left: Node, right: Node) -> Diff:
    writer = _Writer(Effort())
    try:
        writer.pair(left, right, Place("", "", "", False, False, is_root=True))
    except _Enough:
        return Diff(tuple(writer.parts), too_many())
    diff = Diff(tuple(writer.parts))
    return Diff(diff.parts, str(HIDDEN)) if diff.is_empty and left.key != right.key else diff


def one_sided_json(side: Literal["left", "right"], text: str) -> Diff:
    """All of an encoded value, as what the other side does not have."""
    writer = _Writer(Effort())
    try:
        writer.one_sided(side, read_node(text), Place("", "", "", False, False))
    except (RecursionError, ValueError):
        return one_sided_text(side, text[:EXCERPT])
    except _Enough:
        return Diff(tuple(writer.parts), too_many())
    return Diff(tuple(writer.parts))


def is_same_json(left: str, right: str) -> bool:
    """Whether two encoded values are equal, types included; the order of the keys of a dict does not count."""
    if left == right:
        return True
    try:
        return read_node(left).key == read_node(right).key
    except (RecursionError, ValueError):
        return False


class _Enough(Exception):
    """There are more differing rows than anybody reads."""


class _Writer:
    def __init__(self, effort: Effort) -> None:
        self.effort = effort
        self.parts: list[Part] = []
        self.room = MOST_DIFFERING_ROWS

    def add(self, row: Row) -> None:
        if row.kind != "same":
            if not self.room:
                raise _Enough
            self.room -= 1
        self.parts.append(row)

    def pair(self, left: Node, right: Node, place: Place) -> None:
        kinds = {left.kind, right.kind}
        if left.key == right.key:
            lines = Lines().write(left.plain, place.indent, place.head)
            self.parts.append(SameRows(lines.texts, place.path, lines.going_on, place.comma_left, place.comma_right))
        elif not (place.is_root and kinds == {"dict"}) and left.flat is not None and right.flat is not None:
            self.one_line(left, right, place)
        elif kinds == {"dict"}:
            self.inside(left, right, place, "{}", self.fields(left, right, place))
        elif kinds == {"list"}:
            self.inside(left, right, place, "[]", self.items(left, right, place))
        elif kinds == {"text"}:
            self.long_text(left, right, place)
        else:
            type_left, type_right = type_notes(left, right)
            self.one_sided("left", left, place, type_left)
            self.one_sided("right", right, place, type_right)

    def one_sided(self, side: Literal["left", "right"], node: Node, place: Place, type_note: str = "") -> None:
        lines = Lines().write(node.plain, place.indent, place.head)
        has_comma = place.comma_left if side == "left" else place.comma_right
        for index, text in enumerate(lines.texts):
            goes_on = index in lines.going_on
            words = text if goes_on else text.lstrip(" ")
            indent = Segment(text[: len(text) - len(words)])
            comma = comma_if(has_comma if index == len(lines.texts) - 1 else text.endswith(","))
            words = words if index == len(lines.texts) - 1 else words.removesuffix(",")
            segments = join_segments([indent, Segment(words, True), comma])
            line = Line(segments, "" if index else type_note, goes_on)
            self.add(Row("old", line, None, place.path) if side == "left" else Row("new", None, line, place.path))

    def one_line(self, left: Node, right: Node, place: Place) -> None:
        inline = Inline(self.effort)
        segments_left, segments_right = inline.pair(left, right)
        head = Segment(place.indent + place.head)
        types_left, types_right = (", ".join(dict.fromkeys(notes)) for notes in (inline.types_left, inline.types_right))
        line_left = Line(join_segments([head, *segments_left, comma_if(place.comma_left)]), types_left)
        line_right = Line(join_segments([head, *segments_right, comma_if(place.comma_right)]), types_right)
        is_changed = bool(types_left) or any(segment.marked for segment in (*segments_left, *segments_right))
        self.add(Row("changed" if is_changed else "same", line_left, line_right, place.path))

    def inside(self, left: Node, right: Node, place: Place, brackets: str, parts: Parts) -> None:
        type_left, type_right = type_notes(left, right)
        opening = join_segments((Segment(place.indent + place.head), Segment(brackets[0], bool(type_left))))
        kind: RowKind = "changed" if type_left else "same"
        self.add(Row(kind, Line(opening, type_left), Line(opening, type_right), place.path))
        for a, b, inner in parts:
            if a is not None and b is not None:
                self.pair(a, b, inner)
            elif a is not None:
                self.one_sided("left", a, inner)
            elif b is not None:
                self.one_sided("right", b, inner)
        closing = [place.indent + brackets[1]]
        self.parts.append(SameRows(closing, place.path, (), place.comma_left, place.comma_right))

    def fields(self, left: Node, right: Node, place: Place) -> Iterator[tuple[Node | None, Node | None, Place]]:
        keys = merged_keys(left, right)
        last_left = next((key for key in reversed(keys) if key in left.fields), None)
        last_right = next((key for key in reversed(keys) if key in right.fields), None)
        for key in keys:
            path, head = _key_path(place.path, key), f"{literal(key)}: "
            inner = Place(place.indent + INDENT, head, path, key != last_left, key != last_right)
            yield left.fields.get(key), right.fields.get(key), inner

    def items(self, left: Node, right: Node, place: Place) -> Iterator[tuple[Node | None, Node | None, Place]]:
        last_left, last_right = left.length - 1, right.length - 1
        for i, j in aligned_items(left, right, self.effort):
            path = f"{place.path}[{i if j is None else j}]"
            yield (
                None if i is None else left.item(i),
                None if j is None else right.item(j),
                Place(place.indent + INDENT, "", path, i != last_left, j != last_right),
            )

    def long_text(self, left: Node, right: Node, place: Place) -> None:
        """Two texts of several lines: each line of theirs is a row."""
        pieces_left, pieces_right = text_pieces(left.text), text_pieces(right.text)
        parts = parts_of_lines(pieces_left, pieces_right, self.effort, by_words)
        for part in LongText(place, type_notes(left, right), len(pieces_left), len(pieces_right)).placed(parts):
            if isinstance(part, Row):
                self.add(part)
            else:
                self.parts.append(part)


def _key_path(path: str, key: str) -> str:
    if not key.isidentifier():
        return f"{path}[{literal(key)}]"
    return f"{path}.{key}" if path else key


def _excerpt(left: str, right: str, why: str) -> Diff:
    segments_left, segments_right = by_ends(left, right)
    row = Row("changed", Line(_shortened(segments_left)), Line(_shortened(segments_right)))
    return Diff((row,), gettext("%(why)s; this is where they begin to differ.") % {"why": why})


def _shortened(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """The end of what is before the first mark, and the start of that."""
    before = segments[0].text if segments and not segments[0].marked else ""
    marked = next((segment.text for segment in segments if segment.marked), "")
    start = f"…{before[-EXCERPT:]}" if len(before) > EXCERPT else before
    end = f"{marked[:EXCERPT]}…" if len(marked) > EXCERPT else marked
    return join_segments([Segment(start), Segment(end, True)])
