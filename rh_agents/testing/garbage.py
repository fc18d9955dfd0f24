"""What collecting garbage promises, for a state and an artifact backend that belong together."""

from datetime import UTC, datetime, timedelta

import pytest

from rh_agents.core.execution import ExecutionState
from rh_agents.core.serialization import artifact_id, encode_artifact
from rh_agents.core.state_backend import ArtifactBackend, StateBackend
from rh_agents.core.state_recovery import StateStatus

NOW = timedelta(0)


class GarbageContract:
    """Inherit, and provide fixtures `states` and `artifacts` that give empty backends."""

    @pytest.fixture
    def states(self) -> StateBackend:
        raise NotImplementedError("provide a fixture `states`")

    @pytest.fixture
    def artifacts(self) -> ArtifactBackend:
        raise NotImplementedError("provide a fixture `artifacts`")

    def test_only_what_nothing_refers_to_goes(self, states: StateBackend, artifacts: ArtifactBackend) -> None:
        state = ExecutionState(states, artifacts, large_value_bytes=100)
        kept = [state.storage.set_artifact("preview.csv", "a,b\n1,2\n")]
        state.storage.set("large", "x" * 200)
        state.save_checkpoint()
        gone = _save(artifacts, "nobody wants this")

        assert artifacts.garbage_collect(states, NOW) == [gone]

        assert artifacts.exists(gone) is False
        loaded = ExecutionState.load_from_state_id(state.state_id, states, artifacts)
        assert loaded.storage.get("large") == "x" * 200
        assert artifacts.load_artifact(kept[0]) == "a,b\n1,2\n"
        assert artifacts.garbage_collect(states, NOW) == []

    def test_earlier_checkpoints_keep_what_they_refer_to(
        self, states: StateBackend, artifacts: ArtifactBackend
    ) -> None:
        state = ExecutionState(states, artifacts)
        first = state.storage.set_artifact("report", "first")
        state.save_checkpoint()
        second = state.storage.set_artifact("report", "second")
        state.save_checkpoint()
        state.storage.delete_artifact("report")
        state.save_checkpoint(StateStatus.COMPLETED)
        assert artifacts.garbage_collect(states, NOW) == []
        states.delete_state(state.state_id)
        artifacts.garbage_collect(states, NOW)
        assert not artifacts.exists(first)
        assert not artifacts.exists(second)

    def test_what_was_saved_a_moment_ago_may_be_about_to_be_referred_to(
        self, states: StateBackend, artifacts: ArtifactBackend
    ) -> None:
        fresh = _save(artifacts, "its checkpoint comes")
        assert artifacts.garbage_collect(states) == []
        assert artifacts.exists(fresh)

    def test_saving_again_protects_too(self, states: StateBackend, artifacts: ArtifactBackend) -> None:
        identity = _save(artifacts, "old")
        since = datetime.now(UTC)
        _save(artifacts, "old")
        assert artifacts.delete_if_unsaved(identity, since) is False
        assert artifacts.load_artifact(identity) == "old"
        assert artifacts.delete_if_unsaved(identity, datetime.now(UTC)) is True

    def test_an_id_that_was_given_by_hand_is_not_garbage(
        self, states: StateBackend, artifacts: ArtifactBackend
    ) -> None:
        artifacts.save_artifact("logo", b"png")
        assert artifacts.garbage_collect(states, NOW) == []
        assert artifacts.exists("logo")


def _save(artifacts: ArtifactBackend, value: object) -> str:
    encoded = encode_artifact(value)
    artifacts.save_encoded(artifact_id(encoded), *encoded)
    return artifact_id(encoded)
