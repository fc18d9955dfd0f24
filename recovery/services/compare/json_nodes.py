"""Saved values as trees to compare, made only as far as somebody looks: equal branches are never entered."""

import json
import math
from collections.abc import Hashable
from typing import Any, Literal

import orjson

from recovery.services.compare.json_lines import flat
from rh_agents.core.coding import TAG
from rh_agents.core.serialization import to_plain
from rh_agents.core.type_names import ref_label

NAMED = {"model", "dataclass", "namedtuple"}
SEQUENCES = {"tuple", "set", "frozenset", "deque"}
MAPPINGS = {"dict", "OrderedDict", "Counter", "defaultdict"}

Kind = Literal["dict", "list", "text", "other"]


class Node:
    """One value of a saved tree. `type` is that of the value that was saved: `shop.models:Refund`, `decimal`, `int`.

    `shown` is what people see of it: plain JSON, as the engine's `to_plain` makes it, but one level at a time.
    """

    __slots__ = ("_fields", "_flat", "_items", "_key", "_parts", "_plain", "shown", "tree", "type")

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        self.type, self.shown = _opened(tree)
        # Not cached_property: it takes a lock in Python 3.11, and there are very many of these.
        self._key: Hashable = None
        self._plain: Any = None
        self._flat: str | None = ""
        self._fields: dict[str, Node] | None = None
        self._items: dict[int, Node] = {}
        self._parts: frozenset[Hashable] | None = None

    @property
    def key(self) -> Hashable:
        """Equal for equal values of equal types, and for no others; the order of a dict's keys does not count."""
        if self._key is None:
            self._key = identity(self.tree)
        return self._key

    @property
    def kind(self) -> Kind:
        return _KINDS.get(type(self.shown), "other")

    @property
    def text(self) -> str:
        return self.shown if isinstance(self.shown, str) else ""

    @property
    def fields(self) -> dict[str, "Node"]:
        if self._fields is None:
            self._fields = {key: Node(item) for key, item in self.shown.items()} if self.kind == "dict" else {}
        return self._fields

    @property
    def length(self) -> int:
        """How many items a list has."""
        return len(self.shown) if self.kind == "list" else 0

    def item(self, index: int) -> "Node":
        node = self._items.get(index)
        if node is None:
            node = self._items[index] = Node(self.shown[index])
        return node

    @property
    def item_keys(self) -> list[Hashable]:
        return [identity(item) for item in self.shown] if self.kind == "list" else []

    @property
    def plain(self) -> Any:
        """All of it as plain JSON."""
        if self._plain is None:
            is_plain = self.shown is self.tree and (self.kind in ("text", "other") or not _has_tags(self.key))
            self._plain = self.tree if is_plain else to_plain(json.dumps(self.tree))
        return self._plain

    @property
    def flat(self) -> str | None:
        """All of it on one line, `None` if it takes several."""
        if self._flat == "":
            self._flat = flat(self.plain)
        return self._flat

    @property
    def line(self) -> str:
        return self.flat or ""

    @property
    def parts(self) -> frozenset[Hashable]:
        """What a container holds directly, for telling how much two of them share."""
        if self._parts is None:
            fields = ((key, identity(item)) for key, item in self.shown.items()) if self.kind == "dict" else ()
            self._parts = frozenset((*fields, *self.item_keys))
        return self._parts


_KINDS: dict[type, Kind] = {dict: "dict", list: "list", str: "text"}


def read_node(text: str) -> Node:
    """The tree of an encoded value, or of any other JSON.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    return Node(json.loads(text, parse_float=_finite, parse_constant=str))


def identity(tree: Any) -> Hashable:
    """See `Node.key`."""
    if type(tree) is str or type(tree) is int:
        return tree
    try:
        return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # Longer integers than 64 bits, or halves of characters.
        return json.dumps(tree, sort_keys=True).encode()


def _has_tags(key: Hashable) -> bool:
    return not isinstance(key, bytes) or b'"$t"' in key


def _opened(tree: Any) -> tuple[str, Any]:
    """The type of a value and its outermost level without tags; what is inside keeps them."""
    if type(tree) is not dict or TAG not in tree:
        return "None" if tree is None else type(tree).__name__, tree
    tag, value = str(tree[TAG]), tree.get("v")
    if tag in NAMED and type(value) is dict:
        fields = {**value, **_fields(tree.get("more")), **_fields(tree.get("extra"))}
        root = Node(fields["root"]).shown if [*fields] == ["root"] else fields
        return ref_label(tree.get("c")), root
    if tag in SEQUENCES and type(value) is list:
        return tag, value
    if tag in MAPPINGS and type(value) is list and all(type(pair) is list and len(pair) == 2 for pair in value):
        return _opened_pairs(tag, value)
    plain = to_plain(json.dumps(tree))
    if isinstance(plain, dict):
        # An unknown tag comes back as it stands; it is the type already.
        plain = {key: item for key, item in plain.items() if key != TAG}
    return ref_label(tree["c"]) if "c" in tree else tag, plain


def _opened_pairs(tag: str, pairs: list[list[Any]]) -> tuple[str, Any]:
    """A dict with other keys than texts: the types of its keys are part of its own."""
    keys = [Node(key) for key, _ in pairs]
    others = sorted({key.type for key in keys} - {"str"})
    type_name = f"{tag} with {', '.join(others)} keys" if others else tag
    names = [key.plain if isinstance(key.plain, str) else orjson.dumps(key.plain).decode() for key in keys]
    if len(set(names)) < len(names):
        return type_name, pairs
    return type_name, {name: item for name, (_, item) in zip(names, pairs, strict=True)}


def _fields(tree: Any) -> dict[str, Any]:
    shown = Node(tree).shown
    return shown if isinstance(shown, dict) else {}


def _finite(text: str) -> float | str:
    """What is too large for a float stays as it is written: two of these need not be the same."""
    number = float(text)
    return number if math.isfinite(number) else text
