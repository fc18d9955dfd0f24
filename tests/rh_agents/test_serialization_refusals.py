"""Values that cannot be saved: each is refused by its place and type, and none is turned into something else."""

import io
import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

import pytest
from pydantic import BaseModel, PrivateAttr, SecretStr

from rh_agents.core.errors import SerializationError
from rh_agents.core.json_text import MAX_DEPTH
from rh_agents.core.serialization import decode, encode, fingerprint
from tests.rh_agents.serialization_samples import Order, Pair, Point


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


@pytest.mark.parametrize(
    "wrap",
    [lambda v: [v], lambda v: {"a": v}, lambda v: (v,), lambda v: {1: v}, Pair],
    ids="list dict tuple map pair".split(),
)
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
