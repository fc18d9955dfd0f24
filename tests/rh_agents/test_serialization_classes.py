"""Classes of saved values that come and go: made in functions, registered, changed since the value was saved."""

import json
from collections import namedtuple
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from pydantic import BaseModel

from rh_agents.core.errors import SerializationError
from rh_agents.core.serialization import decode, encode, register_type
from tests.rh_agents.serialization_samples import Line, Pair, Point, run_python


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
    assert run_python(program) == ["[None, None]"]


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
