"""Processes and people of the conformance tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection

from recovery.demo.tables import OWNERS
from tests.conformance.workers import Workers

# A server that the environment does not name is none: these tests are not collected then, rather than skipped.
collect_ignore = [] if os.environ.get("TEST_AMQP_URL") else ["test_rabbitmq.py"]


def reviewer(name: str) -> Any:
    user = get_user_model().objects.create_user(name, password="pw")
    user.user_permissions.set(Permission.objects.filter(codename__in=["decide_approvalrequest", "start_state"]))
    return user


@pytest.fixture
def ada(transactional_db: None) -> Any:
    """A reviewer, seen by every process."""
    return reviewer("ada")


@pytest.fixture
def grace(transactional_db: None) -> Any:
    """Another reviewer."""
    return reviewer("grace")


@pytest.fixture
def workers(transactional_db: None, tmp_path: Path) -> Iterator[Workers]:
    """None runs until the test starts one."""
    workers = Workers(tmp_path)
    yield workers
    workers.end()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the run of a test takes its notes."""
    folder = tmp_path / "walk"
    folder.mkdir()
    return folder


@pytest.fixture
def drop_later(transactional_db: None) -> Iterator[Callable[[str], None]]:
    """Tables that a run made outlive the test's rows: named here, they go."""
    names: list[str] = []
    yield names.append
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f'DROP TABLE IF EXISTS "loaded_{name}"')
        if OWNERS in connection.introspection.table_names(cursor):
            cursor.execute(f"DELETE FROM {OWNERS}")
