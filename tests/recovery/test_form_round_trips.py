"""Typed forms, one round trip per type: what nobody edited comes back equal and of the same type."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Optional
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import (
    AnyUrl,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    NaiveDatetime,
    PositiveInt,
    RootModel,
    SecretBytes,
    SecretStr,
    create_model,
)

from recovery.forms import ModelForm
from tests.recovery.browser_forms import submitted


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Mood(StrEnum):
    CALM = "calm"
    BUSY = "busy"


class Address(BaseModel):
    city: str
    postcode: str | None = None


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str


class Tree(BaseModel):
    label: str
    left: "Tree | None" = None
    branches: list["Tree"] = []


class Point(BaseModel):
    model_config = ConfigDict(frozen=True)
    x: int
    y: int = 0


BERLIN = ZoneInfo("Europe/Berlin")
HALF_PAST = timezone(timedelta(hours=5, minutes=30))

VALUES: list[tuple[Any, Any]] = [
    *[
        (str, text)
        for text in (
            "", " ", "plain", "  leading", "trailing  ", "\tTab\t", "two\nlines", "\nfirst line empty",
            "\n\n\ntwo of them",
            "ends with one\n", "ends with three\n\n\n", "Windows\r\nlines\r\n", "old Mac\rlines\r",
            "mixed\r\n\n\r\r\n",
            "\r", "\n", "\r\n",
            "a" * 500, "</textarea><script>alert(1)</script>", '"quoted" & \'so\' <b>', "&amp; &#10;",
            "Zoë 漢字 🏳️‍🌈", "e\u0301 \u00e9", "\u202ereversed", "\u00a0nbsp\u2028sep\x85next\x0bvt\x0cff",
            "nul\0inside",
            "half\ud83d", "none", "null", "on", "{{ form }}{% now 'Y' %}", "\ufeffbom", "\x1b[31m", "\ufffd",
        )
    ],
    *[(int, number) for number in (0, -1, 7, 2**53, -(2**53) - 1, 2**200, 10**4000, 10**5000, -(10**6000))],
    *[(float, number) for number in (0.0, -0.0, 0.1, 1e300, 5e-324, 1 / 3, -2.5, 1e16, math.inf, -math.inf, math.nan)],
    (bool, True), (bool, False), (bool | None, None), (bool | None, False), (bool | None, True),
    *[
        (Decimal, Decimal(text))
        for text in ("0", "-0", "0.00", "1180.00", "1E+3", "1.10E-30", "-12.5000", "9" * 60, "0E-10", "1E+999999")
    ],
    (date, date(1, 1, 1)), (date, date(2026, 11, 23)), (date, date(9999, 12, 31)),
    *[
        (datetime, moment)
        for moment in (
            datetime(2026, 11, 23, 16, 1), datetime(2026, 11, 23, 16, 1, 12),
            datetime(2026, 11, 23, 16, 1, 12, 120_000),
            datetime(2026, 11, 23, 16, 1, 12, 120_001), datetime(2026, 11, 23, tzinfo=UTC), datetime(1, 1, 1),
            datetime(2026, 11, 23, 16, 1, 12, 5, tzinfo=HALF_PAST), datetime(2026, 7, 1, 12, tzinfo=BERLIN),
            datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN), datetime.max,
            datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30, seconds=-7), "odd")),
        )
    ],
    (AwareDatetime, datetime(2026, 11, 23, 16, 1, 12, 7, tzinfo=UTC)), (NaiveDatetime, datetime(2026, 11, 23, 16, 1)),
    *[
        (time, moment)
        for moment in (time(0), time(16, 1, 12), time(16, 1, 12, 345_678), time(9, tzinfo=UTC),
        time(9, tzinfo=HALF_PAST))
    ],
    *[
        (timedelta, span)
        for span in (
            timedelta(0), timedelta(1), timedelta(days=2, hours=3, microseconds=4), timedelta(-1),
            timedelta(seconds=-1),
            timedelta.max, timedelta.min, timedelta(hours=100),
        )
    ],
    (UUID, UUID("7c1e4b0a-0c5f-4c1e-9a53-0f2d5b7a9e10")),
    (Colour, Colour.GREEN), (Level, Level.HIGH), (Mood, Mood.BUSY),
    (Literal["a", "b"], "b"), (Literal[1, "1", True], True), (Literal[1, "1", True], 1), (Literal["a", None], None),
    (Literal["only"], "only"), (Literal[True], True),
    (Path, Path("/srv/data file")), (Path, Path(".")), (PurePosixPath, PurePosixPath("a/b")),
    (Path, Path("half\udc80")),
    (SecretStr, SecretStr("hunter2")), (SecretBytes, SecretBytes(b"\0\xff")), (SecretStr | None, None),
    (SecretStr | None, SecretStr("")),
    (bytes, b""), (bytes, b"\x00\xffbytes"), (AnyUrl, AnyUrl("https://example.org/a?b=c")),
    (IPv4Address, IPv4Address(1)),
    (PositiveInt, 3), (Annotated[Decimal, Field(ge=0, multiple_of=Decimal("0.05"))], Decimal("0.10")),
    *[
        (Optional[inner], value)  # noqa: UP045  a union made at run time
        for inner, value in (
            (str, None), (str, ""), (str, "None"), (str, "\n"), (int, None), (int, 0), (float, None), (float, 0.0),
            (Decimal, None), (Decimal, Decimal("0.0")), (date, None), (date, date(2026, 1, 2)), (datetime, None),
            (datetime, datetime(2026, 1, 2, tzinfo=BERLIN)), (time, None), (time, time(1)), (timedelta, None),
            (timedelta, timedelta(0)), (UUID, None), (UUID, UUID(int=1)), (Colour, None), (Colour, Colour.RED),
            (Level, None), (Level, Level.LOW), (Literal["a"], None), (Literal["a"], "a"), (Path, None),
            (Path, Path("a")),
            (bytes, None), (Address, None), (Address, Address(city="Lund")), (list[int], None), (list[int], []),
            (dict[str, int], None), (dict[str, int], {}), (tuple[int, str], None), (tuple[int, str], (1, "a")),
        )
    ],
    (Address, Address(city="Lund", postcode="")), (Point, Point(x=1)),
    (Address, Address(city="a\nb", postcode="c\r\n")),
    (list[str], []), (list[str], ["", "a", "a", "b\n"]), (list[int], [3, 1, 2]), (list[Decimal], [Decimal("1.00")]),
    (list[list[int]], [[], [1, 2], []]), (list[Address], [Address(city="Lund"), Address(city="Malmö", postcode="1")]),
    (list[int | None], [None, 0]), (list[Address | None], [None, Address(city="Lund")]), (list[bool], [True, False]),
    (tuple[int, ...], (1, 2)), (tuple[int, str], (1, "a")), (tuple[Address, ...], (Address(city="Lund"),)),
    (set[str], {"b", "a", "c"}), (frozenset[int], frozenset({3, 1})), (frozenset[Point], frozenset({Point(x=1)})),
    (set[Colour], {Colour.RED, Colour.GREEN}), (Sequence[int], [1]), (Sequence[int], (1,)),
    (dict[str, int], {"b": 1, "a": 2, "": 3, "x.y:z": 4}), (dict[int, Address], {7: Address(city="Lund")}),
    (dict[date, Decimal], {date(2026, 1, 1): Decimal("1.0")}), (dict[Mood, list[str]], {Mood.CALM: ["a", ""]}),
    (dict[tuple[int, str], str], {(1, "a"): "x"}),
    (int | str, 5), (int | str, "5"), (int | str | None, None), (str | None | int, ""), (float | int, 1.0),
    (float | int, 1),
    (bool | int, True), (bool | int, 1), (Decimal | str, "1.0"), (date | datetime, datetime(2026, 1, 1)),
    (date | datetime, date(2026, 1, 1)), (Cat | Dog, Dog(name="Rex")), (Cat | Dog, Cat()), (Cat | Dog | None, None),
    (Annotated[Cat | Dog, Field(discriminator="kind")], Dog(name="Rex")), (list[Cat | Dog], [Cat(), Dog(name="a")]),
    (list[int] | int, [1]), (list[int] | dict[str, int], {"a": 1}), (Colour | str, "red"), (Colour | str, Colour.RED),
    (Literal["x"] | int, "x"), (Literal["x"] | int, 3), (bytes | int, b"a"),
    (Tree, Tree(label="a", left=Tree(label="b"), branches=[Tree(label="c", left=Tree(label="d"))])),
    (Any, {"a": [1, 2.5, None, "x"]}), (Any, None), (Any, Decimal("1.0")), (Any, (1, 2)), (object, "x"),
    (Any, "half\ud83d"),
    (dict[str, Any], {"a": {1: 2}}), (list, [1, "a"]), (dict, {"a": 1}),
    (RootModel[list[int]], RootModel[list[int]]([1])),
]  # fmt: skip


def with_field(annotation: Any, value: Any, **more: Any) -> BaseModel:
    """A model with the one field `x`, made without validation: what is tested is the form."""
    return create_model("Model", x=(annotation, ...), **more).model_construct(x=value)


def _name(case: tuple[Any, Any]) -> str:
    annotation, value = case
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)  # Processes that share the tests have to agree on their names.
    shown = re.sub(r"<class '(\w+\.)*(\w+)'>|typing\.", r"\2", str(annotation))
    return (
        f"{shown}={ascii(value) if len(str(ascii(value))) < 40 else 'long'}" if not _is_huge(value) else f"{shown}=huge"
    )


def _is_huge(value: Any) -> bool:
    return isinstance(value, int) and value.bit_length() > 14_000


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=map(_name, VALUES))
def test_a_form_that_nobody_edited_gives_an_equal_value_of_the_same_type(annotation: Any, value: Any) -> None:
    initial = with_field(annotation, value)
    form = ModelForm(type(initial), initial, data=submitted(ModelForm(type(initial), initial)))

    assert form.changes == []
    assert not form.is_edited
    assert form.action == ""
    assert form.is_valid(), form.errors
    assert form.value == initial
    assert form.value.x is value


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=map(_name, VALUES))
def test_each_field_keeps_its_value_when_another_one_is_edited(annotation: Any, value: Any) -> None:
    initial = with_field(annotation, value, other=(int, 1))
    blank = ModelForm(type(initial), initial)
    form = ModelForm(type(initial), initial, data=submitted(blank, {"form.other": "2"}))

    assert form.is_valid(), form.errors
    assert form.value.other == 2
    assert type(form.value.x) is type(value)
    assert form.value.x is value
    assert [change.path for change in form.changes] == ["other"]


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=map(_name, VALUES))
def test_what_a_person_types_again_from_the_page_is_read_as_the_same_value(annotation: Any, value: Any) -> None:
    """As the test before, but the form that takes the POST knows another initial value, so every text is parsed."""
    initial = with_field(annotation, value)
    other = _another(annotation, value)
    if other is None or (isinstance(value, str) and ("half" in value or "nul" in value)):
        return
    data = submitted(ModelForm(type(initial), initial))
    form = ModelForm(type(initial), type(initial).model_construct(x=other), data=data)

    got = form.draft.x
    if annotation is str:
        # A browser has one kind of line end.
        value = value.replace("\r\n", "\n").replace("\r", "\n")
    assert form.errors == {}
    assert type(got) is type(value)
    assert got == value or (got != got and value != value)
    if isinstance(value, Decimal | float):
        assert str(got) == str(value)


def _another(annotation: Any, value: Any) -> Any:
    """Some other value whose form has the same controls."""
    if annotation is str:
        return "something else entirely"
    if annotation in (int, float, Decimal):
        return annotation(12_345)
    if annotation is date:
        return date(2000, 2, 3)
    if annotation is timedelta:
        return timedelta(5, 4)
    if annotation is UUID:
        return UUID(int=77)
    if annotation is datetime and value.fold == 0:
        return datetime(2000, 2, 3, tzinfo=UTC)
    if annotation in (Colour, Level, Mood, bool):
        return next(item for item in (annotation if annotation is not bool else (True, False)) if item != value)
    return None
