"""A process killed (kill -9) before and after each of its commits, one by one: the run ends as if nothing had happened.

The process is forked from the test, so that there can be one for every commit; what it leaves behind is real.
"""

import os
import signal
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from recovery.models import ApprovalRequest, AuditEntry, Checkpoint, Decision, Event, Resolution, Resumption, State
from recovery.services import audit
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from recovery.services.sweep import sweep
from recovery.services.work import work_on_state
from rh_agents.core.serialization import decode
from tests.conformance.pipelines import Amount, notes, words

pytestmark = pytest.mark.conformance

LIMIT = 60


def killed_at(number: int, *, after: bool, job: Callable[[], Any]) -> bool:
    """Do `job` in a process that is killed at its commit of that number, from 0; `False` if it has fewer."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _kill_at(number, after)
            job()
            code = 0
        finally:
            os._exit(code)
    _, how = os.waitpid(child, 0)
    if os.WIFSIGNALED(how):
        assert os.WTERMSIG(how) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(how) == 0, "the job failed before it was killed; see the captured output"
    return False


def _kill_at(number: int, after: bool) -> None:
    """Count the commits of this process: of transactions, and of single statements that write."""
    left = number

    def committing(commit: Callable[[], Any]) -> Any:
        nonlocal left
        left -= 1
        if left < 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = commit()
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def statement(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        writes = sql.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE", "WITH"))
        if not writes or context["connection"].in_atomic_block:
            return execute(sql, params, many, context)
        return committing(lambda: execute(sql, params, many, context))

    commit = connection.commit
    connection.commit = lambda: committing(commit)
    connection.execute_wrappers.append(statement)


def expire_lease(state_id: uuid.UUID) -> None:
    State.objects.filter(pk=state_id, lease_until__isnull=False).update(
        lease_until=timezone.now() - timedelta(seconds=1)
    )


def recorded(state_id: uuid.UUID) -> set[str]:
    events = Event.objects.current().filter(state_id=state_id, status="completed").exclude(actor="go")
    return {f"{state_id}:{address}" for address in events.values_list("address", flat=True)}


def resume(state_id: uuid.UUID) -> None:
    """Another worker, after the lease ran out: only the sweep tells it."""
    expire_lease(state_id)
    if sweep():
        work_on_state(state_id)
    assert sweep() == 0


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("part", ["start", "decide", "resume"])
def test_a_kill_at_any_commit_changes_nothing_in_the_end(ada: Any, tmp_path: Path, part: str, after: bool):
    for number in range(LIMIT):
        folder = tmp_path / str(number)
        folder.mkdir()
        state_id = start_run("conformance-walk", {"folder": str(folder)}).pk
        if part == "start":
            was_killed = killed_at(number, after=after, job=lambda state_id=state_id: work_on_state(state_id))
            assert_nothing_recorded_runs_again(state_id, folder)
        else:
            work_on_state(state_id)
        request = ApprovalRequest.objects.open().get(state_id=state_id)

        def approve(request: ApprovalRequest = request) -> None:
            decide(request.pk, by=ada, kind="edit", proposal=Amount(value=7), idempotency_key="click")

        if part == "decide":
            was_killed = killed_at(number, after=after, job=approve)
            # Whole or not at all; and whoever clicks again, because no answer came, gets the same decision.
            counts = {
                Decision.objects.filter(request=request).count(),
                Resolution.objects.filter(request=request).count(),
            }
            assert counts in ({0}, {1})
        approve()
        if part == "resume":
            was_killed = killed_at(number, after=after, job=lambda state_id=state_id: work_on_state(state_id))
        assert_nothing_recorded_runs_again(state_id, folder)
        assert_as_if_nothing_had_happened(state_id, folder)
        if not was_killed:
            assert number >= 1
            break
    else:
        pytest.fail(f"more than {LIMIT} commits")
    assert list(audit.broken_links()) == []


def assert_nothing_recorded_runs_again(state_id: uuid.UUID, folder: Path) -> None:
    safe, before = recorded(state_id), len(notes(folder))
    resume(state_id)
    assert safe.isdisjoint(line.split()[1] for line in notes(folder)[before:])


def assert_as_if_nothing_had_happened(state_id: uuid.UUID, folder: Path) -> None:
    state = State.objects.get(pk=state_id)
    assert (state.status, state.error) == ("completed", "")
    assert decode(state.output) == "paid 7"
    assert set(words(folder)) == {"prepare", "gated", "last"}
    assert len(set(notes(folder))) == 3
    # At most the step that was interrupted ran again.
    assert sorted(Counter(words(folder)).values()) in ([1, 1, 1], [1, 1, 2])
    request = ApprovalRequest.objects.get(state_id=state_id)
    assert (request.outcome, request.versions.count(), request.resolutions.count()) == ("edit", 2, 1)
    assert set(Resumption.objects.filter(state_id=state_id).values_list("kind", "status")) == {
        ("start", "done"),
        ("resume", "done"),
    }
    assert Checkpoint.objects.filter(state_id=state_id).count() == state.head
    assert [entry.action for entry in AuditEntry.objects.filter(state_id=state_id).order_by("number")] == [
        "started",
        "opened",
        "decided",
    ]
