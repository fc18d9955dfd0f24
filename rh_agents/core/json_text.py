"""JSON text: the same text for the same value, with orjson or without it."""

import json
import math
import re
from collections.abc import Callable
from typing import Any

try:
    import orjson

    _has_orjson = True
except ImportError:
    _has_orjson = False

# orjson refuses more than 254 levels; the rest is for the few levels that a tagged leaf adds.
MAX_DEPTH = 240

_SMALL_FLOAT_OR_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.]*e-0\d')


def plain_dumps(tree: Any) -> str:
    """What `dumps` does when orjson is missing."""
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False)
    # Python writes 1e-05 and 1e-07 where orjson writes 0.00001 and 1e-7; fingerprints must not tell them apart.
    return _SMALL_FLOAT_OR_STRING.sub(_as_orjson_writes_it, text) if "e-0" in text else text


def plain_loads(text: str) -> Any:
    """What `loads` does when orjson is missing; as strict as orjson about surrogates, NaN and infinities."""
    text.encode()
    value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    if "\\ud" in text or "\\uD" in text:
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _dumps(tree: Any) -> str:
    return orjson.dumps(tree).decode()


fast_dumps: Callable[[Any], bytes] | None = orjson.dumps if _has_orjson else None

dumps: Callable[[Any], str] = _dumps if _has_orjson else plain_dumps
"""The text of a tree of dict (str keys), list, str, int of 64 bits, finite float, bool and None."""

loads: Callable[[str], Any] = orjson.loads if _has_orjson else plain_loads
"""The tree of a text. Raises ValueError (RecursionError without orjson) for what is no JSON."""


def _as_orjson_writes_it(match: re.Match[str]) -> str:
    token = match.group()
    if token.startswith('"'):
        return token
    digits, exponent = token.split("e-0")
    if exponent != "5":
        return f"{digits}e-{exponent}"
    sign = "-" if digits.startswith("-") else ""
    return f"{sign}0.0000{digits.lstrip('-').replace('.', '')}"


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:40]} is infinite as a float")
    return number


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
