"""A small storm: every promise holds after it. The long one is `make chaos`."""

from pathlib import Path

import pytest
from django.db import connection

from tests.conformance.chaos.storm import Plan, Storm
from tests.conformance.workers import Workers

pytestmark = pytest.mark.conformance


def test_after_a_small_storm_every_promise_holds(workers: Workers, tmp_path: Path):
    # SQLite lets one write at a time, so there is less of everything.
    plan = (
        Plan(seed=1, runs=6, seconds=5, workers=2, threads=2, processes=1)
        if connection.vendor == "postgresql"
        else Plan(seed=1, runs=3, seconds=3, workers=1, threads=2, processes=0)
    )
    did = Storm(plan, tmp_path, workers).rage()
    assert did["runs completed"] + did["runs awaiting"] + did["runs cancelled"] >= plan.runs
    assert did["resumptions"] > 0
