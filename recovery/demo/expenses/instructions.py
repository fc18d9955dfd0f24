"""What a reviewer writes when they send a batch back: lines that a step understands, and others for people."""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict

from recovery.demo.expenses.expense import Category
from recovery.demo.expenses.expense_file import CURRENCY, as_rate

HOW = (
    "Sent back, the batch understands lines such as `line 17 category: travel`, `category: travel` (for everything "
    "that has no category yet) and `rate USD 0.95` (euros for one)."
)

_CATEGORY = re.compile(
    r"(?:line\s+(?P<line>[0-9]{1,9})\s*[:,]?\s*)?category\s*[:=]?\s*(?P<category>\w+)", re.IGNORECASE
)
_RATE = re.compile(rf"rate\s+(?P<currency>{CURRENCY})\s*[:=]?\s*(?P<rate>[0-9.]{{1,15}})", re.IGNORECASE)


class NewCategory(BaseModel):
    """`line` is 0 where it is for all that have none yet; `text` is what was written."""

    model_config = ConfigDict(frozen=True)

    text: str
    line: int
    category: Category


class NewRate(BaseModel):
    model_config = ConfigDict(frozen=True)

    text: str
    currency: str
    rate: Decimal


def instructions_of(state: Any) -> list[Any]:
    return list(getattr(state, "instructions", []))


def understood(instructions: Iterable[Any]) -> list[NewCategory | NewRate]:
    """What the lines of `state.instructions` say that a step can follow, the oldest first."""
    lines = [line.strip(" \t`-*.") for one in instructions for line in one.text.splitlines()]
    return [found for line in lines if (found := _category_in(line) or _rate_in(line)) is not None]


def _category_in(line: str) -> NewCategory | None:
    found = _CATEGORY.fullmatch(line)
    if found is None or found["category"].lower() not in tuple(Category):
        return None
    return NewCategory(text=line, line=int(found["line"] or 0), category=Category(found["category"].lower()))


def _rate_in(line: str) -> NewRate | None:
    found = _RATE.fullmatch(line)
    if found is None:
        return None
    try:
        return NewRate(text=line, currency=found["currency"].upper(), rate=as_rate(found["rate"]))
    except ValueError:
        return None
