"""How pydantic models, dataclasses and named tuples are written and read.

No constructor runs: an object is made empty and gets back the attributes it had, unless its class has changed since.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import MISSING, Field, fields
from types import FunctionType, MemberDescriptorType
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from rh_agents.core.coding import (
    TAG,
    Load,
    Node,
    Refused,
    Writer,
    read,
    read_fields,
    reads,
    refuse_shape,
    type_label,
    write,
    write_fields,
)
from rh_agents.core.type_names import class_ref, is_registered, register_type, resolve


def is_model(cls: type) -> bool:
    return issubclass(cls, BaseModel)


def is_dataclass(cls: type) -> bool:
    return isinstance(_class_attribute(cls, "__dataclass_fields__"), dict)


def is_named_tuple(cls: type) -> bool:
    names = _class_attribute(cls, "_fields") if issubclass(cls, tuple) else None
    return type(names) is tuple and all(type(name) is str for name in names)


def _class_attribute(cls: type, name: str) -> Any:
    """The attribute as the class holds it, past whatever its metaclass would answer."""
    mro: tuple[type, ...] = type.__getattribute__(cls, "__mro__")
    return next((base.__dict__[name] for base in mro if name in base.__dict__), None)


def class_of(node: Node, is_kind: Callable[[type], bool]) -> Any:
    cls = resolve(node["c"])
    if not is_kind(cls):
        raise Refused(f"{type_label(cls)} is not what a {node[TAG]} can be")
    return cls


def named(tag: str, cls: type) -> Callable[[Any], Node]:
    """Gives the head of a node. It must not hold `cls` (see `coding`)."""
    ref = class_ref(cls)
    if not is_registered(ref):
        return lambda value: {TAG: tag, "c": ref}

    def head(value: Any) -> Node:
        register_type(type(value))
        return {TAG: tag, "c": ref}

    return head


# Pydantic models


def model_writer(cls: type[BaseModel]) -> Writer:
    head, names = named("model", cls), tuple(cls.model_fields)
    # A root model keeps these two beside its field.
    known = {*names, *_caches(cls), "__pydantic_extra__", "__pydantic_private__"}

    def write_model(value: BaseModel, depth: int) -> Node:
        node, state = head(value), value.__dict__
        node["v"] = write_fields({name: state[name] for name in names if name in state}, depth + 1, value)
        if len(node["v"]) < len(names):
            node["partial"] = True
        more = {name: item for name, item in state.items() if name not in known}
        if more:
            node["more"] = write_fields(more, depth + 1, value)
        extra = value.__pydantic_extra__
        if extra:
            node["extra"] = write(extra, depth + 1)
        if value.__pydantic_private__:
            node["private"] = write_fields(value.__pydantic_private__, depth + 1, value)
        filled = value.__pydantic_fields_set__
        if filled != {*node["v"], *(extra or ())}:
            node["set"] = sorted(filled)
        return node

    return write_model


@reads("model", "c", "v", optional=("extra", "private", "set", "partial", "more"))
def _read_model(node: Node, load: Load) -> BaseModel:
    cls = class_of(node, is_model)
    values = read_fields(node["v"], load)
    extra = read(node.get("extra", {}), load)
    if type(extra) is not dict:
        refuse_shape("a dict of extra fields", extra)
    private = read_fields(node.get("private", {}), load)
    filled = set(node.get("set", [*values, *extra]))
    takes_extra = cls.model_config.get("extra") == "allow"
    if not _fits(values, cls.model_fields, node) or (extra and not takes_extra):
        return _validated(cls, {**values, **extra}, private, filled)
    model = object.__new__(cls)
    object.__setattr__(model, "__dict__", {**values, **read_fields(node.get("more", {}), load)})
    object.__setattr__(model, "__pydantic_fields_set__", filled)
    if not cls.__pydantic_root_model__:
        object.__setattr__(model, "__pydantic_extra__", extra if takes_extra else None)
    if not cls.__pydantic_root_model__ or cls.__private_attributes__:
        object.__setattr__(model, "__pydantic_private__", _private(cls, private))
    return model  # type: ignore[no-any-return]


def _fits(values: Node, fields: Iterable[str], node: Node) -> bool:
    """Whether the class still has the fields it had; an object that lacked some when it was written is `partial`."""
    names = set(fields)
    return values.keys() == names or (node.get("partial") is True and values.keys() <= names)


def _validated(cls: type[BaseModel], values: Node, private: Node, filled: set[str]) -> BaseModel:
    """The model of a class that has other fields than when the values were saved."""
    try:
        model = cls.model_validate(values, by_alias=True, by_name=True)
    except ValidationError as error:
        raise Refused(f"{type_label(cls)} has changed since this was saved, and refuses it: {error}") from error
    if model.__pydantic_private__ is not None:
        model.__pydantic_private__.update({k: v for k, v in private.items() if k in cls.__private_attributes__})
    object.__setattr__(model, "__pydantic_fields_set__", model.__pydantic_fields_set__ & filled)
    return model


def _private(cls: type[BaseModel], stored: Node) -> Node | None:
    attributes = cls.__private_attributes__
    if not attributes:
        return None
    # An attribute without a default may be unset; one with a default that is not stored is new in the class.
    new = {name: item.get_default() for name, item in attributes.items() if name not in stored and _has_default(item)}
    return {**new, **{name: value for name, value in stored.items() if name in attributes}}


def _has_default(attribute: Any) -> bool:
    return attribute.default_factory is not None or attribute.default is not PydanticUndefined


# Dataclasses


def dataclass_writer(cls: type) -> Writer:
    head, caches, slots = named("dataclass", cls), _caches(cls), _slots(cls)
    names = tuple(field.name for field in fields(cls))
    try:
        object.__new__(cls)
    except TypeError as error:
        raise Refused(f"the dataclass {type_label(cls)} cannot be written: {error}") from error

    def write_dataclass(value: Any, depth: int) -> Node:
        node, state = head(value), dict(getattr(value, "__dict__", ()))
        for name in slots:
            with suppress(AttributeError):
                state[name] = object.__getattribute__(value, name)
        node["v"] = write_fields({name: state.pop(name) for name in names if name in state}, depth + 1, value)
        if len(node["v"]) < len(names):
            node["partial"] = True
        more = {name: item for name, item in state.items() if name not in caches}
        if more:
            node["more"] = write_fields(more, depth + 1, value)
        return node

    return write_dataclass


@reads("dataclass", "c", "v", optional=("partial", "more"))
def _read_dataclass(node: Node, load: Load) -> Any:
    cls = class_of(node, is_dataclass)
    values = read_fields(node["v"], load)
    known = {field.name: field for field in fields(cls)}
    if not _fits(values, known, node):
        values = {name: values[name] if name in values else _default(cls, field) for name, field in known.items()}
    value, slots = object.__new__(cls), _slots(cls)
    for name, item in {**values, **read_fields(node.get("more", {}), load)}.items():
        if name in slots:
            object.__setattr__(value, name, item)
        else:
            value.__dict__[name] = item
    return value


def _default(cls: type, field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    if field.default is not MISSING:
        return field.default
    raise Refused(f"{type_label(cls)} has changed since this was saved: {field.name} is missing and has no default")


def _slots(cls: type) -> tuple[str, ...]:
    """The attributes that instances keep outside of their `__dict__`."""
    return tuple(
        name
        for base in cls.__mro__
        if "__slots__" in base.__dict__
        for name, member in base.__dict__.items()
        if type(member) is MemberDescriptorType
    )


def _caches(cls: type) -> frozenset[str]:
    """The names of cached properties: what they left in a `__dict__` is computed again when it is asked for."""
    return frozenset(
        name
        for base in cls.__mro__
        for name, member in base.__dict__.items()
        if type(member) is not FunctionType
        and hasattr(type(member), "__get__")
        and not hasattr(type(member), "__set__")
    )


# Named tuples


def named_tuple_writer(cls: Any) -> Writer:
    head, names = named("namedtuple", cls), cls._fields

    def write_named_tuple(value: Any, depth: int) -> Node:
        if getattr(value, "__dict__", None) or tuple.__len__(value) != len(names):
            raise Refused(f"a {type_label(type(value))} with other attributes than its fields cannot be written")
        values = dict(zip(names, tuple.__iter__(value), strict=True))
        return {**head(value), "v": write_fields(values, depth + 1, value)}

    return write_named_tuple


@reads("namedtuple", "c", "v")
def _read_named_tuple(node: Node, load: Load) -> Any:
    cls = class_of(node, is_named_tuple)
    values = read_fields(node["v"], load)
    if not _fits(values, cls._fields, node):
        values = {**getattr(cls, "_field_defaults", {}), **values}
    missing = [name for name in cls._fields if name not in values]
    if missing:
        raise Refused(f"{type_label(cls)} has changed since this was saved: {', '.join(missing)} is missing")
    return tuple.__new__(cls, [values[name] for name in cls._fields])
