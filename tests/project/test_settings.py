"""The settings as a process of its own reads them from its environment."""

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "SECRET_KEY": "k3y-of-a-test-with-enough-different-characters-0123456789",
    "ALLOWED_HOSTS": "approvals.example.com",
    "DATABASE_URL": "postgres://rh:secret@db.example.com/rh",
    "CELERY_BROKER_URL": "redis://broker.example.com/0",
}


def run(code_or_args, var_dir, **environment):
    """Standard output of Python with only `environment` and a data folder of its own."""
    args = ["-c", code_or_args] if isinstance(code_or_args, str) else code_or_args
    done = subprocess.run(
        [sys.executable, *args],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "RHDASHBOARD_VAR_DIR": str(var_dir), **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def settings(var_dir, *names, **environment):
    code = f"from rhdashboard import settings; import json; print(json.dumps([getattr(settings, n) for n in {names}]))"
    return json.loads(run(code, var_dir, **environment))


def test_the_deployment_check_has_nothing_to_say_about_a_production_environment(tmp_path):
    output = run(["manage.py", "check", "--deploy", "--fail-level", "INFO"], tmp_path, **PRODUCTION)

    assert output == "System check identified no issues (1 silenced).\n"


def test_a_public_host_turns_encryption_on(tmp_path):
    names = ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS")

    assert settings(tmp_path, *names) == [False, False, False, 0]
    assert settings(tmp_path, *names, **PRODUCTION) == [True, True, True, 31_536_000]
    assert settings(tmp_path, *names, **PRODUCTION, HTTPS="off") == [False, False, False, 0]


def test_nothing_is_debugged_unless_asked_for(tmp_path):
    assert settings(tmp_path, "DEBUG") == [False]


def test_processes_that_start_at_once_agree_on_one_secret_key_that_only_its_owner_reads(tmp_path):
    with ThreadPoolExecutor() as pool:
        keys = list(pool.map(lambda _: settings(tmp_path, "SECRET_KEY")[0], range(4)))

    assert len(set(keys)) == 1
    assert len(keys[0]) >= 50
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("secret_key")] == ["secret_key"]


def test_sqlite_writes_through_to_the_disk_and_waits_its_turn(tmp_path):
    code = """
import django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    for pragma in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys"):
        print(pragma, cursor.execute(f"PRAGMA {pragma}").fetchone()[0])
print(connection.transaction_mode, connection.settings_dict["ATOMIC_REQUESTS"])
"""
    output = run(code, tmp_path, DJANGO_SETTINGS_MODULE="rhdashboard.settings")

    assert output.splitlines() == [
        "journal_mode wal",
        "synchronous 2",
        "busy_timeout 20000",
        "foreign_keys 1",
        "IMMEDIATE False",
    ]


def test_postgresql_is_reached_through_a_pool_that_alone_keeps_connections(tmp_path):
    [databases] = settings(tmp_path, "DATABASES", **PRODUCTION, DATABASE_POOL_MAX_SIZE="7")

    assert databases["default"]["OPTIONS"]["pool"] == {"min_size": 1, "max_size": 7}
    assert databases["default"]["CONN_MAX_AGE"] == 0


@pytest.mark.parametrize(
    ("pool", "runs", "given", "size", "warning"),
    [
        ("threads", 8, "", 16, ""),
        ("threads", 2, "", 10, ""),
        ("threads", 8, "8", 8, ""),
        ("threads", 8, "7", 7, "8 runs at once have only 7 database connections"),
        ("prefork", 8, "", 10, ""),
        ("prefork", 8, "2", 2, ""),
    ],
)
def test_a_worker_has_connections_for_all_its_runs_or_says_that_it_has_not(tmp_path, pool, runs, given, size, warning):
    code = f"""
import logging, sys
from types import SimpleNamespace
from celery.concurrency import get_implementation
from django.conf import settings
from rhdashboard.celery import fit_the_pool
logging.basicConfig(stream=sys.stdout)
fit_the_pool(SimpleNamespace(pool_cls=get_implementation({pool!r}), concurrency={runs}))
print(settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"])
"""
    output = run(code, tmp_path, **PRODUCTION, DATABASE_POOL_MAX_SIZE=given or "0")

    *warnings, last = output.splitlines()
    assert int(last) == size
    assert [warning in line for line in warnings] == ([True] if warning else [])


