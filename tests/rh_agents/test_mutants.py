"""The properties bite: an engine with one rule broken is found out."""

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from rh_agents import StateError
from tests.rh_agents import random_lives as lives
from tests.rh_agents.mutants import MUTANTS
from tests.rh_agents.random_lives import CRASHES, SAVED
from tests.rh_agents.random_programs import programs

QUIETLY = settings(
    max_examples=1500,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@QUIETLY
@seed(1)
@given(program=programs, crashes=CRASHES, saved=SAVED, chance=st.randoms(use_true_random=False))
def _check(program, crashes, saved, chance):
    lives.ends_as_if_nothing_had_happened(program, crashes, saved, chance.randrange)
    lives.replays_without_doing_anything(program)
    lives.goes_back_and_ends_as_before(program, crashes, chance.choice)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_rule_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        MUTANTS[name](patch)
        with pytest.raises((AssertionError, StateError)):  # The engine itself refuses to complete a run that waits.
            _check()
