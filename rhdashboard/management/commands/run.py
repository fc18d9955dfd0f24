"""`manage.py run`: the whole dashboard on this machine from nothing: database, accounts, samples, processes."""

import fcntl
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from recovery.models import AuditEntry, State
from rhdashboard.accounts import create_sample_accounts, known_logins
from rhdashboard.supervisor import Service, Supervisor

CALM_S = 1.5
LONGEST_GREETING_S = 12.0


class Command(BaseCommand):
    help = "Run the dashboard on this machine: web server, worker and beat in one process tree. Ctrl-C stops all of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
        parser.add_argument("--port", type=int, default=os.environ.get("PORT", "8000"))
        parser.add_argument("--concurrency", type=int, default=4, help="how many runs the worker does at once")

    def handle(self, *_args: Any, host: str, port: int, concurrency: int, **_options: Any) -> None:
        with _only_one_on(settings.VAR_DIR / "run.lock"):
            _require_free(host, port)
            call_command("migrate", interactive=False, verbosity=0)
            call_command("collectstatic", interactive=False, verbosity=0)
            create_sample_accounts()
            if settings.RECOVERY["SAMPLES"] and _is_fresh():
                call_command("start_samples")
            address = f"http://{host}:{port}/"
            supervisor = Supervisor(_services(host, port, concurrency))
            code = supervisor.run(
                ready=lambda: _answers(address) and _has_calmed_down(supervisor),
                announce=lambda: _welcome(supervisor, address),
            )
        sys.exit(code)


def _only_one_on(path: Path) -> IO[str]:
    """Holds the lock while open. The kernel lets go of it however this process ends."""
    lock = path.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CommandError(f"the dashboard is already running on {path.parent}; stop it first") from None
    return lock


def _require_free(host: str, port: int, patience_s: float = 2.0) -> None:
    """Waits a moment: after a kill, the web server of the run before is still letting go of its port."""
    give_up_s = time.monotonic() + patience_s
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                return probe.bind((host, port))
            except OSError as error:
                if time.monotonic() > give_up_s:
                    raise CommandError(
                        f"cannot serve on {host}:{port}: {error.strerror}; `PORT=8001 make run` takes another port"
                    ) from error
        time.sleep(0.1)


def _is_fresh() -> bool:
    """Nothing has ever happened here: what people deleted does not come back with the next start."""
    return not (State.objects.exists() or AuditEntry.objects.exists())


def _services(host: str, port: int, concurrency: int) -> list[Service]:
    python = sys.executable
    celery = [python, "-m", "celery", "--quiet", "--app", "rhdashboard"]
    # What a worker does without here is for several workers on one broker.
    worker = "--pool threads --loglevel INFO --without-gossip --without-mingle --without-heartbeat".split()
    return [
        Service(
            "web",
            [python, str(settings.BASE_DIR / "manage.py"), "serve", "--host", host, "--port", str(port)],
            restarts=True,
        ),
        Service("worker", [*celery, "worker", *worker, "--concurrency", str(concurrency)], restarts=True),
        Service("beat", [*celery, "beat", "--loglevel", "WARNING"], restarts=True),
    ]


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}accounts/login/", timeout=5):  # noqa: S310  # Our own http address.
            return True
    except urllib.error.HTTPError:
        return True  # An answer too: the page itself says what is wrong.
    except OSError:
        return False


def _has_calmed_down(supervisor: Supervisor) -> bool:
    """The address is the last thing said, not the first of many: the worker greets, and does what waited for it."""
    give_up_s = time.monotonic() + LONGEST_GREETING_S
    while supervisor.quiet_s() < CALM_S and time.monotonic() < give_up_s:
        time.sleep(0.1)
    return True


def _welcome(supervisor: Supervisor, address: str) -> None:
    rule = "-" * 72
    logins = [
        f"  sign in as {login.username:<9} with the password {login.password}   ({login.purpose})"
        for login in known_logins()
    ]
    hint = [
        "  Nobody decides about a run that they started: start runs as one of them, decide as another.",
        "  A large payout of the expense sample takes two of them, a large expense one of Finance.",
    ]
    supervisor.say(
        "",
        rule,
        f"The dashboard answers at {address}",
        *logins,
        *(hint if len(logins) > 1 else []),
        f"Data is in {settings.VAR_DIR}; Ctrl-C stops everything, and nothing is lost.",
        rule,
        "",
    )
