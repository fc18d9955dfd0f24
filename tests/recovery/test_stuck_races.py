"""Acts on one run by many at once, on real threads: one of them happens, and nothing is half done."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from recovery import pipelines
from recovery.errors import AlreadyResolved, NotCancellable, NotRetryable, NotStuck
from recovery.models import ApprovalRequest, AuditEntry, Decision, Resolution, Resumption, State
from recovery.services import audit
from recovery.services.accept_version import Accepted, accept_version
from recovery.services.cancel_run import cancel_run
from recovery.services.dead_letters import dismiss
from recovery.services.decide import Outcome, decide
from recovery.services.retry import retry
from recovery.services.start_run import start_run
from recovery.services.work import work_on_state
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import calls
from tests.recovery.stuck_runs import stuck
from tests.recovery.test_races import at_once, reviewers

__all__ = ["reviewers"]

pytestmark = pytest.mark.django_db(transaction=True)

ORDER = {"order": "A-17", "amount": "420.00"}


def kinds(outcomes: list[Any]) -> Counter[type]:
    return Counter(type(one) for one in outcomes)


def asking() -> ApprovalRequest:
    return only_request(work(start_run("test-refund", ORDER).pk))


def cancelling(state_id: Any, person: Any) -> Callable[[], State]:
    return lambda: cancel_run(state_id, by=person, reason="stop")


def test_of_many_that_try_a_stuck_run_again_one_does(reviewers):
    failed = work(start_run("test-failing", ORDER).pk)
    job = Resumption.objects.get()
    outcomes = at_once(
        *(lambda person=person: retry(failed.pk, by=person, seen_job=job.pk) for person in reviewers[:8])
    )
    assert kinds(outcomes) == {Resumption: 1, NotRetryable: 7}
    assert Resumption.objects.filter(kind="retry").count() == 1
    assert work(failed.pk).status == "completed"


def test_of_many_that_dismiss_a_stuck_run_one_does(reviewers):
    job = stuck()
    outcomes = at_once(*(lambda person=person: dismiss(job.state_id, by=person) for person in reviewers[:8]))
    assert kinds(outcomes) == {Resumption: 1, NotStuck: 7}
    assert AuditEntry.objects.filter(action="dismissed").count() == 1


def test_of_many_that_accept_a_version_the_first_does_and_the_run_is_tried_again_once(reviewers, monkeypatch):
    request = asking()
    decide(request.pk, by=reviewers[0], kind="approve")
    with monkeypatch.context() as patch:
        patch.setattr(pipelines, "_registry", {})
        work(request.state_id)
    State.objects.filter(pk=request.state_id).update(pipeline_version="0")
    outcomes = at_once(
        *(lambda person=person: accept_version(request.state_id, version="1", by=person) for person in reviewers[:8])
    )
    assert kinds(outcomes) == {Accepted: 8}
    assert sum(one.retry is not None for one in outcomes) == 1
    assert AuditEntry.objects.filter(action="version_accepted").count() == 1
    assert (work(request.state_id).status, calls) == ("completed", ["look_up", "pay"])


def test_a_cancellation_and_a_worker_that_claims_the_run_never_both_have_it(reviewers):
    requests = [asking() for _ in range(6)]
    for request in requests:
        decide(request.pk, by=reviewers[0], kind="approve")
    outcomes = at_once(
        *(cancelling(request.state_id, reviewers[1]) for request in requests),
        *(lambda request=request: work_on_state(request.state_id) for request in requests),
    )
    cancelled = outcomes[: len(requests)]
    assert outcomes[len(requests) :] == [None] * len(requests)
    assert kinds(cancelled).keys() <= {State, NotCancellable}
    for request, outcome in zip(requests, cancelled, strict=True):
        state = State.objects.get(pk=request.state_id)
        job = Resumption.objects.get(state=state, kind="resume")
        is_cancelled = isinstance(outcome, State)
        assert (state.status, job.status, state.lease_until) == (
            ("cancelled", "undone", None) if is_cancelled else ("completed", "done", None)
        )
    assert calls.count("pay") == kinds(cancelled)[NotCancellable]
    assert list(audit.broken_links()) == []


def test_a_cancellation_and_a_decision_never_both_settle_a_request(reviewers):
    requests = [asking() for _ in range(6)]
    outcomes = at_once(
        *(cancelling(request.state_id, reviewers[1]) for request in requests),
        *(lambda request=request: decide(request.pk, by=reviewers[0], kind="approve") for request in requests),
    )
    # A decision that comes first is not carried out: the run is cancelled all the same.
    assert kinds(outcomes[: len(requests)]) == {State: len(requests)}
    assert kinds(outcomes[len(requests) :]).keys() <= {Outcome, AlreadyResolved}
    assert Resolution.objects.count() == len(requests)
    for request, decided in zip(requests, outcomes[len(requests) :], strict=True):
        request.refresh_from_db()
        assert request.outcome == ("approve" if isinstance(decided, Outcome) else "cancel")
        assert work(request.state_id).status == "cancelled"
    assert "pay" not in calls


def test_of_many_that_cancel_a_run_one_does(reviewers):
    request = asking()
    outcomes = at_once(*(cancelling(request.state_id, person) for person in reviewers[:8]))
    assert kinds(outcomes) == {State: 1, NotCancellable: 7}
    assert Decision.objects.count() == 1
