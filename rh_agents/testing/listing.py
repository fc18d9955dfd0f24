"""What every state backend promises about its lists."""

import pytest

from rh_agents.core.state_backend import StateBackend
from rh_agents.core.state_recovery import StateSnapshot, StateStatus
from rh_agents.testing.samples import full_snapshot, simple_snapshot


class ListPromises:
    def test_an_empty_store_lists_nothing(self, backend: StateBackend) -> None:
        assert backend.list_states() == []

    def test_a_list_is_newest_first_by_update_and_not_by_creation(self, backend: StateBackend) -> None:
        ids = {minute: _save(backend, minute) for minute in (5, 1, 9, 3)}
        assert _ids(backend.list_states()) == [ids[9], ids[5], ids[3], ids[1]]

    def test_saving_a_state_again_brings_it_to_the_top(self, backend: StateBackend) -> None:
        old, new = _save(backend, 1), _save(backend, 2)
        snapshot = backend.load_state(old)
        assert snapshot is not None
        backend.save_state(snapshot)
        assert _ids(backend.list_states()) == [old, new]

    def test_a_list_holds_at_most_limit_and_the_newest_of_them(self, backend: StateBackend) -> None:
        ids = [_save(backend, minute) for minute in range(5)]
        assert _ids(backend.list_states(limit=2)) == [ids[4], ids[3]]
        assert len(backend.list_states(limit=99)) == 5
        assert backend.list_states(limit=0) == []

    def test_a_list_holds_a_hundred_if_nothing_is_said(self, backend: StateBackend) -> None:
        for minute in range(101):
            _save(backend, minute)
        assert len(backend.list_states()) == 100

    def test_a_negative_limit_is_refused(self, backend: StateBackend) -> None:
        with pytest.raises(ValueError, match="-1"):
            backend.list_states(limit=-1)

    def test_tags_mean_all_of_them_and_whole_tags(self, backend: StateBackend) -> None:
        both = _save(backend, 1, tags=["red", "blue"])
        red = _save(backend, 2, tags=["red"])
        _save(backend, 3, tags=["redder", "Blue"])
        _save(backend, 4)
        assert _ids(backend.list_states(tags=["red"])) == [red, both]
        assert _ids(backend.list_states(tags=["blue", "red"])) == [both]
        assert _ids(backend.list_states(tags=("red", "red"))) == [red, both]
        assert backend.list_states(tags=["green"]) == []
        assert len(backend.list_states(tags=[])) == 4

    def test_status_and_pipeline_are_matched_whole_and_together(self, backend: StateBackend) -> None:
        _save(backend, 1, StateStatus.AWAITING, pipeline_name="refunds")
        found = _save(backend, 2, StateStatus.PAUSED, tags=["a"], pipeline_name="refunds")
        _save(backend, 3, StateStatus.PAUSED, pipeline_name="refunds-2")
        _save(backend, 4, StateStatus.PAUSED, tags=["a"])
        assert _ids(backend.list_states(["a"], StateStatus.PAUSED, "refunds")) == [found]
        assert len(backend.list_states(status=StateStatus.PAUSED)) == 3
        assert len(backend.list_states(pipeline_name="refunds")) == 2
        assert backend.list_states(status=StateStatus.FAILED) == []

    def test_filters_come_before_the_limit(self, backend: StateBackend) -> None:
        old = _save(backend, 1, tags=["rare"])
        for minute in range(2, 6):
            _save(backend, minute)
        assert _ids(backend.list_states(tags=["rare"], limit=1)) == [old]

    def test_filters_look_at_the_newest_checkpoint_alone(self, backend: StateBackend) -> None:
        snapshot = simple_snapshot(tags=["early"], pipeline_name="first")
        backend.save_state(snapshot)
        snapshot.metadata.tags = ["late"]
        snapshot.metadata.pipeline_name = "second"
        snapshot.status = StateStatus.COMPLETED
        backend.save_state(snapshot)
        assert backend.list_states(tags=["early"]) == []
        assert backend.list_states(status=StateStatus.PAUSED) == []
        assert backend.list_states(pipeline_name="first") == []
        assert _ids(backend.list_states(["late"], StateStatus.COMPLETED, "second")) == [snapshot.state_id]

    def test_a_list_tells_what_a_state_is_known_by(self, backend: StateBackend) -> None:
        snapshot = full_snapshot()
        backend.save_state(snapshot)
        [listed] = backend.list_states()
        assert listed.metadata == snapshot.metadata
        assert (listed.status, listed.version, listed.head) == (snapshot.status, snapshot.version, 1)
        assert (listed.created_at, listed.updated_at) == (snapshot.created_at, snapshot.updated_at)


def _save(backend: StateBackend, minute: int, status: StateStatus = StateStatus.PAUSED, **metadata: object) -> str:
    snapshot = simple_snapshot(None, minute=minute, **metadata)
    snapshot.status = status
    backend.save_state(snapshot)
    return snapshot.state_id


def _ids(states: list[StateSnapshot]) -> list[str]:
    return [state.state_id for state in states]
