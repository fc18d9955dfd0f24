"""Cancelling a run: saved as cancelled, its questions settled, nothing of it runs any more."""

from datetime import timedelta

import pytest
from django.utils import timezone

from recovery.backends import DjangoArtifactBackend, DjangoStateBackend
from recovery.errors import AlreadyResolved, InvalidInput, NotCancellable, NotPermitted, NotRetryable
from recovery.models import ApprovalRequest, AuditEntry, Checkpoint, Decision, Resumption, State
from recovery.services import audit
from recovery.services.cancel_run import LONGEST_REASON, cancel_run
from recovery.services.dead_letters import stuck_jobs
from recovery.services.decide import decide
from recovery.services.lease import claim
from recovery.services.retry import retry
from recovery.services.start_run import start_run
from recovery.services.sweep import sweep
from rh_agents.core.errors import StaleWriterError
from rh_agents.core.execution import ExecutionState
from rh_agents.core.serialization import decode
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import calls

pytestmark = pytest.mark.django_db

ORDER = {"order": "A-17", "amount": "420.00"}


def loaded(state):
    return ExecutionState.load_from_state_id(str(state.pk), DjangoStateBackend(), DjangoArtifactBackend())


def stands(state):
    """Everything that cancelling may change."""
    return (
        State.objects.values_list("status", "head", "fence").get(pk=state.pk),
        Checkpoint.objects.filter(state=state).count(),
        ApprovalRequest.objects.open().filter(state=state).count(),
        list(Resumption.objects.filter(state=state).values_list("status", flat=True)),
        AuditEntry.objects.count(),
    )


def test_a_run_that_waits_is_cancelled_with_what_it_asks(run_until_it_waits, ada):
    state = run_until_it_waits(tags=["eu"], description="Refund it")
    request = only_request(state)

    after = cancel_run(state.pk, by=ada, reason="  The customer called.  ")

    assert (after.status, after.head, after.description) == ("cancelled", state.head + 1, "Refund it")
    newest = Checkpoint.objects.get(state=state, number=after.head)
    assert (newest.status, newest.author, newest.event_count) == ("cancelled", "ada", 2)
    request.refresh_from_db()
    decision = Decision.objects.get()
    assert (request.outcome, decision.kind, decision.actor, decision.actor_kind) == ("cancel", "cancel", ada, "user")
    assert (decision.comment, decision.channel, decision.actor_name) == ("The customer called.", "web", "ada")
    answer = decode(request.resolutions.get().answer)
    assert (answer.kind, answer.approved, answer.comment, answer.by) == ("cancel", False, decision.comment, ["ada"])
    said = [(one.action, one.actor, one.request_id) for one in AuditEntry.objects.order_by("number")[2:]]
    assert said == [("cancelled", "ada", request.pk), ("run_cancelled", "ada", None)]
    assert list(audit.broken_links()) == []
    # What it has done so far can still be read.
    snapshot = loaded(after)
    assert (snapshot.status, snapshot.storage.get("looked_up"), snapshot.metadata.tags) == ("cancelled", "A-17", ["eu"])
    with pytest.raises(AlreadyResolved, match="ada was first: cancel"):
        decide(request.pk, by=ada, kind="approve")
    assert (work(state.pk).status, calls) == ("cancelled", ["look_up"])


def test_a_run_that_failed_is_cancelled_for_good_and_is_not_stuck_any_more(run_until_it_waits, ada):
    state = run_until_it_waits("test-failing")
    assert cancel_run(state.pk, by=ada, reason="mended by hand").status == "cancelled"
    assert not stuck_jobs().exists()
    with pytest.raises(NotRetryable, match="The run was cancelled"):
        retry(state.pk, by=ada)
    assert (Resumption.objects.count(), sweep()) == (1, 0)


def test_a_run_that_no_worker_has_taken_on_yet_is_cancelled_before_it_starts(ada):
    state = start_run("test-refund", ORDER, tags=["eu"])
    after = cancel_run(state.pk, by=ada, reason="started by mistake")
    assert (after.status, after.head, Resumption.objects.get().status) == ("cancelled", 1, "undone")
    assert [tag.tag for tag in after.tags.all()] == ["eu"]
    assert (sweep(), work(state.pk).status, calls) == (0, "cancelled", [])


