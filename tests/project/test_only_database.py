"""The rule of the second pass: who uses the database runs there too, by a mark or by a fixture, and nobody else."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = """
import pytest

@pytest.fixture
def db(): pass

@pytest.fixture
def person(db): pass

@pytest.fixture
def nothing(): pass

@pytest.mark.django_db
def test_marked(): pass

def test_itself(db): pass

def test_by_a_fixture_of_a_fixture(person): pass

def test_pure(): pass

def test_pure_with_a_fixture(nothing): pass

@pytest.mark.django_db
class TestAll:
    def test_in_a_marked_class(self): pass
"""
USE_IT = ["test_marked", "test_itself", "test_by_a_fixture_of_a_fixture", "test_in_a_marked_class"]


def passed(folder: Path, *options: str) -> list[str]:
    command = [sys.executable, "-m", "pytest", "-v", "-c", "/dev/null", "--rootdir", folder, "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-p", "tests.only_database", *options, folder],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return [line.split()[0].split("::")[-1] for line in done.stdout.splitlines() if " PASSED " in line]


def test_the_second_pass_runs_what_uses_the_database_and_the_first_everything(tmp_path):
    (tmp_path / "test_it.py").write_text(TESTS)

    assert passed(tmp_path, "--only-database") == USE_IT
    assert sorted(passed(tmp_path)) == sorted([*USE_IT, "test_pure", "test_pure_with_a_fixture"])
