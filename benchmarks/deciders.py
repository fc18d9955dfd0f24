"""Many decisions at once on PostgreSQL, of different requests and of one. No worker runs; a broker takes the work."""

import multiprocessing
import statistics
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import workers

WARM_UP = 20
STEPS = 5
DECIDERS = 50
_PROVEN = 20


class Job(NamedTuple):
    """One decision; `due_s` after the start, or at once."""

    request_id: uuid.UUID
    person_id: int
    due_s: float = 0.0


class Done(NamedTuple):
    """What it came to, and when on the monotonic clock of this machine; `due_at` is when it should have begun."""

    outcome: str
    due_at: float
    began_at: float
    ended_at: float

    @property
    def ms(self) -> float:
        return (self.ended_at - self.due_at) * 1000


def different_requests(
    where: str, broker_url: str, count: int, rate: float, processes: int, threads: int
) -> dict[str, float]:
    """Decide `count` requests, each once: `rate` of them a second, or as fast as it goes where that is 0."""
    queue = workers.set_up(where, broker_url)
    try:
        people = workers.reviewers(processes * threads)
        warm_up = len(people) * WARM_UP
        requests = _waiting(warm_up + count)
        lanes = [
            [Job(pk, person.pk) for pk in requests[number : warm_up : len(people)]]
            for number, person in enumerate(people)
        ]
        measured: list[list[Job]] = [[] for _ in people]
        for number, pk in enumerate(requests[warm_up:]):
            lane = number % len(people)
            measured[lane].append(Job(pk, people[lane].pk, number / rate if rate else 0.0))
        done = _carry_out(lanes, measured, processes, together=False)
        seconds = max(one.ended_at for one in done) - min(one.began_at for one in done)
        assert Counter(one.outcome for one in done) == {"accepted": count}, Counter(one.outcome for one in done)
        _check(requests)
    finally:
        handed_over = workers.forget_queue(broker_url, queue)
    assert handed_over == len(requests), f"{handed_over} of {len(requests)} were handed over"
    taken = sorted(one.ms for one in done)
    return {
        "decisions/s": count / seconds,
        "p50 ms": workers.percentile(taken, 50),
        "p95 ms": workers.percentile(taken, 95),
        "max ms": taken[-1],
    }


def one_request(where: str, broker_url: str, rounds: int, processes: int) -> dict[str, float]:
    """So many deciders let go at once on one request, again and again."""
    queue = workers.set_up(where, broker_url)
    try:
        people = workers.reviewers(DECIDERS)
        requests = _waiting(DECIDERS + rounds)
        own, shared = requests[:DECIDERS], requests[DECIDERS:]
        warm_up = [[Job(pk, person.pk)] for pk, person in zip(own, people, strict=True)]
        lanes = [[Job(pk, person.pk) for pk in shared] for person in people]
        done = _carry_out(warm_up, lanes, processes, together=True)
        _check(requests, refused=rounds * (DECIDERS - 1))
    finally:
        workers.forget_queue(broker_url, queue)
    # Lane by lane, each with one decision a round.
    by_round = [done[number::rounds] for number in range(rounds)]
    for one_round in by_round:
        outcomes = Counter(one.outcome for one in one_round)
        assert outcomes == {"accepted": 1, "AlreadyResolved": DECIDERS - 1}, outcomes
    taken = [
        (max(one.ended_at for one in one_round) - min(one.began_at for one in one_round)) * 1000
        for one_round in by_round
    ]
    single = sorted(one.ms for one in done)
    return {
        "all have it, ms": statistics.median(taken),
        "worst round, ms": max(taken),
        "one answer p50, ms": workers.percentile(single, 50),
        "accepted": sum(one.outcome == "accepted" for one in done) / rounds,
        "refused": sum(one.outcome == "AlreadyResolved" for one in done) / rounds,
    }


# ---- Requests that wait ----


def _waiting(count: int) -> list[uuid.UUID]:
    """So many open requests, each of a run of its own: one that a worker brought to its question, and copies of it."""
    from django.db import connection, transaction

    from recovery.models import ApprovalRequest, Checkpoint, Event, ProposalVersion, Resumption, State
    from recovery.services.start_run import start_run
    from recovery.services.work import work_on_state

    with transaction.atomic():
        first = start_run("bench-gate", {"steps": STEPS}).pk
        # Nobody is asked to work on it: this process does.
        connection.run_on_commit = []
    work_on_state(first)
    original = ApprovalRequest.objects.get(state_id=first)
    state_ids = [first, *(uuid.uuid4() for _ in range(count - 1))]
    request_ids = [original.pk, *(uuid.uuid4() for _ in range(count - 1))]
    ours = {"state": first}
    _copy(State, {"pk": first}, [{"id": pk} for pk in state_ids[1:]])
    for model in (Checkpoint, Event, Resumption):
        _copy(model, ours, [{"state_id": pk} for pk in state_ids[1:]])
    both = list(zip(state_ids, request_ids, strict=True))[1:]
    _copy(ApprovalRequest, ours, [{"id": pk, "state_id": state_id} for state_id, pk in both])
    _copy(ProposalVersion, {"request": original}, [{"request_id": pk} for pk in request_ids[1:]])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return request_ids


