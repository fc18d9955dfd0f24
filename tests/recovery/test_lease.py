"""Leases: who gets one, how long it lasts, how it is renewed, and what its holder is told when it is lost."""

import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
import time_machine
from django.db import connection, connections, transaction
from django.utils import timezone

from recovery.models import Resumption, State
from recovery.services import heartbeat
from recovery.services.decide import decide
from recovery.services.delete_states import delete_states
from recovery.services.lease import Lease, claim
from recovery.services.start_run import start_run
from recovery.services.sweep import sweep
from tests.project.processes import soon
from tests.recovery.conftest import only_request, work

ORDER = {"order": "A-17", "amount": "420.00"}
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def started(transactional_db: None) -> State:
    return start_run("test-refund", ORDER)


@pytest.fixture
def beats(settings: Any) -> Callable[..., None]:
    """Set how long leases last and how often they are renewed."""

    def set_them(heartbeat_s: float = 0.1, lease_s: float = 600) -> None:
        settings.RECOVERY = {**settings.RECOVERY, "HEARTBEAT_S": heartbeat_s, "LEASE_S": lease_s}

    return set_them


def claimed(state_id: Any) -> Lease:
    lease = claim(state_id)
    assert lease is not None
    return lease


def until(lease: Lease) -> datetime | None:
    return State.objects.values_list("lease_until", flat=True).get(pk=lease.state_id)


def is_renewed(lease: Lease) -> bool:
    """Whether it will be, from now on."""
    before = until(lease)
    return soon(lambda: until(lease) != before)


def beating() -> int:
    return sum(thread.name == "recovery-heartbeat" for thread in threading.enumerate())


# ---- claiming


