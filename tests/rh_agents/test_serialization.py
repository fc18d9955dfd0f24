"""Saved values: what is encoded comes back equal and of the same type, in every process."""

import json
from datetime import datetime, time, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from rh_agents.core.json_text import dumps, plain_dumps, plain_loads
from rh_agents.core.serialization import decode, encode, fingerprint
from tests.rh_agents.serialization_samples import VALUES, Colour, Line, Order, Pair, Point, Size, run_python, same


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


@pytest.mark.parametrize("offset", ["Z", "+05:30", "-11:59"])
def test_a_time_that_pydantic_read_from_json_is_written_like_any_other(offset: str) -> None:
    read = TypeAdapter(tuple[datetime, time]).validate_json(f'["2026-01-01T12:00:00{offset}", "12:00:00{offset}"]')
    back = decode(encode(read))
    assert back == read
    assert decode(encode(read[0].tzinfo)) == back[0].tzinfo
    assert encode(back) == encode(read)
    assert type(back[0].tzinfo) is timezone


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
    assert run_python(program, texts) == [f"True {fingerprint(value)} {name}" for name, value in VALUES.items()]


def test_the_text_does_not_depend_on_the_process() -> None:
    program = """
from rh_agents.core.serialization import fingerprint
from tests.rh_agents.serialization_samples import VALUES
for name, value in VALUES.items():
    print(fingerprint(value), name)
"""
    assert run_python(program, hash_seed="7") == [f"{fingerprint(value)} {name}" for name, value in VALUES.items()]


def test_numpy_and_pandas_are_not_imported_by_the_engine() -> None:
    program = """
import sys
from rh_agents.core.serialization import decode, encode
encode({1, (2, object)} - {(2, object)})
print("numpy" in sys.modules, "pandas" in sys.modules)
"""
    assert run_python(program) == ["False False"]


def test_fingerprints_tell_values_apart_and_not_orders_of_sets() -> None:
    assert fingerprint({"b", "a", 3}) == fingerprint({3, "a", "b"})
    assert fingerprint(1) != fingerprint(1.0) != fingerprint("1.0")
    assert fingerprint((1,)) != fingerprint([1])
