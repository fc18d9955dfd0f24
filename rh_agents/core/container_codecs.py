"""How the standard library's containers are written and read, dicts with any keys included."""

from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

from rh_agents.core.coding import (
    TAG,
    Load,
    Node,
    Refused,
    check_depth,
    key_part,
    read_items,
    reads,
    refuse_shape,
    write,
    write_items,
    write_part,
    writers,
)
from rh_agents.core.json_text import dumps
from rh_agents.core.scalar_codecs import is_clean


def _write_tuple(value: tuple[Any, ...], depth: int) -> Node:
    return {TAG: "tuple", "v": write_items(value, depth + 1)}


@reads("tuple", "v")
def _read_tuple(node: Node, load: Load) -> tuple[Any, ...]:
    return tuple(read_items(node["v"], load))


def _write_set(value: set[Any] | frozenset[Any], depth: int) -> Node:
    # Sorted, because a set comes in another order in another process.
    return {TAG: type(value).__name__, "v": sorted(write_items(value, depth + 1), key=dumps)}


@reads("set", "v")
def _read_set(node: Node, load: Load) -> set[Any]:
    return set(read_items(node["v"], load))


@reads("frozenset", "v")
def _read_frozenset(node: Node, load: Load) -> frozenset[Any]:
    return frozenset(read_items(node["v"], load))


def _write_dict(value: dict[Any, Any], depth: int) -> Node:
    check_depth(depth)
    # All keys are looked at first: to find out half way would write the first half twice, on every level.
    for key in value:
        if type(key) is not str or key == TAG or not is_clean(key):
            return {TAG: "dict", "v": _write_pairs(value, depth + 1)}
    out: Node = {}
    try:
        for key, item in value.items():
            out[key] = write(item, depth + 1)
    except Refused as refusal:
        refusal.within(key_part(key), value)
        raise
    return out


def _write_pairs(value: dict[Any, Any], depth: int) -> list[list[Any]]:
    check_depth(depth)
    return [
        [
            write_part(key, depth + 2, f"<the key {key!r:.80}>", value),
            write_part(item, depth + 2, key_part(key), value),
        ]
        for key, item in value.items()
    ]


@reads("dict", "v")
def _read_dict(node: Node, load: Load) -> dict[Any, Any]:
    return dict(_read_pairs(node["v"], load))


def _read_pairs(pairs: Any, load: Load) -> list[tuple[Any, Any]]:
    out = []
    for pair in read_items(pairs, load):
        if type(pair) is not list or len(pair) != 2:
            refuse_shape("a key and a value", pair)
        out.append((pair[0], pair[1]))
    return out


def _write_by_pairs(value: dict[Any, Any], depth: int) -> Node:
    return {TAG: type(value).__name__, "v": _write_pairs(value, depth + 1)}


@reads("OrderedDict", "v")
def _read_ordered_dict(node: Node, load: Load) -> OrderedDict[Any, Any]:
    return OrderedDict(_read_pairs(node["v"], load))


@reads("Counter", "v")
def _read_counter(node: Node, load: Load) -> Counter[Any]:
    return Counter(dict(_read_pairs(node["v"], load)))


_FACTORIES: dict[str, Any] = {
    cls.__name__: cls for cls in (list, dict, set, frozenset, tuple, int, float, str, bool, bytes)
}


def _write_defaultdict(value: defaultdict[Any, Any], depth: int) -> Node:
    factory = value.default_factory
    name = getattr(factory, "__name__", None)
    if factory is not None and _FACTORIES.get(name or "") is not factory:
        raise Refused(f"a defaultdict filled by {factory!r:.80} cannot be written")
    return {TAG: "defaultdict", "factory": name, "v": _write_pairs(value, depth + 1)}


@reads("defaultdict", "v", "factory")
def _read_defaultdict(node: Node, load: Load) -> defaultdict[Any, Any]:
    factory = None if node["factory"] is None else _FACTORIES[node["factory"]]
    return defaultdict(factory, _read_pairs(node["v"], load))


def _write_deque(value: deque[Any], depth: int) -> Node:
    return {TAG: "deque", "maxlen": value.maxlen, "v": write_items(value, depth + 1)}


@reads("deque", "v", "maxlen")
def _read_deque(node: Node, load: Load) -> deque[Any]:
    return deque(read_items(node["v"], load), node["maxlen"])


writers.update(
    {
        list: write_items,
        dict: _write_dict,
        tuple: _write_tuple,
        set: _write_set,
        frozenset: _write_set,
        deque: _write_deque,
        OrderedDict: _write_by_pairs,
        Counter: _write_by_pairs,
        defaultdict: _write_defaultdict,
    }
)
