"""Saved values for people: readable JSON and the name of the type, in a process that has none of the classes."""

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from rh_agents.core.errors import SerializationError
from rh_agents.core.serialization import artifact_reference, encode, to_plain, type_name
from tests.rh_agents.serialization_samples import (
    BERLIN,
    VALUES,
    Bits,
    Box,
    Colour,
    Frozen,
    Line,
    Order,
    Pair,
    Point,
    Rights,
    Size,
    Tags,
    open_model,
)

HERE = "tests.rh_agents.serialization_samples"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"a": [1, None, 0.5]}, {"a": [1, None, 0.5]}),
        (Order(number="A", lines=[Line(sku="x", price=Decimal("1.20"))]),
         {"number": "A", "lines": [{"sku": "x", "price": "1.20"}], "note": None}),
        (open_model(), {"name": "Ada", "$t": "extra", "born": "1815-12-10"}),
        (Tags(["a"]), ["a"]),
        (Frozen("a", VALUES["date"]), {"name": "a", "when": "9999-12-31"}),
        (Pair(1, (2,)), {"left": 1, "right": [2]}),
        ([Colour.RED, Colour.GREEN, Colour.CALL, Size.SMALL], ["red", ["g", 2], "CALL", 1]),
        ([Rights.READ | Rights.WRITE, Bits(8)], ["READ|WRITE", 8]),
        ({1: "a", (2, 3): {4}}, {"1": "a", "[2,3]": [4]}),
        ({1: "a", "1": "b"}, [[1, "a"], ["1", "b"]]),
        ({"$t": "decimal", "v": "1"}, {"$t": "decimal", "v": "1"}),
        ([b"abc", bytearray(b"a"), b""],
         ["bytes, 3 bytes, 41ccf6a7", "bytearray, 1 byte, 00c605f9", "bytes, 0 bytes, 1271cf25"]),
        (datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN), "2026-10-25T02:30:00+01:00"),
        ([timedelta(days=1, seconds=2), timezone(timedelta(hours=2)), BERLIN],
         ["1 day, 0:00:02", "UTC offset 2:00:00", "Europe/Berlin"]),
        ([complex(1, float("inf")), float("nan"), 2**70], ["(1+infj)", "nan", str(2**70)]),
        ([range(3), {3, 1}, Line, Box[int]], ["range(0, 3, 1)", [1, 3], f"{HERE}:Line", f"{HERE}:Box[int]"]),
        ("a\x00b", "a\\u0000b"),
    ],
)  # fmt: skip
def test_a_saved_value_reads_as_plain_json(value: Any, plain: Any) -> None:
    assert to_plain(encode(value)) == plain


@pytest.mark.parametrize("name", VALUES)
def test_every_view_is_plain_json_that_any_store_holds(name: str) -> None:
    text = json.dumps(to_plain(encode(VALUES[name])), ensure_ascii=False, allow_nan=False)
    assert "\\u0000" not in text.replace("\\\\", "")
    assert text.encode()


def test_bytes_that_differ_look_different() -> None:
    assert to_plain(encode(b"abc")) != to_plain(encode(b"abd"))


def test_what_a_dataclass_keeps_beside_its_fields_is_shown() -> None:
    assert to_plain(encode(Point(1)))["beside_the_fields"] == [1, "kept"]


@pytest.mark.parametrize(
    "tree",
    [{"$t": "hologram", "v": [1]}, {"$t": 5}, {"$t": "model", "v": 3},
     {"$t": "range", "v": 1}, {"$t": "timedelta", "v": ["x", 1, 2]}],
    ids=str,
)  # fmt: skip
def test_an_unknown_tag_or_shape_is_shown_as_it_stands(tree: Any) -> None:
    assert to_plain(json.dumps([tree])) == [tree]


def test_a_text_deeper_than_any_value_is_cut_and_not_an_error() -> None:
    assert json.dumps(to_plain("[" * 900 + "]" * 900)).count("[") == 251


def test_what_is_no_json_is_refused() -> None:
    for view in (to_plain, type_name):
        with pytest.raises(SerializationError, match="no JSON"):
            view("nonsense"[1:])


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "None"), (True, "bool"), (1, "int"), (-0.5, "float"), ("a", "str"), ([1], "list"), ({"a": 1}, "dict"),
        ({"a": Decimal(1)}, "dict"), (Decimal(1), "decimal"), ({1: 2}, "dict"), (2**70, "int"), ({1}, "set"),
        (Line(sku="x", price=1), f"{HERE}:Line"), (Colour.RED, f"{HERE}:Colour"), (Point(1), f"{HERE}:Point"),
        (Box[int](content=1), f"{HERE}:Box[int]"), (Box[str | None](content=None), f"{HERE}:Box[str | None]"),
        (Line, f"type[{HERE}:Line]"),
    ],
)  # fmt: skip
def test_the_type_of_a_saved_value_is_named(value: Any, name: str) -> None:
    text = encode(value)
    assert type_name(text) == name
    # A database may order the keys anew.
    assert type_name(json.dumps(json.loads(text), sort_keys=True, indent=1)) == name


def test_a_reference_to_an_artifact_is_named_and_shown() -> None:
    assert type_name(artifact_reference("abc")) == "artifact"
    assert to_plain(artifact_reference("abc")) == "artifact abc"
