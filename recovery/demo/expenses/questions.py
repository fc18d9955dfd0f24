"""What people are asked about a batch, each question under the policy that suits it."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from recovery.demo.expenses.expense import Expense, money
from recovery.demo.expenses.expense_file import BASE
from recovery.demo.expenses.instructions import HOW
from recovery.demo.expenses.markdown import escaped
from recovery.demo.expenses.outcome import Checked
from recovery.demo.expenses.proposals import CostCentre, Payable, Payout, RightCurrency
from recovery.demo.expenses.rules import FINANCE_ABOVE, Finding, Rule
from rh_agents import ChangeTarget, Choice, Policy, Question

DAY_S = 24 * 3600.0
FINANCE = "Finance"
RULES = "policy.md"
PAY = "expenses.pay"
BACK_TO = [
    ChangeTarget(address="categorise::tool_call", label="Sort into categories again"),
    ChangeTarget(address="convert::tool_call", label="Convert the currencies again"),
]


def about(finding: Finding, checked: Checked, payable: Payable, read_at: datetime) -> Question:
    """The question about one finding. `payable` is what would be paid as things stand; `read_at` is when the batch was
    read: due dates count from there."""
    make = {
        Rule.DUPLICATE: _duplicate,
        Rule.TRIP: _trip,
        Rule.RECEIPT: _receipt,
        Rule.LIMIT: _limit,
        Rule.WEEKEND: _weekend,
    }[finding.rule]
    return make(finding.rule, checked, payable, read_at)


def currency(checked: Checked, known: list[str], read_at: datetime, problem: str) -> Question:
    expense = checked.expense
    return Question(
        title=f"{expense.person} paid {money(expense.amount)} {expense.currency} at {expense.merchant}: what is that?",
        message=problem + _message(checked, f"There are rates for {', '.join(known)}."),
        response_model=RightCurrency,
        reason="unknown currency",
        risk="medium",
        due_at=read_at + timedelta(days=1),
        **_of(Rule.CURRENCY, checked),
    )


def payout(proposal: Payout, two_people_above: Decimal, read_at: datetime, evidence: list[str]) -> Question:
    """More than `two_people_above` takes two people."""
    is_large = proposal.total > two_people_above
    people = f"{len(proposal.claims)} {'person' if len(proposal.claims) == 1 else 'people'}"
    rule = f"Above {money(two_people_above)} EUR it takes two people." if is_large else "One person is enough."
    return Question(
        key="payout",
        title=f"Pay out {money(proposal.total)} EUR to {people}?",
        message=f"What is approved is paid at once, and is not paid again. {rule}\n\n{HOW}",
        proposal=proposal,
        action="expenses.pay_out",
        editable={"reference"},
        effect="irreversible",
        reason="payout",
        risk="critical" if is_large else "high",
        priority=10,
        due_at=read_at + timedelta(days=5),
        evidence=evidence,
        change_targets=BACK_TO,
        policy=Policy(needed=2, remind_every_s=DAY_S) if is_large else None,
    )


def _limit(rule: Rule, checked: Checked, payable: Payable, read_at: datetime) -> Question:
    expense = checked.expense
    return Question(
        title=f"Pay {expense.person} {money(payable.amount)} EUR for {expense.merchant}?",
        message=_message(checked, "Pay all of it, a part of it, or nothing."),
        proposal=payable,
        action=PAY,
        editable={"amount", "category"},
        reason="over the limit",
        risk="high" if expense.in_euros > FINANCE_ABOVE else "medium",
        due_at=read_at + timedelta(days=3),
        on_reject="feedback",
        policy=_with_finance(expense),
        **_of(rule, checked),
    )


def _receipt(rule: Rule, checked: Checked, payable: Payable, read_at: datetime) -> Question:
    expense = checked.expense
    return Question(
        title=f"Who pays {money(payable.amount)} EUR at {expense.merchant} that {expense.person} has no receipt for?",
        message=_message(checked, "Name the project and the cost centre, or reject it."),
        response_model=CostCentre,
        reason="no receipt",
        risk="medium",
        due_at=read_at + timedelta(days=7),
        on_reject="feedback",
        choices=[
            Choice(kind="respond"),
            Choice(kind="reject", reasons=["Look for the receipt and hand it in again", "Not an expense of ours"]),
            Choice(kind="request_changes"),
        ],
        **_of(rule, checked),
    )


def _duplicate(rule: Rule, checked: Checked, payable: Payable, read_at: datetime) -> Question:
    expense = checked.expense
    return Question(
        title=f"Pay {expense.person} {money(payable.amount)} EUR for {expense.merchant} twice?",
        message=_message(checked, "What is rejected is paid once, with the earlier line."),
        proposal=payable,
        action=PAY,
        editable=False,
        reason="duplicate",
        risk="medium",
        due_at=read_at + timedelta(days=3),
        on_reject="feedback",
        choices=[
            Choice(kind="approve", label="Two expenses: pay both"),
            Choice(kind="reject", label="One expense: pay it once", reasons=["The same expense, handed in twice"]),
            Choice(kind="request_changes"),
        ],
        **_of(rule, checked),
    )


def _weekend(rule: Rule, checked: Checked, payable: Payable, read_at: datetime) -> Question:
    expense = checked.expense
    return Question(
        title=f"A meal on a {expense.spent_on:%A}: pay {expense.person} {money(payable.amount)} EUR?",
        message=_message(checked, "If nobody decides within two days it is paid."),
        proposal=payable,
        action=PAY,
        editable={"amount"},
        reason="weekend",
        risk="low",
        priority=-10,
        on_reject="feedback",
        policy=Policy(expires_after_s=2 * DAY_S, on_expire="approve", remind_every_s=DAY_S / 2),
        **_of(rule, checked),
    )


def _trip(rule: Rule, checked: Checked, payable: Payable, read_at: datetime) -> Question:
    expense = checked.expense
    return Question(
        title=f"Trip to {expense.trip}: pay {expense.person} {money(payable.amount)} EUR for {expense.merchant}?",
        message=_message(checked, "A trip is paid whole: to reject one part of it cancels the others."),
        proposal=payable,
        action=PAY,
        editable={"amount", "category"},
        reason="trip",
        risk="high" if expense.in_euros > FINANCE_ABOVE else "medium",
        due_at=read_at + timedelta(days=2),
        on_reject="feedback",
        policy=_with_finance(expense),
        group=f"Trip of {expense.person} to {expense.trip}",
        group_policy="first_reject_cancels",
        **_of(rule, checked),
    )


def in_full(expense: Expense) -> Payable:
    """All that was claimed."""
    return Payable(
        person=expense.person,
        spent_on=expense.spent_on,
        merchant=expense.merchant,
        claimed=expense.in_euros,
        amount=expense.in_euros,
        category=expense.category,
    )


def _with_finance(expense: Expense) -> Policy | None:
    return Policy(from_groups={FINANCE: 1}) if expense.in_euros > FINANCE_ABOVE else None


def _of(rule: Rule, checked: Checked) -> dict[str, Any]:
    """What all questions about one expense have in common."""
    return {
        "key": f"line-{checked.expense.line}-{rule}",
        "evidence": [checked.claim, RULES],
        "change_targets": BACK_TO,
    }


def _message(checked: Checked, rule: str) -> str:
    """The line in words, what it runs against, and what the decision does."""
    expense = checked.expense
    euros = "" if expense.euros is None or expense.currency == BASE else f" ({money(expense.euros)} EUR)"
    receipt = f"receipt {escaped(expense.receipt)}" if expense.receipt else "no receipt"
    note = f'\n- "{escaped(expense.note)}"' if expense.note else ""
    reasons = "".join(f"\n- **{escaped(one.why)}**" for one in checked.findings)
    return (
        f"Line {expense.line}: {escaped(expense.person)} paid {money(expense.amount)} {expense.currency}{euros} at "
        f"{escaped(expense.merchant)} on {expense.spent_on} ({expense.category}, {receipt}).\n{note}{reasons}\n\n"
        f"{rule}\n\n{HOW}"
    )