def _copy(model: Any, which: dict[str, Any], changes: Sequence[dict[str, Any]]) -> None:
    """Each row of `model` once for each of `changes`."""
    names = [field.attname for field in model._meta.concrete_fields if not _is_counted(field)]
    rows = list(model.objects.filter(**which).values(*names))
    model.objects.bulk_create([model(**{**row, **change}) for row in rows for change in changes], batch_size=500)


def _is_counted(field: Any) -> bool:
    return bool(field.primary_key) and field.get_internal_type() == "BigAutoField"


def _check(requests: Sequence[uuid.UUID], refused: int = 0) -> None:
    """Each got one resolution and one job, all of it is in the audit, and what was decided does run."""
    from django.db.models import Count

    from recovery.models import ApprovalRequest, AuditEntry, Decision, Resolution, Resumption, State
    from recovery.services import audit
    from recovery.services.work import work_on_state

    def most(model: Any, name: str) -> list[int]:
        counts = model.objects.values_list(name).annotate(count=Count("pk"))
        return sorted({count for _, count in counts})

    jobs = Resumption.objects.filter(kind="resume")
    assert Resolution.objects.count() == jobs.count() == len(requests)
    assert most(Resolution, "request") == most(Resumption, "resolution")[:1] == [1]
    assert Decision.objects.filter(refusal="already_resolved").count() == refused
    assert AuditEntry.objects.filter(action="decided").count() == len(requests)
    assert AuditEntry.objects.filter(action="refused").count() == refused
    assert list(audit.broken_links()) == []
    some = list(ApprovalRequest.objects.filter(pk__in=requests[-_PROVEN:]).values_list("state_id", flat=True))
    for state_id in some:
        work_on_state(state_id)
    assert set(State.objects.filter(pk__in=some).values_list("status", flat=True)) == {"completed"}


# ---- The deciders ----


def _carry_out(
    warm_up: Sequence[Sequence[Job]], measured: Sequence[Sequence[Job]], processes: int, *, together: bool
) -> list[Done]:
    """Each lane on a thread of its own, spread over the processes; what was measured, lane by lane. `together`: all
    lanes begin each of their jobs at once."""
    from django.db import connection

    connection.close()
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(len(measured))
    shares: list[tuple[Any, Any]] = []
    for number in range(processes):
        receiving, sending = spawn.Pipe(duplex=False)
        share = list(zip(warm_up, measured, strict=True))[number::processes]
        process = spawn.Process(target=_decider, args=(share, barrier, together, sending))
        process.start()
        sending.close()
        shares.append((process, receiving))
    done: list[list[Done]] = [[] for _ in measured]
    for number, (process, receiving) in enumerate(shares):
        done[number::processes] = receiving.recv()
        process.join()
    return [one for lane in done for one in lane]


def _decider(share: Sequence[tuple[Sequence[Job], Sequence[Job]]], barrier: Any, together: bool, sending: Any) -> None:
    """One process, as a web server's: threads that share its connection pool."""
    import django

    django.setup()
    done: list[list[Done]] = [[] for _ in share]

    def lane(number: int) -> None:
        warm_up, measured = share[number]
        for job in warm_up:
            _decide(job, time.monotonic())
        barrier.wait(300)
        started_at = time.monotonic()
        for job in measured:
            if together:
                barrier.wait(300)
                started_at = time.monotonic()
            due_at = started_at + job.due_s if job.due_s else time.monotonic()
            time.sleep(max(0.0, due_at - time.monotonic()))
            done[number].append(_decide(job, due_at))

    threads = [threading.Thread(target=lane, args=[number]) for number in range(len(share))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sending.send(done)


def _decide(job: Job, due_at: float) -> Done:
    """As a web server does it: a person who was just looked up, a connection that goes back to its pool."""
    from django.contrib.auth import get_user_model
    from django.db import close_old_connections

    from recovery.errors import Refused
    from recovery.services.decide import decide

    began_at = time.monotonic()
    try:
        person = get_user_model().objects.get(pk=job.person_id)
        decide(job.request_id, by=person, kind="approve", seen_version=1)
        outcome = "accepted"
    except Refused as refusal:
        outcome = type(refusal).__name__
    finally:
        close_old_connections()
    return Done(outcome, due_at, began_at, time.monotonic())
