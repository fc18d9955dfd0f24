"""An expense: one line of the file as a person handed it in, and what became of it on the way."""

import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

CENT = Decimal("0.01")


class Category(StrEnum):
    TRAVEL = "travel"
    LODGING = "lodging"
    MEALS = "meals"
    OFFICE = "office"
    TRAINING = "training"
    OTHER = "other"


class Expense(BaseModel):
    """`amount` is in `currency`; `euros` is what that comes to, `None` as long as nobody knows the currency."""

    model_config = ConfigDict(frozen=True)

    line: int
    person: str
    spent_on: date
    category: Category
    merchant: str
    currency: str
    amount: Decimal
    receipt: str
    note: str
    euros: Decimal | None = None

    @property
    def trip(self) -> str:
        """Where the trip went that the expense belongs to: its note begins with `trip Lisbon`."""
        found = re.match(r"trip (\w+)", self.note)
        return found[1] if found else ""

    @property
    def in_euros(self) -> Decimal:
        if self.euros is None:
            raise ValueError(f"line {self.line}: nobody knows what {self.currency} is worth")
        return self.euros

    def converted(self, rate: Decimal) -> "Expense":
        """With `euros`, at `rate` euros for one of its currency."""
        return self.model_copy(update={"euros": (self.amount * rate).quantize(CENT, ROUND_HALF_UP)})


def guess_category(merchant: str) -> Category:
    """What is bought at a merchant of that name."""
    words = set(re.findall(r"\w+", merchant.lower()))
    for category, known in _MERCHANTS.items():
        if words & known:
            return category
    return Category.OTHER


def money(amount: Decimal) -> str:
    return f"{amount:,.2f}"


_MERCHANTS = {
    Category.TRAVEL: {"rail", "air", "taxi", "bus", "ferry", "airlines", "metro"},
    Category.LODGING: {"hotel", "hostel", "inn", "pension"},
    Category.MEALS: {"café", "restaurant", "bistro", "bakery", "canteen", "trattoria"},
    Category.OFFICE: {"stationery", "paper", "print", "books"},
    Category.TRAINING: {"academy", "conference", "course", "institute"},
}
