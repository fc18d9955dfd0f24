"""Runs in real worker processes that are killed, stopped, doubled and started again: each ends as if nothing was."""

import os
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest

from recovery.models import ApprovalRequest, Checkpoint, Event, Resolution, Resumption, State
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from rh_agents.core.serialization import decode
from tests.conformance.pipelines import Amount, notes, words
from tests.conformance.workers import LEASE_S, Workers

pytestmark = pytest.mark.conformance


def status(state_id: uuid.UUID) -> str:
    return State.objects.values_list("status", flat=True).get(pk=state_id)


def start(folder: Path, pipeline: str = "conformance-walk", **given: Any) -> uuid.UUID:
    return start_run(pipeline, {"folder": str(folder), **given}).pk


def open_request(state_id: uuid.UUID) -> ApprovalRequest:
    return ApprovalRequest.objects.open().get(state_id=state_id)


def recorded(state_id: uuid.UUID) -> set[str]:
    """The idempotency keys of the steps that are written down as completed."""
    events = Event.objects.current().filter(state_id=state_id, status="completed")
    return {f"{state_id}:{address}" for address in events.values_list("address", flat=True)}


@pytest.mark.parametrize("place", ["prepare", "gated", "last"])
def test_a_worker_killed_inside_of_a_step_loses_nothing_and_runs_nothing_twice_that_was_recorded(
    workers: Workers, ada: Any, folder: Path, place: str
):
    state_id = start(folder, holds_at=place)
    first = workers.start()
    if place != "prepare":
        workers.until(lambda: status(state_id) == "awaiting")
        decide(open_request(state_id).pk, by=ada, kind="edit", proposal=Amount(value=7))
    workers.until(lambda: place in words(folder))
    workers.kill(first)
    assert status(state_id) == "running"

    workers.start()
    workers.until(lambda: words(folder).count(place) == 2)
    (folder / "open").touch()
    if place == "prepare":
        workers.until(lambda: status(state_id) == "awaiting")
        decide(open_request(state_id).pk, by=ada, kind="edit", proposal=Amount(value=7))
    workers.until(lambda: status(state_id) == "completed")

    assert sorted(words(folder)) == sorted(["prepare", "gated", "last", place])
    assert len(set(notes(folder))) == 3  # The interrupted step ran again under the same idempotency key.
    state = State.objects.get(pk=state_id)
    assert (decode(state.output), state.error) == ("paid 7", "")
    assert (Resolution.objects.count(), ApprovalRequest.objects.count()) == (1, 1)
    assert set(Resumption.objects.values_list("status", flat=True)) == {"done"}


def test_a_worker_killed_again_and_again_runs_no_recorded_step_twice(workers: Workers, folder: Path):
    state_id = start(folder, "conformance-steps", steps=60, holds_at="step-40")  # It cannot end before the kills.
    kills: list[tuple[set[str], int]] = []
    for so_many in (10, 35):
        worker = workers.start()
        workers.until(lambda so_many=so_many: len(notes(folder)) >= so_many)
        workers.kill(worker)
        kills.append((recorded(state_id), len(notes(folder))))
        assert status(state_id) == "running"
    (folder / "open").touch()
    workers.start()
    workers.until(lambda: status(state_id) == "completed")
    keys = [line.split()[1] for line in notes(folder)]
    assert len(set(keys)) == 60
    assert len(keys) <= 62  # Each kill can have interrupted one step.
    for safe, count in kills:
        assert 10 <= len(safe) + 1 <= 41
        assert safe.isdisjoint(keys[count:])
    assert decode(State.objects.get(pk=state_id).output) == sum(range(60))


def test_a_deciding_process_killed_between_its_commit_and_the_hand_over_has_decided(
    workers: Workers, ada: Any, folder: Path
):
    state_id = start(folder)
    worker = workers.start()
    workers.until(lambda: status(state_id) == "awaiting")
    workers.kill(worker)
    request = open_request(state_id)

    deciding = workers.run("tests.conformance.decide_in_process", str(request.pk), "ada", "die")

    assert deciding.returncode == -signal.SIGKILL, deciding.stderr
    assert Resumption.objects.get(resolution__request=request).status == "pending"
    workers.start()
    workers.until(lambda: status(state_id) == "completed")
    assert words(folder) == ["prepare", "gated", "last"]


