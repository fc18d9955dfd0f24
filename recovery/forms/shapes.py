"""What kind of control an annotation asks for: the annotation read once, its parts left for later."""

import types
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import PurePath
from typing import Annotated, Any, Final, Literal, NamedTuple, NewType, Union, get_args, get_origin
from uuid import UUID

import pydantic
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typing_extensions import TypeAliasType

Kind = Literal[
    "str", "int", "float", "bool", "decimal", "date", "datetime", "time", "timedelta", "uuid", "path", "secret", "text",
    "choice", "model", "rows", "tuple", "map", "union", "raw",
]  # fmt: skip

# The first that fits: a datetime is a date, a bool is an int.
_SCALARS: Final[list[tuple[type, Kind]]] = [
    (bool, "bool"), (datetime, "datetime"), (date, "date"), (time, "time"), (timedelta, "timedelta"),
    (Decimal, "decimal"), (UUID, "uuid"), (PurePath, "path"), (pydantic.SecretStr, "secret"),
    (pydantic.SecretBytes, "secret"), (pydantic.AwareDatetime, "datetime"), (pydantic.NaiveDatetime, "datetime"),
    (pydantic.PastDatetime, "datetime"), (pydantic.FutureDatetime, "datetime"), (pydantic.PastDate, "date"),
    (pydantic.FutureDate, "date"),
]  # fmt: skip
_MOMENTS: Final[dict[Any, type]] = {
    pydantic.AwareDatetime: datetime, pydantic.NaiveDatetime: datetime, pydantic.PastDatetime: datetime,
    pydantic.FutureDatetime: datetime, pydantic.PastDate: date, pydantic.FutureDate: date,
}  # fmt: skip
_ADDRESSES: Final = (IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network)
_CONTAINERS: Final[dict[Any, type]] = {
    list: list, tuple: tuple, set: set, frozenset: frozenset,
    Sequence: list, Collection: list,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """What a value is held to, as far as it can be said in a form."""

    ge: Any = None
    gt: Any = None
    le: Any = None
    lt: Any = None
    multiple_of: Any = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: Any = None
    max_digits: int | None = None
    decimal_places: int | None = None

    @classmethod
    def among(cls, metadata: Sequence[Any]) -> "Limits":
        """Collected from pydantic's and annotated-types' markers; the last one that says something wins."""
        found: dict[str, Any] = {}
        for mark in _flat(metadata):
            if isinstance(mark, type) or callable(mark):
                continue
            for name in _LIMIT_NAMES:
                value = getattr(mark, name, None)
                if value is not None:
                    found[name] = value
        return cls(**found)


_LIMIT_NAMES: Final = tuple(limit.name for limit in fields(Limits))


class Choice(NamedTuple):
    """One option of a select; `token` is what the browser sends."""

    token: str
    label: str
    value: Any


@dataclass(frozen=True, slots=True)
class Shape:
    """An annotation, read at its top.

    `base` is the class behind it (of `rows`: the container), `args` are the annotations of its parts (variants
    of a union), `annotation` the whole with its constraints but without the `None` that `is_nullable` stands for.
    """

    kind: Kind
    annotation: Any
    base: Any = None
    args: tuple[Any, ...] = ()
    choices: tuple[Choice, ...] = ()
    is_nullable: bool = False
    limits: Limits = field(default_factory=Limits)

    def fits(self, value: Any) -> bool:
        """Whether a control of this shape can show the value without losing any of it."""
        if value is None and self.is_nullable:
            return True
        match self.kind:
            case "int":
                return type(value) is int
            case "rows":
                return type(value) is self.base or (self.base is list and type(value) is tuple)
            case "tuple":
                return type(value) is tuple and len(value) == len(self.args)
            case "map":
                return type(value) is dict
            case "datetime":
                return isinstance(value, datetime)
            case "date":
                return type(value) is date
            case "str":
                return type(value) is str
            case "choice" | "text" | "union" | "raw":
                return True
            case _:
                return isinstance(value, self.base)

    def as_raw(self) -> "Shape":
        """The same annotation, shown as one JSON text."""
        # A JSON text can say null itself.
        return replace(self, kind="raw", is_nullable=False)


def shape_of(annotation: Any, metadata: Sequence[Any] = ()) -> Shape:
    """Read an annotation; `metadata` is what pydantic took off it (`FieldInfo.metadata`)."""
    metadata = list(metadata)
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *inner = get_args(annotation)
            metadata = [*inner, *metadata]
        elif isinstance(annotation, TypeAliasType) and annotation is not pydantic.JsonValue:
            annotation = annotation.__value__
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        else:
            break
    if annotation is pydantic.JsonValue:
        return Shape("raw", annotation)
    limits = Limits.among(metadata)
    whole = Annotated[(annotation, *metadata)] if metadata else annotation
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _union_shape(annotation, whole, args, metadata, limits)
    if origin is Literal:
        return _literal_shape(whole, args)
    shape = _class_shape(annotation, whole, limits) if origin is None else _generic_shape(whole, origin, args, limits)
    return shape or Shape("raw", whole, base=annotation if origin is None else origin, limits=limits)


def _union_shape(annotation: Any, whole: Any, args: tuple[Any, ...], metadata: list[Any], limits: Limits) -> Shape:
    variants = tuple(arg for arg in args if arg is not types.NoneType)
    is_nullable = len(variants) < len(args)
    if len(variants) == 1:
        shape = shape_of(variants[0], metadata)
        return shape if shape.kind == "raw" else replace(shape, is_nullable=is_nullable or shape.is_nullable)
    return Shape("union", whole, args=variants, is_nullable=is_nullable, limits=limits)


def _literal_shape(whole: Any, args: tuple[Any, ...]) -> Shape:
    values = [arg for arg in args if arg is not None]
    if not values:
        return Shape("raw", whole)
    choices = _choices([(_choice_label(value), value) for value in values])
    return Shape("choice", whole, choices=choices, is_nullable=len(values) < len(args))


def _class_shape(cls: Any, whole: Any, limits: Limits) -> Shape | None:
    if not isinstance(cls, type):
        return None
    if cls in _CONTAINERS or cls is dict:
        return None
    if issubclass(cls, BaseModel):
        return Shape("model", whole, base=cls, limits=limits)
    if issubclass(cls, Enum):
        if issubclass(cls, Flag) or not len(cls):
            return None
        return Shape("choice", whole, base=cls, choices=_choices([(_choice_label(item), item) for item in cls]))
    if cls in (str, int, float):
        return Shape(cls.__name__, whole, base=cls, limits=limits)  # type: ignore[arg-type]
    for scalar, kind in _SCALARS:
        if issubclass(cls, scalar):
            return Shape(kind, whole, base=_MOMENTS.get(cls, cls), limits=limits)
    if issubclass(cls, (str, int, float, *_ADDRESSES)) or any(c.__module__ == "pydantic.networks" for c in cls.__mro__):
        return Shape("text", whole, base=cls, limits=limits)
    return None


def _generic_shape(whole: Any, origin: Any, args: tuple[Any, ...], limits: Limits) -> Shape | None:
    if origin is tuple and not (len(args) == 2 and args[1] is Ellipsis):
        return Shape("tuple", whole, base=tuple, args=args, limits=limits) if args and args != ((),) else None
    # Lists and dicts of anything at all are easier to read and write as one text.
    if (args and args[-1] is Any) or (args and args[0] is Any):
        return None
    if origin in _CONTAINERS and args:
        return Shape("rows", whole, base=_CONTAINERS[origin], args=args[:1], limits=limits)
    if origin in (dict, Mapping) and len(args) == 2:
        return Shape("map", whole, base=dict, args=args, limits=limits)
    if isinstance(origin, type) and issubclass(origin, PurePath):
        return Shape("path", whole, base=origin, limits=limits)
    return None


def _choice_label(value: Any) -> str:
    if isinstance(value, Enum):
        label = getattr(value, "label", None)
        return (
            str(label) if isinstance(label, str) else str(value.value) if isinstance(value.value, str) else value.name
        )
    return value if isinstance(value, str) else repr(value)


def _choices(labelled: list[tuple[str, Any]]) -> tuple[Choice, ...]:
    """The token is the value as text, where that tells it from the others; else its place."""
    tokens = [str(value.value) if isinstance(value, Enum) else str(value) for _, value in labelled]
    plain = len(set(tokens)) == len(tokens) and all(token and token.isprintable() for token in tokens)
    return tuple(
        Choice(token if plain else f"choice-{place}", label, value)
        for place, (token, (label, value)) in enumerate(zip(tokens, labelled, strict=True))
    )


def _flat(metadata: Sequence[Any]) -> list[Any]:
    flat: list[Any] = []
    for mark in metadata:
        if isinstance(mark, FieldInfo):
            flat.extend(_flat(mark.metadata))
        else:
            flat.append(mark)
    return flat
