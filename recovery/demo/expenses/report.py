"""The report of a batch: what was paid to whom, and who decided what."""

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from recovery.demo.expenses.expense import Expense, money
from recovery.demo.expenses.markdown import escaped, table
from recovery.demo.expenses.outcome import Checked, Outcome, Verdict
from recovery.services.spreadsheet import harmless


class Instructed(BaseModel):
    """What somebody wrote when they sent the batch back, and what the steps made of it."""

    by: str
    text: str
    done: list[str]


class BatchReport(BaseModel):
    """`paid` is the sum in euros."""

    file: str
    expenses: int
    plainly_fine: int
    approved: int
    refused: int
    paid_before: int
    people_paid: int
    paid: Decimal
    payout: str


def summary(file: str, outcomes: Sequence[Outcome], payout: str) -> BatchReport:
    def count(verdict: Verdict) -> int:
        return sum(one.verdict is verdict for one in outcomes)

    return BatchReport(
        file=file,
        expenses=len(outcomes),
        plainly_fine=count(Verdict.FINE),
        approved=count(Verdict.APPROVED),
        refused=count(Verdict.REFUSED),
        paid_before=count(Verdict.PAID_BEFORE),
        people_paid=len({one.person for one in outcomes if one.paid}),
        paid=sum((one.paid for one in outcomes), Decimal(0)),
        payout=payout,
    )


def as_markdown(report: BatchReport, outcomes: Sequence[Outcome], instructed: Sequence[Instructed]) -> str:
    asked = [one for one in outcomes if one.decisions]
    people = sorted({one.person for one in outcomes if one.paid})
    parts = [
        f"# Expenses of {escaped(report.file)}\n\n"
        f"{report.expenses} expenses: {report.plainly_fine} plainly fine, {report.approved} approved, "
        f"{report.refused} refused, {report.paid_before} paid before.\n\n"
        f"**{money(report.paid)} EUR** paid to {report.people_paid} people. Payout: {escaped(report.payout)}.\n",
        _sent_back(instructed),
        "## Paid\n\n" + table(["person", "expenses", "EUR"], [_paid_row(person, outcomes) for person in people])
        if people
        else "",
        "## Looked at\n\n"
        + table(["line", "person", "merchant", "claimed", "EUR paid", "decided"], map(_asked_row, asked))
        if asked
        else "",
    ]
    return "\n".join(part for part in parts if part)


def paid_as_csv(outcomes: Iterable[Outcome], reference: str) -> str:
    return _as_csv(
        ["person", "line", "merchant", "category", "claimed", "currency", "eur", "charged_to", "reference"],
        (
            [
                one.person,
                one.line,
                one.merchant,
                one.category,
                one.claimed,
                one.currency,
                one.paid,
                one.charged_to,
                reference,
            ]
            for one in outcomes
            if one.paid
        ),
    )


def claim_as_csv(checked: Iterable[Checked]) -> str:
    """All lines of one person, with what each runs against."""
    return _as_csv([*_LINE, "looked at because"], (_claim_row(one) for one in checked))


_LINE = ["line", "spent_on", "category", "merchant", "currency", "amount", "euros", "receipt", "note"]


def _claim_row(checked: Checked) -> list[Any]:
    expense: Expense = checked.expense
    why = "; ".join(one.why for one in checked.findings)
    paid = f"paid before, by the run {checked.paid_by}" if checked.paid_by else ""
    values = ["" if (value := getattr(expense, name)) is None else value for name in _LINE]
    return [*values, paid or why]


def _as_csv(header: list[str], rows: Iterable[list[Any]]) -> str:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(header)
    lines.writerows([harmless(value) for value in row] for row in rows)
    return text.getvalue()


def _sent_back(instructed: Sequence[Instructed]) -> str:
    if not instructed:
        return ""
    lines = []
    for one in instructed:
        lines.append(f"- {escaped(one.by)}: {escaped(one.text)}\n")
        lines += [f"    - {escaped(words)}\n" for words in one.done or ["no step from there on follows that"]]
    return "## Sent back with\n\n" + "".join(lines)


def _paid_row(person: str, outcomes: Sequence[Outcome]) -> list[str]:
    theirs = [one for one in outcomes if one.person == person and one.paid]
    return [escaped(person), str(len(theirs)), money(sum((one.paid for one in theirs), Decimal(0)))]


def _asked_row(one: Outcome) -> list[str]:
    decided = "; ".join(escaped(words) for words in one.decisions)
    charged = f" ({escaped(one.charged_to)})" if one.charged_to else ""
    claimed = f"{money(one.claimed)} {one.currency}"
    return [str(one.line), escaped(one.person), escaped(one.merchant), claimed, money(one.paid) + charged, decided]
