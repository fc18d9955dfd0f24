"""Saved values: what is encoded comes back equal and of the same type, and what cannot be is refused by name."""

import io
import json
import subprocess
import sys
import threading
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, PrivateAttr, SecretStr

from rh_agents.core.errors import SerializationError
from rh_agents.core.json_text import MAX_DEPTH, dumps, plain_dumps, plain_loads
from rh_agents.core.serialization import (
    artifact_id,
    artifact_reference,
    decode,
    decode_artifact,
    encode,
    encode_artifact,
    fingerprint,
    referenced_artifact,
    register_type,
)
from tests.rh_agents.serialization_samples import VALUES, Colour, Line, Order, Pair, Point, Size, same

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_equal_and_of_the_same_type(name: str) -> None:
    value = VALUES[name]
    back = decode(encode(value))
    assert same(back, value), (value, back)
    assert encode(back) == encode(value)


@pytest.mark.parametrize("name", VALUES)
def test_the_text_is_ordinary_json_without_nul(name: str) -> None:
    text = encode([VALUES[name]])
    json.loads(text.encode(), parse_constant=pytest.fail)
    assert "\\u0000" not in text.replace("\\\\", "")


def test_plain_json_stays_as_it_is() -> None:
    assert encode({"a": [1, 2.5, None, True, "é"]}) == '{"a":[1,2.5,null,true,"é"]}'
    assert encode(Decimal("1.20")) == '{"$t":"decimal","v":"1.20"}'


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters()), st.binary(), st.decimals(),
    st.datetimes(timezones=st.none() | st.timezones()), st.dates(), st.times(), st.timedeltas(), st.uuids(),
    st.complex_numbers(), st.fractions(), st.sampled_from(Colour), st.sampled_from(Size), st.ip_addresses(),
)  # fmt: skip
keys = st.text(max_size=3) | st.just("$t") | st.integers() | st.tuples(st.booleans()) | st.sampled_from(Size)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(st.just("$t") | st.sampled_from("vc"), inner | st.sampled_from(["model", "tuple"]), max_size=3),
        st.frozensets(st.integers() | st.text(max_size=2) | st.dates(), max_size=4),
        st.sets(st.binary(max_size=2) | st.booleans() | st.tuples(st.integers()), max_size=4),
        st.builds(Pair, inner, inner),
        st.builds(lambda x, seen: Point(x, seen=seen), st.integers(-100, 100), st.lists(inner, max_size=2)),
        st.builds(
            Order,
            number=st.text(max_size=3),
            lines=st.lists(st.builds(Line, sku=st.text(), price=st.decimals(allow_nan=False, allow_infinity=False))),
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(values)
def test_any_value_comes_back_equal_and_of_the_same_type(value: Any) -> None:
    text = encode(value)
    assert same(decode(text), value)
    assert encode(decode(text)) == text


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_json_is_the_same_text_with_and_without_orjson(tree: Any) -> None:
    assert plain_dumps(tree) == dumps(tree)
    assert same(plain_loads(dumps(tree)), tree)


def test_a_process_without_orjson_writes_the_same_texts_and_reads_them() -> None:
    program = """
import sys
sys.modules["orjson"] = None
from rh_agents.core import json_text
assert json_text.fast_dumps is None
from rh_agents.core.serialization import decode, encode, fingerprint
from tests.rh_agents.serialization_samples import VALUES, same
for line, (name, value) in zip(sys.stdin.read().split("\\n"), VALUES.items(), strict=True):
    print(encode(value) == line and same(decode(line), value), fingerprint(value), name)
"""
    texts = "\n".join(encode(value) for value in VALUES.values())
    assert _run(program, texts) == [f"True {fingerprint(value)} {name}" for name, value in VALUES.items()]


def test_the_text_does_not_depend_on_the_process() -> None:
    program = """
from rh_agents.core.serialization import fingerprint
from tests.rh_agents.serialization_samples import VALUES
for name, value in VALUES.items():
    print(fingerprint(value), name)
"""
    assert _run(program, hash_seed="7") == [f"{fingerprint(value)} {name}" for name, value in VALUES.items()]


def test_numpy_and_pandas_are_not_imported_by_the_engine() -> None:
    program = """
import sys
from rh_agents.core.serialization import decode, encode
encode({1, (2, object)} - {(2, object)})
print("numpy" in sys.modules, "pandas" in sys.modules)
"""
    assert _run(program) == ["False False"]


def _run(program: str, stdin: str = "", hash_seed: str = "1") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", program], input=stdin, encoding="utf-8", capture_output=True, check=False,
        cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n").split("\n")


# What is refused


class Unknown:
    pass


class Text(str):
    __slots__ = ()


class Keeper(BaseModel):
    _lock: Any = PrivateAttr(default_factory=threading.Lock)


class Zone(tzinfo):
    pass


@dataclass
class Failure(Exception):
    reason: str


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def endless() -> Any:
    order: dict[str, Any] = {"lines": [1]}
    order["lines"].append(order)
    return {"order": order}


REFUSED: dict[str, tuple[Any, str]] = {
    "open file": ({"orders": [0, 1, 2, {"handle": io.StringIO()}]}, r"result\.orders\[3\]\.handle: .*_io\.StringIO"),
    "function": (lambda: 1, "result: .*function"),
    "object": (Unknown(), r"result: .*Unknown"),
    "class of no saved kind": (object, "result: the class object"),
    "in a dict of odd keys": ({"a b": {1: Unknown()}}, r"result\['a b'\]\[1\]: .*Unknown"),
    "as a key": ({Unknown(): 1}, r"result<the key .*>: .*Unknown"),
    "in a named tuple": (Pair(1, (Unknown(),)), r"result\.right\[0\]: .*Unknown"),
    "in a dataclass": (Point(1, seen=[Unknown()]), r"result\.seen\[0\]: .*Unknown"),
    "in a model": (Order.model_construct(number=Unknown()), r"result\.number: .*Unknown"),
    "private attribute": (Keeper(), r"result\._lock: .*_thread\.lock"),
    "subclass of str": (Text("a"), r"result: .*Text cannot be written; it would come back as a plain str"),
    "subclass of list": ({"k": [type("Numbers", (list,), {})()]}, r"result\.k\[0\]: .*plain list"),
    "secret": (SecretStr("x"), "result: .*SecretStr"),
    "dataclass that is an exception": (Failure("x"), "result: the dataclass .*Failure"),
    "defaultdict filled by a function": (defaultdict(lambda: 1), "result: a defaultdict filled by"),
    "foreign time zone": (datetime(2026, 1, 1, tzinfo=Zone()), "result: a time zone of type .*Zone"),
    "generator": ((item for item in [1]), "result: .*generator"),
    "cycle": (endless(), r"result\.order\.lines\[1\]: the value holds itself"),
    "one level too deep": (deep(MAX_DEPTH + 1), "result.*: nested deeper than 240"),
    "much too deep": (deep(100_000), "result.*: nested deeper than 240"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_written_is_refused_by_place_and_type(name: str) -> None:
    value, message = REFUSED[name]
    with pytest.raises(SerializationError, match=f"^{message}"):
        encode(value, where="result")


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: {"a": v}, lambda v: (v,), lambda v: {1: v}, Pair], ids=str)
def test_whatever_depth_is_written_can_be_read(wrap: Any) -> None:
    value: Any = None
    while True:
        try:
            text = encode(value)
        except SerializationError:
            break
        value = wrap(value)
    assert encode(decode(text)) == text


def test_a_value_that_fails_while_it_is_read_is_refused() -> None:
    class Moody(dict[str, int]):
        pass

    class Strange(BaseModel):
        def __getattribute__(self, name: str) -> Any:
            raise ZeroDivisionError("not today")

    strange = object.__new__(Strange)
    with pytest.raises(SerializationError, match="Moody"):
        encode(Moody())
    with pytest.raises(SerializationError, match="not today"):
        encode(strange)
    assert len(fingerprint(strange)) == 32


# Classes that come and go


def test_a_class_made_inside_a_function_is_found_while_it_lives() -> None:
    class Local(BaseModel):
        a: int

    text = encode(Local(a=1))
    assert type(decode(text)) is Local
    assert decode(text) == Local(a=1)


def test_the_latest_registered_class_of_a_name_is_found() -> None:
    def make() -> type[BaseModel]:
        class Local(BaseModel):
            a: int

        return register_type(Local)

    first = make()
    text = encode(first(a=1))
    second = make()
    assert type(decode(text)) is second


def test_a_class_is_not_kept_alive_by_having_been_encoded() -> None:
    program = """
import gc, weakref
from dataclasses import dataclass
from pydantic import BaseModel
from rh_agents.core.serialization import encode
def make():
    class Local(BaseModel):
        a: int
    @dataclass(slots=True)
    class Data:
        a: int
    encode([Local(a=1), Data(1), Local])
    return weakref.ref(Local), weakref.ref(Data)
refs = make()
gc.collect()
print([ref() for ref in refs])
"""
    assert _run(program) == ["[None, None]"]


def _renamed(text: str, cls: type) -> str:
    """The text as if it had been written by `cls` when it still looked otherwise."""
    register_type(cls)
    tree = json.loads(text)
    tree["c"] = f"{cls.__module__}:{cls.__qualname__}"
    return json.dumps(tree)


def test_a_model_that_has_changed_is_validated() -> None:
    class Later(BaseModel):
        sku: str
        amount: int = 1
        price: Decimal

    back = decode(_renamed(encode(Line(sku="x", price=Decimal("1.20"))), Later))
    assert back == Later(sku="x", price=Decimal("1.20"))
    assert back.model_fields_set == {"sku", "price"}


def test_a_model_that_no_longer_fits_is_refused() -> None:
    class Later(BaseModel):
        sku: int
        amount: int

    with pytest.raises(SerializationError, match="Later has changed since this was saved"):
        decode(_renamed(encode(Line(sku="x", price=Decimal(1))), Later))


def test_a_dataclass_that_has_changed_gets_its_defaults_or_is_refused() -> None:
    @dataclass
    class Later:
        x: int
        more: list[int] = field(default_factory=lambda: [7])

    @dataclass
    class Stricter:
        x: int
        z: int

    text = encode(Point(3))
    assert decode(_renamed(text, Later)) == Later(3)
    with pytest.raises(SerializationError, match="z is missing"):
        decode(_renamed(text, Stricter))


def test_a_named_tuple_that_has_changed_gets_its_defaults_or_is_refused() -> None:
    later, stricter = namedtuple("Later", "right left new", defaults=[5]), namedtuple("Stricter", "left new")
    text = encode(Pair(1, 2))
    assert decode(_renamed(text, later)) == later(left=1, right=2, new=5)
    with pytest.raises(SerializationError, match="new is missing"):
        decode(_renamed(text, stricter))


# Fingerprints, references, artifacts


def test_fingerprints_tell_values_apart_and_not_orders_of_sets() -> None:
    assert fingerprint({"b", "a", 3}) == fingerprint({3, "a", "b"})
    assert fingerprint(1) != fingerprint(1.0) != fingerprint("1.0")
    assert fingerprint((1,)) != fingerprint([1])


def test_a_reference_is_told_from_a_dict_that_looks_like_one() -> None:
    reference = artifact_reference("abc")
    assert referenced_artifact(reference) == "abc"
    assert referenced_artifact(encode({"$t": "artifact", "v": "abc"})) is None
    assert referenced_artifact('{"$t":"artifact",') is None
    assert referenced_artifact("1") is None


def test_a_reference_is_loaded_wherever_it_stands() -> None:
    loaded = {"abc": Decimal("1.20")}
    text = f'{{"a":[{artifact_reference("abc")}]}}'
    assert decode(text, load_artifact=loaded.get) == {"a": [Decimal("1.20")]}
    with pytest.raises(SerializationError, match=r"value\.a\[0\]: .*artifact abc, and no way to load it"):
        decode(text)
    with pytest.raises(SerializationError, match="artifact abc, which is missing"):
        decode(text, load_artifact={}.get)


def test_an_error_of_loading_an_artifact_reaches_the_caller_as_it_is() -> None:
    def fail(artifact_id: str) -> Any:
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        decode(f'{{"$t":"tuple","v":[{artifact_reference("abc")}]}}', load_artifact=fail)


@pytest.mark.parametrize(
    ("value", "key", "codec", "media_type"),
    [
        ("a,b", "rows.csv", "text", "text/csv"),
        ("# A\x00", "notes.MD", "text", "text/markdown"),
        ("text", "", "text", "text/plain"),
        ("\ud800", "notes.md", "json", "application/json"),
        (b"\x89PNG", "plots/a.b.png", "bytes", "image/png"),
        (b"", "data", "bytes", "application/octet-stream"),
        (Size.SMALL, "size.csv", "json", "application/json"),
        ({"a": Decimal(1)}, "result.json", "json", "application/json"),
        (None, "", "json", "application/json"),
    ],
)
def test_an_artifact_comes_back_with_its_media_type(value: Any, key: str, codec: str, media_type: str) -> None:
    encoded = encode_artifact(value, key=key)
    assert (encoded.codec, encoded.media_type) == (codec, media_type)
    assert same(decode_artifact(encoded.codec, encoded.payload), value)


def test_equal_artifacts_have_one_id_and_others_another() -> None:
    assert artifact_id(encode_artifact({"b", "a"})) == artifact_id(encode_artifact({"a", "b"}, key="x.json"))
    ids = {artifact_id(encode_artifact(value)) for value in ("1", b"1", 1, 1.0, [1])}
    assert len(ids) == 5
    assert all(len(found) == 64 for found in ids)


def test_pickles_are_made_and_read_only_when_allowed() -> None:
    value = OrderedDict(), Unknown
    with pytest.raises(SerializationError, match=r"artifact 'k'\[1\]: the class .*Unknown"):
        encode_artifact(value, key="k")
    encoded = encode_artifact(value, key="k", allow_pickle=True)
    assert decode_artifact("pickle", encoded.payload, allow_pickle=True) == value
    with pytest.raises(SerializationError, match="allow_pickle=True"):
        decode_artifact("pickle", encoded.payload)
    with pytest.raises(SerializationError, match="cannot be pickled"):
        encode_artifact(lambda: 1, allow_pickle=True)


@pytest.mark.parametrize(
    ("codec", "payload"),
    [("text", b"\xff"), ("json", b"\xff"), ("json", b"{"), ("zip", b""), ("", b""), ("pickle", b"x")],
)
def test_damaged_artifacts_are_refused(codec: str, payload: bytes) -> None:
    with pytest.raises(SerializationError):
        decode_artifact(codec, payload, allow_pickle=True)
