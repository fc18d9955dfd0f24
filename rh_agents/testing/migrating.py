"""What a state backend promises of states that an earlier major version of the schema wrote."""

import copy
from typing import Any

import pytest

from rh_agents.core import migrations
from rh_agents.core.errors import IncompatibleVersionError, StaleWriterError
from rh_agents.core.execution import ExecutionState
from rh_agents.core.migrations import migration
from rh_agents.core.state_backend import StateBackend
from rh_agents.core.state_recovery import CURRENT_SCHEMA_VERSION, Entry, StateMetadata, StateSnapshot, StateStatus
from rh_agents.testing.samples import full_snapshot, simple_snapshot, step

OLD = "0.9.0"


class MigrationPromises:
    @pytest.fixture
    def no_migrations(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(migrations, "_migrations", {})

    @pytest.fixture
    def renamed(self, no_migrations: None) -> None:
        """With a migration under which `old` becomes `step`, and the key `name` becomes `renamed`."""

        @migration(OLD, "1.0.0")
        def rename(state: dict[str, Any]) -> dict[str, Any]:
            for event in state["events"]:
                event["address"] = event["address"].replace("old", "step")
            state["storage"]["renamed"] = state["storage"].pop("name")
            state["metadata"]["tags"] = [*state["metadata"]["tags"], "migrated"]
            return state

    def reopen(self, backend: StateBackend) -> StateBackend:
        raise NotImplementedError

    def test_a_migration_gets_all_that_was_stored(self, backend: StateBackend, no_migrations: None) -> None:
        old = full_snapshot()
        old.version = OLD
        backend.save_state(old)
        expected = copy.deepcopy(old)
        expected.version = "1.0.0"
        migration(OLD, "1.0.0")(lambda state: state)
        loaded = _load(self.reopen(backend), old.state_id)
        assert loaded == expected
        assert loaded.migrated_from == OLD

    def test_whoever_reads_an_old_state_gets_what_the_migration_makes_of_it(
        self, backend: StateBackend, renamed: None
    ) -> None:
        old = _saved(backend)
        other = self.reopen(backend)
        [listed] = other.list_states(pipeline_name="refunds")
        for read in (_load(other, old.state_id), listed):
            assert (read.version, read.head, read.updated_at) == ("1.0.0", 1, old.updated_at)
            assert [event.address for event in read.events] == ["step::tool_call"]
            assert read.storage == {"kept": Entry(2, "1"), "renamed": Entry(1, '"Ada"')}
            assert read.metadata.tags == ["first", "migrated"]

    def test_a_run_goes_on_from_a_state_that_was_migrated(self, backend: StateBackend, renamed: None) -> None:
        old = _saved(backend)
        state = ExecutionState.load_from_state_id(old.state_id, self.reopen(backend))
        state.save_checkpoint(StateStatus.RUNNING)
        state.storage.set("later", 3)
        state.save_checkpoint(StateStatus.PAUSED)

        migrations._migrations.clear()  # What was saved since needs none.
        saved = _load(self.reopen(backend), old.state_id)
        assert (saved.version, saved.head, saved.created_at) == (CURRENT_SCHEMA_VERSION, 3, old.created_at)
        assert {key: entry.text for key, entry in saved.storage.items()} == {
            "kept": "1",
            "renamed": '"Ada"',
            "later": "3",
        }
        assert [event.address for event in saved.events] == ["step::tool_call"]
        assert saved.metadata.tags == ["first", "migrated"]
        assert [state.state_id for state in backend.list_states(tags=["migrated"])] == [old.state_id]

    def test_a_plain_save_over_an_old_state_writes_all_of_it_anew(self, backend: StateBackend, renamed: None) -> None:
        old = _saved(backend)
        snapshot = _load(backend, old.state_id)
        expected = copy.deepcopy(snapshot)
        backend.save_state(snapshot)
        migrations._migrations.clear()
        saved = _load(self.reopen(backend), old.state_id)
        expected.head, expected.updated_at = 2, saved.updated_at
        assert saved == expected
        assert saved.updated_at > old.updated_at

    def test_earlier_checkpoints_stay_as_an_earlier_schema_wrote_them(
        self, backend: StateBackend, renamed: None
    ) -> None:
        if not backend.supports_append:
            pytest.skip("this backend keeps no earlier checkpoints")
        old = _saved(backend)
        state = ExecutionState.load_from_state_id(old.state_id, backend)
        for number in range(2):
            state.storage.set("n", number)
            state.save_checkpoint()
        other = self.reopen(backend)
        first, second = other.load_checkpoint(old.state_id, 1), other.load_checkpoint(old.state_id, 2)
        assert first is not None and second is not None
        assert (first.migrated_from, sorted(first.storage)) == (OLD, ["kept", "renamed"])
        assert (second.migrated_from, sorted(second.storage)) == ("", ["kept", "n", "renamed"])
        migrations._migrations.clear()
        with pytest.raises(IncompatibleVersionError, match=rf"{old.state_id}.*0\.9\.0.*@migration"):
            other.load_checkpoint(old.state_id, 1)
        assert other.load_checkpoint(old.state_id, 2) == second

    def test_of_two_that_load_an_old_state_the_second_to_save_is_refused(
        self, backend: StateBackend, renamed: None
    ) -> None:
        old = _saved(backend)
        first, second = (ExecutionState.load_from_state_id(old.state_id, self.reopen(backend)) for _ in range(2))
        first.storage.set("by", "first")
        first.save_checkpoint()
        second.storage.set("by", "second")
        with pytest.raises(StaleWriterError, match=old.state_id):
            second.save_checkpoint()
        assert ExecutionState.load_from_state_id(old.state_id, backend).storage.get("by") == "first"

    def test_a_missing_migration_is_named_and_a_list_goes_on(self, backend: StateBackend, no_migrations: None) -> None:
        old = _saved(backend)
        good = simple_snapshot()
        backend.save_state(good)
        other = self.reopen(backend)
        with pytest.raises(IncompatibleVersionError, match=rf'{old.state_id}.*0\.9\.0.*1\..*@migration\("0\.9\.0"'):
            other.load_state(old.state_id)
        with pytest.warns(UserWarning, match=old.state_id):
            assert [state.state_id for state in other.list_states()] == [good.state_id]
        assert other.exists(old.state_id)

    def test_an_earlier_major_version_does_not_follow_a_later_one(
        self, backend: StateBackend, no_migrations: None
    ) -> None:
        snapshot = simple_snapshot()
        backend.save_state(snapshot)
        expected = copy.deepcopy(snapshot)
        snapshot.version = OLD
        with pytest.raises(IncompatibleVersionError, match=rf"{snapshot.state_id}.*0\.9\.0"):
            backend.save_state(snapshot)
        assert backend.load_state(snapshot.state_id) == expected


def _saved(backend: StateBackend) -> StateSnapshot:
    """As a program of the earlier schema would have left it."""
    old = simple_snapshot()
    old.version = OLD
    old.metadata = StateMetadata(tags=["first"], pipeline_name="refunds")
    old.events = [step(3, "old::tool_call")]
    old.storage = {"name": Entry(1, '"Ada"'), "kept": Entry(2, "1")}
    old.clock = 3
    backend.save_state(old)
    return old


def _load(backend: StateBackend, state_id: str) -> StateSnapshot:
    snapshot = backend.load_state(state_id)
    assert snapshot is not None
    return snapshot
