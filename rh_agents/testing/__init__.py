"""The promises of the storage interfaces as tests, for every backend: inherit the class, provide the `backend` fixture.

    class TestMyStates(StateBackendContract):
        @pytest.fixture
        def backend(self, tmp_path):
            return MyStateBackend(tmp_path)

This is the one part of the package that needs pytest.
"""

import pytest

pytest.register_assert_rewrite(
    "rh_agents.testing.appending",
    "rh_agents.testing.artifacts",
    "rh_agents.testing.garbage",
    "rh_agents.testing.listing",
    "rh_agents.testing.states",
)

from rh_agents.testing.artifacts import ArtifactBackendContract  # noqa: E402
from rh_agents.testing.garbage import GarbageContract  # noqa: E402
from rh_agents.testing.states import StateBackendContract  # noqa: E402

__all__ = ["ArtifactBackendContract", "GarbageContract", "StateBackendContract"]
