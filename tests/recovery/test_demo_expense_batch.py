"""The expense batch sample: who is asked what, and what is paid in the end."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from recovery.demo.expenses.proposals import CostCentre, Project, RightCurrency
from recovery.demo.expenses.sample import ROWS, write_expenses
from rh_agents import Answer, ExecutionState, ExecutionStatus, Policy, StateStatus
from tests.recovery.expense_runs import BATCH, HEADER, QUESTIONS, Walk, ledger, write_batch

pytestmark = pytest.mark.django_db

APPROVE = Answer(kind="approve", by=["ada"])
REJECT = Answer(kind="reject", by=["ada"], comment="too dear")
BEACON = Answer(
    kind="respond",
    by=["grace"],
    response=CostCentre(project=Project.BEACON, cost_centre="OP-110", explanation="for the fair"),
)
SEK = Answer(kind="respond", by=["grace"], response=RightCurrency(currency="SEK"))


@pytest.fixture
def walk(tmp_path: Path) -> Any:
    def walk(content: str | bytes = BATCH, **given: Any) -> Walk:
        return Walk(tmp_path, write_batch(tmp_path, content), **given)

    return walk


def edited(walk: Walk, key: str, **changes: Any) -> Answer:
    proposal = walk.question(key).proposal
    return Answer(kind="edit", by=["ada"], proposal=proposal.model_validate({**proposal.model_dump(), **changes}))


def decided(walk: Walk) -> Walk:
    """A decision of each kind, up to the payout."""
    walk.decide(
        line_4=edited(walk, "line-4-limit", amount=Decimal("60.00"), category="other"),
        line_5=BEACON,
        line_6=Answer(kind="expire", approved=True),
        line_7=REJECT,
        line_8=Answer(kind="cancel", comment="another of its group was rejected"),
        line_9=APPROVE,
        line_10=Answer(kind="reject", by=["ada"], comment="The same expense, handed in twice"),
        line_11=SEK,
    )
    return walk


def test_everybody_is_asked_at_once_about_what_is_not_plainly_fine(walk):
    run = walk()
    assert run.outcome.status is StateStatus.AWAITING
    assert run.open_keys == list(QUESTIONS.values())


def test_each_question_has_the_policy_that_suits_it(walk):
    run = walk()
    two_days_s = 2 * 24 * 3600
    rules = {
        key: (question.risk, question.allowed_kinds, question.group, question.policy and question.policy.given())
        for key in QUESTIONS.values()
        for question in [run.question(key)]
    }
    edit, back = ["approve", "edit", "reject"], "request_changes"
    trip = "Trip of Cy to Lisbon"
    assert rules == {
        "line-4-limit": ("medium", [*edit, back], "", None),
        "line-5-receipt": ("medium", ["respond", "reject", back], "", None),
        "line-6-weekend": (
            "low",
            [*edit, back],
            "",
            {"expires_after_s": two_days_s, "on_expire": "approve", "remind_every_s": two_days_s / 4},
        ),
        "line-7-trip": ("medium", [*edit, back], trip, None),
        "line-8-trip": ("medium", [*edit, back], trip, None),
        "line-9-limit": ("high", [*edit, back], "", {"from_groups": {"Finance": 1}}),
        "line-10-duplicate": ("medium", ["approve", "reject", back], "", None),
        "line-11-currency": ("medium", ["respond", "reject", back], "", None),
    }
    assert run.question("line-7-trip").group_policy == "first_reject_cancels"
    assert run.question("line-4-limit").editable == {"amount", "category"}


def test_beside_a_question_stand_the_claim_and_the_rules(walk):
    run = walk()
    assert run.question("line-5-receipt").evidence == ["claim of Bo.csv", "policy.md"]
    assert run.artifact("claim of Bo.csv") == (
        "line,spent_on,category,merchant,currency,amount,euros,receipt,note,looked at because\n"
        "5,2026-10-07,office,Print Works,USD,50.00,45.00,,posters,there is no receipt\n"
        "6,2026-10-10,meals,Bistro Marée,EUR,48.90,48.90,R-5,,2026-10-10 was a Saturday\n"
        "11,2026-10-15,office,Paper & More,SKE,389.00,,R-10,,SKE has no rate\n"
    )
    assert "| meals | 60.00 |" in run.artifact("policy.md")
    assert "Two people approve a payout above 5,000.00 EUR." in run.artifact("policy.md")


def test_the_report_says_what_was_decided_and_paid(walk):
    run = decided(walk())
    assert run.open_keys == ["payout"]
    outcome = run.decide(payout=Answer(kind="approve", by=["ada", "grace"]))
    assert (outcome.status, outcome.error) == (StateStatus.COMPLETED, None)
    assert run.artifact("report.md") == (
        "# Expenses of expenses.csv\n"
        "\n"
        "10 expenses: 2 plainly fine, 5 approved, 3 refused, 0 paid before.\n"
        "\n"
        "**1,708.35 EUR** paid to 3 people. Payout: approved by ada and grace.\n"
        "\n"
        "## Paid\n"
        "\n"
        "| person | expenses | EUR |\n"
        "| --- | --- | --- |\n"
        "| Ada | 3 | 95.55 |\n"
        "| Bo | 3 | 132.80 |\n"
        "| Cy | 1 | 1,480.00 |\n"
        "\n"
        "## Looked at\n"
        "\n"
        "| line | person | merchant | claimed | EUR paid | decided |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| 4 | Ada | Restaurant Vista | 118.40 EUR | 60.00 "
        "| changed by ada; amount 118.40 to 60.00; category meals to other |\n"
        "| 5 | Bo | Print Works | 50.00 USD | 45.00 (Beacon, OP-110) "
        "| answered by grace: Beacon, OP-110 (for the fair) |\n"
        "| 6 | Bo | Bistro Marée | 48.90 EUR | 48.90 | passed: nobody objected in time |\n"
        "| 7 | Cy | Atlantic Airlines | 412.00 EUR | 0.00 | rejected by ada: too dear |\n"
        "| 8 | Cy | Hotel Tejo | 690.00 EUR | 0.00 "
        "| cancelled with the rest of its group: another of its group was rejected |\n"
        "| 9 | Cy | Institute of Welding | 1,480.00 EUR | 1,480.00 | approved by ada |\n"
        "| 10 | Ada | Café Sol | 20.00 EUR | 0.00 | rejected by ada: The same expense, handed in twice |\n"
        "| 11 | Bo | Paper & More | 389.00 SEK | 38.90 | answered by grace: SEK |\n"
    )
    assert run.artifact("paid.csv") == (
        "person,line,merchant,category,claimed,currency,eur,charged_to,reference\n"
        "Ada,2,Café Sol,meals,20.00,EUR,20.00,,Expenses 2026-10\n"
        "Ada,3,Post,other,155.50,SEK,15.55,,Expenses 2026-10\n"
        "Ada,4,Restaurant Vista,other,118.40,EUR,60.00,,Expenses 2026-10\n"
        'Bo,5,Print Works,office,50.00,USD,45.00,"Beacon, OP-110",Expenses 2026-10\n'
        "Bo,6,Bistro Marée,meals,48.90,EUR,48.90,,Expenses 2026-10\n"
        "Cy,9,Institute of Welding,training,1480.00,EUR,1480.00,,Expenses 2026-10\n"
        "Bo,11,Paper & More,office,389.00,SEK,38.90,,Expenses 2026-10\n"
    )
    assert ledger() == [
        (2, "Ada", 2000),
        (3, "Ada", 1555),
        (4, "Ada", 6000),
        (5, "Bo", 4500),
        (6, "Bo", 4890),
        (9, "Cy", 148000),
        (11, "Bo", 3890),
    ]
    report = outcome.output
    assert (report.plainly_fine, report.approved, report.refused, report.paid) == (2, 5, 3, Decimal("1708.35"))


def test_a_step_that_is_done_never_runs_again(walk):
    run = walk()
    done = [record for record in run.state.history.get_event_list() if record.status is ExecutionStatus.COMPLETED]
    assert len(done) == 19
    decided(run).decide(payout=APPROVE)
    after = run.state.history.get_event_list()
    assert [record for record in after if record.position in {one.position for one in done}] == done


def test_a_currency_that_is_unknown_too_is_asked_again(walk):
    run = walk()
    run.decide(line_11=Answer(kind="respond", by=["ada"], response={"currency": "XYZ"}))
    assert run.open_keys.count("line-11-currency") == 1
    assert run.question("line-11-currency").message.startswith("**There is no rate for XYZ either.**")


def test_the_next_question_proposes_what_the_one_before_it_left(walk):
    run = walk(HEADER + "Ada,2026-10-10,meals,Café Sol,EUR,70.00,R-1,\n")
    run.decide(line_2=edited(run, "line-2-limit", amount=Decimal("50.00")))
    question = run.question("line-2-weekend")
    assert (question.title, question.proposal.amount) == ("A meal on a Saturday: pay Ada 50.00 EUR?", Decimal("50.00"))
    run.decide(line_2=APPROVE)
    assert run.question("payout").proposal.total == Decimal("50.00")


def test_finance_approves_what_is_large_even_where_it_belongs_to_a_trip(walk):
    run = walk(
        HEADER + "Ada,2026-10-12,travel,Air,EUR,1000.01,R,trip Rio\nAda,2026-10-12,travel,Air,EUR,1000.00,R,trip Rio\n"
    )
    policies = [run.question(key).policy for key in ("line-2-trip", "line-3-trip")]
    assert policies == [Policy(from_groups={"Finance": 1}), None]


def test_what_else_an_expense_runs_against_is_asked_once_its_currency_is_known(walk):
    run = walk(HEADER + "Ada,2026-10-10,meals,Café Sol,SKE,700.00,,\n")
    asked = []
    for answer in (SEK, BEACON, APPROVE):
        asked += run.open_keys
        run.decide(line_2=answer)
    assert asked == ["line-2-currency", "line-2-receipt", "line-2-limit"]
    assert run.open_keys == ["line-2-weekend"]
    run.decide(line_2=REJECT)
    assert run.outcome.output.payout == "there was nothing to pay"
    assert ledger() == []


@pytest.mark.parametrize("amount", ["118.41", "0", "-1", "1.001", "NaN"])
def test_no_more_than_was_claimed_can_be_approved(walk, amount):
    run = walk()
    with pytest.raises(ValueError, match=r"amount|claimed"):
        run.decide(
            line_4=Answer(
                kind="edit", proposal={**run.question("line-4-limit").proposal.model_dump(), "amount": amount}
            )
        )
    assert "line-4-limit" in run.open_keys


@pytest.mark.parametrize(("limit", "needed"), [("1708.34", 2), ("1708.35", None)])
def test_a_payout_above_the_limit_takes_two_people(walk, limit, needed):
    question = decided(walk(two_people_above=Decimal(limit))).question("payout")
    assert (question.policy and question.policy.needed, question.risk) == (
        (needed, "critical") if needed else (None, "high")
    )
    assert (question.effect, question.editable, question.proposal.total) == (
        "irreversible",
        {"reference"},
        Decimal("1708.35"),
    )


def test_a_payout_that_is_rejected_pays_nothing_and_says_why(walk):
    run = decided(walk())
    report = run.decide(payout=REJECT).output
    assert (report.paid, report.people_paid, report.payout) == (0, 0, "rejected by ada: too dear")
    assert ledger() == []
    assert "## Paid" not in run.artifact("report.md")


def test_the_same_file_is_never_paid_twice_whoever_runs_it(walk):
    first, second = decided(walk()), decided(walk())
    first.decide(payout=APPROVE)
    paid = ledger()
    # The second was asked before the first was paid.
    report = second.decide(payout=APPROVE).output
    assert ledger() == paid
    assert (report.paid, report.paid_before, report.refused) == (0, 7, 3)
    third = walk()
    assert third.open_keys == ["line-7-trip", "line-8-trip", "line-10-duplicate"]
    again = walk(batch="once more")
    assert again.open_keys == list(QUESTIONS.values())


def test_a_step_of_the_payout_that_runs_again_pays_nothing_twice(walk):
    """The payment was committed, and its worker died before it wrote down that it did."""
    run = decided(walk())
    started = run.decide(payout=APPROVE)
    paid = ledger()
    for address in ("pay_out::agent_call", "pay_out::pay_claim::tool_call#2"):
        run.state = ExecutionState.load_from_state_id(run.state.state_id, *run.backends, resume_from_address=address)
        assert run.go_on().output == started.output
        assert ledger() == paid


def test_cells_that_a_spreadsheet_would_run_are_quoted(walk):
    run = walk(HEADER + '=1+1,2026-10-05,meals,"@SUM(A1)",EUR,118.40,+4,"-2|[x](http://y) <b>"\n')
    assert "2,2026-10-05,meals,'@SUM(A1),EUR,118.40,118.40,'+4,'-2|[x](http://y) <b>," in run.artifact(
        "claim of =1+1.csv"
    )
    assert '"\\-2\\|\\[x\\](http://y) \\<b\\>"' in run.question("line-2-limit").message
    run.decide(line_2=APPROVE)
    run.decide(payout=APPROVE)
    assert run.artifact("paid.csv").splitlines()[1] == "'=1+1,2,'@SUM(A1),meals,118.40,EUR,118.40,,Expenses 2026-10"
    assert "| \\=1+1 | 1 | 118.40 |" in run.artifact("report.md")


def test_a_header_alone_is_a_batch_that_pays_nothing(walk):
    report = walk(HEADER).outcome.output
    assert (report.expenses, report.paid, report.payout) == (0, 0, "there was nothing to pay")


def test_the_sample_expenses_are_the_same_everywhere_and_ten_are_asked_about(tmp_path):
    file = tmp_path / "sample" / "expenses.csv"
    write_expenses(file)
    first = file.read_bytes(), file.with_name("rates.csv").read_bytes()
    write_expenses(file)
    assert first == (file.read_bytes(), file.with_name("rates.csv").read_bytes())
    assert len(first[0].splitlines()) == ROWS + 1
    run = Walk(tmp_path, file)
    assert sorted(key.split("-", 2)[2] for key in run.open_keys) == (
        ["currency", "duplicate", "limit", "limit", "receipt", "receipt", "trip", "trip", "trip", "weekend"]
    )
    assert [key for key in run.open_keys if run.question(key).policy] == ["line-41-limit", "line-59-weekend"]