def test_a_decision_is_accepted_while_the_broker_is_away_and_the_sweep_carries_it(
    workers: Workers, ada: Any, folder: Path
):
    state_id = start(folder)
    workers.start()
    workers.until(lambda: status(state_id) == "awaiting")

    deciding = workers.run(
        "tests.conformance.decide_in_process",
        str(open_request(state_id).pk),
        "ada",
        CELERY_BROKER_URL="redis://127.0.0.1:1/0",
    )

    assert deciding.returncode == 0, deciding.stderr
    assert f"the broker did not take the work on state {state_id}; the sweep will" in deciding.stderr
    workers.until(lambda: status(state_id) == "completed")
    assert words(folder) == ["prepare", "gated", "last"]


def test_many_workers_that_get_the_same_message_many_times_make_one_run(workers: Workers, ada: Any, folder: Path):
    state_id = start(folder)
    for _ in range(2):
        workers.start(sweeps=False)
    workers.post(state_id, times=20)
    workers.until(lambda: status(state_id) == "awaiting")
    decide(open_request(state_id).pk, by=ada, kind="approve")
    workers.post(state_id, times=20)
    workers.until(lambda: status(state_id) == "completed")
    # Late ones too: whoever is asked after the end finds nothing to do.
    head = State.objects.get(pk=state_id).head
    other = start(folder / "..", "conformance-steps", steps=1)
    workers.post(state_id, times=10)
    workers.post(other)
    workers.until(lambda: status(other) == "completed")
    assert words(folder) == ["prepare", "gated", "last"]
    assert State.objects.get(pk=state_id).head == head


def test_a_run_that_waits_outlives_a_restart_of_everything(workers: Workers, ada: Any, folder: Path):
    state_id = start(folder)
    worker = workers.start()
    # Killed between the pause and the end of its job, it would come to the same pause once more.
    workers.until(lambda: not Resumption.objects.exclude(status="done").exists())
    workers.kill(worker)
    before = (open_request(state_id).pk, State.objects.get(pk=state_id).head)
    other = start(folder / "..", "conformance-steps", steps=1)
    workers.start()
    workers.until(lambda: status(other) == "completed")  # The new worker has swept.
    assert (status(state_id), open_request(state_id).pk, State.objects.get(pk=state_id).head) == ("awaiting", *before)
    decide(open_request(state_id).pk, by=ada, kind="approve")
    workers.until(lambda: status(state_id) == "completed")
    assert words(folder) == ["prepare", "gated", "last"]


def test_a_step_that_blocks_for_longer_than_the_lease_keeps_it(workers: Workers, ada: Any, folder: Path):
    state_id = start(folder, holds_at="prepare")
    for _ in range(2):
        workers.start()
    workers.until(lambda: "prepare" in words(folder))
    taken = State.objects.get(pk=state_id)
    # The database's own clock of the lease says that it has been renewed past its first end.
    workers.until(
        lambda: (State.objects.get(pk=state_id).lease_until - taken.lease_until).total_seconds() > 1.5 * LEASE_S
    )
    (folder / "open").touch()
    workers.until(lambda: status(state_id) == "awaiting")
    assert words(folder) == ["prepare"]
    assert State.objects.get(pk=state_id).fence == taken.fence


@pytest.mark.parametrize(("pool", "runs"), [("threads", 8), ("prefork", 3)])
def test_a_worker_with_no_place_left_keeps_the_leases_of_all_its_runs(
    workers: Workers, folder: Path, pool: str, runs: int
):
    # The worker has the real settings: on PostgreSQL its connections are from a pool, and each run holds one.
    for _ in range(runs):
        start(folder, "conformance-steps", holds_at="step-0")
    workers.start(pool=pool, runs=runs)
    workers.until(lambda: len(words(folder)) == runs)
    workers.start()
    for _ in range(2):
        before = dict(State.objects.values_list("pk", "lease_until"))
        workers.until(
            lambda before=before: all(
                (until - before[pk]).total_seconds() > LEASE_S
                for pk, until in State.objects.values_list("pk", "lease_until")
            )
        )
    (folder / "open").touch()
    workers.until(lambda: set(State.objects.values_list("status", flat=True)) == {"completed"})
    # The second worker has found nothing to take over.
    assert words(folder) == ["step-0"] * runs
    assert set(State.objects.values_list("fence", flat=True)) == {1}
    assert set(Resumption.objects.values_list("status", "attempts")) == {("done", 0)}


