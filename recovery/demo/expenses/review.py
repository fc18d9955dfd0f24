"""Deciding about every expense: what is plainly fine passes by itself, people decide about the others, all at once."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from recovery.demo.expenses import questions
from recovery.demo.expenses.expense import money
from recovery.demo.expenses.outcome import Checked, Outcome, Verdict, in_words
from recovery.demo.expenses.proposals import Payable
from recovery.demo.expenses.rules import Finding, Rule, findings
from rh_agents import Answer, ExecutionState, agent


class Batch(NamedTuple):
    """What all reviews of a batch need to know. `read_at` is when the file was read."""

    rates: dict[str, Decimal]
    read_at: datetime


@agent(name="review", output_model=list)
async def review(checked: list[Checked], batch: Batch, state: ExecutionState) -> list[Outcome]:
    """What each expense came to, in the order of the file."""
    asked = [one for one in checked if one.findings and not one.paid_by]
    decided = await state.parallel(*(_branch(one, batch, state) for one in asked))
    by_line = {outcome.line: outcome for outcome in decided}
    return [by_line.get(one.expense.line) or _without_asking(one) for one in checked]


def _branch(checked: Checked, batch: Batch, state: ExecutionState) -> Callable[[], Awaitable[Outcome]]:
    return lambda: _decide(checked, batch, state)


async def _decide(checked: Checked, batch: Batch, state: ExecutionState) -> Outcome:
    """Ask about one finding after the other, until one is refused."""
    said: list[str] = []
    if checked.expense.euros is None:
        known = await _with_its_currency(checked, batch, said, state)
        if known is None:
            return _refused(checked, said)
        checked = known
    payable, charged_to = questions.in_full(checked.expense), ""
    for finding in _to_ask_about(checked.findings):
        answer = await state.ask(questions.about(finding, checked, payable, batch.read_at))
        said.append(_said(answer, payable))
        if not answer.approved:
            return _refused(checked, said)
        if answer.response is not None:
            charged_to = f"{answer.response.project}, {answer.response.cost_centre}"
        if answer.proposal is not None:
            payable = answer.proposal
    return _outcome(checked, Verdict.APPROVED, payable, charged_to, said)


async def _with_its_currency(checked: Checked, batch: Batch, said: list[str], state: ExecutionState) -> Checked | None:
    """The expense in the currency that somebody names, `None` if they reject it."""
    problem = ""
    while True:
        answer = await state.ask(questions.currency(checked, sorted(batch.rates), batch.read_at, problem))
        if not answer.approved:
            said.append(in_words(answer))
            return None
        currency = answer.response.currency
        said.append(f"{in_words(answer)}: {currency}")
        if currency in batch.rates:
            expense = checked.expense.model_copy(update={"currency": currency}).converted(batch.rates[currency])
            kept = [one for one in checked.findings if one.rule is Rule.DUPLICATE]
            others = [one for one in findings(expense, None) if one.rule is not Rule.DUPLICATE]
            return checked.model_copy(update={"expense": expense, "findings": [*kept, *others]})
        problem = f"**There is no rate for {currency} either.**\n\n"


def _to_ask_about(found: list[Finding]) -> list[Finding]:
    """Of a trip the whole is decided: whoever is asked sees what else there is about it."""
    trip = [one for one in found if one.rule is Rule.TRIP]
    return trip or found


def _said(answer: Answer, before: Payable) -> str:
    words = in_words(answer)
    if answer.response is not None:
        words += f": {answer.response.project}, {answer.response.cost_centre}"
        words += f" ({answer.response.explanation})" if answer.response.explanation else ""
    if answer.edited:
        words += "".join(
            f"; {name} {_plain(getattr(before, name))} to {_plain(getattr(answer.proposal, name))}"
            for name in ("amount", "category")
            if getattr(before, name) != getattr(answer.proposal, name)
        )
    return words


def _plain(value: Any) -> str:
    return money(value) if isinstance(value, Decimal) else str(value)


def _without_asking(checked: Checked) -> Outcome:
    if checked.paid_by:
        return _refused(checked, [f"paid before, by the run {checked.paid_by}"], Verdict.PAID_BEFORE)
    return _outcome(checked, Verdict.FINE, questions.in_full(checked.expense), "", [])


def _refused(checked: Checked, said: list[str], verdict: Verdict = Verdict.REFUSED) -> Outcome:
    return _outcome(checked, verdict, None, "", said)


def _outcome(checked: Checked, verdict: Verdict, payable: Payable | None, charged_to: str, said: list[str]) -> Outcome:
    expense = checked.expense
    return Outcome(
        line=expense.line,
        person=expense.person,
        spent_on=expense.spent_on,
        merchant=expense.merchant,
        claimed=expense.amount,
        currency=expense.currency,
        verdict=verdict,
        paid=payable.amount if payable else Decimal(0),
        category=payable.category if payable else expense.category,
        charged_to=charged_to,
        decisions=said,
    )
