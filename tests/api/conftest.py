"""Programs that call the API, and the runs that they ask for."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.serializers.json import DjangoJSONEncoder
from django.test import Client

from recovery.models import AuditEntry, Decision, ProposalVersion, Resolution, Resumption, State
from tests.recovery.conftest import _fresh_calls, ada, grace, make_user, run_until_it_waits

__all__ = ["_fresh_calls", "ada", "grace", "make_user", "run_until_it_waits"]

V1 = "/api/v1"


class Caller:
    """A program that is signed in as `user`, or as nobody."""

    def __init__(self, user: Any = None) -> None:
        self.client = Client()
        if user is not None:
            self.client.force_login(user)

    def get(self, path: str, **query: Any) -> tuple[int, Any]:
        return self._said(self.client.get(V1 + path, query))

    def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        return self._said(self.client.post(V1 + path, body if body is not None else {}, "application/json"))

    def _said(self, response: Any) -> tuple[int, Any]:
        return response.status_code, response.json()


@pytest.fixture
def call(db: Any) -> Callable[..., Caller]:
    return Caller


@pytest.fixture
def as_ada(ada: Any) -> Caller:
    return Caller(ada)


@pytest.fixture
def boss(db: Any) -> Any:
    """Somebody of the staff without any permission."""
    return get_user_model().objects.create_user("boss", password="pw", is_staff=True)


def written() -> tuple[int, ...]:
    """How much there is of what a decision, a start or a retry writes."""
    models = (State, Decision, Resolution, Resumption, ProposalVersion, AuditEntry)
    return tuple(model.objects.count() for model in models)


def iso(moment: Any) -> str | None:
    """As the API gives it."""
    if moment is None:
        return None
    return DjangoJSONEncoder().default(moment)
