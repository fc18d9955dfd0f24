"""A process killed before and after each commit of a vote, an undo, a way back and an expiry: the run ends as if
nothing had happened."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from recovery.errors import NotUndoable
from recovery.models import ApprovalRequest, AuditEntry, Checkpoint, Decision, Resolution, Resumption, State
from recovery.services import audit
from recovery.services.attend import attend
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from recovery.services.sweep import sweep
from recovery.services.undo import undo
from recovery.services.work import work_on_state
from rh_agents.core.serialization import decode
from tests.conformance.kills import expire_lease, killed_at
from tests.conformance.pipelines import notes, words

pytestmark = pytest.mark.conformance

LIMIT = 60
Job = Callable[[], Any]


class Life:
    """One run that waits with its draft. The job of its `part` is killed at a commit; whoever did it does it again."""

    def __init__(self, folder: Path, by: Any, part: str, number: int, after: bool, **given: Any) -> None:
        self.folder, self.part, self.number, self.after = folder, part, number, after
        self.was_killed = False
        folder.mkdir()
        self.state_id = start_run("conformance-draft", {"folder": str(folder), **given}).pk
        work_on_state(self.state_id)
        decide(self.request.pk, by=by, kind="approve", comment="begun")
        work_on_state(self.state_id)

    @property
    def request(self) -> ApprovalRequest:
        return ApprovalRequest.objects.open().get(state_id=self.state_id)

    def do(self, part: str, job: Job) -> None:
        if part != self.part:
            job()
            return
        self.was_killed = killed_at(self.number, after=self.after, job=job)
        job()

    def work(self, part: str) -> None:
        """A worker's part; if it is killed, the lease runs out and another one comes."""
        before = len(notes(self.folder))
        if part == self.part:
            self.was_killed = killed_at(self.number, after=self.after, job=lambda: work_on_state(self.state_id))
        else:
            work_on_state(self.state_id)
        expire_lease(self.state_id)
        sweep()
        work_on_state(self.state_id)
        assert not Resumption.objects.due().filter(state_id=self.state_id).exists()
        # At most the step that was interrupted ran again, as itself.
        ran = notes(self.folder)[before:]
        assert len(ran) - len(set(ran)) <= int(self.was_killed)

    def time_to_undo_is_over(self) -> None:
        Resumption.objects.filter(state_id=self.state_id, status="pending").update(not_before="2026-01-01T00:00Z")

    def assert_ended(self, status: str, output: str | None, *ran: str) -> None:
        state = State.objects.get(pk=self.state_id)
        assert (state.status, state.error) == (status, "")
        assert (decode(state.output) if state.output else None) == output
        # Each step under one key, however often it was interrupted.
        assert sorted(line.split()[0] for line in set(notes(self.folder))) == sorted(ran)
        assert not ApprovalRequest.objects.open().filter(state_id=self.state_id).exists()
        assert not Resumption.objects.filter(state_id=self.state_id, status__in=Resumption.UNFINISHED).exists()
        assert Checkpoint.objects.filter(state_id=self.state_id).count() == state.head

    def acts(self) -> list[str]:
        """What the audit says of the request about the draft."""
        request = ApprovalRequest.objects.get(state_id=self.state_id, title="Go on?")
        return list(
            AuditEntry.objects.filter(request_id=request.pk).order_by("number").values_list("action", flat=True)
        )


@pytest.fixture
def at_each_commit(ada: Any, tmp_path: Path) -> Callable[..., None]:
    """Live the same life again and again, killed at its first commit, at its second, and so on."""

    def live(then: Callable[[Life], None], part: str, after: bool, **given: Any) -> None:
        for number in range(LIMIT):
            life = Life(tmp_path / str(number), ada, part, number, after, **given)
            then(life)
            if not life.was_killed:
                assert number >= 1
                assert list(audit.broken_links()) == []
                return
        pytest.fail(f"more than {LIMIT} commits")

    return live


before_and_after = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
FIRST = ("prepare", "draft")


