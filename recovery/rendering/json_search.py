"""What of a value somebody looks for: the places where a text stands, each with what leads to it."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

from recovery.rendering.json_tree import Node, node_of

FOUND_AT_MOST = 100
LOOKED_AT_AT_MOST = 200_000
# What stands deeper is not looked for: it could not be shown on one page.
DEEPEST = 24
LONGEST_WANTED = 200


@dataclass(frozen=True, slots=True)
class Found:
    """`tree` holds the places alone, and nothing where there is none; `is_cut`: there may be more of them."""

    tree: Node | None
    count: int
    is_cut: bool = False


@dataclass(slots=True)
class _Visit:
    name: str | None
    value: Any
    parent: "_Visit | None"
    place: int
    depth: int
    node: Node | None = None

    @property
    def path(self) -> str:
        places: list[str] = []
        visit = self
        while visit.parent is not None:
            places.append(str(visit.place))
            visit = visit.parent
        return ".".join(reversed(places))


def search(value: Any, wanted: str) -> Found:
    """The names and leaves that contain `wanted`, whatever its case, in the order in which they stand."""
    wanted = wanted[:LONGEST_WANTED].casefold()
    root = _Visit(None, value, None, 0, 0)
    unread, count, looked_at = [root], 0, 0
    while unread and count < FOUND_AT_MOST and looked_at < LOOKED_AT_AT_MOST:
        visit = unread.pop()
        looked_at += 1
        node, inside = node_of(visit.name, visit.value)
        node.is_open = True
        visit.node = node
        if wanted in (visit.name or "").casefold() or wanted in node.text.casefold():
            _keep(visit)
            count += 1
        if inside is None or visit.depth >= DEEPEST:
            continue
        room = LOOKED_AT_AT_MOST - looked_at
        inner = [
            _Visit(name, child, visit, place, visit.depth + 1)
            for place, (name, child) in enumerate(islice(inside.children, room))
        ]
        unread += reversed(inner)
    return Found(root.node if count else None, count, is_cut=bool(unread))


def _keep(visit: _Visit) -> None:
    """Put it into its parent, and that into its own, until one is there already."""
    while visit.parent is not None and visit.node is not None:
        holder = visit.parent.node
        if holder is None or any(child is visit.node for child in holder.children[-1:]):
            return
        visit.node.path = visit.path
        holder.children.append(visit.node)
        visit = visit.parent
