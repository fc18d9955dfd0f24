"""Texts that nobody should trust: reading one gives a value or a SerializationError, and never does anything else."""

import json
import sys
import types
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from rh_agents.core.coding import readers
from rh_agents.core.errors import SerializationError
from rh_agents.core.serialization import decode, encode, register_type, to_plain, type_name
from tests.rh_agents.serialization_samples import VALUES, Line, Point

HERE = "tests.rh_agents.serialization_samples"

NO_VALUE: dict[str, tuple[str, str]] = {
    "nothing": ("", "no JSON"),
    "half": ('{"a":', "no JSON"),
    "two values": ("1 2", "no JSON"),
    "NaN": ("NaN", "no JSON"),
    "infinite number": ("1e999", "no JSON"),
    "lone surrogate in the text": ('"\ud800"', "no JSON"),
    "lone surrogate escaped": ('"\\ud800"', "no JSON"),
    "lists without end": ("[" * 100_000, "no JSON|too deep"),
    "lists very deep": ("[" * 100_000 + "]" * 100_000, "no JSON|too deep"),
    "unknown tag": ('{"a":[{"$t":"lambda","v":"1"}]}', r"value\.a\[0\]: 'lambda' is no known tag"),
    "tag of no text": ('{"$t":["decimal"]}', "no known tag"),
    "tag that is null": ('{"$t":null,"v":1}', "no known tag"),
    "value is missing": ('{"$t":"decimal"}', "wrong shape"),
    "more than there should be": ('{"$t":"decimal","v":"1","x":2}', "wrong shape"),
    "number for a decimal": ('{"$t":"decimal","v":1}', "a text was expected, not 1"),
    "no decimal": ('{"$t":"decimal","v":"abc"}', "a decimal cannot be read"),
    "no float": ('{"$t":"float","v":"1.5"}', "a float cannot be read"),
    "no int": ('{"$t":"int","v":"1_000"}', "an int was expected"),
    "int of too many digits": ('{"$t":"int","v":"' + "9" * 100_000 + '"}', "an int was expected"),
    "no date": ('{"$t":"date","v":"2026-02-30"}', "a date cannot be read"),
    "no time zone": ('{"$t":"datetime","v":"2026-01-01","tz":"x"}', "a datetime cannot be read"),
    "time zone outside of the database": ('{"$t":"zoneinfo","v":"../../etc/passwd"}', "a zoneinfo cannot be read"),
    "time zone that is a folder": ('{"$t":"zoneinfo","v":"Europe"}', "a zoneinfo cannot be read"),
    "no base64": ('{"$t":"bytes","v":"YQ=!"}', "a bytes cannot be read"),
    "bad escape": ('{"$t":"str","v":"\\\\q"}', "a backslash that escapes nothing"),
    "list as a key": ('{"$t":"dict","v":[[[1],2]]}', "a dict cannot be read"),
    "pairs of three": ('{"$t":"dict","v":[[1,2,3]]}', "a key and a value was expected"),
    "list in a set": ('{"$t":"set","v":[[1]]}', "a set cannot be read"),
    "text for a list": ('{"$t":"tuple","v":"abc"}', "a list was expected, not 'abc'"),
    "range of step zero": ('{"$t":"range","v":[1,2,0]}', "a range cannot be read"),
    "factory that is no type": ('{"$t":"defaultdict","factory":"eval","v":[]}', "a defaultdict cannot be read"),
    "class not loaded": ('{"$t":"model","c":"antigravity:Egg","v":{}}', "antigravity:Egg is not loaded here"),
    "class without a module": ('{"$t":"model","c":"Egg","v":{}}', "does not name a class"),
    "class by a number": ('{"$t":"model","c":7,"v":{}}', "does not name a class"),
    "function for a class": ('{"$t":"model","c":"os:system","v":{}}', "os:system is not loaded"),
    "class of another kind": ('{"$t":"model","c":"subprocess:Popen","v":{}}', "subprocess.Popen is not what a model"),
    "enum for a model": (f'{{"$t":"model","c":"{HERE}:Colour","v":{{}}}}', "Colour is not what a model can be"),
    "class as a value": ('{"$t":"class","v":"subprocess:Popen"}', "Popen is not what a class can be"),
    "generic filled with nonsense": (
        f'{{"$t":"class","v":{{"of":"{HERE}:Box","args":[[]]}}}}',
        "does not name a class",
    ),
    "no generic class": (f'{{"$t":"class","v":{{"of":"{HERE}:Line","args":["builtins:int"]}}}}', "no generic class"),
    "fields that are no object": (f'{{"$t":"model","c":"{HERE}:Line","v":[1]}}', "an object was expected"),
    "fields that are missing": (f'{{"$t":"model","c":"{HERE}:Line","v":{{"sku":"a"}}}}', "price\n  Field required"),
    "member that is missing": (f'{{"$t":"enum","c":"{HERE}:Colour","n":"BLUE"}}', "Colour has no member 'BLUE'"),
    "flag of no bits": (f'{{"$t":"flag","c":"{HERE}:Rights","n":null,"v":"x"}}', "a flag cannot be read"),
    "array of objects as bytes": (
        '{"$t":"ndarray","dtype":"|O8","shape":[1],"bytes":"AAAAAAAAAAA="}',
        "without objects",
    ),
    "array larger than its bytes": ('{"$t":"ndarray","dtype":"<f8","shape":[99999999999],"bytes":""}', "bytes"),
    "array of items without size": (
        '{"$t":"ndarray","dtype":"|V0","shape":[99999999999],"bytes":""}',
        "cannot be read",
    ),
    "array of another shape": ('{"$t":"ndarray","dtype":"<f8","shape":[2],"v":[1.0]}', "2 of type float"),
    "array of negative shape": ('{"$t":"ndarray","dtype":"<f8","shape":[-1,-1],"v":[1.0]}', "a shape was expected"),
    "array of other things": ('{"$t":"ndarray","dtype":"|b1","shape":[1],"v":["x"]}', "1 of type bool was expected"),
    "dtype of no kind": ('{"$t":"ndarray","dtype":"f8,O","shape":[0],"v":[]}', "a dtype was expected"),
    "frame of no arrays": ('{"$t":"dataframe","columns":1,"index":2,"v":[3]}', "an index was expected, not 1"),
    "periods of no dimension": (
        '{"$t":"index","v":{"$t":"periods","freq":"D","v":-1}}',
        "an array was expected, not -1",
    ),
    "index that is none": (
        '{"$t":"series","index":[0],"v":{"$t":"ndarray","dtype":"<i8","shape":[1],"v":[1]}}',
        "an index was",
    ),
    "timestamp of no ticks": ('{"$t":"timestamp","v":"","ticks":"1","unit":"ns"}', "an int was expected"),
    "artifact without a loader": ('{"$t":"artifact","v":"abc"}', "no way to load it"),
}


