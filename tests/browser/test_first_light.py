"""The whole way in a browser, with the real processes: a run waits, a reviewer edits and approves, the run goes on.

On SQLite with messages in files; where TEST_DATABASE_URL is set, on that server's PostgreSQL with TEST_BROKER_URL.
"""

import json
import os
import re
import signal
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.project.dashboard import Dashboard
from tests.project.processes import free_port, soon

pytestmark = pytest.mark.browser

Query = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def var_dir(tmp_path_factory: Any) -> Path:
    path: Path = tmp_path_factory.mktemp("first-light")
    return path


@pytest.fixture(scope="module")
def environment(var_dir: Path) -> Iterator[dict[str, str]]:
    """Short leases, so that a killed worker's run is taken over within the test; a database of its own."""
    short = {"RECOVERY_LEASE_S": "2", "RECOVERY_HEARTBEAT_S": "0.5", "RECOVERY_SWEEP_S": "0.5"}
    short |= {"RECOVERY_UNDO_WINDOW_S": "0", "RECOVERY_SAMPLES": "1"}
    # Where tests share a broker: what they left in its usual queue is not this worker's.
    short["CELERY_QUEUE"] = f"first-light-{os.getpid()}"
    url = os.environ.get("TEST_DATABASE_URL", "")
    if not url:
        yield short
        return
    name = f"first_light_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
    broker = {"CELERY_BROKER_URL": broker} if (broker := os.environ.get("TEST_BROKER_URL")) else {}
    database = urllib.parse.urlsplit(url)._replace(path=f"/{name}").geturl()
    yield {**short, **broker, "DATABASE_URL": database}
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
def dashboard(var_dir: Path, environment: dict[str, str]) -> Iterator[Dashboard]:
    running = Dashboard(var_dir, free_port(), **environment)
    yield running
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 0


@pytest.fixture(scope="module")
def query(var_dir: Path, environment: dict[str, str]) -> Query:
    """Ask the dashboard's database itself."""

    def ask(statement: str, *values: Any) -> list[Any]:
        if url := environment.get("DATABASE_URL"):
            with psycopg.connect(url) as connection:
                return connection.execute(statement.replace("?", "%s"), values).fetchall()
        connection = sqlite3.connect(var_dir / "db.sqlite3", timeout=60)
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    return ask


@pytest.fixture
def desk(page: Any, dashboard: Dashboard) -> Any:
    """A page that a reviewer is signed in on, at the inbox."""
    page.goto(dashboard.address)
    page.get_by_label("Username").fill("reviewer")
    page.get_by_label("Password").fill(dashboard.password_of("reviewer"))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(dashboard.address)
    return page


def open_request(desk: Any, title: re.Pattern[str]) -> str:
    """Open it from the inbox, once it is there; the id of its run."""

    def is_there() -> bool:
        desk.reload()
        return desk.get_by_role("link", name=title).count() > 0

    assert soon(is_there)
    desk.get_by_role("link", name=title).first.click()
    desk.wait_for_url(re.compile("[?]request="))
    link = desk.locator(".meta a[href*='/states/']").first.get_attribute("href")
    return re.search(r"/states/([0-9a-f-]{36})/", link)[1]


def test_an_edited_and_approved_run_finishes_with_what_the_reviewer_wrote(desk, dashboard, query):
    state_id = open_request(desk, re.compile("Publish the release notes"))
    desk.get_by_label("introduction").fill("Written in the browser, for ever & ever.")

    desk.get_by_role("button", name=re.compile("Approve")).first.click()

    desk.get_by_text("Done", exact=True).first.wait_for()
    desk.locator("[aria-label=Progress] [aria-current=step]", has_text="Done").wait_for(timeout=60_000)
    [(output,)] = query("SELECT output FROM recovery_state WHERE id = ?", as_stored(state_id, dashboard))
    written = Path(json.loads(output)["v"]["path"]["v"])
    assert "\n\nWritten in the browser, for ever & ever.\n\n" in written.read_text(encoding="utf-8")


def test_a_worker_killed_inside_of_the_load_costs_nothing(desk, dashboard, query):
    state_id = open_request(desk, re.compile("Load 12,000 rows"))
    stored = as_stored(state_id, dashboard)
    desk.get_by_label("batch_rows").fill("100")
    desk.get_by_label("drop_duplicates").uncheck()
    desk.get_by_role("button", name=re.compile("Approve")).first.click()

    def loaded() -> int:
        done = "SELECT count(*) FROM recovery_event WHERE state_id = ? AND actor = 'load_batch'"
        return int(query(done, stored)[0][0])

    assert soon(lambda: loaded() > 5)
    os.kill(dashboard.worker(), signal.SIGKILL)
    events = (
        "SELECT added_in, address, started_at FROM recovery_event WHERE state_id = ? AND removed_in IS NULL "
        "ORDER BY added_in, position"
    )
    before = query(events, stored)

    def status() -> str:
        return str(query("SELECT status FROM recovery_state WHERE id = ?", stored)[0][0])

    assert soon(lambda: status() == "completed", within_s=90), status()
    after = query(events, stored)
    assert after[: len(before)] == before
    addresses = [address for _, address, _ in after]
    assert len(addresses) == len(set(addresses)), "a recorded step ran again"
    assert sum("load_batch" in address for address in addresses) == 121
    assert query("SELECT count(*), min(line), max(line) FROM loaded_orders") == [(12_000, 1, 12_000)]


def as_stored(state_id: str, dashboard: Dashboard) -> str:
    """SQLite keeps ids without dashes."""
    return state_id if dashboard.environment.get("DATABASE_URL") else state_id.replace("-", "")
