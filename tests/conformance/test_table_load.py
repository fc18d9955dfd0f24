"""The table load sample with its worker killed inside of the load: the table holds exactly the file's rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from recovery.models import ApprovalRequest, Event, State
from recovery.services.decide import decide
from recovery.services.questions import current_version, proposal_of
from recovery.services.start_run import start_run
from rh_agents.core.serialization import decode
from tests.conformance.workers import Workers

pytestmark = pytest.mark.conformance

ROWS = 1200


def batches(state: State) -> dict[str, int]:
    """The batches that are written down as done: address to position in the log."""
    events = Event.objects.current().filter(state=state, actor="load_batch", status="completed")
    return dict(events.values_list("address", "position"))


def rows_of(table: str) -> list[tuple[Any, ...]]:
    if f"loaded_{table}" not in connection.introspection.table_names():
        return []
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT * FROM "loaded_{table}" ORDER BY "line"')
        return cursor.fetchall()


def test_a_worker_killed_inside_of_a_batch_leaves_exactly_the_rows_of_the_file(
    workers: Workers, ada: Any, tmp_path: Path, drop_later: Callable[[str], None]
):
    drop_later("kill_test")
    path = tmp_path / "kill_test.csv"
    path.write_text("id,name\n" + "".join(f"{number},Ł{number % 7}\n" for number in range(ROWS)))
    state = start_run("table-load", {"file": str(path)})
    worker = workers.start()
    workers.until(lambda: ApprovalRequest.objects.open().filter(state=state).exists())
    request = ApprovalRequest.objects.get(state=state)
    plan = proposal_of(current_version(request)).model_copy(update={"batch_rows": 10})
    decide(request.pk, by=ada, kind="edit", proposal=plan)

    workers.until(lambda: len(batches(state)) >= 5)
    with transaction.atomic():
        # While the test holds this lock the worker stands inside of a batch, or of the checkpoint after it.
        with connection.cursor() as cursor:
            cursor.execute(
                'LOCK TABLE "loaded_kill_test" IN EXCLUSIVE MODE' if connection.vendor == "postgresql" else "SELECT 1"
            )
        workers.kill(worker)
    done = batches(state)
    assert 5 <= len(done) < ROWS / 10
    assert 10 * len(done) <= len(rows_of("kill_test")) <= 10 * len(done) + 10
    workers.start()

    workers.until(lambda: State.objects.get(pk=state.pk).status == "completed")
    assert rows_of("kill_test") == [(number + 1, number, f"Ł{number % 7}") for number in range(ROWS)]
    finished = batches(state)
    assert len(finished) == ROWS / 10 + 1
    assert {address: finished[address] for address in done} == done
    report = decode(State.objects.get(pk=state.pk).output)
    assert (report.rows_in_file, report.rows_loaded) == (ROWS, ROWS)
