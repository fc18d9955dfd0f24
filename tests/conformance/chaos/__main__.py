"""A storm on a PostgreSQL database and a Redis server of its own: `make chaos`.

python -m tests.conformance.chaos --seed 1 --runs 100 --minutes 2 --workers 3

TEST_DATABASE_URL names the server, by default the one of this machine.
"""

import argparse
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import django
import psycopg

from tests.conformance.redis_server import RedisServer

SERVER = "postgres://postgres@127.0.0.1:5432/postgres"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=None, help="of what is drawn; by default another one each time")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--workers", type=int, default=3)
    given = parser.parse_args()
    # Whoever is told to end leaves no worker, no broker and no database behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="rhdashboard-chaos-") as name, _database() as url:
        folder = Path(name)
        broker = RedisServer(folder)
        broker.start()
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "tests.conformance.settings",
            "RHDASHBOARD_VAR_DIR": str(folder / "var"),
            "DATABASE_URL": url,
            "TEST_DATABASE_URL": url,
            "DATABASE_POOL_MAX_SIZE": "24",
            "CELERY_BROKER_URL": broker.url,
            "TEST_BROKER_URL": broker.url,
            "RECOVERY_UNDO_WINDOW_S": "0",
            "LOG_LEVEL": "ERROR",
        }
        django.setup()
        try:
            return _storm(seed, given, folder, broker)
        finally:
            broker.kill()


def _storm(seed: int, given: argparse.Namespace, folder: Path, broker: RedisServer) -> int:
    from django.conf import settings  # noqa: PLC0415  the environment is complete from here on
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connections  # noqa: PLC0415

    from tests.conformance.chaos.history import history  # noqa: PLC0415
    from tests.conformance.chaos.promises import BrokenPromise  # noqa: PLC0415
    from tests.conformance.chaos.storm import Plan, Storm  # noqa: PLC0415
    from tests.conformance.workers import Workers  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    workers = Workers(folder, settings.CELERY_TASK_DEFAULT_QUEUE)
    storm = Storm(Plan(seed, given.runs, 60 * given.minutes, given.workers), folder, workers, broker)
    began = time.monotonic()
    try:
        did = storm.rage()
    except BrokenPromise as broken:
        print(f"BROKEN with seed {seed} after {time.monotonic() - began:.0f} s: {broken}")
        if broken.state_id is not None:
            print(*history(broken.state_id, storm.runs), sep="\n")
        return 1
    finally:
        workers.end()
        for connection in connections.all():
            connection.close_pool()
    for what, number in sorted(did.items()):
        print(f"{number:7,}  {what}")
    print(f"every promise held, with seed {seed}, in {time.monotonic() - began:.0f} s")
    return 0


@contextmanager
def _database() -> Iterator[str]:
    """The address of a new database, which goes at the end."""
    server = os.environ.get("TEST_DATABASE_URL") or SERVER
    name = f"chaos_{os.getpid()}_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


if __name__ == "__main__":
    sys.exit(main())
