"""Pages and event streams in processes: together as `make run` has them, apart as a proxy puts them together."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from tests.project.dashboard import ROOT, Dashboard
from tests.project.open_streams import Visitor
from tests.project.processes import descendants, free_port, is_alive, soon

ACCOUNTS = "from rhdashboard.accounts import create_sample_accounts as create; create()"


@pytest.fixture
def dashboard(tmp_path):
    one = Dashboard(tmp_path, free_port(), RECOVERY_SAMPLES="0")
    yield one
    one.process.kill()
    one.process.wait()
    one.process.stdout.close()
    assert soon(lambda: one.alive() == [], within_s=12)


def hand_over(visitor, to):
    """Something that is news for every inbox."""
    now = datetime.now(UTC)
    times = {
        name: (now + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M")
        for name, days in (("starts_at", 0), ("ends_at", 1))
    }
    [pk] = [value for value, name in options_of(visitor.get("delegations/")) if to in name]
    assert visitor.post("delegations/", taker=pk, reason=f"to {to}", **times).endswith("/delegations/")


def options_of(page):
    parts = page.partition('name="taker"')[2].partition("</select>")[0].split('<option value="')[1:]
    return [(part.partition('"')[0], part) for part in parts]


def test_ctrl_c_with_open_streams_ends_them_properly_and_everything_at_once(dashboard):
    visitor = Visitor(dashboard.address, "reviewer", dashboard.password_of("reviewer"))
    streams = [visitor.listen("inbox") for _ in range(5)]
    assert [stream.news() for stream in streams] == ["inbox"] * 5

    dashboard.process.send_signal(signal.SIGINT)

    assert [stream.event() for stream in streams] == [None] * 5
    assert dashboard.end() == 0
    assert dashboard.alive() == []
    assert not [line for line in dashboard.lines if "Traceback" in line or "ERROR" in line]


def test_a_web_process_that_is_killed_comes_back_and_its_streams_with_it(dashboard):
    def web():
        return [
            pid
            for pid, command in descendants(dashboard.process.pid).items()
            if " serve " in command and "leash" not in command
        ]

    visitor = Visitor(dashboard.address, "reviewer", dashboard.password_of("reviewer"))
    stream = visitor.listen("inbox")
    assert stream.news() == "inbox"
    [pid] = web()

    os.kill(pid, signal.SIGKILL)

    assert soon(lambda: answers(dashboard.address), within_s=20)
    again = visitor.listen("inbox", last=stream.last)
    assert again.news() == "inbox", "another process cannot know what it missed"
    dashboard.pids = list(descendants(dashboard.process.pid))


def answers(address):
    try:
        with urllib.request.urlopen(f"{address}accounts/login/", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@pytest.fixture
def apart(tmp_path):
    """Pages under WSGI and streams in a process of their own, on one database; with the addresses of both."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "DJANGO_SETTINGS_MODULE")
    }
    environment = {**inherited, "RHDASHBOARD_VAR_DIR": str(tmp_path), "RECOVERY_SAMPLES": "0"}
    for command in (["migrate", "-v0"], ["collectstatic", "--no-input", "-v0"], ["shell", "-v0", "-c", ACCOUNTS]):
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True)
    pages, streams = free_port(), free_port()
    granian = (
        f"granian --interface wsgi --blocking-threads 2 --log-level warning --port {pages} rhdashboard.wsgi:application"
    )
    serve = f"manage.py serve --only-streams --port {streams}"
    processes = [
        subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        for command in (["-m", *granian.split()], serve.split())
    ]
    addresses = [f"http://127.0.0.1:{port}/" for port in (pages, streams)]
    assert all(soon(lambda address=address: answers(address), within_s=30) for address in addresses)
    yield *addresses, processes[1], (tmp_path / "sample_password").read_text()
    for process in processes:
        process.terminate()
        process.wait(20)
        process.stderr.close()


def test_apart_the_one_tells_what_happens_at_the_other(apart):
    pages, streams, serving, password = apart
    reader = Visitor(pages, "finance", password, streams=streams)
    stream = reader.listen("inbox")
    assert stream.news() == "inbox"

    hand_over(Visitor(pages, "reviewer", password), to="Fink")

    assert stream.news() == "inbox"
    for address, path, status in (
        (streams, "", 404),
        (streams, "accounts/login/", 404),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address}{path}", timeout=60)
        assert refused.value.code == status
    with urllib.request.urlopen(f"{pages}live/?on=inbox", timeout=60) as nothing:
        assert nothing.status == 204
    serving.send_signal(signal.SIGTERM)
    assert stream.event() is None
    assert serving.wait(20) == 0
    assert serving.stderr.read() == ""


def test_apart_a_stream_process_that_is_asked_twice_ends_once(apart):
    _, _, serving, _ = apart
    serving.send_signal(signal.SIGINT)
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(20) == 0
    assert not is_alive(serving.pid)