def test_two_holders_never_have_the_same_number_wherever_one_of_them_falls_asleep(started):
    left, others = 0, []

    def sleep(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal left
        left -= 1
        if left == -1:
            # So long that its own lease, if it has one, runs out; and somebody else comes.
            State.objects.update(lease_until=timezone.now() - HOUR)
            others.append(claim(started.pk))
        return execute(sql, params, many, context)

    for place in count():
        left = place
        with connection.execute_wrapper(sleep):
            mine = claim(started.pk)
        if not others:
            break
        other = others.pop()
        assert other is not None
        assert mine is None or mine.fence != other.fence
        State.objects.update(lease_until=None)
    # One statement where the database gives what it updated, else two.
    assert place >= 1


def test_the_clock_of_a_worker_says_nothing_about_a_lease(started):
    with time_machine.travel(datetime.now().astimezone() - HOUR):
        lease = claimed(started.pk)
    assert State.objects.held().get().pk == started.pk
    with time_machine.travel(datetime.now().astimezone() + HOUR):
        assert claim(started.pk) is None
        assert sweep() == 0
    assert lease.renew()


@pytest.mark.parametrize("clock", [-HOUR, HOUR], ids=["behind", "ahead"])
def test_a_decision_is_carried_at_once_by_a_worker_whose_clock_is_wrong(run_until_it_waits, ada, clock):
    state = run_until_it_waits()
    decide(only_request(state).pk, by=ada, kind="approve")
    with time_machine.travel(datetime.now().astimezone() + clock):
        assert sweep() == 1
        assert work(state.pk).status == "completed"


def test_a_decision_is_carried_at_once_though_the_clock_was_an_hour_ahead_when_it_was_made(run_until_it_waits, ada):
    state = run_until_it_waits()
    with time_machine.travel(datetime.now().astimezone() + HOUR):
        decide(only_request(state).pk, by=ada, kind="approve")
    assert sweep() == 1
    assert work(state.pk).status == "completed"


@pytest.mark.parametrize(
    ("times", "is_due"),
    [
        ({"not_before": -1}, True),
        ({"not_before": 20}, False),
        ({"not_before": 20, "created_at": 20}, True),  # It should never wait; its writer's clock is a bit ahead.
        ({"not_before": 7200, "created_at": 3600}, True),  # Whatever it should wait for: the clock has been set back.
        ({"not_before": 3608, "started_at": 3600}, True),
        ({"not_before": 7200}, False),
    ],
)
def test_a_job_waits_as_long_as_it_should_and_not_for_a_clock_that_was_set_back(started, times, is_due):
    now = timezone.now()
    columns = {"created_at": -60, **times}
    Resumption.objects.update(**{name: now + timedelta(seconds=after_s) for name, after_s in columns.items()})
    assert Resumption.objects.due().exists() is is_due
    assert sweep() == int(is_due)
    assert (claim(started.pk) is not None) is is_due


@pytest.mark.parametrize(("ends_after_s", "is_held"), [(-1, False), (60, True), (400, True), (3600, False)])
def test_a_lease_that_ends_later_than_any_could_is_one_from_before_the_clock_was_set_back(
    started, beats, ends_after_s, is_held
):
    beats(lease_s=60)
    State.objects.update(fence=3, lease_until=timezone.now() + timedelta(seconds=ends_after_s))
    assert State.objects.held().exists() is is_held
    assert sweep() == int(not is_held)
    lease = claim(started.pk)
    assert (lease and lease.fence) == (None if is_held else 4)


def test_a_state_with_a_lease_from_before_the_clock_was_set_back_can_be_deleted(started, ada, beats):
    beats(lease_s=60)
    State.objects.update(lease_until=timezone.now() + HOUR)
    assert delete_states([started.pk], by=ada) == 1
    assert not State.objects.exists()


# ---- renewing


def test_one_thread_renews_the_leases_of_all_runs_and_ends_with_the_last(beats):
    beats()
    leases = [claimed(start_run("test-refund", ORDER).pk) for _ in range(5)]
    for lease in leases:
        lease.__enter__()
    assert beating() == 1
    assert all(is_renewed(lease) for lease in leases)
    for lease in leases[1:]:
        lease.__exit__(None, None, None)
    assert is_renewed(leases[0])
    leases[0].__exit__(None, None, None)
    assert soon(lambda: beating() == 0)
    # And begins again with the next.
    with leases[1]:
        assert is_renewed(leases[1])


def test_the_holder_of_a_lease_that_was_taken_over_is_told_and_the_others_are_renewed_on(beats):
    beats()
    lost, kept = (claimed(start_run("test-refund", ORDER).pk) for _ in range(2))
    told: list[str] = []
    lost.when_lost(told.append)
    with lost, kept:
        State.objects.filter(pk=lost.state_id).update(fence=2, lease_until=timezone.now() + HOUR)
        assert soon(lambda: told != [])
        assert is_renewed(kept)
    assert told == [f"the lease of state {lost.state_id} was lost: another worker has it"]
    assert State.objects.get(pk=lost.state_id).lease_until > timezone.now() + HOUR / 2
    late: list[str] = []
    lost.when_lost(late.append)
    assert late == told


def test_a_lease_that_was_released_is_not_taken_again_by_a_late_beat(started):
    lease = claimed(started.pk)
    Resumption.objects.update(status="done")
    assert lease.release_unless_due()
    assert lease.renew() is False
    assert until(lease) is None


def test_a_database_that_is_away_for_a_while_costs_no_lease(started, beats, caplog):
    beats()
    lease = claimed(started.pk)
    told: list[str] = []
    lease.when_lost(told.append)
    with lease:
        with transaction.atomic():
            State.objects.select_for_update().get()
            assert soon(lambda: caplog.text.count("could not be renewed, which will be tried again") >= 2)
        assert is_renewed(lease)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            assert is_renewed(lease)
    assert told == []


def test_a_lease_that_cannot_be_renewed_is_lost_when_its_time_is_over_and_not_before(started, beats):
    beats(lease_s=1)
    lease = claimed(started.pk)
    told: list[float] = []
    lease.when_lost(lambda why: told.append((why, lease.renewed_at)))
    with lease, transaction.atomic():
        State.objects.select_for_update().get()
        assert soon(lambda: told != [])
    [(why, renewed_at)] = told
    assert why == f"the lease of state {started.pk} ran out: it could not be renewed in time"
    assert lease.renew_at - renewed_at >= 1


def test_a_row_that_somebody_keeps_locked_costs_the_other_runs_nothing(beats):
    beats()
    leases = [claimed(start_run("test-refund", ORDER).pk) for _ in range(3)]
    for lease in leases:
        lease.__enter__()
    with transaction.atomic():
        State.objects.select_for_update().get(pk=leases[0].state_id)
        # SQLite has no row locks: nobody at all writes now.
        for lease in leases[1:] if connection.vendor == "postgresql" else []:
            assert is_renewed(lease)
    assert all(is_renewed(lease) for lease in leases)
    for lease in leases:
        lease.__exit__(None, None, None)


def test_a_process_that_was_forked_renews_its_own_leases_and_not_its_parents(beats):
    beats()
    parents, childs = (start_run("test-refund", ORDER).pk for _ in range(2))
    with claimed(parents) as lease:
        assert is_renewed(lease)
        connections.close_all()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with claimed(childs) as own:
                    code = 0 if is_renewed(own) and heartbeat._heartbeat._leases == {own} else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert is_renewed(lease)


def test_the_lease_of_a_state_that_was_deleted_is_let_go(started):
    lease = claim(started.pk)
    State.objects.filter(pk=started.pk).delete()
    assert lease.release_unless_due()
