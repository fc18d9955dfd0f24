"""A value as a tree to fold and unfold, bounded in depth, width and length whatever the value is."""

import dataclasses
import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, time
from enum import Enum
from itertools import islice
from typing import Any, NamedTuple

from django.utils.translation import gettext, ngettext
from pydantic import BaseModel

from recovery.rendering.plain import shortened, visible
from recovery.rendering.quantities import size

AT_MOST_DEPTH = 12
AT_MOST_CHILDREN = 100
AT_MOST_NODES = 600
AT_MOST_CHARACTERS = 500

# What is unfolded when the page opens: enough to see the shape, not so much that the page is only this.
_OPEN_DEPTH = 2
_OPEN_CHILDREN = 20


@dataclass(slots=True)
class Node:
    """One line of the tree.

    `key` is its name in its parent, `None` at the root. A leaf has `text`. A container has `children`, a `label`
    (`5 keys`, `Order, 3 fields`) and in `more` what is not shown of it (`12 more`), which begins at its child `next`.
    `path` leads to it from the root by the places of children, as in `3.0.12`.
    """

    key: str | None
    text: str = ""
    label: str = ""
    children: list["Node"] = field(default_factory=list)
    more: str = ""
    is_container: bool = False
    is_open: bool = False
    path: str = ""
    next: int = 0


def tree(value: Any, at: Sequence[int] = (), start: int = 0) -> Node:
    """The nodes of `value`: plain JSON, and what the engine decodes to (models, dates, decimals, sets and so on).
    With `at` only those of the node that the places lead to, of its children those from `start` on.

    Level by level, so that a large first child does not hide the names of its siblings.

    Raises:
        LookupError: there is nothing at that place.
    """
    name, value = _child_at(value, at)
    root, inside = node_of(name, value)
    root.path = ".".join(map(str, at))
    if inside and start:
        root.next = min(start, inside.length)
    unread = deque([(root, inside, 0)] if inside else [])
    nodes_left = AT_MOST_NODES
    while unread:
        node, inside, depth = unread.popleft()
        at_most = min(AT_MOST_CHILDREN, nodes_left) if depth < AT_MOST_DEPTH else 0
        first = node.next
        for place, (name, child_value) in enumerate(islice(inside.children, first, first + at_most), start=first):
            child, child_inside = node_of(name, child_value)
            child.path = f"{node.path}.{place}" if node.path else str(place)
            node.children.append(child)
            if child_inside:
                unread.append((child, child_inside, depth + 1))
        nodes_left -= len(node.children)
        node.next = first + len(node.children)
        missing = inside.length - node.next
        node.more = gettext("%(missing)s more") % {"missing": f"{missing:,}"} if missing > 0 else ""
        node.is_open = depth < _OPEN_DEPTH and len(node.children) <= _OPEN_CHILDREN
    return root


def _child_at(value: Any, at: Sequence[int]) -> tuple[str | None, Any]:
    name: str | None = None
    for place in at:
        inside = inside_of(value)
        found = next(islice(inside.children, place, None), None) if inside else None
        if found is None:
            raise LookupError(f"there is no child {place}")
        name, value = found
    return name, value


def node_of(key: str | None, value: Any) -> "tuple[Node, Inside | None]":
    """The node of a value, and what it holds."""
    inside = inside_of(value)
    if inside is None:
        return Node(key, text=_leaf(value)), None
    return Node(key, label=inside.label, is_container=True), inside


class Inside(NamedTuple):
    length: int
    label: str
    children: Iterable[tuple[str, Any]]


def inside_of(value: Any) -> Inside | None:
    """What a container holds, read only as far as it is shown; `None` for a leaf."""
    if isinstance(value, Mapping):
        return Inside(len(value), _keys(len(value)), ((_name(k), v) for k, v in value.items()))
    if isinstance(value, BaseModel):
        return _fields(value, [*type(value).model_fields, *(value.model_extra or {})])
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value, [item.name for item in dataclasses.fields(value)])
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _fields(value, list(value._fields))
    if isinstance(value, list | tuple | Set):
        label = _items(len(value))
        if isinstance(value, Set):
            label = gettext("set, %(items)s") % {"items": label}
        return Inside(len(value), label, ((str(i), v) for i, v in enumerate(value)))
    return None


def _fields(value: Any, names: list[str]) -> Inside:
    fields = ngettext("%(count)s field", "%(count)s fields", len(names)) % {"count": f"{len(names):,}"}
    label = f"{type(value).__name__}, {fields}"
    return Inside(len(names), label, ((name, getattr(value, name, None)) for name in names))


def _keys(count: int) -> str:
    return ngettext("%(count)s key", "%(count)s keys", count) % {"count": f"{count:,}"}


def _items(count: int) -> str:
    return ngettext("%(count)s item", "%(count)s items", count) % {"count": f"{count:,}"}


def _name(key: Any) -> str:
    return visible(shortened(key if isinstance(key, str) else _leaf(key), 100))


def _leaf(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Enum():
            return f"{type(value).__name__}.{value.name}"
        case str():
            return _quoted(value)
        case bytes() | bytearray() | memoryview():
            return gettext("bytes, %(count)s") % {"count": size(len(value))}
        case int() if value.bit_length() > 1024:
            # Python refuses to write very long integers out, and nobody reads them.
            return gettext("an integer of %(value)s bits") % {"value": f"{value.bit_length():,}"}
        case date() | time():
            return value.isoformat()
        case _:
            return visible(shortened(_written(value), AT_MOST_CHARACTERS))


def _quoted(text: str) -> str:
    quoted = visible(json.dumps(shortened(text, AT_MOST_CHARACTERS), ensure_ascii=False))
    return (
        quoted
        if len(text) <= AT_MOST_CHARACTERS
        else gettext("%(quoted)s (%(count)s characters)") % {"quoted": quoted, "count": f"{len(text):,}"}
    )


def _written(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # A foreign value's own code; the page shows the others.
        return gettext("a %(type)s that cannot be written") % {"type": type(value).__name__}
