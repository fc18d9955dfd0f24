"""What is done to workers and to the broker: killed, stopped for a while, started anew, told the same twice."""

import os
import random
import signal
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from recovery.models import State
from tests.conformance.chaos.promises import BrokenPromise
from tests.conformance.redis_server import RedisServer
from tests.conformance.workers import LEASE_S, Workers


class Harm:
    """`hurt` are the ids of processes, and of process groups, that were killed or stopped; `did` counts."""

    def __init__(self, draw: random.Random, workers: Workers, broker: RedisServer | None, did: Counter[str]) -> None:
        self.random = draw
        self.workers = workers
        self.broker = broker
        self.did = did
        self.hurt: set[int] = set()
        self._asleep: dict[int, float] = {}

    def start_worker(self) -> None:
        pool = self.random.choice(["threads", "prefork"])
        self.workers.start(pool=pool, runs=self.random.choice([2, 4]) if pool == "threads" else 2)
        self.did["workers started"] += 1

    def kill_a_holder(self) -> None:
        """Whoever holds a lease: a process of a pool, or a worker whose runs are threads."""
        owners = State.objects.held().exclude(lease_owner="").order_by("pk").values_list("lease_owner", flat=True)
        pids = {int(owner.split(":")[1]) for owner in owners}
        if not pids:
            return
        pid = self.random.choice(sorted(pids))
        worker = next((worker for worker in self.workers.running if worker.pid == pid), None)
        if worker is not None:
            self._kill(worker)
        else:
            self.hurt.add(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return  # It was killed before; its lease has not run out yet.
            self.did["pool processes killed"] += 1

    def kill_a_worker(self) -> None:
        self._kill(self.random.choice(self.workers.running))

    def _kill(self, worker: subprocess.Popen[bytes]) -> None:
        self.hurt.add(worker.pid)
        self._asleep.pop(worker.pid, None)
        self.workers.kill(worker)
        self.did["workers killed"] += 1
        self.start_worker()

    def send_to_sleep(self) -> None:
        """For longer than a lease, in the middle of whatever it does."""
        worker = self.random.choice(self.workers.running)
        if worker.pid not in self._asleep and len(self._asleep) < len(self.workers.running) - 1:
            self.hurt.add(worker.pid)
            os.killpg(worker.pid, signal.SIGSTOP)
            for_s = self.random.uniform(0.5, 2) * LEASE_S
            self._asleep[worker.pid] = time.monotonic() + for_s
            # It may hold a lock that the storm itself waits for: then nobody else would wake it.
            alarm = threading.Timer(for_s + 1, _wake, [worker.pid])
            alarm.daemon = True
            alarm.start()
            self.did["workers stopped for a while"] += 1

    def wake(self, now: float) -> None:
        for pid in [pid for pid, until in self._asleep.items() if until <= now]:
            del self._asleep[pid]
            os.killpg(pid, signal.SIGCONT)

    def kill_the_broker(self) -> None:
        assert self.broker is not None
        if self.broker.is_up:
            self.broker.kill()
            self.did["broker killed"] += 1
        else:
            self.broker.start()

    def post_again(self, runs: Sequence[uuid.UUID]) -> None:
        """The message of some of `runs`, twice or late; of finished ones too."""
        if not runs or (self.broker is not None and not self.broker.is_up):
            return
        for state_id in self.random.choices(runs, k=4):
            times = self.random.choice([1, 2, 5])
            self.workers.post(state_id, times, later_s=self.random.choice([0, 0, 1.5]))
            self.did["messages posted again"] += times

    def calm(self) -> None:
        self.wake(float("inf"))
        if self.broker is not None and not self.broker.is_up:
            self.broker.start()

    def replace(self, worker: subprocess.Popen[bytes]) -> None:
        """One that ended by itself is started anew, as a supervisor does.

        A worker that holds a message when Redis goes may end of kombu's `restore_unacked`. Nothing else may end one.
        """
        log = self.workers.log_of(worker)
        if not self.did["broker killed"] or "Connection to broker lost" not in log or "Unrecoverable error" not in log:
            raise BrokenPromise(f"worker {worker.pid} ended by itself:\n{log}")
        self._kill(worker)
        self.did["workers killed"] -= 1
        self.did["workers that ended with the broker"] += 1


def _wake(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGCONT)