def test_a_decision_that_no_worker_has_carried_out_yet_is_not_carried_out_any_more(run_until_it_waits, ada):
    state = run_until_it_waits()
    resumption = decide(only_request(state).pk, by=ada, kind="approve").resumption
    cancel_run(state.pk, by=ada, reason="the wrong customer")
    resumption.refresh_from_db()
    assert (resumption.status, resumption.resolution.outcome) == ("undone", "approve")
    assert (work(state.pk).status, calls) == ("cancelled", ["look_up"])


def test_a_run_whose_worker_fell_silent_is_cancelled_and_the_worker_writes_nothing_any_more(run_until_it_waits, ada):
    state = run_until_it_waits()
    decide(only_request(state).pk, by=ada, kind="approve")
    silent = claim(state.pk)
    Resumption.objects.filter(kind="resume").update(status="running", fence=silent.fence)
    State.objects.filter(pk=state.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    backend = DjangoStateBackend(fence=silent.fence)
    late = ExecutionState.load_from_state_id(str(state.pk), backend, DjangoArtifactBackend())

    after = cancel_run(state.pk, by=ada, reason="it hangs")

    job = Resumption.objects.get(kind="resume")
    assert (job.status, job.last_error) == ("failed", "The run was cancelled by ada.")
    assert not stuck_jobs().exists()
    assert (silent.renew(), after.fence) == (False, silent.fence + 1)
    with pytest.raises(StaleWriterError):
        late.save_checkpoint()
    assert stands(state)[0] == ("cancelled", after.head, after.fence)


def test_a_run_whose_classes_are_gone_is_cancelled_all_the_same(run_until_it_waits, ada):
    state = run_until_it_waits()
    State.objects.filter(pk=state.pk).update(input='{"$":"obj","t":"gone.Gone","v":{}}')
    assert cancel_run(state.pk, by=ada, reason="its code is gone").status == "cancelled"


def test_a_second_click_cancels_nothing_and_says_so(run_until_it_waits, ada, grace):
    state = run_until_it_waits()
    cancel_run(state.pk, by=ada, reason="once")
    before = stands(state)
    with pytest.raises(NotCancellable, match="The run is cancelled already"):
        cancel_run(state.pk, by=grace, reason="twice")
    assert stands(state) == before


def test_a_run_that_a_worker_holds_is_not_cancelled(run_until_it_waits, ada):
    state = run_until_it_waits()
    decide(only_request(state).pk, by=ada, kind="approve")
    assert claim(state.pk)
    before = stands(state)
    with pytest.raises(NotCancellable, match="A worker is at the run now"):
        cancel_run(state.pk, by=ada, reason="stop")
    assert stands(state) == before


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"status": "completed"}, "The run is completed already."),
        ({"pipeline_version": ""}, "This run belongs to a program of its own, which has to cancel it."),
    ],
)
def test_a_run_that_is_over_or_not_ours_is_not_cancelled(run_until_it_waits, ada, columns, why):
    state = run_until_it_waits()
    State.objects.filter(pk=state.pk).update(**columns)
    before = stands(state)
    with pytest.raises(NotCancellable) as refused:
        cancel_run(state.pk, by=ada, reason="stop")
    assert (str(refused.value), stands(state)) == (why, before)


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        (" \n", "Say why: it stays in the record."),
        ("a\0b", "The reason holds a NUL character."),
        ("\ud800", "The reason holds a lone surrogate, which is no text."),
        ("x" * (LONGEST_REASON + 1), "The reason has 2001 characters; at most 2000 fit."),
    ],
)
def test_a_run_is_not_cancelled_without_a_reason_that_can_be_kept(run_until_it_waits, ada, reason, why):
    state = run_until_it_waits()
    before = stands(state)
    with pytest.raises(InvalidInput) as refused:
        cancel_run(state.pk, by=ada, reason=reason)
    assert (refused.value.errors, stands(state)) == ({"reason": [why]}, before)


def test_who_may_not_start_runs_cancels_none(run_until_it_waits, make_user):
    state = run_until_it_waits()
    before = stands(state)
    with pytest.raises(NotPermitted, match="not among those who start runs"):
        cancel_run(state.pk, by=make_user("vera", starts=False), reason="stop")
    assert stands(state) == before
