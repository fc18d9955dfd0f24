"""Many at once, on real threads: whoever is first wins, the others are told, and what runs, runs once."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection, connections
from django.utils import timezone

from recovery.demo import tables
from recovery.demo.csv_file import ColumnType
from recovery.errors import AlreadyResolved, InvalidInput, NotRetryable, Refused, StaleProposal
from recovery.models import (
    ApprovalRequest,
    AuditEntry,
    Checkpoint,
    Decision,
    ProposalVersion,
    Resolution,
    Resumption,
    State,
)
from recovery.services import audit
from recovery.services.decide import Outcome, decide
from recovery.services.lease import claim
from recovery.services.questions import current_version, proposal_of
from recovery.services.retry import retry
from recovery.services.start_run import start_run
from recovery.services.sweep import sweep
from recovery.services.work import work_on_state
from rh_agents.core.serialization import decode
from tests.conformance.pipelines import notes, words
from tests.project.processes import soon
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import Method, Refund, calls

pytestmark = pytest.mark.django_db(transaction=True)

ORDER = {"order": "A-17", "amount": "420.00"}


def many() -> int:
    """SQLite lets one write at a time: as many there only take longer."""
    return 50 if connection.vendor == "postgresql" else 12


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    """What each job gave or raised, all of them let go at the same moment."""
    barrier, outcomes = threading.Barrier(len(jobs)), [None] * len(jobs)

    def run(index: int, job: Callable[[], Any]) -> None:
        try:
            barrier.wait(60)
            outcomes[index] = job()
        except BaseException as error:
            outcomes[index] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.fixture
def reviewers(transactional_db: None) -> list[Any]:
    permissions = Permission.objects.filter(codename__in=["decide_approvalrequest", "start_state"])
    people = [get_user_model().objects.create(username=f"reviewer-{number}") for number in range(many())]
    for person in people:
        person.user_permissions.set(permissions)
    return people


@pytest.fixture
def waiting(transactional_db: None) -> State:
    return work(start_run("test-refund", ORDER).pk)


def test_of_many_deciders_one_is_accepted_and_the_others_are_told(waiting, reviewers):
    request = only_request(waiting)
    kinds = ["approve", "reject"]
    outcomes = at_once(
        *(
            lambda person=person, kind=kinds[number % 2]: decide(
                request.pk, by=person, kind=kind, comment="so it is", seen_version=1
            )
            for number, person in enumerate(reviewers)
        )
    )
    assert Counter(type(one) for one in outcomes) == {Outcome: 1, AlreadyResolved: many() - 1}
    [won] = [one for one in outcomes if isinstance(one, Outcome)]
    winner = won.decision.actor.username
    assert {str(one).split()[0] for one in outcomes if isinstance(one, AlreadyResolved)} == {winner}
    assert (Resolution.objects.count(), Resumption.objects.filter(kind="resume").count()) == (1, 1)
    # Every refusal can be seen: one by one in the record, and in the audit.
    assert Counter(Decision.objects.values_list("refusal", flat=True)) == {"": 1, "already_resolved": many() - 1}
    assert AuditEntry.objects.filter(action="refused").count() == many() - 1
    assert list(audit.broken_links()) == []

    at_once(*[lambda: work_on_state(waiting.pk)] * 8)

    state = State.objects.get(pk=waiting.pk)
    assert state.status == "completed"
    assert calls == (["look_up", "pay"] if won.decision.kind == "approve" else ["look_up"])


def test_the_same_click_many_times_is_one_decision(waiting, reviewers):
    person, request = reviewers[0], only_request(waiting)
    outcomes = at_once(*[lambda: decide(request.pk, by=person, kind="approve", idempotency_key="one-click")] * many())
    assert {type(one) for one in outcomes} == {Outcome}
    assert len({(one.decision.pk, one.resolution.pk, one.resumption.pk) for one in outcomes}) == 1
    assert Decision.objects.count() == 1


def test_of_many_editors_the_version_that_won_is_the_one_that_runs(waiting, reviewers):
    request = only_request(waiting)

    def edit(number: int) -> Callable[[], Outcome]:
        proposal = Refund(order="A-17", amount=number + 1, method=Method.CREDIT)
        return lambda: decide(request.pk, by=reviewers[number], kind="edit", proposal=proposal, seen_version=1)

    outcomes = at_once(*(edit(number) for number in range(10)))
    [won] = [number for number, one in enumerate(outcomes) if isinstance(one, Outcome)]
    assert {type(one) for one in outcomes} == {Outcome, AlreadyResolved}
    assert ProposalVersion.objects.filter(request=request).count() == 2
    assert proposal_of(current_version(request)).amount == won + 1
    assert decode(work(waiting.pk).output) == f"paid {won + 1} by credit"


def test_whoever_looked_at_another_version_is_told_so_whatever_the_race(waiting, reviewers):
    request = only_request(waiting)
    outcomes = at_once(
        *(
            lambda person=person: decide(request.pk, by=person, kind="approve", seen_version=2)
            for person in reviewers[:8]
        )
    )
    assert {type(one) for one in outcomes} == {StaleProposal}
    assert only_request(waiting).is_open
    assert calls == ["look_up"]


def test_a_decision_that_comes_while_workers_are_at_work_waits_and_is_never_lost(tmp_path, reviewers):
    state = work(start_run("conformance-branches", {"folder": str(tmp_path), "steps": 4}).pk)
    requests = list(ApprovalRequest.objects.open().filter(state=state))
    assert len(requests) == 4

    def decide_and_work(number: int) -> Callable[[], None]:
        def job() -> None:
            decide(requests[number].pk, by=reviewers[number], kind="approve")
            work_on_state(state.pk)

        return job

    assert at_once(*(decide_and_work(number) for number in range(4))) == [None] * 4

    # Every decision asked for work, and whoever held the state then looked again before letting go: no sweep needed.
    state.refresh_from_db()
    assert (state.status, state.error, sweep()) == ("completed", "", 0)
    assert decode(state.output) == ["approve"] * 4
    assert sorted(words(tmp_path)) == ["prepare", "step-0", "step-1", "step-2", "step-3"]
    assert set(Resumption.objects.values_list("status", flat=True)) == {"done"}


def test_a_state_has_one_holder(waiting, reviewers):
    decide(only_request(waiting).pk, by=reviewers[0], kind="approve")
    leases = at_once(*[lambda: claim(waiting.pk)] * 10)
    assert sum(lease is not None for lease in leases) == 1
    assert State.objects.get(pk=waiting.pk).fence == waiting.fence + 1


def test_a_holder_whose_lease_ran_out_inside_of_a_step_neither_goes_on_nor_touches_the_jobs(tmp_path, reviewers):
    state = start_run("conformance-walk", {"folder": str(tmp_path), "holds_at": "prepare"})
    first = threading.Thread(target=lambda: at_once(lambda: work_on_state(state.pk)))
    second = threading.Thread(target=lambda: at_once(lambda: work_on_state(state.pk)))
    first.start()
    assert soon(lambda: words(tmp_path) == ["prepare"])
    State.objects.filter(pk=state.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    second.start()
    assert soon(lambda: words(tmp_path) == ["prepare", "prepare"])
    (tmp_path / "open").touch()
    first.join()
    second.join()
    state.refresh_from_db()
    job = Resumption.objects.get()
    assert (state.status, state.fence, state.lease_until) == ("awaiting", 2, None)
    assert (job.status, job.fence, job.attempts, job.last_error) == ("done", 2, 1, "")
    assert (only_request(state).title, Checkpoint.objects.count()) == ("Go on?", state.head)
    assert len(set(notes(tmp_path))) == 1


@pytest.mark.parametrize("given", [{"comment": "a\0b"}, {"comment": "\ud800"}, {"idempotency_key": "k" * 201}])
def test_what_no_database_holds_is_no_refusal_either(waiting, reviewers, given):
    request = only_request(waiting)
    decide(request.pk, by=reviewers[0], kind="reject", comment="no")
    with pytest.raises(InvalidInput) as refused:
        decide(request.pk, by=reviewers[1], kind="approve", **given)
    assert set(refused.value.errors) == set(given)
    assert Decision.objects.count() == 1


def test_a_failed_run_is_retried_once(transactional_db, reviewers):
    failed = work(start_run("test-failing", ORDER).pk)
    outcomes = at_once(*(lambda person=person: retry(failed.pk, by=person) for person in reviewers[:8]))
    assert Counter(type(one) for one in outcomes) == {Resumption: 1, NotRetryable: 7}
    assert work(failed.pk).status == "completed"


def test_many_runs_at_once_keep_one_unbroken_audit(transactional_db):
    states = at_once(*[lambda: start_run("test-refund", ORDER)] * 8)
    assert at_once(*(lambda state=state: work_on_state(state.pk) for state in states)) == [None] * 8
    assert Counter(State.objects.values_list("status", flat=True)) == {"awaiting": 8}
    assert AuditEntry.objects.count() == 16
    assert list(audit.broken_links()) == []


def test_deciding_and_a_worker_finishing_never_lock_each_other_for_good(transactional_db, reviewers):
    states = [work(start_run("test-gates", ORDER).pk) for _ in range(4)]

    def through_all_gates(state: State, person: Any) -> Callable[[], str]:
        def job() -> str:
            for _ in range(3):
                for request in ApprovalRequest.objects.open().filter(state=state):
                    decide(request.pk, by=person, kind="approve")
                work_on_state(state.pk)
            return State.objects.get(pk=state.pk).status

        return job

    outcomes = at_once(*(through_all_gates(state, reviewers[0]) for state in states))
    assert outcomes == ["completed"] * 4
    assert list(audit.broken_links()) == []


def test_two_runs_that_load_into_one_table_are_told_apart(transactional_db):
    def create(run: str) -> Callable[[], None]:
        return lambda: tables.create("raced", {"a": ColumnType.TEXT}, run)

    try:
        outcomes = at_once(*(create(f"run-{number}") for number in range(6)))
        assert Counter(type(one) for one in outcomes) == {type(None): 1, tables.TableTaken: 5}
    finally:
        with connection.cursor() as cursor:
            cursor.execute('DROP TABLE IF EXISTS "loaded_raced"')
            cursor.execute(f"DROP TABLE IF EXISTS {tables.OWNERS}")


def test_refusals_of_the_race_change_nothing(waiting, reviewers):
    request = only_request(waiting)
    decide(request.pk, by=reviewers[0], kind="reject", comment="no")
    before = (Resolution.objects.get().pk, Resumption.objects.count(), request.versions.count())
    outcomes = at_once(
        *(lambda person=person: decide(request.pk, by=person, kind="approve") for person in reviewers[1:9])
    )
    assert all(isinstance(one, Refused) for one in outcomes)
    assert (Resolution.objects.get().pk, Resumption.objects.count(), request.versions.count()) == before
