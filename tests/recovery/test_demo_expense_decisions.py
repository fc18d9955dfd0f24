"""The expense batch sample as people decide about it: groups, quorums, expiry, and sending it back."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group

from recovery.demo.expenses.proposals import CostCentre, Project
from recovery.errors import InvalidInput, NotAllowed
from recovery.forms import ModelForm, form_for
from recovery.models import ApprovalRequest, State
from recovery.services.actors import SYSTEM
from recovery.services.decide import decide
from recovery.services.policies import why_stuck
from recovery.services.questions import current_version, proposal_of, question_of
from recovery.services.start_run import start_run
from rh_agents.core.serialization import decode
from tests.recovery.browser_forms import submitted
from tests.recovery.conftest import only_request, work
from tests.recovery.expense_runs import BATCH, HEADER, ledger, write_batch

BOTH = HEADER + "Ada,2026-10-05,,Post,USD,50.00,R-1,\nAda,2026-10-06,,Kiosk,SEK,700.00,R-2,\n"


@pytest.fixture
def start(db: Any, tmp_path: Path) -> Any:
    """Start a batch, and let a worker take it to its questions."""

    def start(content: str = BATCH, **given: Any) -> State:
        return work(start_run("expense-batch", {"file": str(write_batch(tmp_path, content)), **given}).pk)

    return start


@pytest.fixture
def fatima(make_user: Any) -> Any:
    """A reviewer of Finance."""
    fatima = make_user("fatima")
    fatima.groups.add(Group.objects.create(name="Finance"))
    return fatima


def asked(state: State, key: str) -> ApprovalRequest:
    """The newest request of that question."""
    requests = [one for one in state.requests.order_by("-generation") if key in one.address]
    return requests[0]


def text_of(state: State, key: str) -> str:
    return state.artifact_refs.get(key=key).artifact.read().decode()


def test_a_batch_is_walked_through_and_paid_once(start, ada, grace, fatima):
    state = start(two_people_above="100")
    assert ApprovalRequest.objects.open().count() == 8
    limit = asked(state, "line-4-limit")
    smaller = proposal_of(current_version(limit)).model_copy(update={"amount": Decimal("60.00")})
    decide(limit.pk, by=ada, kind="edit", proposal=smaller)
    decide(
        asked(state, "line-5-receipt").pk,
        by=ada,
        kind="respond",
        response={"project": "Beacon", "cost_centre": "OP-110", "explanation": ""},
    )
    decide(asked(state, "line-6-weekend").pk, by=SYSTEM, kind="expire")
    decide(asked(state, "line-8-trip").pk, by=grace, kind="reject", comment="too dear")
    decide(asked(state, "line-9-limit").pk, by=fatima, kind="approve")
    decide(asked(state, "line-10-duplicate").pk, by=ada, kind="reject", comment="The same expense")
    decide(asked(state, "line-11-currency").pk, by=ada, kind="respond", response={"currency": "SEK"})
    payout = only_request(work(state.pk))
    decide(payout.pk, by=ada, kind="approve")
    assert (work(state.pk).status, ledger()) == ("awaiting", [])
    decide(payout.pk, by=grace, kind="approve")
    state = work(state.pk)
    assert (state.status, state.error) == ("completed", "")
    report = decode(state.output)
    assert (report.paid, report.approved, report.refused) == (Decimal("1708.35"), 5, 3)
    assert sum(cents for _, _, cents in ledger()) == 170835
    decided = text_of(state, "report.md").split("## Looked at")[1]
    assert "| cancelled with the rest of its group: “Trip to Lisbon: pay Cy 690.00 EUR for Hotel Tejo?” was" in decided
    assert "| 8 | Cy | Hotel Tejo | 690.00 EUR | 0.00 | rejected by grace: too dear |" in decided
    assert "| 6 | Bo | Bistro Marée | 48.90 EUR | 48.90 | passed: nobody objected in time |" in decided
    assert report.payout == "approved by ada and grace"


def test_rejecting_a_part_of_a_trip_cancels_the_other_and_nothing_else(start, ada):
    state = start()
    decide(asked(state, "line-7-trip").pk, by=ada, kind="reject", comment="too dear")
    outcomes = {one.address.split("::")[1].split("[")[0]: one.outcome for one in state.requests.all()}
    assert {key: outcome for key, outcome in outcomes.items() if outcome} == {
        "line-7-trip": "reject",
        "line-8-trip": "cancel",
    }


def test_only_finance_decides_about_a_large_expense(start, ada, fatima):
    request = asked(start(), "line-9-limit")
    with pytest.raises(NotAllowed):
        decide(request.pk, by=ada, kind="approve")
    assert asked(request.state, "line-9-limit").is_open
    assert decide(request.pk, by=fatima, kind="approve").resolution.outcome == "approve"


def test_without_a_group_finance_the_request_says_that_it_is_stuck(start, ada):
    assert why_stuck(asked(start(), "line-9-limit")) == "It needs 1 of Finance, where nobody may decide."


def test_more_than_was_claimed_and_other_fields_are_refused_and_the_request_stays_open(start, ada):
    request = asked(start(), "line-4-limit")
    proposal = proposal_of(current_version(request)).model_dump(mode="json")
    for change in ({"amount": "118.41"}, {"amount": "-1"}, {"category": "fun"}, {"person": "Bo"}):
        with pytest.raises(InvalidInput):
            decide(request.pk, by=ada, kind="edit", proposal={**proposal, **change})
    with pytest.raises(InvalidInput):
        decide(
            asked(request.state, "line-5-receipt").pk,
            by=ada,
            kind="respond",
            response={"project": "Beacon", "cost_centre": "x"},
        )
    assert ApprovalRequest.objects.open().count() == 8


def test_a_batch_that_is_sent_back_to_convert_uses_the_rate_that_was_written(start, ada, grace):
    original = start(BOTH)
    payout = only_request(original)
    assert proposal_of(current_version(payout)).total == Decimal("115.00")
    words = "The dollar stood higher:\nrate USD 0.95\ncategory: travel"
    decide(payout.pk, by=ada, kind="request_changes", to="convert::tool_call", comment=words)
    work(original.pk)
    fork = work(State.objects.get(parent=original).pk)
    again = only_request(fork)
    assert proposal_of(current_version(again)).total == Decimal("117.50")
    decide(again.pk, by=grace, kind="approve")
    report = text_of(work(fork.pk), "report.md")
    assert (
        "## Sent back with\n\n"
        "- ada: The dollar stood higher: rate USD 0.95 category: travel\n"
        "    - line 2 converted at 0.95\n\n"
    ) in report
    assert ledger() == [(2, "Ada", 4750), (3, "Ada", 7000)]
    assert original.requests.get().outcome == "request_changes"


def test_a_batch_that_is_sent_back_to_categorise_sorts_as_was_written_and_asks_what_follows(start, ada, grace):
    original = start(BOTH)
    words = "line 3 category: meals"
    decide(only_request(original).pk, by=ada, kind="request_changes", to="categorise::tool_call", comment=words)
    work(original.pk)
    fork = work(State.objects.get(parent=original).pk)
    request = only_request(fork)
    assert request.title == "Pay Ada 70.00 EUR for Kiosk?"
    decide(request.pk, by=grace, kind="request_changes", to="convert::tool_call", comment="rate SEK 0.09")
    work(fork.pk)
    last = work(State.objects.get(parent=fork).pk)
    request = only_request(last)
    assert request.title == "Pay Ada 63.00 EUR for Kiosk?"
    decide(request.pk, by=grace, kind="reject", comment="too dear")
    decide(only_request(work(last.pk)).pk, by=grace, kind="approve")
    report = text_of(work(last.pk), "report.md")
    assert (
        "- ada: line 3 category: meals\n"
        "    - line 3 sorted under meals\n"
        "- grace: rate SEK 0.09\n"
        "    - line 3 converted at 0.09\n"
    ) in report
    assert ledger() == [(2, "Ada", 4500)]


def test_a_rate_for_an_unknown_currency_answers_the_question(start, ada):
    original = start(HEADER + "Ada,2026-10-05,office,Paper,SKE,100.00,R-1,\n")
    decide(only_request(original).pk, by=ada, kind="request_changes", to="convert::tool_call", comment="rate SKE 0.1")
    work(original.pk)
    payout = only_request(work(State.objects.get(parent=original).pk))
    assert payout.title == "Pay out 10.00 EUR to 1 person?"


@pytest.mark.parametrize("key", ["line-4-limit", "line-7-trip", "payout"])
def test_an_unedited_form_gives_the_proposal_back(start, ada, key):
    state = start() if key != "payout" else start(BOTH)
    proposal = proposal_of(current_version(asked(state, key)))
    form = form_for(proposal, prefix="proposal", data=submitted(form_for(proposal, prefix="proposal")))
    assert form.is_valid(), form.errors
    assert (form.value, form.is_edited) == (proposal, False)


def test_the_form_of_a_missing_receipt_asks_for_project_and_cost_centre(start):
    question = question_of(asked(start(), "line-5-receipt"))
    changes = {"response.project": "Beacon", "response.cost_centre": "OP-110"}
    empty = ModelForm(question.response_model, prefix="response")
    form = ModelForm(question.response_model, prefix="response", data=submitted(empty, changes))
    assert form.is_valid(), form.errors
    assert form.value == CostCentre(project=Project.BEACON, cost_centre="OP-110")
