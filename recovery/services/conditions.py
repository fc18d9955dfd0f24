"""Conditions of rules: what the arguments of a proposal have to be like."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from recovery.errors import InvalidInput
from recovery.services import patterns

CONDITIONS_AT_MOST = 20
VALUES_AT_MOST = 100
LONGEST_PATH = 200
LONGEST_VALUE = 500
WORDS = {
    "equals": "is",
    "not_equals": "is not",
    "below": "is below",
    "at_most": "is at most",
    "above": "is above",
    "at_least": "is at least",
    "one_of": "is one of",
    "matches": "matches",
}

_MISSING = object()
# As Python writes decimals. 007 is no number: what begins like that is somebody's name.
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d{0,99})(?:\.\d{1,100})?(?:[eE][+-]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Condition:
    """`path` is dotted, with a number for a place in a list: `items.0.price`."""

    path: str
    operator: str
    value: Any

    def holds(self, plain: Any) -> bool:
        """Whether it holds of the plain arguments; never where there is nothing at its path."""
        found = _at(plain, self.path)
        return found is not _MISSING and _OPERATORS[self.operator](found, self.value)


def read_conditions(raw: Any) -> list[Condition]:
    """Raises InvalidInput unless they are conditions, as `AutoRule.conditions` says."""
    if not isinstance(raw, list):
        raise _invalid(["They are not a list."])
    messages = [
        f"Condition {number}: {reason}" for number, one in enumerate(raw, start=1) if (reason := _why_invalid(one))
    ]
    if len(raw) > CONDITIONS_AT_MOST:
        messages.append(f"There are more than {CONDITIONS_AT_MOST}.")
    if messages:
        raise _invalid(messages)
    return [Condition(one["path"], one["is"], one["value"]) for one in raw]


def all_hold(conditions: Sequence[Condition], plain: Any) -> bool:
    return all(condition.holds(plain) for condition in conditions)


def number_of(value: Any) -> Decimal | None:
    """The number that a plain value is or that its text says; `None` for anything else, and for what is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = repr(value) if isinstance(value, float) else value if isinstance(value, str) else _text_of(value)
    return Decimal(text) if _DECIMAL.fullmatch(text) else None


def _text_of(number: int) -> str:
    # Python refuses to write out endless ones.
    return str(number) if number.bit_length() < 400 else ""


def _at(plain: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(plain, dict):
            plain = plain.get(part, _MISSING)
        elif isinstance(plain, list) and part.isascii() and part.isdigit() and len(part) < 7:
            plain = plain[int(part)] if int(part) < len(plain) else _MISSING
        else:
            return _MISSING
        if plain is _MISSING:
            return _MISSING
    return plain


# ---- Comparing ----


def _same(found: Any, value: Any) -> bool:
    mine, other = number_of(found), number_of(value)
    if mine is not None and other is not None:
        return mine == other
    return type(found) is type(value) and bool(found == value)


def _ordered(compare: Callable[[Decimal, Decimal], bool]) -> Callable[[Any, Any], bool]:
    def holds(found: Any, value: Any) -> bool:
        mine, other = number_of(found), number_of(value)
        return mine is not None and other is not None and compare(mine, other)

    return holds


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": _same,
    "not_equals": lambda found, value: not _same(found, value),
    "below": _ordered(lambda mine, other: mine < other),
    "at_most": _ordered(lambda mine, other: mine <= other),
    "above": _ordered(lambda mine, other: mine > other),
    "at_least": _ordered(lambda mine, other: mine >= other),
    "one_of": lambda found, values: any(_same(found, value) for value in values),
    "matches": lambda found, pattern: isinstance(found, str) and patterns.matches(pattern, found),
}


# ---- Checking ----


def _why_invalid(raw: Any) -> str:
    if not isinstance(raw, dict) or set(raw) != {"path", "is", "value"}:
        return "It takes a path, an is and a value."
    path, operator, value = raw["path"], raw["is"], raw["value"]
    if not isinstance(path, str) or not path or len(path) > LONGEST_PATH or not all(path.split(".")):
        return "The path is not the names of fields with dots between them."
    if operator not in WORDS:
        return f"There is no {operator!r}; there are: {', '.join(WORDS)}."
    if operator == "one_of":
        if not isinstance(value, list) or not value or len(value) > VALUES_AT_MOST:
            return f"It takes a list of 1 to {VALUES_AT_MOST} values."
        return next((reason for one in value if (reason := _why_no_value(one))), "")
    if reason := _why_no_value(value):
        return reason
    if operator == "matches":
        return patterns.why_refused(value) if isinstance(value, str) else "The pattern is not a text."
    if operator not in ("equals", "not_equals") and number_of(value) is None:
        return f"{value!r} is not a number."
    return ""


def _why_no_value(value: Any) -> str:
    if value is not None and not isinstance(value, str | int | float):
        return "The value is not a text, a number, true, false or null."
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return f"The value is longer than {LONGEST_VALUE} characters."
    return ""


def _invalid(messages: list[str]) -> InvalidInput:
    return InvalidInput({"conditions": messages}, "the rule")
