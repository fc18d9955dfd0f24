"""People and runs, and somebody who looks at the database from a thread of their own, as a stream process does."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from recovery.live.looking import Looker
from tests.recovery.conftest import _fresh_calls, ada, grace, make_user, run_until_it_waits

__all__ = ["_fresh_calls", "ada", "grace", "make_user", "run_until_it_waits"]


@pytest.fixture
def look(transactional_db: Any) -> Iterator[Callable[..., set[str]]]:
    """What changed of these topics since the last look."""
    looker = Looker()
    with ThreadPoolExecutor(1) as thread:
        yield lambda *topics: thread.submit(looker.look, frozenset(topics)).result()
        thread.submit(connections.close_all).result()
