"""Values of every kind that the engine saves, and what it means that one came back."""

import enum
import ipaddress
import math
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, PrivateAttr, RootModel
from pydantic.dataclasses import dataclass as checked_dataclass

from rh_agents.core.approvals import Answer, Question
from rh_agents.core.types import ExecutionStatus

T = TypeVar("T")
BERLIN = ZoneInfo("Europe/Berlin")


class Order(BaseModel):
    number: str
    lines: list["Line"] = Field(default_factory=list)
    note: str | None = None

    @cached_property
    def total(self) -> Decimal:
        return sum((line.price for line in self.lines), Decimal(0))


class Line(BaseModel):
    sku: str
    price: Decimal


class Open(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(alias="fullName")
    _seen: set[int] = PrivateAttr(default_factory=set)
    _unset: int = PrivateAttr()


class Box(BaseModel, Generic[T]):
    content: T


class Tags(RootModel[list[str]]):
    pass


class Site(BaseModel):
    url: HttpUrl


@dataclass
class Point:
    x: int
    y: float = 0.5
    seen: list[Any] = field(default_factory=list)
    norm: float = field(init=False)

    def __post_init__(self) -> None:
        self.norm = math.hypot(self.x, self.y)
        self.beside_the_fields = (self.x, "kept")

    @cached_property
    def shifted(self) -> Any:
        return lambda: self.x


@checked_dataclass
class Checked:
    a: int
    b: list[int] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    when: date


class Slotted:
    __slots__ = ("_hidden", "value")


@dataclass
class OverSlots(Slotted):
    value: int


class Pair(NamedTuple):
    left: Any
    right: Any = None


class Colour(enum.Enum):
    RED = "red"
    CRIMSON = "red"
    GREEN = ("g", 2)
    CALL = partial(int, base=2)


class Kind(str, enum.Enum):  # noqa: UP042 - the older way, which people have
    A = "a"


@dataclass(frozen=True)
class Weight:
    grams: int


class Parcel(Weight, enum.Enum):
    LIGHT = 1


class Size(enum.IntEnum):
    SMALL = 1


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Bits(enum.IntFlag):
    A = 1
    B = 4


def open_model() -> Open:
    model = Open(fullName="Ada", **{"$t": "extra", "born": date(1815, 12, 10)})
    model._seen.add(3)
    return model


def partly_made_point() -> Point:
    point = object.__new__(Point)
    point.x = 1
    return point


def over_slots() -> OverSlots:
    value = OverSlots(3)
    value._hidden = (1, 2)
    return value


VALUES: dict[str, Any] = {
    "none": None,
    "false": False,
    "zero": 0,
    "empty text": "",
    "text": 'Grüße, 世界 🌍 " \\ \n \x7f\u2028',
    "NUL": "a\x00b\\u0000",
    "lone surrogate": "\ud800\\ud800 \udfff",
    "two surrogates that are no pair": "\ud83d" + "\ude00",
    "int at the edge": 2**64 - 1,
    "int beyond 64 bits": [2**64, -(2**63) - 1],
    "int of many digits": -(7**9000),
    "floats": [0.1, -0.0, 1e16, 1e-5, 1e-7, 5e-324, 1.7976931348623157e308, 1.0, math.inf, -math.inf, math.nan],
    "complex": complex(-0.0, math.inf),
    "range": range(2**70, 3, -2),
    "nested": {"a": [{"b": {"c": [1, "$t", {"d": None}]}}], "": {}},
    "dict that looks like a tag": {"$t": "decimal", "v": "1"},
    "dict inside with a tag": [{"x": {"$t": 1}}],
    "dict of odd keys": {1: "a", "1": "b", None: 1, (1, 2): {3}, 1.5: 2, Decimal("1.0"): 0, Size.SMALL: {"x": b""}},
    "dict keyed by damaged text": {"\ud800": 1, "\x00": 2},
    "order of keys": {"b": 1, "a": 2, "c": {"z": 1, "y": Decimal(1)}},
    "tuple": (1, (2, [3, ()])),
    "sets": [{1, "a", (2,), None}, frozenset({frozenset()}), set()],
    "collections": [deque([1, 2], 5), deque(), OrderedDict(b=1, a=2), Counter("abca"), Counter()],
    "defaultdict": [defaultdict(list, {1: [2]}), defaultdict(None, a=1), defaultdict(int)],
    "bytes": [b"", b"\x00\xff", bytearray(b"ab")],
    "decimals": [Decimal(text) for text in ("1.20", "-0", "0E-10", "1E+30", "NaN", "sNaN12", "-Infinity", "0.1" * 1)],
    "fraction": Fraction(-1, 3),
    "uuid": UUID(int=5),
    "paths": [Path("a/../b"), Path(""), Path("/x/\udcff"), PurePosixPath("/a"), PureWindowsPath("C:\\a")],
    "addresses": [
        ipaddress.ip_address("::1"),
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_interface("10.0.0.1/8"),
    ],
    "naive datetime": datetime(1, 1, 1, 0, 0, 0, 1),
    "utc": datetime(2026, 2, 3, tzinfo=UTC),
    "offset with seconds": datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-3, seconds=7, microseconds=9))),
    "named offset": datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1), "CET")),
    "before the fold": datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN),
    "in the fold": datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
    "naive fold": datetime(2026, 10, 25, 2, 30, fold=1),
    "times": [time(), time(1, 2, 3, 4), time(1, tzinfo=BERLIN), time(1, tzinfo=UTC, fold=1)],
    "date": date.max,
    "durations": [timedelta(), timedelta.min, timedelta(days=-1, microseconds=1)],
    "zones": [UTC, BERLIN, timezone(timedelta(hours=2)), timezone(timedelta(0), "Z\x00")],
    "model": Order(number="A-17", lines=[Line(sku="x", price=Decimal("1.20"))]),
    "model with everything": open_model(),
    "model made in part": Order.model_construct(number="A-1", _fields_set={"number"}).model_copy(),
    "generic models": [
        Box[int](content=1),
        Box[list[Line]](content=[]),
        Box(content=(1,)),
        Box[Box[str]](content=Box[str](content="a")),
    ],
    "generic of unions": [Box[int | None](content=None), Box[Any](content=1), Box[dict[str, Line]](content={})],
    "root model": Tags(["a", "b"]),
    "url": Site(url="https://example.test/a?b=c"),
    "question": Question(
        key="refund", title="Refund?", proposal=Line(sku="x", price=1), editable={"sku"}, response_model=Line
    ),
    "answer": Answer(kind="edit", proposal=Line(sku="x", price=1), decided_at=datetime(2026, 1, 1, tzinfo=UTC)),
    "class": [Line, Colour, Point, Pair, Box[int]],
    "dataclass": Point(3, seen=[Decimal(1)]),
    "dataclass made in part": partly_made_point(),
    "frozen dataclass with slots": Frozen("a", date(2026, 1, 1)),
    "dataclass over slots": over_slots(),
    "named tuple": Pair((1,), Pair(2)),
    "enums": [Colour.RED, Colour.CRIMSON, Colour.GREEN, Colour.CALL, Size.SMALL, ExecutionStatus.COMPLETED],
    "enums of other types": [Kind.A, Parcel.LIGHT],
    "pydantic dataclass": Checked(1),
    "flags": [Rights.READ, Rights.READ | Rights.WRITE, Rights(0), ~Rights.READ, Bits.A | Bits.B, Bits(8), Bits(0)],
}


