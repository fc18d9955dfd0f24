"""What the engine's tests share: backends in memory, and a count of calls."""

import pytest

from tests.rh_agents.runs import Calls, Kept


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def calls() -> Calls:
    return Calls()
