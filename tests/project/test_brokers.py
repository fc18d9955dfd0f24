"""Every kind of broker carries a run from the command that starts it to the worker: the settings suit all of them."""

import json
import os
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from kombu import Connection

from tests.messages import forget
from tests.project.processes import soon

ROOT = Path(__file__).resolve().parents[2]
# The file transport is always there; the servers are where the environment names them (.ci/run does).
SERVERS = {name: os.environ.get(f"TEST_{name.upper()}_URL") for name in ("redis", "amqp")}


@pytest.fixture
def queue():
    name = f"test-{uuid.uuid4().hex}"
    yield name
    for url in filter(None, SERVERS.values()):
        with Connection(url) as connection:
            forget(name, connection)


@pytest.mark.parametrize("broker", ["files", *(name for name, url in SERVERS.items() if url)])
def test_a_started_run_reaches_a_worker(tmp_path, queue, broker):
    names = ("DATABASE_URL", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= {"RHDASHBOARD_VAR_DIR": str(tmp_path), "CELERY_QUEUE": queue}
    if broker != "files":
        environment["CELERY_BROKER_URL"] = SERVERS[broker]
    orders = tmp_path / "orders.csv"
    orders.write_text("id,amount\n1,10.00\n2,20.00\n")

    def manage(*arguments: str) -> None:
        subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment, check=True)

    def status() -> str:
        with sqlite3.connect(tmp_path / "db.sqlite3") as database:
            return database.execute("select status from recovery_state").fetchone()[0]

    manage("migrate", "--verbosity", "0")
    (tmp_path / "input.json").write_text(json.dumps({"file": str(orders)}))
    manage("start_run", "table-load", "--input", str(tmp_path / "input.json"))
    assert status() == "running"
    # No beat, and so no sweep: what starts the run is the message alone.
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "rhdashboard", "worker", "-P", "threads", "-c", "1"]
    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        assert soon(lambda: status() == "awaiting"), (tmp_path / "log").read_text()
    finally:
        worker.terminate()
        worker.wait(60)
