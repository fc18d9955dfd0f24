"""Saved values for people: readable JSON made from the text alone, in a process that has none of the classes."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from rh_agents.core.coding import TAG, Node
from rh_agents.core.errors import SerializationError
from rh_agents.core.json_text import dumps, loads
from rh_agents.core.type_names import ref_label

# Deeper than anything that can be written; only a foreign text gets there.
_DEEPEST = 250
_HEAD = re.compile(r'\{"\$t":"(\w+)"(?:,"c":(?:"([^"\\]+)"|(.)))?')
_LIBRARY_TYPES = {
    "ndarray": "numpy:ndarray",
    "numpy": "numpy:generic",
    "dataframe": "pandas:DataFrame",
    "series": "pandas:Series",
    "index": "pandas:Index",
    "rangeindex": "pandas:RangeIndex",
    "multiindex": "pandas:MultiIndex",
    "categorical": "pandas:Categorical",
    "timestamp": "pandas:Timestamp",
    "pandas_timedelta": "pandas:Timedelta",
    "period": "pandas:Period",
    "interval": "pandas:Interval",
}
_TICKS = {"D": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1000, "us": 1, "ns": 0.001}
_NO_TIME = -(2**63)


def to_plain(text: str) -> Any:
    """Plain JSON to show or compare: a model is its fields, a decimal its text, bytes their size and a short hash.

    Two values that differ differ here too, large arrays and bytes included. What has an unknown tag is shown as it
    stands.

    Raises:
        SerializationError: `text` is no JSON.
    """
    try:
        return _plain(_parse(text), 0)
    except RecursionError as error:
        # Only where the caller itself stands close to Python's limit.
        raise SerializationError("the text is nested too deep to be shown from here") from error


def type_name(text: str) -> str:
    """The type of the saved value: `shop.models:Refund`, `decimal`, `dict`. Reads no more of the text than it must.

    Raises:
        SerializationError: `text` is no JSON (where that shows).
    """
    if text.startswith("{"):
        if '"$t"' not in text:
            return "dict"
        head = _HEAD.match(text)
        # Without the usual start a tag may still follow: a database may have ordered the keys anew.
        if head and not head[3] and head[1] != "class":
            return _node_type(head[1], head[2])
        return _type_of(_parse(text))
    names = {'"': "str", "[": "list", "t": "bool", "f": "bool", "n": "None"}
    return names.get(text[:1]) or _type_of(_parse(text))


def _parse(text: str) -> Any:
    try:
        return loads(text)
    except (ValueError, RecursionError) as error:
        raise SerializationError(f"the text is no JSON: {error}") from error


def _type_of(tree: Any) -> str:
    if type(tree) is not dict or type(tree.get(TAG)) is not str or not tree[TAG]:
        return "None" if tree is None else type(tree).__name__
    return _node_type(tree[TAG], tree.get("v" if tree[TAG] == "class" else "c"))


def _node_type(tag: str, ref: Any) -> str:
    if tag == "class":
        return f"type[{ref_label(ref)}]"
    return ref_label(ref) or tag if ref is not None else _LIBRARY_TYPES.get(tag, tag)


def _plain(tree: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        return "…"
    if type(tree) is list:
        return [_plain(item, depth + 1) for item in tree]
    if type(tree) is not dict:
        return tree
    view = _VIEWS.get(tree[TAG]) if type(tree.get(TAG)) is str else None
    if view is not None:
        try:
            return view(tree, depth)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError):
            # A shape we do not know: as it stands is the most honest view.
            pass
    return {key: _plain(item, depth + 1) for key, item in tree.items()}


def _value(node: Node, depth: int) -> Any:
    return _plain(node["v"], depth + 1)


def _fields(node: Node, depth: int) -> Any:
    return {name: _plain(item, depth + 1) for name, item in {**node["v"], **node.get("more", {})}.items()}


def _model(node: Node, depth: int) -> Any:
    shown = {**_fields(node, depth), **_plain(node.get("extra", {}), depth + 1)}
    # A root model is its root.
    return shown["root"] if [*shown] == ["root"] else shown


def _enum(node: Node, depth: int) -> Any:
    return _plain(node["v"], depth + 1) if "v" in node else node["n"]


def _flag(node: Node, depth: int) -> Any:
    return node["n"] if node["n"] else node["v"]


def _pairs(node: Node, depth: int) -> Any:
    pairs = [(_plain(key, depth + 2), _plain(item, depth + 2)) for key, item in node["v"]]
    shown = {key if type(key) is str else dumps(key): item for key, item in pairs}
    # 1 and "1" are two keys, but would be one here.
    return shown if len(shown) == len(pairs) else [list(pair) for pair in pairs]


def _bytes(node: Node, depth: int) -> str:
    text = node["v"]
    size = len(text) // 4 * 3 - text.count("=")
    return f"{node[TAG]}, {_size(size)}, {_digest(text)}"


def _size(size: int) -> str:
    return "1 byte" if size == 1 else f"{size} bytes"


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=4).hexdigest()


def _duration(node: Node, depth: int) -> str:
    days, seconds, microseconds = node["v"]
    return str(timedelta(days, seconds, microseconds))


def _zone(node: Node, depth: int) -> str:
    return str(node["name"]) if "name" in node else f"UTC offset {_duration(node, depth)}"


def _complex(node: Node, depth: int) -> str:
    real, imag = _value(node, depth)
    return str(complex(float(real), float(imag)))


def _range(node: Node, depth: int) -> str:
    return f"range({', '.join(str(part) for part in _value(node, depth))})"


def _fraction(node: Node, depth: int) -> str:
    return "/".join(str(part) for part in _value(node, depth))


def _class(node: Node, depth: int) -> str:
    return ref_label(node["v"])


def _array(node: Node, depth: int) -> Any:
    if "bytes" in node:
        shape = " × ".join(str(length) for length in node["shape"])
        return f"array of {node['dtype']}, {shape}, {_digest(node['bytes'])}"
    items = _value(node, depth)
    if node["dtype"][1:2] == "M":
        items = [_moment(item, node["dtype"]) for item in items]
    return _shaped(items, node["shape"], node.get("order") == "F")


def _shaped(items: list[Any], shape: list[int], by_columns: bool) -> Any:
    if not shape:
        return items[0]
    if by_columns:
        step = shape[0]
        return [_shaped(items[row::step], shape[1:], by_columns) for row in range(step)]
    step = len(items) // (shape[0] or 1)
    return [_shaped(items[row * step : (row + 1) * step], shape[1:], by_columns) for row in range(shape[0])]


def _moment(ticks: Any, dtype: str) -> Any:
    unit = _TICKS.get(dtype.partition("[")[2].rstrip("]"))
    if unit is None or ticks == _NO_TIME:
        return None if ticks == _NO_TIME else ticks
    try:
        moment = datetime(1970, 1, 1) + timedelta(microseconds=ticks // 1000 if unit < 1 else ticks * unit)
    except OverflowError:
        return ticks
    # datetime ends at microseconds; what is finer is not to be lost from a comparison.
    rest = ticks % 1000 if unit < 1 else 0
    return f"{moment.isoformat(timespec='microseconds')}{rest:03d}" if rest else moment.isoformat()


def _frame(node: Node, depth: int) -> Any:
    names = _plain(node["columns"], depth + 1)
    columns = [_plain(array, depth + 2) for array in node["v"]]
    shown = {name if type(name) is str else dumps(name): column for name, column in zip(names, columns, strict=True)}
    body: Any = shown if len(shown) == len(columns) else [*zip(names, columns, strict=True)]
    return {"columns": body, "index": _plain(node["index"], depth + 1)}


def _series(node: Node, depth: int) -> Any:
    name = {"name": _plain(node["name"], depth + 1)} if "name" in node else {}
    return {**name, "values": _value(node, depth), "index": _plain(node["index"], depth + 1)}


def _categorical(node: Node, depth: int) -> Any:
    codes, categories = _value(node, depth), _plain(node["categories"], depth + 1)
    if type(codes) is not list or type(categories) is not list:
        return {"codes": codes, "categories": categories}
    return [None if code < 0 else categories[code] for code in codes]


def _masked(node: Node, depth: int) -> Any:
    values, mask = _value(node, depth), _plain(node["mask"], depth + 1)
    if type(values) is not list or type(mask) is not list:
        return {"values": values, "missing": mask}
    return [None if absent else value for value, absent in zip(values, mask, strict=True)]


def _zoned(node: Node, depth: int) -> Any:
    dtype = f"<M8[{node['unit']}]"
    ticks = _value(node, depth)
    moments = [_moment(item, dtype) for item in ticks] if type(ticks) is list else ticks
    return moments if type(moments) is str else [moment and f"{moment}+00:00" for moment in moments]


def _levels(node: Node, depth: int) -> Any:
    levels, codes = _plain(node["levels"], depth + 1), _plain(node["codes"], depth + 1)
    if any(type(part) is not list for part in (*levels, *codes)):
        return {"names": _plain(node["names"], depth + 1), "levels": levels, "codes": codes}
    columns = [[None if at < 0 else level[at] for at in places] for level, places in zip(levels, codes, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def _periods(node: Node, depth: int) -> Any:
    return {"every": node["freq"], "places": _value(node, depth)}


def _interval(node: Node, depth: int) -> Any:
    left, right = (_plain(node[side], depth + 1) for side in ("left", "right"))
    start = "[" if node["closed"] in ("left", "both") else "("
    end = "]" if node["closed"] in ("right", "both") else ")"
    if type(left) is list and type(right) is list:
        return [f"{start}{a}, {b}{end}" for a, b in zip(left, right, strict=True)]
    return f"{start}{left}, {right}{end}"


def _artifact(node: Node, depth: int) -> str:
    return f"artifact {node['v']}"


_VIEWS: dict[str, Callable[[Node, int], Any]] = {
    **dict.fromkeys(("str", "int", "float", "decimal", "uuid", "path", "PurePosixPath"), _value),
    **dict.fromkeys(("PureWindowsPath", "IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network"), _value),
    **dict.fromkeys(("IPv4Interface", "IPv6Interface", "url", "date", "datetime", "time", "zoneinfo"), _value),
    **dict.fromkeys(("tuple", "set", "frozenset", "deque", "numpy", "timestamp", "pandas_timedelta"), _value),
    **dict.fromkeys(("period", "index", "strings"), _value),
    **dict.fromkeys(("dict", "OrderedDict", "Counter", "defaultdict"), _pairs),
    **dict.fromkeys(("bytes", "bytearray"), _bytes),
    **dict.fromkeys(("dataclass", "namedtuple"), _fields),
    "model": _model,
    "enum": _enum,
    "flag": _flag,
    "class": _class,
    "artifact": _artifact,
    "timedelta": _duration,
    "timezone": _zone,
    "complex": _complex,
    "range": _range,
    "fraction": _fraction,
    "rangeindex": _range,
    "ndarray": _array,
    "dataframe": _frame,
    "series": _series,
    "categorical": _categorical,
    "masked": _masked,
    "zoned": _zoned,
    "interval": _interval,
    "intervals": _interval,
    "periods": _periods,
    "multiindex": _levels,
    "NaT": lambda node, depth: None,
    "NA": lambda node, depth: None,
}
