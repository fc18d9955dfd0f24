"""What a reviewer writes when they send a batch back: lines that a step understands, and others for people."""

import re
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from recovery.demo.expenses.expense import Category
from recovery.demo.expenses.expense_file import CURRENCY, as_rate
from rh_agents.core.approvals import Instruction

HOW = (
    "Sent back to the categories, the batch understands lines such as `line 17 category: travel` and "
    "`category: travel` (for everything that has none yet); sent back to either step, `rate USD 0.95` (euros for one)."
)

_CATEGORY = re.compile(
    r"(?:line\s+(?P<line>[0-9]{1,9})\s*[:,]?\s*)?category\s*[:=]?\s*(?P<category>\w+)", re.IGNORECASE
)
_RATE = re.compile(rf"rate\s+(?P<currency>{CURRENCY})\s*[:=]?\s*(?P<rate>[0-9.]{{1,15}})", re.IGNORECASE)


class NewCategory(BaseModel):
    """For one line; for all that have none yet where `line` is 0. `number`: of the instruction that says so."""

    model_config = ConfigDict(frozen=True)

    number: int
    line: int
    category: Category


class NewRate(BaseModel):
    """`rate` is what one of `currency` is worth in euros."""

    model_config = ConfigDict(frozen=True)

    number: int
    currency: str
    rate: Decimal


def new_categories(instructions: Sequence[Instruction]) -> list[NewCategory]:
    """What they say about categories, the oldest first."""
    found = []
    for number, line in _lines(instructions):
        match = _CATEGORY.fullmatch(line)
        if match and match["category"].lower() in tuple(Category):
            category = Category(match["category"].lower())
            found.append(NewCategory(number=number, line=int(match["line"] or 0), category=category))
    return found


def new_rates(instructions: Sequence[Instruction]) -> list[NewRate]:
    """What they say about rates, the oldest first: of one currency, the last counts."""
    found = []
    for number, line in _lines(instructions):
        if match := _RATE.fullmatch(line):
            with suppress(ValueError):
                rate = as_rate(match["rate"])
                found.append(NewRate(number=number, currency=match["currency"].upper(), rate=rate))
    return found


def _lines(instructions: Sequence[Instruction]) -> list[tuple[int, str]]:
    return [
        (number, line.strip(" \t`-*."))
        for number, instruction in enumerate(instructions)
        for line in instruction.text.splitlines()
    ]