def same(a: Any, b: Any) -> bool:
    """Whether nobody could tell the two apart: the type, every part and the order of keys; NaN is NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return repr(a) == repr(b)
    if isinstance(a, complex):
        return repr(a) == repr(b)
    if isinstance(a, Decimal):
        return a.as_tuple() == b.as_tuple()
    if isinstance(a, datetime | time):
        return repr(a) == repr(b) and a.tzname() == b.tzname()
    if isinstance(a, timezone):
        return repr(a) == repr(b)
    if isinstance(a, dict):
        if isinstance(a, defaultdict) and a.default_factory is not b.default_factory:
            return False
        return same([*a.items()], [*b.items()])
    if isinstance(a, set | frozenset):
        return a == b and sorted(repr(type(x)) for x in a) == sorted(repr(type(x)) for x in b)
    if isinstance(a, deque) and a.maxlen != b.maxlen:
        return False
    if isinstance(a, list | tuple | deque):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, BaseModel):
        return a == b and all(same(x, y) for x, y in zip(_model_state(a), _model_state(b), strict=True))
    if hasattr(type(a), "__dataclass_fields__"):
        return same(_state(a), _state(b))
    return bool(a == b)


def _model_state(model: BaseModel) -> list[Any]:
    state = {key: value for key, value in model.__dict__.items() if key in type(model).model_fields}
    return [state, model.__pydantic_extra__, model.__pydantic_private__, model.__pydantic_fields_set__]


def _state(value: Any) -> dict[str, Any]:
    slots = [name for name in ("name", "when", "value", "_hidden") if hasattr(value, name)]
    state = {**getattr(value, "__dict__", {}), **{name: getattr(value, name) for name in slots}}
    state.pop("shifted", None)
    return state


def run_python(program: str, stdin: str = "", hash_seed: str = "1") -> list[str]:
    """The lines that a program printed in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", program],
        input=stdin,
        encoding="utf-8",
        capture_output=True,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONHASHSEED": hash_seed},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n").split("\n")