@before_and_after
@pytest.mark.parametrize("part", ["first vote", "last vote", "worker"])
def test_a_vote_counts_once_or_not_at_all(at_each_commit: Any, ada: Any, grace: Any, part: str, after: bool):
    def votes(life: Life) -> None:
        request = life.request

        def vote(person: Any) -> None:
            decide(request.pk, by=person, kind="approve", idempotency_key="click")

        life.do("first vote", lambda: vote(grace))
        assert life.request.pk == request.pk
        life.do("last vote", lambda: vote(ada))
        life.work("worker")
        life.assert_ended("completed", "begun: paid 1", *FIRST, "gated", "last")
        voted = Decision.objects.filter(request=request).order_by("pk")
        assert [(one.kind, one.actor.username, one.refusal) for one in voted] == [
            ("approve", "grace", ""),
            ("approve", "ada", ""),
        ]
        assert life.acts() == ["opened", "voted", "decided"]

    at_each_commit(votes, part, after, needed=2)


@before_and_after
@pytest.mark.parametrize("part", ["undo", "worker"])
def test_a_decision_is_undone_or_it_is_not(at_each_commit: Any, ada: Any, grace: Any, part: str, after: bool):
    def take_back(life: Life) -> None:
        request = life.request
        decide(request.pk, by=ada, kind="edit", proposal={"value": 9})

        def take_it_back() -> None:
            # Whoever did it once is told the second time that there is nothing to take back.
            with suppress(NotUndoable):
                undo(request.pk, by=ada)

        life.do("undo", take_it_back)
        assert life.request.pk == request.pk
        assert not Resolution.objects.filter(request=request, undone_at=None).exists()
        work_on_state(life.state_id)
        assert words(life.folder) == [*FIRST]
        decide(request.pk, by=grace, kind="approve")
        life.time_to_undo_is_over()
        life.work("worker")
        life.assert_ended("completed", "begun: paid 1", *FIRST, "gated", "last")
        jobs = Resumption.objects.filter(resolution__request=request).order_by("pk").values_list("status", flat=True)
        assert list(jobs) == ["undone", "done"]
        assert [act for act in life.acts() if act != "refused"] == ["opened", "decided", "undone", "decided"]

    at_each_commit(take_back, part, after, undo_window_s=60)


@before_and_after
@pytest.mark.parametrize("part", ["send back", "fork", "begin again", "go on"])
def test_a_run_that_is_sent_back_goes_on_as_one_fork(at_each_commit: Any, ada: Any, grace: Any, part: str, after: bool):
    def send_back(life: Life) -> None:
        request, original_id = life.request, life.state_id
        back = {"kind": "request_changes", "to": "draft::tool_call", "comment": "5", "idempotency_key": "click"}
        life.do("send back", lambda: decide(request.pk, by=ada, **back))
        life.work("fork")
        fork = State.objects.get(parent_id=original_id)
        original = State.objects.get(pk=original_id)
        assert (original.status, original.superseded_by_id) == ("cancelled", fork.pk)
        assert life.acts() == ["opened", "sent_back"]
        life.state_id = fork.pk
        life.work("begin again")
        decide(life.request.pk, by=grace, kind="approve", idempotency_key="click")
        life.work("go on")
        # The answer before the target is kept, the draft ran again in the fork and was told.
        life.assert_ended("completed", "begun: paid 5", *FIRST, "draft", "gated", "last")
        assert {line.split()[1].split(":")[0] for line in notes(life.folder)} == {str(original_id), str(fork.pk)}
        jobs = Resumption.objects.filter(state__in=[original_id, fork.pk]).values_list("kind", "status")
        assert Counter(jobs) == {("start", "done"): 2, ("resume", "done"): 2, ("fork", "done"): 1}
        life.state_id = original_id
        life.assert_ended("cancelled", None, *FIRST, "draft", "gated", "last")

    at_each_commit(send_back, part, after)


@before_and_after
@pytest.mark.parametrize("part", ["expire", "worker"])
def test_a_request_expires_once(at_each_commit: Any, part: str, after: bool):
    def expire(life: Life) -> None:
        request = life.request
        life.do("expire", attend)
        life.work("worker")
        life.assert_ended("completed", "begun: expire", *FIRST)
        [decision] = Decision.objects.filter(request=request)
        assert (decision.kind, decision.actor_kind, decision.refusal) == ("expire", "system", "")
        assert life.acts() == ["opened", "expired"]

    at_each_commit(expire, part, after, expires_at=timezone.now() - timedelta(seconds=1))
