"""Values as tagged trees of plain JSON and back: the walk, and the tables that say who writes and reads what.

Plain values stay as they are; any other becomes an object `{"$t": tag, ...}`. The codec modules fill the tables.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn
from weakref import WeakKeyDictionary

from rh_agents.core.json_text import MAX_DEPTH

TAG = "$t"

Load = Callable[[str], Any] | None
Node = dict[str, Any]
Writer = Callable[[Any, int], Any]
Reader = Callable[[Node, Load], Any]


class Refused(Exception):
    """A value that cannot be written, or a node that cannot be read. The parts of its path are added on the way out."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.parts: list[str] = []
        self.holders: list[int] = []

    def within(self, part: str, holder: Any = None) -> None:
        self.parts.append(part)
        self.holders.append(id(holder))

    def __str__(self) -> str:
        """The path and the reason; a value that holds itself is told from one that is merely deep."""
        parts, seen = self.parts[::-1], set()
        for depth, holder in enumerate(self.holders[::-1]):
            if holder in seen:
                return f"{''.join(parts[:depth])}: the value holds itself (a cycle)"
            seen.add(holder)
        path = "".join(parts)
        if len(path) > 300:
            path = f"{path[:150]}…{path[-150:]}"
        return f"{path}: {self.reason}"


class LoadFailed(Refused):
    """The caller's `load_artifact` raised; its error goes on to the caller as it is."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class TagReader(NamedTuple):
    read: Reader
    required: frozenset[str]
    allowed: frozenset[str]


writers: dict[type, Writer] = {}
"""By exact type. A writer gets the value and the JSON level its node stands on."""

writer_finders: list[Callable[[type], Writer | None]] = []
"""For classes not in `writers`; the first that answers writes all values of the class."""

readers: dict[str, TagReader] = {}

# A writer must not hold its class, or the class would live as long as the program.
_found_writers: WeakKeyDictionary[type, Writer] = WeakKeyDictionary()


def reads(tag: str, *required: str, optional: tuple[str, ...] = ()) -> Callable[[Reader], Reader]:
    """Register the reader of a tag, with the keys its nodes must have and those they may have."""

    def register(reader: Reader) -> Reader:
        keys = frozenset((TAG, *required))
        readers[tag] = TagReader(reader, keys, keys | frozenset(optional))
        return reader

    return register


def write(value: Any, depth: int) -> Any:
    """The tree of `value`, to stand on JSON level `depth` (0: the top).

    Raises:
        Refused: it, or something inside, cannot be written.
    """
    cls = type(value)
    writer = writers.get(cls) or _found_writers.get(cls)
    if writer is None:
        writer = _found_writers[cls] = _find_writer(cls)
    return writer(value, depth)


def write_part(value: Any, depth: int, part: str, holder: Any) -> Any:
    """`write`, naming the part of `holder` that could not be written."""
    try:
        return write(value, depth)
    except Refused as refusal:
        refusal.within(part, holder)
        raise


def write_items(items: Any, depth: int) -> list[Any]:
    """The trees of the items, in a list on level `depth`."""
    check_depth(depth)
    out: list[Any] = []
    try:
        for item in items:
            out.append(write(item, depth + 1))
    except Refused as refusal:
        refusal.within(f"[{len(out)}]", items)
        raise
    return out


def write_fields(fields: dict[str, Any], depth: int, holder: Any) -> Node:
    """The trees of named fields, in an object on level `depth`."""
    check_depth(depth)
    out: Node = {}
    name = ""
    try:
        for name, value in fields.items():
            out[name] = write(value, depth + 1)
    except Refused as refusal:
        refusal.within(f".{name}", holder)
        raise
    return out


def check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise Refused(f"nested deeper than {MAX_DEPTH} levels of JSON")


def read(node: Any, load: Load) -> Any:
    """The value of a tree; plain dicts and lists of the tree are reused.

    Raises:
        Refused: it, or something inside, cannot be read.
    """
    if type(node) is dict:
        return read_tagged(node, load) if TAG in node else read_fields(node, load)
    if type(node) is list:
        return read_items(node, load)
    return node


def read_items(items: Any, load: Load) -> list[Any]:
    if type(items) is not list:
        refuse_shape("a list", items)
    index = 0
    try:
        for index, item in enumerate(items):
            if type(item) is dict or type(item) is list:
                items[index] = read(item, load)
    except Refused as refusal:
        refusal.within(f"[{index}]", items)
        raise
    return items


def read_fields(fields: Any, load: Load) -> Node:
    """The values of an object whose keys are names, whatever they are: it is not looked at for a tag."""
    if type(fields) is not dict:
        refuse_shape("an object", fields)
    name = ""
    try:
        for name, item in fields.items():
            if type(item) is dict or type(item) is list:
                fields[name] = read(item, load)
    except Refused as refusal:
        refusal.within(key_part(name), fields)
        raise
    return fields


def read_tagged(node: Node, load: Load) -> Any:
    tag = node[TAG]
    reader = readers.get(tag) if type(tag) is str else None
    if reader is None:
        raise Refused(f"{tag!r:.80} is no known tag")
    if not reader.required <= node.keys() <= reader.allowed:
        raise Refused(f"a {tag} with the keys {', '.join(sorted(node))!r:.200} has the wrong shape")
    try:
        return reader.read(node, load)
    except Refused:
        raise
    except RecursionError:
        raise
    except Exception as error:
        raise Refused(f"a {tag} cannot be read: {error}") from error


def text_of(node: Node, key: str = "v") -> str:
    """The text under `key`."""
    text = node.get(key)
    if type(text) is not str:
        refuse_shape("a text", text)
    return text


def refuse_shape(wanted: str, found: Any) -> NoReturn:
    shown = f"{found!r:.80}" if type(found) in (str, int, float, bool, type(None)) else type_label(type(found))
    raise Refused(f"{wanted} was expected, not {shown}")


def type_label(cls: type) -> str:
    """A class as messages name it: `int`, `shop.models.Refund`."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def key_part(key: Any) -> str:
    """A dict key as it reads in a path: `.orders`, `['two words']`, `[3]`."""
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r:.80}]"


def _find_writer(cls: type) -> Writer:
    for find in writer_finders:
        writer = find(cls)
        if writer is not None:
            return writer
    raise Refused(_why_not(cls))


_BASES = (str, bytes, bytearray, int, float, complex, dict, list, tuple, set, frozenset)


def _why_not(cls: type) -> str:
    for base in _BASES:
        if issubclass(cls, base):
            return f"a value of type {type_label(cls)} cannot be written; it would come back as a plain {base.__name__}"
    return f"a value of type {type_label(cls)} cannot be written"
