"""`manage.py run` as a test sees it: a process tree on a folder of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.project.processes import descendants, is_alive

ROOT = Path(__file__).resolve().parents[2]


class Dashboard:
    """One `manage.py run`, ready; its output so far in `lines`."""

    def __init__(self, var_dir: Path, port: int, **environment: str) -> None:
        self.address = f"http://127.0.0.1:{port}/"
        self.environment = environment
        self.process = start(var_dir, port, **environment)
        self.lines: list[str] = []
        while not any("Ctrl-C stops everything" in line for line in self.lines):
            line = self.process.stdout.readline()
            assert line, f"it ended: {self.lines}"
            self.lines.append(line.rstrip())
        self.pids = list(descendants(self.process.pid))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def password_of(self, username: str) -> str:
        return re.search(rf"sign in as {username} +with the password (\S+)", self.text)[1]

    def worker(self) -> int:
        """The process id of the worker that runs now."""
        [worker] = (
            pid
            for pid, command in descendants(self.process.pid).items()
            if " worker " in command and "leash" not in command
        )
        return worker

    def end(self) -> int:
        self.lines += self.process.stdout.read().splitlines()
        return self.process.wait(60)

    def alive(self) -> list[int]:
        return [pid for pid in self.pids if is_alive(pid)]


def start(var_dir: Path, port: int, **environment: str) -> subprocess.Popen[str]:
    names = ("DATABASE_URL", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE")
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.Popen(
        [sys.executable, "manage.py", "run", "--port", str(port)],
        cwd=ROOT,
        env={**inherited, **environment, "RHDASHBOARD_VAR_DIR": str(var_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
