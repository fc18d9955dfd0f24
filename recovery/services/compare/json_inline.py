"""Two small values side by side on one line each, and what of nested values belongs together."""

from collections.abc import Iterator

from recovery.services.compare.align import Effort, align
from recovery.services.compare.json_lines import literal
from recovery.services.compare.json_nodes import Node
from recovery.services.compare.rows import Segment
from recovery.services.compare.text_diff import by_words, likeness

# A field of one of these names tells which record a list item is.
NAMES = ("id", "key", "name")


class Inline:
    """Two values that stand on one line each. The types that differ on the way are collected."""

    def __init__(self, effort: Effort) -> None:
        self.effort = effort
        self.types_left: list[str] = []
        self.types_right: list[str] = []

    def pair(self, left: Node, right: Node) -> tuple[list[Segment], list[Segment]]:
        if left.key == right.key:
            return [Segment(left.line)], [Segment(right.line)]
        type_left, type_right = type_notes(left, right)
        if type_left:
            self.types_left.append(type_left)
            self.types_right.append(type_right)
        if left.kind == right.kind == "dict":
            keys = merged_keys(left, right)
            parts = [(f"{literal(key)}: ", left.fields.get(key), right.fields.get(key)) for key in keys]
            return self.container("{}", bool(type_left), parts)
        if left.kind == right.kind == "list":
            indexes = aligned_items(left, right, self.effort)
            items = [(None if i is None else left.item(i), None if j is None else right.item(j)) for i, j in indexes]
            return self.container("[]", bool(type_left), [("", a, b) for a, b in items])
        if left.kind == right.kind == "text" and not type_left and " " in left.text and " " in right.text:
            marked_left, marked_right = by_words(left.line, right.line, self.effort)
            return [*marked_left], [*marked_right]
        return [Segment(left.line, True)], [Segment(right.line, True)]

    def container(
        self, brackets: str, is_retyped: bool, parts: list[tuple[str, Node | None, Node | None]]
    ) -> tuple[list[Segment], list[Segment]]:
        lefts: list[list[Segment]] = []
        rights: list[list[Segment]] = []
        for head, a, b in parts:
            if a is not None and b is not None:
                inner_left, inner_right = self.pair(a, b)
                lefts.append([Segment(head), *inner_left])
                rights.append([Segment(head), *inner_right])
            elif a is not None:
                lefts.append([Segment(head + a.line, True)])
            elif b is not None:
                rights.append([Segment(head + b.line, True)])
        return _bracketed(brackets, is_retyped, lefts), _bracketed(brackets, is_retyped, rights)


def _bracketed(brackets: str, is_retyped: bool, parts: list[list[Segment]]) -> list[Segment]:
    """The comma before a part is marked with it; that before the first unmarked one, with the parts before it."""
    segments = [Segment(brackets[0], is_retyped)]
    has_unmarked = False
    for index, part in enumerate(parts):
        is_marked = all(segment.marked for segment in part)
        if index:
            segments.append(Segment(", ", is_marked or not has_unmarked))
        has_unmarked = has_unmarked or not is_marked
        segments.extend(part)
    return [*segments, Segment(brackets[1], is_retyped)]


def merged_keys(left: Node, right: Node) -> list[str]:
    """The keys of the left in their order, each followed by those that the right adds behind it."""
    behind: dict[str | None, list[str]] = {}
    last: str | None = None
    for key in right.fields:
        if key in left.fields:
            last = key
        else:
            behind.setdefault(last, []).append(key)
    keys = behind.get(None, [])
    for key in left.fields:
        keys.append(key)
        keys.extend(behind.get(key, ()))
    return keys


def aligned_items(left: Node, right: Node, effort: Effort) -> Iterator[tuple[int | None, int | None]]:
    def alike(i: int, j: int) -> float:
        return _alike(left.item(i), right.item(j))

    return align(left.item_keys, right.item_keys, alike, effort)


def type_notes(left: Node, right: Node) -> tuple[str, str]:
    """What to call the types where they differ: without their modules, unless only those differ."""
    if left.type == right.type:
        return "", ""
    short_left, short_right = (node.type.rpartition(":")[2] for node in (left, right))
    return (short_left, short_right) if short_left != short_right else (left.type, right.type)


def _alike(left: Node, right: Node) -> float:
    """How well two items of lists go together, 0: not at all. Single values go together in their order."""
    if left.key == right.key:
        return 2.0
    if left.kind == right.kind == "text":
        return 0.01 + (likeness(left.text, right.text) if len(left.text) + len(right.text) < 5_000 else 0.0)
    if left.kind == right.kind == "dict":
        same_keys = len(left.fields.keys() & right.fields.keys()) / max(len(left.fields), len(right.fields), 1)
        name = next((name for name in NAMES if name in left.fields and name in right.fields), None)
        is_named = name is not None and left.fields[name].key == right.fields[name].key
        return 0.01 * same_keys + is_named + _shared(left, right)
    if left.kind == right.kind == "list":
        return 0.01 + _shared(left, right)
    return 0.01 if left.kind in ("text", "other") and right.kind in ("text", "other") else 0.0


def _shared(left: Node, right: Node) -> float:
    return len(left.parts & right.parts) / max(len(left.parts), len(right.parts), 1)