def test_statements_are_prepared_unless_a_pooler_cannot_keep_them_apart(tmp_path):
    [databases] = settings(tmp_path, "DATABASES", **PRODUCTION)
    [without] = settings(tmp_path, "DATABASES", **PRODUCTION, DATABASE_PREPARE_THRESHOLD="0")

    assert databases["default"]["OPTIONS"]["prepare_threshold"] == 5
    assert without["default"]["OPTIONS"]["prepare_threshold"] is None


def test_without_a_broker_messages_are_files_in_folders_that_exist(tmp_path):
    url, options = settings(tmp_path, "CELERY_BROKER_URL", "CELERY_BROKER_TRANSPORT_OPTIONS")

    assert url == "filesystem://localhost//"
    assert options["polling_interval"] == 0.05
    assert options["data_folder_in"] == options["data_folder_out"]
    assert all(Path(options[name]).is_dir() for name in ("data_folder_in", "processed_folder", "control_folder"))


def test_a_broker_of_ones_own_replaces_the_files(tmp_path):
    assert settings(tmp_path, "CELERY_BROKER_URL", "CELERY_BROKER_TRANSPORT_OPTIONS", **PRODUCTION) == [
        "redis://broker.example.com/0",
        {},
    ]
    assert not (tmp_path / "broker").exists()


@pytest.mark.parametrize(("name", "text", "value"), [("LEASE_S", "2.5", 2.5), ("RESUME_MAX_ATTEMPTS", "9", 9)])
def test_the_environment_overrides_a_setting_of_the_product(tmp_path, name, text, value):
    [recovery] = settings(tmp_path, "RECOVERY", **{f"RECOVERY_{name}": text})

    assert recovery[name] == value


def test_what_the_beat_does_runs_as_often_as_the_product_says(tmp_path):
    [schedule] = settings(tmp_path, "CELERY_BEAT_SCHEDULE", RECOVERY_SWEEP_S="2")

    assert schedule == {
        "sweep": {"task": "recovery.sweep", "schedule": 2.0, "options": {"expires": 4.0}},
        "attend": {"task": "recovery.attend", "schedule": 2.0, "options": {"expires": 4.0}},
        "post_notices": {"task": "recovery.post_notices", "schedule": 2.0, "options": {"expires": 4.0}},
    }


def test_nobody_is_told_by_mail_unless_a_server_is_given(tmp_path):
    names = ("EMAIL_BACKEND", "EMAIL_HOST", "EMAIL_PORT", "EMAIL_HOST_PASSWORD")

    assert settings(tmp_path, "EMAIL_BACKEND") == ["django.core.mail.backends.dummy.EmailBackend"]
    assert settings(tmp_path, *names, EMAIL_URL="smtp+tls://me:p%40ss@mail.example.com:587") == [
        "django.core.mail.backends.smtp.EmailBackend",
        "mail.example.com",
        587,
        "p@ss",
    ]


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"PORT": "9000"}, "http://127.0.0.1:9000"),
        (PRODUCTION, "https://approvals.example.com"),
        (PRODUCTION | {"HTTPS": "off"}, "http://approvals.example.com"),
        (PRODUCTION | {"ALLOWED_HOSTS": "localhost,.example.com,a.example.com"}, "https://a.example.com"),
        (PRODUCTION | {"SITE_URL": "https://example.com/approvals"}, "https://example.com/approvals"),
    ],
)
def test_the_links_of_mails_lead_to_the_host_that_is_named(tmp_path, environment, url):
    assert settings(tmp_path, "SITE_URL", **environment) == [url]