def test_a_run_that_kills_its_worker_every_time_has_failed_in_the_end_and_harms_no_other(
    workers: Workers, folder: Path
):
    workers.start(pool="prefork", runs=2)
    deadly = start(folder, "conformance-exits")
    other = start(folder, "conformance-steps", steps=3)
    workers.until(lambda: status(deadly) == "failed")
    workers.until(lambda: status(other) == "completed")
    assert words(folder).count("exit") == 3
    job = Resumption.objects.get(state_id=deadly)
    assert (job.status, job.attempts) == ("failed", 3)
    assert "its worker ended without a word" in State.objects.get(pk=deadly).error


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGQUIT])
def test_a_process_of_a_worker_that_is_told_to_end_has_not_failed_its_run(
    workers: Workers, folder: Path, how: signal.Signals
):
    state_id = start(folder, "conformance-steps", holds_at="step-0")
    workers.start(pool="prefork", runs=2)
    workers.until(lambda: words(folder) == ["step-0"])
    _, pid, _ = State.objects.get(pk=state_id).lease_owner.split(":")
    os.kill(int(pid), how)
    # The lease has to run out, a sweep has to come in time, and the pool has to have a process again.
    workers.until(lambda: len(words(folder)) >= 2)
    (folder / "open").touch()
    workers.until(lambda: status(state_id) == "completed")
    job = Resumption.objects.get()
    assert (job.status, job.last_error, State.objects.get().error) == ("done", "", "")
    # A busy machine may let another lease run out: that is no failure either, and the step is still the same one.
    assert job.attempts == len(words(folder)) - 1
    assert len(set(notes(folder))) == 1
    assert not Event.objects.filter(status="failed").exists()


def test_a_worker_that_slept_through_its_lease_writes_nothing_when_it_wakes(workers: Workers, ada: Any, folder: Path):
    state_id = start(folder)
    first = workers.start()
    workers.until(lambda: status(state_id) == "awaiting")
    State.objects.filter(pk=state_id).update(
        input=State.objects.get(pk=state_id).input.replace('"holds_at":""', '"holds_at":"gated"')
    )
    decide(open_request(state_id).pk, by=ada, kind="approve")
    workers.until(lambda: "gated" in words(folder))
    os.killpg(first.pid, signal.SIGSTOP)
    workers.start()
    workers.until(lambda: words(folder).count("gated") == 2)
    (folder / "open").touch()
    workers.until(lambda: status(state_id) == "completed")
    done = State.objects.get(pk=state_id)

    os.killpg(first.pid, signal.SIGCONT)
    workers.until(lambda: f"state {state_id} is held by another worker now" in workers.logs())

    state = State.objects.get(pk=state_id)
    assert (state.head, state.status, state.output, state.fence) == (done.head, "completed", done.output, done.fence)
    assert Checkpoint.objects.filter(state_id=state_id).count() == done.head
    assert set(Resumption.objects.values_list("status", flat=True)) == {"done"}
    # The one that slept was inside of a step: it runs out, and goes no further.
    assert words(folder) == ["prepare", "gated", "gated", "last"]
    assert len(set(notes(folder))) == 3


def test_three_gates_in_a_row_survive_a_kill_at_each(workers: Workers, ada: Any, folder: Path):
    state_id = start(folder, "conformance-gates", steps=3)
    worker = workers.start()
    for number in range(3):
        if number == 1:
            workers.kill(worker)
            worker = workers.start()
        workers.until(lambda number=number: ApprovalRequest.objects.filter(title__endswith=f"{number}?").exists())
        decide(open_request(state_id).pk, by=ada, kind="approve")
    workers.until(lambda: status(state_id) == "completed")
    assert words(folder) == ["step-0", "step-1", "step-2"]
    assert decode(State.objects.get(pk=state_id).output) == ["approve"] * 3
