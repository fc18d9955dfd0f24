"""What holds for any program in memory holds for it in the database."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recovery.backends import DjangoArtifactBackend, DjangoStateBackend
from tests.rh_agents import random_lives as lives
from tests.rh_agents.random_lives import CRASHES, SAVED, Backends
from tests.rh_agents.random_programs import programs

pytestmark = pytest.mark.django_db(transaction=True)


def in_database() -> Backends:
    return lambda: (DjangoStateBackend(), DjangoArtifactBackend())


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=programs, crashes=CRASHES, saved=SAVED, seed=st.randoms(use_true_random=False))
def test_a_run_in_the_database_ends_as_if_nothing_had_happened(
    program: Any, crashes: set[int], saved: Any, seed: Any
) -> None:
    lives.ends_as_if_nothing_had_happened(program, crashes, saved, seed.randrange, in_database)
    lives.goes_back_and_ends_as_before(program, crashes, seed.choice, in_database)
    lives.replays_without_doing_anything(program, in_database)
