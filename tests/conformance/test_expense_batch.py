"""The expense batch sample, killed at each commit of its payout: everybody is paid once, what was approved."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from recovery.demo.expenses import payouts
from recovery.models import ApprovalRequest, State
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from recovery.services.work import work_on_state
from rh_agents.core.serialization import decode
from tests.conformance.kills import killed_at, resume
from tests.recovery.expense_runs import HEADER, ledger, write_batch

pytestmark = pytest.mark.conformance

BATCH = HEADER + "".join(
    f"{person},2026-10-05,meals,Café {number},EUR,{number}.50,R,\n"
    for number, person in enumerate(["Ada", "Bo", "Ada"], start=1)
)
PAID = [(2, "Ada", 150), (3, "Bo", 250), (4, "Ada", 350)]


@pytest.fixture
def _no_payouts_are_left(transactional_db: None) -> Iterator[None]:
    """The table is none of the models', so that no test's end empties it."""
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {payouts.TABLE}")


@pytest.mark.usefixtures("_no_payouts_are_left")
def test_killed_at_any_commit_of_the_payout_it_pays_everybody_once(ada: Any, tmp_path: Path):
    file = write_batch(tmp_path, BATCH)
    was_killed, number = True, -1
    while was_killed:
        number += 1
        state_id = start_run("expense-batch", {"file": str(file), "batch": f"batch {number}"}).pk
        work_on_state(state_id)
        decide(ApprovalRequest.objects.get(state_id=state_id).pk, by=ada, kind="approve")
        was_killed = killed_at(number, after=number % 2 == 1, job=lambda state_id=state_id: work_on_state(state_id))
        resume(state_id)
        state = State.objects.get(pk=state_id)
        assert (state.status, state.error) == ("completed", "")
        assert str(decode(state.output).paid) == "7.50"
        assert ledger(f"batch {number}") == PAID
    assert number >= 8
