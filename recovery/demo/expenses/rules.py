"""The rules of the house about expenses: what is plainly fine, and what a person has to look at."""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from recovery.demo.expenses.expense import Category, Expense, money

LIMITS = {
    Category.TRAVEL: Decimal(300),
    Category.LODGING: Decimal(250),
    Category.MEALS: Decimal(60),
    Category.OFFICE: Decimal(150),
    Category.TRAINING: Decimal(600),
    Category.OTHER: Decimal(100),
}
RECEIPT_ABOVE = Decimal(20)
FINANCE_ABOVE = Decimal(1000)


class Rule(StrEnum):
    """What an expense can run against, in the order in which people are asked about it."""

    CURRENCY = "currency"
    DUPLICATE = "duplicate"
    TRIP = "trip"
    RECEIPT = "receipt"
    LIMIT = "limit"
    WEEKEND = "weekend"


class Finding(BaseModel):
    """That an expense runs against a rule, and why."""

    model_config = ConfigDict(frozen=True)

    rule: Rule
    why: str


def findings(expense: Expense, earlier: int | None) -> list[Finding]:
    """`earlier` is the line of an expense that this one repeats, if it does."""
    found = []
    if expense.euros is None:
        found.append(Finding(rule=Rule.CURRENCY, why=f"{expense.currency} has no rate"))
    if earlier is not None:
        found.append(Finding(rule=Rule.DUPLICATE, why=f"it repeats line {earlier}"))
    if expense.trip:
        found.append(Finding(rule=Rule.TRIP, why=f"it belongs to the trip to {expense.trip}"))
    if expense.euros is not None:
        found += _about_the_amount(expense, expense.euros)
    return found


def repeated(expenses: Iterable[Expense]) -> dict[int, int]:
    """Line to the earlier line that it repeats: same person, day, merchant and amount."""
    first: dict[tuple[object, ...], int] = {}
    again = {}
    for one in expenses:
        key = (one.person, one.spent_on, one.merchant, one.currency, one.amount)
        if key in first:
            again[one.line] = first[key]
        first.setdefault(key, one.line)
    return again


def as_markdown(two_people_above: Decimal) -> str:
    """The rules, for whoever decides."""
    limits = "\n".join(f"| {category} | {money(limit)} |" for category, limit in LIMITS.items())
    return (
        "# What we pay for\n\n"
        "An expense within these rules is paid without anybody being asked.\n\n"
        f"| category | EUR for one expense |\n|---|--:|\n{limits}\n\n"
        f"- Above {money(RECEIPT_ABOVE)} EUR there is a receipt. Where it is lost, a project pays.\n"
        "- Meals on a Saturday or Sunday are looked at; they pass if nobody objects within two days.\n"
        "- What looks the same as an earlier expense is paid once.\n"
        "- A trip is paid whole or not at all.\n"
        f"- Somebody of Finance approves every expense above {money(FINANCE_ABOVE)} EUR.\n"
        f"- Two people approve a payout above {money(two_people_above)} EUR.\n"
    )


def _about_the_amount(expense: Expense, euros: Decimal) -> list[Finding]:
    found = []
    limit = LIMITS[expense.category]
    if not expense.receipt and euros > RECEIPT_ABOVE:
        found.append(Finding(rule=Rule.RECEIPT, why="there is no receipt"))
    if euros > limit:
        found.append(Finding(rule=Rule.LIMIT, why=f"the limit for {expense.category} is {money(limit)} EUR"))
    if expense.category is Category.MEALS and expense.spent_on.weekday() >= 5:
        found.append(Finding(rule=Rule.WEEKEND, why=f"{expense.spent_on} was a {expense.spent_on:%A}"))
    return found
