"""A process killed before and after each of its commits, one by one: the run ends as if nothing had happened."""

import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from recovery.models import ApprovalRequest, AuditEntry, Checkpoint, Decision, Event, Resolution, Resumption, State
from recovery.services import audit
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from recovery.services.work import work_on_state
from rh_agents.core.serialization import decode
from tests.conformance.kills import killed_at, resume
from tests.conformance.pipelines import Amount, notes, words

pytestmark = pytest.mark.conformance

LIMIT = 60


def recorded(state_id: uuid.UUID) -> set[str]:
    events = Event.objects.current().filter(state_id=state_id, status="completed").exclude(actor="go")
    return {f"{state_id}:{address}" for address in events.values_list("address", flat=True)}


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
