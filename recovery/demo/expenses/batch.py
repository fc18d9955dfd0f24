"""The pipeline: a file of expenses is read, checked, decided about and paid out."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from recovery.demo.expenses import expense_file, payouts, questions, report, rules
from recovery.demo.expenses.expense import Category, Expense, guess_category
from recovery.demo.expenses.instructions import new_categories, new_rates
from recovery.demo.expenses.outcome import Checked, Outcome, Verdict, in_words
from recovery.demo.expenses.payouts import Payment
from recovery.demo.expenses.proposals import ClaimTotal, Payout
from recovery.demo.expenses.report import BatchReport, Instructed
from recovery.demo.expenses.review import Batch, review
from rh_agents import ExecutionState, agent, tool

PAYOUT = "payout.csv"


class ExpenseBatchInput(BaseModel):
    """Which expenses to pay."""

    file: Path = Field(description="A CSV file on the worker's machine, UTF-8, with a header.")
    rates: Path | None = Field(default=None, description="The table of rates. Empty: rates.csv beside the file.")
    two_people_above: Decimal = Field(
        default=Decimal(5000), ge=0, le=1_000_000_000, decimal_places=2, description="EUR that one person may pay out."
    )
    batch: str = Field(
        default="",
        max_length=100,
        description="What was paid under this name is not paid again. Empty: the name is what the file holds.",
    )

    @property
    def rate_table(self) -> Path:
        return self.rates or self.file.with_name("rates.csv")


class ReadFile(BaseModel):
    """`lines` are (line, its cells by column)."""

    name: str
    batch: str
    read_at: datetime
    lines: list[tuple[int, dict[str, str]]]


class Done(BaseModel):
    """The expenses after a step, and what it did because of an instruction: (which of them, in words)."""

    expenses: list[Expense]
    instructed: list[tuple[int, str]]


class Converted(Done):
    """`rates` are those that were used."""

    rates: dict[str, Decimal]


@tool(name="read_file", output_model=ReadFile)
async def read_file(request: ExpenseBatchInput, context: Any, state: ExecutionState) -> ReadFile:
    shape, lines = expense_file.read_expense_lines(request.file)
    return ReadFile(name=request.file.name, batch=request.batch or shape.sha256, read_at=datetime.now(UTC), lines=lines)


@tool(name="read_rates")
async def read_rates(path: Path, context: Any, state: ExecutionState) -> dict[str, Decimal]:
    return expense_file.read_rates(path)


@tool(name="check_line", output_model=Expense)
async def check_line(line: int, cells: tuple[str, dict[str, str]], state: ExecutionState) -> Expense:
    return expense_file.as_expense(cells[0], line, cells[1])


@agent(name="validate", output_model=list)
async def validate(file: ReadFile, context: Any, state: ExecutionState) -> list[Expense]:
    """Check line by line; the first that is wrong ends the run, before anybody is asked."""
    return [(await check_line(line, (file.name, cells), state)).result for line, cells in file.lines]


@tool(name="categorise", output_model=Done)
async def categorise(expenses: list[Expense], context: Any, state: ExecutionState) -> Done:
    """Sort what has no category by its merchant, then as whoever sent the batch back says."""
    sorted_ones = [
        one.model_copy(update={"category": guess_category(one.merchant)}) if one.category is Category.OTHER else one
        for one in expenses
    ]
    instructed = []
    for told in new_categories(state.instructions):
        lines = [
            one.line
            for one in sorted_ones
            if one.line == told.line or (not told.line and one.category is Category.OTHER)
        ]
        instructed.append((told.number, f"{_lines(lines)} sorted under {told.category}"))
        sorted_ones = [
            one.model_copy(update={"category": told.category}) if one.line in lines else one for one in sorted_ones
        ]
    return Done(expenses=sorted_ones, instructed=instructed)


@tool(name="convert", output_model=Converted)
async def convert(expenses: list[Expense], rates: dict[str, Decimal], state: ExecutionState) -> Converted:
    """Into euros, by the table of rates and what whoever sent the batch back says."""
    told = new_rates(state.instructions)
    last = {one.currency: one for one in told}
    rates = rates | {currency: one.rate for currency, one in last.items()}
    instructed = []
    for one in told:
        lines = [expense.line for expense in expenses if expense.currency == one.currency]
        words = f"{_lines(lines)} converted at {one.rate}" if one is last[one.currency] else "another rate came later"
        instructed.append((one.number, words))
    return Converted(
        expenses=[one.converted(rates[one.currency]) if one.currency in rates else one for one in expenses],
        instructed=instructed,
        rates=rates,
    )


@tool(name="make_claim", output_model=str)
async def make_claim(claim: tuple[str, list[Checked]], context: Any, state: ExecutionState) -> str:
    """Everything of one person as a table beside the questions about it."""
    key, checked = claim
    state.storage.set_artifact(key, report.claim_as_csv(checked), "text/csv")
    return key


@agent(name="check", output_model=list)
async def check(
    expenses: list[Expense], context: tuple[ReadFile, ExpenseBatchInput], state: ExecutionState
) -> list[Checked]:
    """Hold every expense against the rules, and make a claim of what belongs to one person."""
    file, request = context
    state.storage.set_artifact(questions.RULES, rules.as_markdown(request.two_people_above))
    repeated, paid = rules.repeated(expenses), payouts.paid(file.batch)
    people = list(dict.fromkeys(one.person for one in expenses))
    claims = {person: f"claim of {person}.csv" for person in people}
    checked = [
        Checked(
            expense=one,
            findings=rules.findings(one, repeated.get(one.line)),
            paid_by=paid.get(one.line, ""),
            claim=claims[one.person],
        )
        for one in expenses
    ]
    for person in people:
        theirs = [one for one in checked if one.expense.person == person]
        await make_claim((claims[person], theirs), None, state)
    return checked


@tool(name="plan_payout", output_model=Payout)
async def plan_payout(outcomes: list[Outcome], context: Any, state: ExecutionState) -> Payout:
    """What each person gets."""
    paid = [one for one in outcomes if one.paid]
    people = sorted({one.person for one in paid})
    reference = f"Expenses {max(one.spent_on for one in paid):%Y-%m}" if paid else "Expenses"
    state.storage.set_artifact(PAYOUT, report.paid_as_csv(outcomes, reference))
    return Payout(
        reference=reference,
        total=sum((one.paid for one in paid), Decimal(0)),
        claims=[
            ClaimTotal(
                person=person,
                expenses=sum(one.person == person for one in paid),
                amount=sum((one.paid for one in paid if one.person == person), Decimal(0)),
            )
            for person in people
        ],
    )


@tool(name="pay_claim")
async def pay_claim(
    claim: ClaimTotal, context: tuple[str, str, list[Payment]], state: ExecutionState
) -> dict[int, str]:
    """Pay one person in one transaction. Line to the run that has paid it."""
    batch, reference, payments = context
    return payouts.pay(batch, state.state_id, reference, payments)


@agent(name="pay_out", output_model=list)
async def pay_out(payout: Payout, context: tuple[str, list[Outcome]], state: ExecutionState) -> list[Outcome]:
    """Pay person by person. What another run has paid meanwhile is not paid again."""
    batch, outcomes = context
    paid_by: dict[int, str] = {}
    for claim in payout.claims:
        theirs = [
            Payment(one.line, one.person, one.paid) for one in outcomes if one.person == claim.person and one.paid
        ]
        paid_by |= (await pay_claim(claim, (batch, payout.reference, theirs), state)).result
    return [_as_paid(one, paid_by.get(one.line, ""), state.state_id) for one in outcomes]


@tool(name="write_report", output_model=BatchReport)
async def write_report(
    outcomes: list[Outcome], context: tuple[str, str, str, list[tuple[int, str]]], state: ExecutionState
) -> BatchReport:
    file_name, payout, reference, done = context
    found = report.summary(file_name, outcomes, payout)
    instructed = [
        Instructed(by=" and ".join(one.by), text=one.text, done=[words for told, words in done if told == number])
        for number, one in enumerate(state.instructions)
    ]
    state.storage.set_artifact("report.md", report.as_markdown(found, outcomes, instructed))
    state.storage.set_artifact("paid.csv", report.paid_as_csv(outcomes, reference))
    return found


async def expense_batch(request: ExpenseBatchInput, state: ExecutionState) -> BatchReport:
    """Reads a file of expenses, converts and checks each of them, lets pass what is plainly fine, asks people about the
    others, and pays what was approved once a person (two, above a limit) approves the payout."""
    file = (await read_file(request, None, state)).result
    rates = (await read_rates(request.rate_table, None, state)).result
    expenses = (await validate(file, None, state)).result
    sorted_ones = (await categorise(expenses, None, state)).result
    converted = (await convert(sorted_ones.expenses, rates, state)).result
    checked = (await check(converted.expenses, (file, request), state)).result
    outcomes = (await review(checked, Batch(converted.rates, file.read_at), state)).result
    words, reference, outcomes = await _pay(outcomes, file, request, state)
    done = [*sorted_ones.instructed, *converted.instructed]
    return (await write_report(outcomes, (file.name, words, reference, done), state)).result


async def _pay(
    outcomes: list[Outcome], file: ReadFile, request: ExpenseBatchInput, state: ExecutionState
) -> tuple[str, str, list[Outcome]]:
    """How the payout went in words, its reference, and the outcomes with what was paid."""
    payout = (await plan_payout(outcomes, None, state)).result
    if not payout.claims:
        return "there was nothing to pay", "", outcomes
    evidence = [PAYOUT, questions.RULES]
    answer = await state.ask(questions.payout(payout, request.two_people_above, file.read_at, evidence))
    if not answer.approved:
        return in_words(answer), "", [one.model_copy(update={"paid": Decimal(0)}) for one in outcomes]
    paid = (await pay_out(answer.proposal, (file.batch, outcomes), state)).result
    return in_words(answer), answer.proposal.reference, paid


def _as_paid(outcome: Outcome, paid_by: str, state_id: str) -> Outcome:
    if not outcome.paid or paid_by == state_id:
        return outcome
    decisions = [*outcome.decisions, f"paid before, by the run {paid_by}"]
    return outcome.model_copy(update={"verdict": Verdict.PAID_BEFORE, "paid": Decimal(0), "decisions": decisions})


def _lines(lines: list[int]) -> str:
    return f"line{'' if len(lines) == 1 else 's'} {', '.join(map(str, lines))}" if lines else "no line"