@pytest.mark.parametrize("name", NO_VALUE)
def test_a_text_that_is_no_value_is_refused_with_its_reason(name: str) -> None:
    text, message = NO_VALUE[name]
    with pytest.raises(SerializationError, match=message) as refusal:
        decode(text)
    assert len(str(refusal.value)) < 1000


@pytest.mark.parametrize("text", [None, 1, b"1", b'"\xff"'])
def test_only_text_is_decoded(text: Any) -> None:
    with pytest.raises(SerializationError, match="a text is decoded"):
        decode(text)


def test_nesting_beyond_what_is_written_never_overflows() -> None:
    for levels in (300, 400, 1000, 50_000):
        text = '{"$t":"tuple","v":[' * levels + "]}" * levels
        try:
            decode(text)
        except SerializationError:
            continue
        assert levels < 1000


def test_a_class_is_never_imported_to_read_a_text() -> None:
    assert "this" not in sys.modules
    with pytest.raises(SerializationError, match="is not loaded here"):
        decode('{"$t":"model","c":"this:Zen","v":{}}')
    assert "this" not in sys.modules


def test_no_module_or_class_is_asked_for_an_attribute_it_would_make_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Lazy(types.ModuleType):
        def __getattribute__(self, name: str) -> Any:
            asked.append(name)
            return Line

    class Meta(type):
        def __getattr__(cls, name: str) -> Any:
            asked.append(name)
            return {}

    module = types.ModuleType("plain")
    module.__dict__["__getattr__"] = asked.append
    module.__dict__["Holder"] = Meta("Holder", (), {"__module__": "plain", "Inner": Line})
    monkeypatch.setitem(sys.modules, "lazy", Lazy("lazy"))
    monkeypatch.setitem(sys.modules, "plain", module)
    monkeypatch.setitem(sys.modules, "odd", Line)  # type: ignore[arg-type]
    for name in ("lazy:Line", "plain:Line", "plain:Holder", "plain:Holder.Made", "odd:Line", "odd:__class__"):
        for tag in ("model", "dataclass", "namedtuple"):
            with pytest.raises(SerializationError):
                decode(f'{{"$t":"{tag}","c":"{name}","v":{{}}}}')
    assert asked == []
    assert decode('{"$t":"class","v":"plain:Holder.Inner"}') is Line


