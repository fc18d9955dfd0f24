"""What an expense came to, in numbers and in the words of the report."""

from datetime import date
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel

from recovery.demo.expenses.expense import Category, Expense
from recovery.demo.expenses.rules import Finding
from rh_agents import Answer


class Verdict(StrEnum):
    FINE = "plainly fine"
    APPROVED = "approved"
    REFUSED = "refused"
    PAID_BEFORE = "paid before"


class Checked(BaseModel):
    """An expense and what it runs against. `paid_by` is the run that paid it before, `claim` the artifact with all that
    its person claims."""

    expense: Expense
    findings: list[Finding]
    paid_by: str = ""
    claim: str


class Outcome(BaseModel):
    """`claimed` in `currency`, `paid` in euros; `decisions` say who decided what about it, in order."""

    line: int
    person: str
    spent_on: date
    merchant: str
    claimed: Decimal
    currency: str
    verdict: Verdict
    paid: Decimal
    category: Category
    charged_to: str = ""
    decisions: list[str]


def in_words(answer: Answer) -> str:
    """Who decided what, and why."""
    why = f": {answer.comment}" if answer.comment else ""
    who = " and ".join(answer.by) or "nobody"
    match answer.kind:
        case "expire":
            return "passed: nobody objected in time" if answer.approved else "refused: nobody decided in time"
        case "cancel":
            return f"cancelled with the rest of its group{why}"
        case "edit":
            return f"changed by {who}{why}"
        case "respond":
            return f"answered by {who}{why}"
        case "reject":
            return f"rejected by {who}{why}"
        case _:
            return f"approved by {who}{why}"
