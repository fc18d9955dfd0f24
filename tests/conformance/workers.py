"""Real worker processes on the database of the test, with a queue of their own."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celery import current_app
from django.db import connection
from kombu import Connection

from recovery.dispatch import WORK_ON_STATE
from rhdashboard import settings as real_settings
from tests.messages import forget
from tests.project.processes import is_alive, soon

ROOT = Path(__file__).resolve().parents[2]
LEASE_S = 2.0


class Workers:
    """The processes of one test. Their logs go to `folder`; killed together at its end."""

    def __init__(self, folder: Path, queue: str = "", broker_url: str | None = None) -> None:
        self.folder = folder
        self.queue = queue or f"test-{uuid.uuid4().hex}"
        self.running: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.conformance.settings",
            "DATABASE_URL": _database_url(),
            "CELERY_QUEUE": self.queue,
            "RECOVERY_SAMPLES": "1",
            "RECOVERY_LEASE_S": str(LEASE_S),
            "RECOVERY_HEARTBEAT_S": "0.5",
            "RECOVERY_SWEEP_S": "1",
            "RECOVERY_UNDO_WINDOW_S": "0",
        }
        self.broker: dict[str, Any] = {
            "hostname": real_settings.CELERY_BROKER_URL,
            "transport_options": real_settings.CELERY_BROKER_TRANSPORT_OPTIONS,
        }
        if url := broker_url or os.environ.get("TEST_BROKER_URL"):
            self.environment["CELERY_BROKER_URL"] = url
            self.broker = {"hostname": url}

    def start(self, *, sweeps: bool = True, pool: str = "threads", runs: int = 4) -> subprocess.Popen[bytes]:
        """One more worker, for so many runs at once; one that `sweeps` has the beat inside."""
        number = len(list(self.folder.glob("worker-*.log")))
        command = [sys.executable, "-m", "celery", "--quiet", "-A", "rhdashboard", "worker", "--pool", pool]
        command += ["--concurrency", str(runs), "--without-gossip", "--without-mingle", "--hostname", f"w{number}@test"]
        if sweeps:
            command += ["--beat", "--schedule-filename", str(self.folder / f"schedule-{number}")]
        with (self.folder / f"worker-{number}.log").open("w") as log:
            # A session of its own: its beat, which is a process too, goes with it.
            worker = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self.running.append(worker)
        return worker

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """kill -9, and nothing of it is left when this returns."""
        with suppress(ProcessLookupError):  # It may have ended by itself.
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        self.running.remove(worker)
        assert not is_alive(worker.pid)

    def post(self, state_id: uuid.UUID, times: int = 1, *, later_s: float = 0) -> None:
        """Send the message that asks to work on a state, to be done so much later."""
        with Connection(**self.broker) as broker:
            for _ in range(times):
                current_app.signature(WORK_ON_STATE, args=[str(state_id)]).apply_async(
                    queue=self.queue, connection=broker, countdown=later_s or None
                )

    def run(self, module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Another process of the project, to its end."""
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def until(self, condition: Callable[[], bool], within_s: float = 60) -> None:
        """Wait for what the workers do; their logs are shown if it does not come."""
        assert soon(lambda: condition() or self.has_ended, within_s), self.logs()
        assert not self.has_ended or condition(), self.logs()

    @property
    def has_ended(self) -> bool:
        return any(worker.poll() is not None for worker in self.running)

    def log_of(self, worker: subprocess.Popen[bytes]) -> str:
        [host] = [word for word in worker.args if str(word).endswith("@test")]
        return (self.folder / f"worker-{host[1:-5]}.log").read_text()

    def logs(self) -> str:
        return "\n".join(f"{path.name}:\n{path.read_text()}" for path in sorted(self.folder.glob("worker-*.log")))

    def end(self) -> None:
        for worker in list(self.running):
            self.kill(worker)
        if "CELERY_BROKER_URL" in self.environment:
            with Connection(**self.broker) as broker:
                forget(self.queue, broker)


def _database_url() -> str:
    """Of the database that this test process is connected to."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(os.environ["TEST_DATABASE_URL"])._replace(path=f"/{name}").geturl()
