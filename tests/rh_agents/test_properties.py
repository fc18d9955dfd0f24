"""Whatever happens to a run on its way, it ends as if nothing had happened, and no recorded step runs again."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rh_agents import FileSystemArtifactBackend, FileSystemStateBackend
from tests.rh_agents import random_lives as lives
from tests.rh_agents.random_lives import CRASHES, SAVED, Backends
from tests.rh_agents.random_programs import programs

SOME = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(SOME, max_examples=100)


def in_files() -> Backends:
    folder = Path(tempfile.mkdtemp(prefix="lives-"))
    return lambda: (FileSystemStateBackend(folder), FileSystemArtifactBackend(folder))


@pytest.fixture
def on_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Backends]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return in_files


@MANY
@given(program=programs, crashes=CRASHES, saved=SAVED, seed=st.randoms(use_true_random=False))
def test_a_run_that_crashes_fails_and_pauses_anywhere_ends_as_if_nothing_had_happened(
    program: Any, crashes: set[int], saved: Any, seed: Any
) -> None:
    lives.ends_as_if_nothing_had_happened(program, crashes, saved, seed.randrange)


@SOME
@given(program=programs, crashes=CRASHES, data=st.data())
def test_a_run_that_goes_back_to_any_of_its_steps_ends_as_before(program: Any, crashes: set[int], data: Any) -> None:
    lives.goes_back_and_ends_as_before(program, crashes, lambda found: data.draw(st.sampled_from(found)))


@SOME
@given(program=programs)
def test_a_finished_run_replays_without_doing_or_changing_anything(program: Any) -> None:
    lives.replays_without_doing_anything(program)


@SOME
@given(program=programs, crashes=CRASHES, saved=SAVED, seed=st.randoms(use_true_random=False))
def test_the_same_holds_for_runs_in_files(
    program: Any, crashes: set[int], saved: Any, seed: Any, on_files: Callable[[], Backends]
) -> None:
    lives.ends_as_if_nothing_had_happened(program, crashes, saved, seed.randrange, on_files)
    lives.goes_back_and_ends_as_before(program, crashes, seed.choice, on_files)
