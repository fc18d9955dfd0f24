"""What people are shown to approve, and what they are asked for: the forms are made from these."""

from datetime import date
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, Field, model_validator

from recovery.demo.expenses.expense import Category
from recovery.demo.expenses.expense_file import CURRENCY


class Payable(BaseModel):
    """What is paid for one expense, in euros."""

    person: str
    spent_on: date
    merchant: str
    claimed: Decimal
    amount: Decimal = Field(gt=0, decimal_places=2, description="What is paid: as much as was claimed, or less.")
    category: Category

    @model_validator(mode="after")
    def _no_more_than_claimed(self) -> "Payable":
        if self.amount > self.claimed:
            raise ValueError(f"no more can be paid than was claimed, {self.claimed}")
        return self


class Project(StrEnum):
    ATLAS = "Atlas"
    BEACON = "Beacon"
    COMPASS = "Compass"
    NONE = "none of them"


class CostCentre(BaseModel):
    """Who pays for what has no receipt."""

    project: Project
    cost_centre: str = Field(
        pattern=r"^[A-Z]{2}-[0-9]{3}$", description="Two letters and three digits, such as OP-110."
    )
    explanation: str = Field(default="", max_length=200)


class RightCurrency(BaseModel):
    """What the amount was paid in."""

    currency: str = Field(pattern=f"^{CURRENCY}$", description="Three capital letters, as in the table of rates.")


class ClaimTotal(BaseModel):
    """What one person gets."""

    person: str
    expenses: int
    amount: Decimal


class Payout(BaseModel):
    """What is paid out, in euros."""

    reference: str = Field(min_length=1, max_length=100, description="What stands on the transfers.")
    total: Decimal
    claims: list[ClaimTotal]
