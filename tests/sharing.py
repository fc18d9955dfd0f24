"""How `-n 3 --dist loadgroup` shares the tests: whichever process is free takes the next one.

By whole modules, as `--dist loadscope` does it, the last few would be the slow ones, with the other processes idle.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# Two start a dashboard, which takes longer than what each of their tests asks of it. The workers of the third have to
# renew short leases in time, which several such tests at once on two cores would not let them.
TOGETHER = {"tests/project/test_run.py", "tests/browser/test_first_light.py", "tests/conformance/test_workers.py"}


class OneByOne(LoadScopeScheduling):
    """The tests of a module of `TOGETHER` go to one process, and first: what has the most tests does."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return module if module in TOGETHER else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneByOne | None:
    return OneByOne(config, log) if config.getoption("dist") == "loadgroup" else None
