"""How enum members, web addresses and classes themselves are written and read, and which codec a class gets."""

from collections.abc import Callable
from contextlib import suppress
from enum import Enum, Flag
from typing import Any

from pydantic import AnyUrl

from rh_agents.core.coding import (
    TAG,
    Load,
    Node,
    Refused,
    Writer,
    read,
    reads,
    text_of,
    type_label,
    write,
    writer_finders,
)
from rh_agents.core.object_codecs import (
    class_of,
    dataclass_writer,
    is_dataclass,
    is_model,
    is_named_tuple,
    model_writer,
    named,
    named_tuple_writer,
)
from rh_agents.core.type_names import class_ref


def _is_enum(cls: type) -> bool:
    return issubclass(cls, Enum)


def _is_flag(cls: type) -> bool:
    return issubclass(cls, Flag)


def _is_url(cls: type) -> bool:
    return issubclass(cls, AnyUrl)


def _enum_writer(cls: type) -> Writer:
    head = named("flag" if _is_flag(cls) else "enum", cls)

    def write_enum(value: Enum, depth: int) -> Node:
        node = {**head(value), "n": value._name_}
        # The name is enough to find the member again; the value is for people.
        with suppress(Refused):
            node["v"] = write(value._value_, depth + 1)
        return node

    return write_enum


@reads("enum", "c", "n", optional=("v",))
def _read_enum(node: Node, load: Load) -> Enum:
    cls = class_of(node, _is_enum)
    member = cls._member_map_.get(node["n"])
    if member is None and "v" in node:
        member = cls._value2member_map_.get(read(node["v"], load))
    if member is None:
        raise Refused(f"{type_label(cls)} has no member {node['n']!r:.80}")
    return member  # type: ignore[no-any-return]


@reads("flag", "c", "n", "v")
def _read_flag(node: Node, load: Load) -> Flag:
    cls = class_of(node, _is_flag)
    bits = read(node["v"], load)
    member = cls._value2member_map_.get(bits)
    if member is None:
        # What Flag itself does for a combination, past any _missing_ of the class.
        member = Flag._missing_.__func__(cls, bits)  # type: ignore[attr-defined]
    if type(member) is not cls:
        raise Refused(f"{type_label(cls)} has no combination {bits!r:.80}")
    return member  # type: ignore[no-any-return]


def _url_writer(cls: type) -> Writer:
    head = named("url", cls)
    return lambda value, depth: {**head(value), "v": str(value)}


@reads("url", "c", "v")
def _read_url(node: Node, load: Load) -> Any:
    return class_of(node, _is_url)(text_of(node))


def _write_class(value: type, depth: int) -> Node:
    if not _is_savable_class(value):
        raise Refused(f"the class {type_label(value)} cannot be written: only classes of values that can be")
    return {TAG: "class", "v": class_ref(value)}


@reads("class", "v")
def _read_class(node: Node, load: Load) -> type:
    return class_of({TAG: "class", "c": node["v"]}, _is_savable_class)  # type: ignore[no-any-return]


def _is_savable_class(cls: type) -> bool:
    return any(is_kind(cls) for is_kind, _ in _KINDS)


def _find_writer(cls: type) -> Writer | None:
    if issubclass(cls, type):
        return _write_class
    return next((make(cls) for is_kind, make in _KINDS if is_kind(cls)), None)


# Enums first: a member may well be a dataclass or a named tuple besides.
_KINDS: tuple[tuple[Callable[[type], bool], Callable[[Any], Writer]], ...] = (
    (_is_enum, _enum_writer),
    (is_model, model_writer),
    (is_dataclass, dataclass_writer),
    (is_named_tuple, named_tuple_writer),
    (_is_url, _url_writer),
)
writer_finders.append(_find_writer)
