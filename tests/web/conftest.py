"""People with browsers: a client for anybody, and the runs that the tests of the app use."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from recovery import pipelines
from recovery.models import ApprovalRequest
from tests.recovery.conftest import _fresh_calls, ada, grace, make_user, only_request, run_until_it_waits
from tests.web import order_pipeline  # noqa: F401  registers its pipeline

__all__ = ["_fresh_calls", "ada", "grace", "make_user", "run_until_it_waits"]


@pytest.fixture
def signed_in() -> Callable[[Any], Client]:
    """A browser in which `user` is signed in."""

    def sign_in(user: Any) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def htmx() -> dict[str, str]:
    """The headers of a request that htmx makes."""
    return {"HX-Request": "true", "HX-Current-URL": "http://testserver/"}


@pytest.fixture
def ada_at(ada: Any, signed_in: Callable[[Any], Client]) -> Client:
    """Ada's browser."""
    return signed_in(ada)


@pytest.fixture
def refund(run_until_it_waits: Callable[..., Any]) -> ApprovalRequest:
    """An amount to be paid back, of which amount and method may be edited."""
    return only_request(run_until_it_waits())


@pytest.fixture
def order(run_until_it_waits: Callable[..., Any]) -> ApprovalRequest:
    """A list of things to be bought."""
    return only_request(run_until_it_waits("test-order"))


@pytest.fixture
def without_its_pipeline() -> Iterator[None]:
    """The code of the refunds is not installed any more."""
    known = pipelines.get("test-refund")
    pipelines.unregister("test-refund")
    yield
    pipelines._registry["test-refund"] = known
