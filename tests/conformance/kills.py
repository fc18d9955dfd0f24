"""Processes that are killed (kill -9) at a commit of theirs: forked from the test, so that there can be many."""

import os
import signal
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection, connections
from django.utils import timezone

from recovery.models import State
from recovery.services.sweep import sweep
from recovery.services.work import work_on_state


def killed_at(number: int, *, after: bool, job: Callable[[], Any]) -> bool:
    """Do `job` in a process that is killed at its commit of that number, from 0; `False` if it has fewer."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _kill_at(number, after)
            job()
            code = 0
        finally:
            os._exit(code)
    _, how = os.waitpid(child, 0)
    if os.WIFSIGNALED(how):
        assert os.WTERMSIG(how) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(how) == 0, "the job failed before it was killed; see the captured output"
    return False


def _kill_at(number: int, after: bool) -> None:
    """Count the commits of this process: of transactions, and of single statements that write."""
    left = number

    def committing(commit: Callable[[], Any]) -> Any:
        nonlocal left
        left -= 1
        if left < 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = commit()
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def statement(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        writes = sql.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE", "WITH"))
        if not writes or context["connection"].in_atomic_block:
            return execute(sql, params, many, context)
        return committing(lambda: execute(sql, params, many, context))

    commit = connection.commit
    connection.commit = lambda: committing(commit)
    connection.execute_wrappers.append(statement)


def expire_lease(state_id: uuid.UUID) -> None:
    State.objects.filter(pk=state_id, lease_until__isnull=False).update(
        lease_until=timezone.now() - timedelta(seconds=1)
    )


def resume(state_id: uuid.UUID) -> None:
    """Another worker, after the lease ran out: only the sweep tells it."""
    expire_lease(state_id)
    if sweep():
        work_on_state(state_id)
    assert sweep() == 0
