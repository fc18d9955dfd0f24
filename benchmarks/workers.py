"""How long a decided run takes to go on: a real worker beside this process, which decides."""

import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ours
from contest import ROOT

WARM_UP = 10
STEPS = 100
LOST_AFTER_S = 30.0
LONGEST_BETWEEN_S = 0.1
# As `make run` starts it.
WORKER = "worker --pool threads --concurrency 4 --without-gossip --without-mingle --without-heartbeat".split()


def set_up(where: Path | str, broker_url: str | None) -> str:
    """Django on the empty database `where`, with a queue of its own at the broker (files, where there is none): its
    name."""
    queue = f"bench-{uuid.uuid4().hex}"
    os.environ |= {"CELERY_QUEUE": queue, "RECOVERY_UNDO_WINDOW_S": "0"}
    os.environ.pop("CELERY_BROKER_URL", None)
    if broker_url is not None:
        os.environ["CELERY_BROKER_URL"] = broker_url
    ours.set_up(where, settings_module="benchmarks.settings")
    return queue


def go_on(where: Path | str, broker_url: str | None, decisions: int) -> dict[str, float]:
    """Decide that many runs one after the other, and wait until each is over.

    *committed* is from the commit of the decision until the first step after the pause begins, *called* from the call
    of `decide`.
    """
    with _queue(where, broker_url), _worker() as log:
        from django.db import connection

        from recovery.models import State
        from recovery.services.start_run import start_run

        person = reviewers(1)[0]
        state_ids = [start_run("bench-gate", {"steps": STEPS}).pk for _ in range(WARM_UP + decisions)]
        waiting = State.objects.filter(status="awaiting", lease_until=None)
        if not _soon(lambda: waiting.count() == len(state_ids), within_s=300):
            raise SystemExit(f"the worker did not bring all runs to their question:\n{log.read_text()}")
        connection.close()
        rng = random.Random(11)
        gone_on = []
        for state_id in state_ids:
            # Whoever decides does not know when the worker looks for messages.
            time.sleep(rng.uniform(0, LONGEST_BETWEEN_S))
            gone_on.append(_decide(state_id, person))
        measured = [one for one in gone_on[WARM_UP:] if one is not None]
        committed = sorted(one[0] * 1000 for one in measured)
        called = sorted(one[1] * 1000 for one in measured)
        return {
            "committed p50": percentile(committed, 50),
            "committed p95": percentile(committed, 95),
            "committed max": committed[-1],
            "called p50": percentile(called, 50),
            "lost": len(gone_on) - len([one for one in gone_on if one is not None]),
        }


def _decide(state_id: uuid.UUID, person: Any) -> tuple[float, float] | None:
    """Seconds from the commit, and from the call, to the first new step; `None` if the run did not go on to its end."""
    from django.db import connection, transaction

    from recovery.models import ApprovalRequest, Resumption, State
    from recovery.services.decide import decide
    from rh_agents.core.serialization import decode

    request_id = ApprovalRequest.objects.open().values_list("pk", flat=True).get(state_id=state_id)
    committed: list[float] = []
    called_at = time.time()
    with transaction.atomic():
        # The first of what comes after the commit: before the work is handed over.
        transaction.on_commit(lambda: committed.append(time.time()))
        decide(request_id, by=person, kind="approve", seen_version=1)
    connection.close()
    over = State.objects.filter(pk=state_id, status="completed", lease_until=None)
    jobs = Resumption.objects.filter(state_id=state_id, kind="resume", status="done")
    if not _soon(lambda: over.exists() and jobs.count() == 1, within_s=LOST_AFTER_S):
        return None
    began_at = decode(over.get().output)
    return began_at - committed[0], began_at - called_at


def reviewers(count: int) -> list[Any]:
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Permission

    permission = Permission.objects.get(codename="decide_approvalrequest")
    people = [get_user_model()(username=f"reviewer-{number}") for number in range(count)]
    people = get_user_model().objects.bulk_create(people)
    permission.user_set.add(*people)
    return list(people)


def percentile(values: Sequence[float], which: int) -> float:
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[which - 1]


@contextmanager
def _queue(where: Path | str, broker_url: str | None) -> Iterator[str]:
    queue = set_up(where, broker_url)
    try:
        yield queue
    finally:
        if broker_url is not None:
            forget_queue(broker_url, queue)


def forget_queue(broker_url: str, queue: str) -> int:
    """How many messages were in it."""
    from kombu import Connection, Exchange, Queue

    with Connection(broker_url) as broker:
        # Declared as Celery does, so that its binding goes with it.
        declared = Queue(queue, Exchange(queue), routing_key=queue)(broker.default_channel)
        declared.declare()
        count = int(declared.queue_declare().message_count)
        declared.delete()
        return count


@contextmanager
def _worker() -> Iterator[Path]:
    """A worker and a beat, until this is left; gives the worker's log."""
    with tempfile.TemporaryDirectory(prefix="rhdashboard-bench-") as folder:
        log = Path(folder) / "worker.log"
        celery = [sys.executable, "-m", "celery", "--quiet", "--app", "rhdashboard"]
        commands = [[*celery, *WORKER], [*celery, "beat", "--schedule", str(Path(folder) / "schedule")]]
        with log.open("w") as lines:
            running = [
                subprocess.Popen(command, cwd=ROOT, stdout=lines, stderr=lines, start_new_session=True)
                for command in commands
            ]
        try:
            yield log
        finally:
            for process in running:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _soon(condition: Callable[[], bool], within_s: float) -> bool:
    give_up_at = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.01)
    return True
