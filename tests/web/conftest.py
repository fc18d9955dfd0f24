"""People with browsers: a client for anybody, and the runs that the tests of the app use."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.recovery.conftest import _fresh_calls, ada, grace, make_user, run_until_it_waits

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
