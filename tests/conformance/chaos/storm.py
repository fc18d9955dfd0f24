"""The storm: runs are started, people decide, and workers, deciders and the broker are killed at random."""

import random
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connections

from recovery.models import ApprovalRequest, Resolution, Resumption, State
from recovery.services.start_run import start_run
from tests.conformance.chaos.courses import draw_course
from tests.conformance.chaos.deciders import PEOPLE, STRANGER, Decider, ledgers
from tests.conformance.chaos.harm import Harm
from tests.conformance.chaos.pipelines import AWAY, NOBODY, Course, notes
from tests.conformance.chaos.promises import BrokenPromise, check_acts, check_audit, check_run, check_steps
from tests.conformance.redis_server import RedisServer
from tests.conformance.workers import Workers

# However slow the machine is, something is finished in that time.
STANDSTILL_S = 40.0
TICK_S = (0.1, 0.7)


@dataclass(frozen=True)
class Plan:
    """How much of it. `threads` and `processes` are people."""

    seed: int
    runs: int
    seconds: float
    workers: int = 3
    threads: int = 4
    processes: int = 2


class Storm:
    """One storm on the database that this process is connected to. `broker` may be killed, if there is one."""

    def __init__(self, plan: Plan, folder: Path, workers: Workers, broker: RedisServer | None = None) -> None:
        self.plan = plan
        self.folder = folder
        self.workers = workers
        self.broker = broker
        self.random = random.Random(plan.seed)
        self.runs: dict[uuid.UUID, Course] = {}
        self.did: Counter[str] = Counter()
        self.harm = Harm(self.random, workers, broker, self.did)
        self._fences: list[uuid.UUID] = []
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._people: list[subprocess.Popen[bytes]] = []

    def rage(self) -> Counter[str]:
        """Raises `BrokenPromise`; otherwise what was done, by name."""
        try:
            self._gather()
            self._harm_until(time.monotonic() + self.plan.seconds)
            self.harm.calm()
            self._come_to_rest()
            self._disperse()
            self._deliver_late()
            self._check()
            return self._counted()
        finally:
            self.harm.calm()
            self._disperse()

    # --- Who takes part

    def _gather(self) -> None:
        decides = Permission.objects.filter(codename__in=["decide_approvalrequest", "start_state"])
        for name in (*PEOPLE, STRANGER):
            user = get_user_model().objects.create_user(name, password="pw")
            user.user_permissions.set(decides if name in PEOPLE else [])
        for _ in range(self.plan.workers):
            self.harm.start_worker()
        for number in range(self.plan.threads):
            thread = threading.Thread(target=self._decide, args=[f"{self.plan.seed}-thread-{number}"])
            thread.start()
            self._threads.append(thread)
        for _ in range(self.plan.processes):
            self._start_decider()

    def _start_decider(self) -> None:
        name = f"{self.plan.seed}-process-{self.did['deciding processes']}"
        self.did["deciding processes"] += 1
        with (self.folder / f"{name}.log").open("w") as log:
            command = [sys.executable, "-m", "tests.conformance.chaos.decider_process", name, str(self.folder)]
            self._people.append(subprocess.Popen(command, env=self.workers.environment, stdout=log, stderr=log))

    def _decide(self, name: str) -> None:
        try:
            Decider(name, self.folder).decide_until(self._stop.wait)
        finally:
            connections.close_all()

    def _start_run(self) -> None:
        folder = self.folder / f"run-{len(self.runs)}"
        folder.mkdir()
        pipeline, course = draw_course(self.random, folder)
        self.runs[start_run(pipeline, course).pk] = course

    # --- What happens to them

    def _harm_until(self, end: float) -> None:
        harms: list[Callable[[], None]] = [
            *[self.harm.kill_a_holder] * 4,
            *[self.harm.kill_a_worker] * 2,
            *[lambda: self.harm.post_again(list(self.runs))] * 6,
            self.harm.send_to_sleep,
            self._kill_a_decider,
        ]
        if self.broker is not None:
            harms.append(self.harm.kill_the_broker)
        began, looked = time.monotonic(), 0.0
        while (now := time.monotonic()) < end:
            due = self.plan.runs * min(1.0, (now - began) / (0.8 * self.plan.seconds))
            while len(self.runs) < due:
                self._start_run()
            self.harm.wake(now)
            self.random.choice(harms)()
            if now - looked > 2:
                self._look()
                looked = now
            self._stop.wait(self.random.uniform(*TICK_S))

    def _kill_a_decider(self) -> None:
        if self._people:
            process = self._people.pop(self.random.randrange(len(self._people)))
            process.kill()
            process.wait()
            self.did["deciding processes killed"] += 1
            self._start_decider()

    # --- The end

    def _come_to_rest(self) -> None:
        before, since = self._progress(), time.monotonic()
        while True:
            left, now = self._left(), self._progress()
            if now != before:
                # What was found is one moment's only if nothing moved meanwhile.
                before, since = now, time.monotonic()
            elif left is None:
                return
            elif time.monotonic() - since > STANDSTILL_S:
                what, state_id = left
                raise BrokenPromise(f"nothing has moved for {STANDSTILL_S:.0f} s, and {what}", state_id)
            self._look()
            self._stop.wait(0.2)

    def _progress(self) -> tuple[int, ...]:
        jobs = Resumption.objects.all()
        return jobs.count(), jobs.filter(status__in=Resumption.UNFINISHED).count(), Resolution.objects.count()

    def _left(self) -> tuple[str, uuid.UUID] | None:
        """Something that is not done yet."""
        job = Resumption.objects.filter(status__in=Resumption.UNFINISHED).first()
        if job is not None:
            return f"job {job.pk} is not done", job.state_id
        request = ApprovalRequest.objects.open().exclude(title__endswith=NOBODY).first()
        if request is not None:
            return f"request {request.pk} waits", request.state_id
        failed = State.objects.with_status("failed").first()
        return ("a failed run was not retried", failed.pk) if failed else None

    def _disperse(self) -> None:
        self._stop.set()
        (self.folder / "stop").touch()
        for thread in self._threads:
            thread.join()
        for process in self._people:
            process.wait(60)

    def _deliver_late(self) -> None:
        """Whoever is asked after the end finds nothing to do."""
        heads = dict(State.objects.values_list("pk", "head"))
        for state_id in self.runs:
            self.workers.post(state_id, 2)
        self._fences = [start_run("chaos-course", Course(folder=self.folder, stages=[])).pk for _ in range(3)]
        for state_id in self._fences:
            self.workers.post(state_id)
        self.workers.until(lambda: not State.objects.filter(pk__in=self._fences).exclude(status="completed").exists())
        for state_id, head in State.objects.filter(pk__in=heads).values_list("pk", "head"):
            if head != heads[state_id]:
                raise BrokenPromise("a message that came after the end made it go on", state_id)

    def _look(self) -> None:
        """Whether a promise is broken already."""
        for worker in [worker for worker in self.workers.running if worker.poll() is not None]:
            self.harm.replace(worker)
        for state_id, course in self.runs.items():
            check_steps(state_id, notes(course.folder), self.harm.hurt)
        check_acts([act for act in ledgers(self.folder) if act["outcome"] == "error"])
        failed = State.objects.with_status("failed").exclude(error="").exclude(error__contains=AWAY).first()
        if failed is not None:
            raise BrokenPromise("it failed with what is not its own doing", failed.pk)

    def _check(self) -> None:
        for state in State.objects.select_related("parent"):
            if (course := self._course_of(state)) is not None:
                check_run(state, course, self.harm.hurt)
        check_acts(ledgers(self.folder))
        check_audit()

    def _course_of(self, state: State | None) -> Course | None:
        """A fork goes on with the input of its first parent."""
        while state is not None and state.pk not in self.runs:
            state = state.parent
        return self.runs[state.pk] if state is not None else None

    def _counted(self) -> Counter[str]:
        for act in ledgers(self.folder):
            kind = f" {act['kind']}" if "kind" in act else ""
            self.did[f"{act['outcome']}{kind}"] += 1
        for status in State.objects.exclude(pk__in=self._fences).values_list("status", flat=True):
            self.did[f"runs {status}"] += 1
        ran = [note.key for course in self.runs.values() for note in notes(course.folder)]
        self.did["steps"] = len(ran)
        self.did["steps interrupted and run again"] = len(ran) - len(set(ran))
        self.did["resumptions"] = Resumption.objects.filter(kind="resume").count()
        return self.did
