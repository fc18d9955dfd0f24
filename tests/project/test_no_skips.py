"""The rule that a skipped test fails on the build machine, and nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = {
    "a_mark": "import pytest\n@pytest.mark.skip(reason='why')\ndef test_it(): pass",
    "a_call": "import pytest\ndef test_it(): pytest.skip('why')",
    "a_module": "import pytest\npytest.importorskip('no_such_module')\ndef test_it(): pass",
}


def exit_code(folder: Path, ci: str) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", folder, "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "-p", "tests.no_skips", folder],
        cwd=ROOT,
        env={**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
    ).returncode


@pytest.mark.parametrize("kind", TESTS)
def test_a_skip_is_a_failure_on_the_build_machine_only(tmp_path, kind):
    (tmp_path / "test_skipped.py").write_text(TESTS[kind])

    assert exit_code(tmp_path, "true") in (1, 2)
    assert exit_code(tmp_path, "") in (0, 5)


def test_an_expected_failure_is_no_skip(tmp_path):
    (tmp_path / "test_x.py").write_text("import pytest\n@pytest.mark.xfail\ndef test_it(): assert False")

    assert exit_code(tmp_path, "true") == 0