def test_reading_a_value_calls_no_constructor() -> None:
    made = []

    class Noisy(BaseModel):
        a: int

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            made.append("new")
            return super().__new__(cls)

        def model_post_init(self, context: Any) -> None:
            made.append("post init")

        def __setattr__(self, name: str, value: Any) -> None:
            made.append("set")

    register_type(Noisy)
    text = encode([Noisy(a=1), Point(1)])
    made.clear()
    noisy, point = decode(text)
    assert made == []
    assert (noisy.a, point.norm) == (1, Point(1).norm)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    array, series = encode(np.arange(3)), encode(pd.Series([1]))
    monkeypatch.setitem(sys.modules, "pandas", None)  # type: ignore[arg-type]
    with pytest.raises(SerializationError, match="pandas is not loaded here; import it"):
        decode(series)
    monkeypatch.setitem(sys.modules, "numpy", None)  # type: ignore[arg-type]
    with pytest.raises(SerializationError, match="numpy is not loaded here; import it"):
        decode(array)
    assert decode(encode(Decimal(1))) == 1


TREES = [json.loads(encode(value)) for value in VALUES.values()] + [
    json.loads(encode(value))
    for value in (
        np.arange(3.0), np.array([1, None]), np.float32(1), np.str_("a"), np.zeros((50, 50)), pd.NaT, pd.Timedelta(1),
        pd.DataFrame({"a": [1, None], "b": ["x", "y"], "c": pd.array([1, None], dtype="Int64")}), pd.cut([1, 2], 2),
        pd.Timestamp("2026", tz="UTC"), pd.Series(pd.Categorical(["a"])), pd.date_range("2026", periods=2, tz="UTC"),
        pd.MultiIndex.from_tuples([(1, "a")]), pd.period_range("2026", periods=2, freq="D"), pd.Interval(0, 1),
    )
]  # fmt: skip


def _parts(tree: Any) -> list[Any]:
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [tree, *(part for item in inner for part in _parts(item))]


PARTS = [part for tree in TREES for part in _parts(tree)]
NODES = [part for part in PARTS if isinstance(part, dict) and "$t" in part]
OTHER = st.sampled_from(PARTS) | st.sampled_from(
    [None, -1, 2**40, "", "x", 0.5, [], {}, [[]], {"a": 1}, "builtins:int"]
)


def _copy(tree: Any) -> Any:
    return json.loads(json.dumps(tree))


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A saved value in which one or two parts were dropped, or replaced by parts of others."""
    tree = _copy(draw(st.sampled_from(NODES)))
    for _ in range(draw(st.integers(1, 2))):
        spots = [part for part in _parts(tree) if isinstance(part, dict | list) and part]
        if not spots:
            break
        spot = draw(st.sampled_from(spots))
        key = draw(st.sampled_from([*(spot if isinstance(spot, dict) else range(len(spot)))]))
        act = draw(st.sampled_from(["replace", "tag", "drop", "add"]))
        if act == "drop":
            del spot[key]
        elif isinstance(spot, dict) and act == "tag":
            spot["$t"] = draw(st.sampled_from(sorted(readers)))
        else:
            added = st.sampled_from(["v", "c", "more", "extra", "set", "partial", "tz", "fold", "bytes"])
            spot[draw(added) if isinstance(spot, dict) and act == "add" else key] = _copy(draw(OTHER))
    return json.dumps(tree)


@settings(max_examples=1500, deadline=None)
@given(damaged())
def test_a_damaged_text_gives_a_value_or_is_refused(text: str) -> None:
    assert type_name(text)
    json.dumps(to_plain(text), allow_nan=False)
    try:
        decode(text)
    except SerializationError as refusal:
        assert str(refusal)


tags = st.sampled_from(sorted(readers))
trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=2), inner, max_size=2)
        | st.builds(lambda tag, fields: {"$t": tag, **fields}, tags, st.dictionaries(st.sampled_from("vcn"), inner))
    ),
    max_leaves=6,
)


@settings(max_examples=500, deadline=None)
@given(trees)
def test_any_json_gives_a_value_or_is_refused_and_can_be_shown(tree: Any) -> None:
    text = json.dumps(tree)
    assert type_name(text)
    json.dumps(to_plain(text), allow_nan=False)
    try:
        decode(text)
    except SerializationError as refusal:
        assert str(refusal)


@settings(max_examples=300, deadline=None)
@given(st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_any_text_gives_a_value_or_is_refused(text: str) -> None:
    try:
        decode(text)
    except SerializationError as refusal:
        assert str(refusal)
