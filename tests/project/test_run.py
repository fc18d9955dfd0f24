"""`manage.py run`: the real processes, on a folder of their own."""

import http.cookiejar
import os
import re
import signal
import urllib.parse
import urllib.request

import pytest

from tests.project.dashboard import Dashboard, start
from tests.project.processes import descendants, free_port, is_alive, soon


def sign_in(address: str, username: str, password: str) -> str:
    """Where the browser ends up."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    page = browser.open(f"{address}accounts/login/").read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    form = {"csrfmiddlewaretoken": token, "username": username, "password": password}
    return browser.open(f"{address}accounts/login/", urllib.parse.urlencode(form).encode()).url


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("var"), free_port()


@pytest.fixture(scope="module")
def started(place):
    """The dashboards of this module; the last of them may still run."""
    dashboards: list[Dashboard] = []
    yield dashboards
    for dashboard in dashboards:
        dashboard.process.kill()
        dashboard.process.wait()
        assert soon(lambda pids=dashboard.pids: not any(map(is_alive, pids)))
        dashboard.process.stdout.close()


@pytest.fixture
def dashboard(place, started):
    """A running one, which the test may end."""
    if not started or started[-1].process.poll() is not None:
        started.append(Dashboard(*place))
    return started[-1]


def test_it_prints_a_login_that_works_and_ctrl_c_ends_every_process(dashboard):
    assert f"run    | The dashboard answers at {dashboard.address}" in dashboard.lines
    ready = next(place for place, line in enumerate(dashboard.lines) if "ready." in line)
    welcome = [place for place, line in enumerate(dashboard.lines) if line.startswith("run    | ")]
    assert ready < welcome[0] and welcome == list(range(welcome[0], len(dashboard.lines))), "something stands between"
    for username in ("reviewer", "finance", "admin"):
        assert sign_in(dashboard.address, username, dashboard.password_of(username)) == dashboard.address
    assert len(dashboard.alive()) >= 6  # Three leashes and what they hold.

    dashboard.process.send_signal(signal.SIGINT)

    assert dashboard.end() == 0
    assert dashboard.alive() == []


def test_killed_it_leaves_no_process_and_started_again_it_has_the_same_login(place, started, dashboard):
    password = dashboard.password_of("reviewer")
    dashboard.process.kill()
    assert soon(lambda: dashboard.alive() == []), f"still running: {dashboard.alive()}"

    again = Dashboard(*place)
    started.append(again)

    assert again.password_of("reviewer") == password
    assert sign_in(again.address, "reviewer", password) == again.address


def test_a_killed_worker_is_started_again(dashboard):
    def workers() -> set[int]:
        processes = descendants(dashboard.process.pid).items()
        return {pid for pid, command in processes if " worker " in command and "leash" not in command}

    [worker] = workers()

    os.kill(worker, signal.SIGKILL)

    assert soon(lambda: len(workers() - {worker}) == 1)
    dashboard.pids = list(descendants(dashboard.process.pid))


def test_two_at_once_on_one_folder_are_refused(place, dashboard):
    second = start(place[0], free_port())

    output, _ = second.communicate()

    assert second.returncode == 1
    assert output == f"CommandError: the dashboard is already running on {place[0]}; stop it first\n"
    assert len(dashboard.alive()) == len(dashboard.pids)


def test_a_taken_port_is_named(tmp_path, dashboard):
    port = int(dashboard.address.rpartition(":")[2].strip("/"))
    second = start(tmp_path, port)

    output, _ = second.communicate()

    assert second.returncode == 1
    assert f"cannot serve on 127.0.0.1:{port}: Address already in use" in output
