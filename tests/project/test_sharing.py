"""How the tests are shared among processes: what shares a dashboard stays together, and all of it is still there."""

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from tests.sharing import TOGETHER

ROOT = Path(__file__).resolve().parents[2]
MODULE = "import pytest\n@pytest.mark.parametrize('n', range(6))\ndef test_it(n): pass\n"


def test_modules_that_share_what_they_started_go_to_one_process_and_before_all_others(tmp_path):
    names = [*sorted(TOGETHER), "tests/web/test_other.py", "tests/a/test_another.py"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(MODULE)
    command = [sys.executable, "-m", "pytest", "-v", "-c", "/dev/null", "--rootdir", tmp_path, "-p", "no:cacheprovider"]
    command += ["--import-mode=importlib", "-p", "xdist", "-n", "2", "--dist", "loadgroup", "-p", "tests.sharing"]
    done = subprocess.run(
        [*command, *(tmp_path / name for name in names)],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ran = re.findall(r"\[(gw\d)\] .* PASSED (\S+?)::test_it\[\d\]", done.stdout)
    assert len(ran) == 6 * len(names)
    processes = defaultdict(set)
    for process, name in ran:
        processes[name].add(process)
    assert all(len(processes[name]) == 1 for name in TOGETHER)
    assert {frozenset(processes[name]) for name in TOGETHER} == {frozenset({"gw0"}), frozenset({"gw1"})}


def test_every_module_that_is_kept_together_is_there():
    assert all((ROOT / name).is_file() for name in TOGETHER)
