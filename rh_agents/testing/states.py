"""What every state backend promises: see `StateBackendContract`."""

import asyncio
import copy
from datetime import datetime, timedelta

import pytest

from rh_agents.core import state_recovery
from rh_agents.core.errors import IncompatibleVersionError, SerializationError, StateNotFoundError
from rh_agents.core.state_backend import StateBackend
from rh_agents.core.state_recovery import Entry, StateMetadata, StateSnapshot, StateStatus
from rh_agents.testing.appending import AppendPromises
from rh_agents.testing.listing import ListPromises
from rh_agents.testing.migrating import MigrationPromises
from rh_agents.testing.samples import START, full_snapshot, new_id, simple_snapshot, step

MALFORMED_IDS = ["", ".", "..", "../up", "a/b", "a\\b", "/etc/passwd", ".hidden", "a\x00b", "a\nb", "a\x7f", "x" * 201]


class StateBackendContract(AppendPromises, ListPromises, MigrationPromises):
    """Inherit, and provide a `backend` fixture that gives an empty one.

    Ids are UUIDs throughout, so a backend may take nothing else. A backend that keeps no earlier checkpoints
    (`supports_append` is false) passes without the tests of `append` and `load_checkpoint`.
    """

    @pytest.fixture
    def backend(self) -> StateBackend:
        raise NotImplementedError("provide a fixture `backend`")

    def reopen(self, backend: StateBackend) -> StateBackend:
        """A second handle on the same store, as another process would open it. By default `backend` itself."""
        return backend

    def end_thread(self) -> None:
        """Called at the end of every thread that a test starts, to close what belongs to that thread."""

    def test_what_was_saved_comes_back_with_every_field(self, backend: StateBackend) -> None:
        snapshot = full_snapshot()
        expected = copy.deepcopy(snapshot)
        assert backend.save_state(snapshot) is True
        expected.head = 1
        assert self.reopen(backend).load_state(snapshot.state_id) == expected

    def test_types_inside_custom_data_come_back(self, backend: StateBackend) -> None:
        snapshot = full_snapshot()
        backend.save_state(snapshot)
        loaded = _load(backend, snapshot.state_id)
        assert repr(loaded.metadata.custom_data) == repr(snapshot.metadata.custom_data)

    def test_an_empty_state_comes_back(self, backend: StateBackend) -> None:
        snapshot = StateSnapshot(state_id=new_id())
        backend.save_state(snapshot)
        assert self.reopen(backend).load_state(snapshot.state_id) == snapshot

    def test_times_keep_their_instant_and_have_a_time_zone(self, backend: StateBackend) -> None:
        snapshot = simple_snapshot()
        zoned = datetime.fromisoformat("2024-03-01T05:29:59.123456+05:30")
        snapshot.updated_at = zoned
        backend.save_state(snapshot)
        loaded = _load(backend, snapshot.state_id)
        assert (loaded.created_at, loaded.updated_at) == (START, zoned)
        assert loaded.created_at.tzinfo is not None and loaded.updated_at.tzinfo is not None

    def test_text_that_a_store_cannot_hold_is_kept_or_refused_and_never_changed(self, backend: StateBackend) -> None:
        for text in ("nul \x00", "surrogate \ud800"):
            snapshot = simple_snapshot()
            snapshot.events = [step(1)]
            snapshot.events[0].error_message = text
            try:
                backend.save_state(snapshot)
            except (ValueError, SerializationError):
                assert backend.load_state(snapshot.state_id) is None
            else:
                assert _load(backend, snapshot.state_id) == snapshot

    def test_the_caller_may_change_what_was_saved_or_loaded_without_changing_the_store(
        self, backend: StateBackend
    ) -> None:
        snapshot = full_snapshot()
        backend.save_state(snapshot)
        expected = copy.deepcopy(snapshot)
        for handed_out in (snapshot, _load(backend, snapshot.state_id)):
            handed_out.events.clear()
            handed_out.storage.clear()
            handed_out.metadata.tags.append("later")
            handed_out.generations["later"] = 1
        assert backend.load_state(snapshot.state_id) == expected

    def test_an_unknown_id_is_none(self, backend: StateBackend) -> None:
        backend.save_state(simple_snapshot())
        assert backend.load_state(new_id()) is None
        assert backend.exists(new_id()) is False

    @pytest.mark.parametrize("state_id", MALFORMED_IDS)
    def test_a_malformed_id_is_a_value_error_everywhere(self, backend: StateBackend, state_id: str) -> None:
        for call in (backend.load_state, backend.exists, backend.delete_state):
            with pytest.raises(ValueError):
                call(state_id)
        for save in (backend.save_state, backend.update_state):
            with pytest.raises(ValueError):
                save(StateSnapshot(state_id=state_id))
        assert backend.list_states() == []

    def test_saving_sets_and_counts_the_head(self, backend: StateBackend) -> None:
        snapshot = simple_snapshot()
        for number in (1, 2, 3):
            backend.save_state(snapshot)
            assert snapshot.head == number
            assert _load(self.reopen(backend), snapshot.state_id).head == number

    def test_created_at_survives_and_updated_at_moves(self, backend: StateBackend) -> None:
        first = simple_snapshot()
        backend.save_state(first)
        second = simple_snapshot(first.state_id)
        second.created_at = START + timedelta(days=9)
        second.updated_at = START + timedelta(days=9)
        backend.save_state(second)
        loaded = _load(backend, first.state_id)
        assert (loaded.created_at, loaded.updated_at) == (START, START + timedelta(days=9))

    def test_updated_at_moves_even_if_the_caller_left_it_alone(self, backend: StateBackend) -> None:
        snapshot = simple_snapshot()
        backend.save_state(snapshot)
        backend.save_state(_load(backend, snapshot.state_id))
        assert _load(backend, snapshot.state_id).updated_at > START

    def test_a_save_replaces_everything(self, backend: StateBackend) -> None:
        before = full_snapshot()
        backend.save_state(before)
        after = simple_snapshot(before.state_id, minute=10_000)
        after.clock = before.clock
        after.status = StateStatus.COMPLETED
        backend.save_state(after)
        assert backend.load_state(before.state_id) == after

    def test_a_save_keeps_what_changed_inside_of_a_record(self, backend: StateBackend) -> None:
        snapshot = simple_snapshot()
        snapshot.events = [step(1, result="old"), step(2)]
        backend.save_state(snapshot)
        snapshot = _load(backend, snapshot.state_id)
        snapshot.events[0] = step(1, result="new")
        snapshot.updated_at += timedelta(seconds=1)
        backend.save_state(snapshot)
        assert _load(backend, snapshot.state_id).events == [step(1, result="new"), step(2)]

    def test_a_save_tells_values_apart_that_only_look_equal(self, backend: StateBackend) -> None:
        snapshot = simple_snapshot(custom_data={"n": 1})
        backend.save_state(snapshot)
        snapshot.metadata = StateMetadata(custom_data={"n": True})
        backend.save_state(snapshot)
        assert _load(backend, snapshot.state_id).metadata.custom_data["n"] is True

    def test_update_state_saves_over_a_state_that_is_there(self, backend: StateBackend) -> None:
        snapshot = simple_snapshot()
        backend.save_state(snapshot)
        snapshot.storage["k"] = Entry(1, "1")
        assert backend.update_state(snapshot) is True
        assert _load(backend, snapshot.state_id).storage == {"k": Entry(1, "1")}

    def test_update_state_of_an_unknown_state_is_refused_and_saves_nothing(self, backend: StateBackend) -> None:
        snapshot = simple_snapshot()
        with pytest.raises(StateNotFoundError, match=snapshot.state_id):
            backend.update_state(snapshot)
        assert backend.exists(snapshot.state_id) is False

    def test_deleting_removes_the_state_and_says_whether_it_was_there(self, backend: StateBackend) -> None:
        gone, kept = full_snapshot(), full_snapshot()
        backend.save_state(gone)
        backend.save_state(kept)
        assert backend.delete_state(gone.state_id) is True
        assert backend.delete_state(gone.state_id) is False
        other = self.reopen(backend)
        assert other.exists(gone.state_id) is False
        assert other.load_state(gone.state_id) is None
        assert [state.state_id for state in other.list_states()] == [kept.state_id]
        assert other.load_state(kept.state_id) == kept

    def test_an_id_that_was_deleted_starts_anew(self, backend: StateBackend) -> None:
        snapshot = full_snapshot()
        backend.save_state(snapshot)
        backend.delete_state(snapshot.state_id)
        again = simple_snapshot(snapshot.state_id, minute=5)
        backend.save_state(again)
        assert again.head == 1
        assert backend.load_state(again.state_id) == again

    def test_a_later_major_version_is_refused_when_saving(self, backend: StateBackend) -> None:
        snapshot = simple_snapshot()
        backend.save_state(snapshot)
        expected = copy.deepcopy(snapshot)
        snapshot.version = "2.0.0"
        with pytest.raises(IncompatibleVersionError, match=r"2\.0\.0.*1\.\d+\.\d+"):
            backend.save_state(snapshot)
        assert backend.load_state(snapshot.state_id) == expected

    def test_a_later_major_version_is_refused_when_loading(
        self, backend: StateBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        snapshot = full_snapshot()
        snapshot.version = "2.0.0"
        with monkeypatch.context() as the_later_program:
            the_later_program.setattr(state_recovery, "CURRENT_SCHEMA_VERSION", "2.0.0")
            backend.save_state(snapshot)
        with pytest.raises(IncompatibleVersionError, match=r"2\.0\.0.*1\.\d+\.\d+"):
            self.reopen(backend).load_state(snapshot.state_id)

    @pytest.mark.parametrize("version", ["1.0.0", "1.99.3"])
    def test_any_minor_version_of_the_present_major_one_loads(self, backend: StateBackend, version: str) -> None:
        snapshot = full_snapshot()
        snapshot.version = version
        backend.save_state(snapshot)
        assert self.reopen(backend).load_state(snapshot.state_id) == snapshot

    def test_every_call_works_on_a_running_event_loop(self, backend: StateBackend) -> None:
        async def use_it() -> None:
            snapshot = full_snapshot()
            assert backend.save_state(snapshot) is True
            assert backend.update_state(snapshot) is True
            assert backend.load_state(snapshot.state_id) == snapshot
            assert backend.exists(snapshot.state_id) is True
            assert [state.state_id for state in backend.list_states()] == [snapshot.state_id]
            assert backend.delete_state(snapshot.state_id) is True

        asyncio.run(use_it())


def _load(backend: StateBackend, state_id: str) -> StateSnapshot:
    snapshot = backend.load_state(state_id)
    assert snapshot is not None
    return snapshot
