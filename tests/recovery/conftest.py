"""People and runs that the tests of the app use."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from recovery import tasks
from recovery.models import ApprovalRequest, State
from recovery.services.start_run import start_run
from recovery.services.work import work_on_state
from tests.recovery import sample_pipelines


@pytest.fixture(autouse=True)
def _fresh_calls() -> Iterator[None]:
    sample_pipelines.calls.clear()
    yield
    sample_pipelines.calls.clear()


@pytest.fixture
def make_user(db: Any) -> Callable[..., Any]:
    def make(name: str, *, decides: bool = True, starts: bool = True) -> Any:
        user = get_user_model().objects.create_user(name, password="pw")
        wanted = [name for name, has in (("decide_approvalrequest", decides), ("start_state", starts)) if has]
        user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
        return user

    return make


@pytest.fixture
def tasks_at_once() -> Iterator[None]:
    """What is handed to the broker is done at once, by whoever hands it over."""
    before, tasks.tell.app.conf.task_always_eager = tasks.tell.app.conf.task_always_eager, True
    yield
    tasks.tell.app.conf.task_always_eager = before


@pytest.fixture
def ada(make_user: Callable[..., Any]) -> Any:
    """A reviewer."""
    return make_user("ada")


@pytest.fixture
def grace(make_user: Callable[..., Any]) -> Any:
    """Another reviewer."""
    return make_user("grace")


@pytest.fixture
def run_until_it_waits(db: Any) -> Callable[..., State]:
    """Start a run and let a worker take it as far as it goes."""

    def run(pipeline: str = "test-refund", **options: Any) -> State:
        state = start_run(pipeline, {"order": "A-17", "amount": "420.00"}, **options)
        return work(state.pk)

    return run


def work(state_id: uuid.UUID) -> State:
    work_on_state(state_id)
    return State.objects.get(pk=state_id)


def only_request(state: State) -> ApprovalRequest:
    return ApprovalRequest.objects.get(state=state, resolved_at__isnull=True)
