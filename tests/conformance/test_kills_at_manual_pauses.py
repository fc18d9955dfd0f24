"""A process killed before and after each of its commits around pauses made by hand: each decision passes its own pause,
and no other."""

import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from recovery.models import ApprovalRequest, AuditEntry, Checkpoint, Resumption, State
from recovery.services import audit
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from recovery.services.work import work_on_state
from rh_agents.core.serialization import decode
from tests.conformance.kills import killed_at, resume
from tests.conformance.pipelines import notes, words

pytestmark = pytest.mark.conformance

LIMIT = 60
DECISIONS = ["first", "second"]
PARTS = ["start", "decide first", "after first", "decide second", "after second"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("part", PARTS)
def test_a_kill_at_any_commit_lets_no_decision_pass_another_pause(ada: Any, tmp_path: Path, part: str, after: bool):
    for number in range(LIMIT):
        folder = tmp_path / str(number)
        folder.mkdir()
        state_id = start_run("conformance-by-hand", {"folder": str(folder), "steps": len(DECISIONS)}).pk
        was_killed = False

        def do(name: str, job: Any, number: int = number) -> None:
            nonlocal was_killed
            if name == part:
                was_killed = killed_at(number, after=after, job=job)
            else:
                job()

        def work(state_id: uuid.UUID = state_id) -> None:
            work_on_state(state_id)

        do("start", work)
        resume(state_id)
        for passed, comment in enumerate(DECISIONS):
            assert_it_waits(state_id, passed)
            request = ApprovalRequest.objects.open().get(state_id=state_id)

            def approve(request: ApprovalRequest = request, comment: str = comment) -> None:
                decide(request.pk, by=ada, kind="approve", comment=comment, idempotency_key="click")

            do(f"decide {comment}", approve)
            # Nobody got an answer, so they click again.
            approve()
            do(f"after {comment}", work)
            resume(state_id)
        assert_as_if_nothing_had_happened(state_id, folder)
        if not was_killed:
            assert number >= 1
            break
    else:
        pytest.fail(f"more than {LIMIT} commits")
    assert list(audit.broken_links()) == []


def assert_it_waits(state_id: uuid.UUID, passed: int) -> None:
    state = State.objects.get(pk=state_id)
    assert (state.status, state.error) == ("awaiting", "")
    assert asked(state_id) == [
        (f"Pass gate {number}?", "approve" if number < passed else "") for number in range(passed + 1)
    ]


def assert_as_if_nothing_had_happened(state_id: uuid.UUID, folder: Path) -> None:
    state = State.objects.get(pk=state_id)
    assert (state.status, state.error) == ("completed", "")
    assert decode(state.output) == "first, second"
    assert set(words(folder)) == {"prepare", "first", "second"}
    # At most the step that was interrupted ran again, as itself.
    assert len(set(notes(folder))) == 3
    assert sorted(Counter(words(folder)).values()) in ([1, 1, 1], [1, 1, 2])
    assert asked(state_id) == [("Pass gate 0?", "approve"), ("Pass gate 1?", "approve")]
    jobs = Resumption.objects.filter(state_id=state_id).order_by("pk").values_list("kind", "status")
    assert list(jobs) == [("start", "done"), ("resume", "done"), ("resume", "done")]
    assert Checkpoint.objects.filter(state_id=state_id).count() == state.head
    assert [entry.action for entry in AuditEntry.objects.filter(state_id=state_id).order_by("number")] == [
        "started",
        *("opened", "decided") * 2,
    ]


def asked(state_id: uuid.UUID) -> list[tuple[str, str]]:
    requests = ApprovalRequest.objects.filter(state_id=state_id).order_by("generation")
    return list(requests.values_list("title", "outcome"))
