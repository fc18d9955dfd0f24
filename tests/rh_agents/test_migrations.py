"""A state that an earlier major version of the schema wrote is brought up to the present one, or refused by name."""

import pytest

from rh_agents import ExecutionState, IncompatibleVersionError, StateSnapshot, migration
from rh_agents.core import migrations
from rh_agents.core.errors import CorruptStateError
from rh_agents.memory_backends import InMemoryStateBackend


@pytest.fixture(autouse=True)
def no_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "_migrations", {})


def saved(version: str) -> tuple[InMemoryStateBackend, str]:
    backend = InMemoryStateBackend()
    snapshot = StateSnapshot(state_id="old", version=version)
    backend.save_state(snapshot)
    return backend, snapshot.state_id


def noted(word: str):
    def change(snapshot: StateSnapshot) -> StateSnapshot:
        snapshot.metadata.tags.append(f"{word} from {snapshot.version}")
        return snapshot

    return change


def test_migrations_run_one_after_the_other_up_to_the_present_version():
    migration("0.4.0", "1.0.0")(noted("second"))
    migration("-1.0.0", "0.4.0")(noted("first"))
    backend, state_id = saved("-1.2.3")
    state = ExecutionState.load_from_state_id(state_id, backend)
    assert state.metadata.tags == ["first from -1.2.3", "second from 0.4.0"]


def test_a_state_of_the_present_major_version_is_left_alone():
    migration("0.4.0", "1.0.0")(noted("never"))
    for version in ("1.0.0", "1.7.0"):
        backend, state_id = saved(version)
        assert ExecutionState.load_from_state_id(state_id, backend).metadata.tags == []


def test_a_missing_migration_is_named_with_both_versions_and_the_state_stays():
    backend, state_id = saved("0.4.0")
    with pytest.raises(IncompatibleVersionError, match=r"'old'.*0\.4\.0.*1\.0\.0.*@migration\(\"0\.4\.0\""):
        ExecutionState.load_from_state_id(state_id, backend)
    snapshot = backend.load_state(state_id)
    assert snapshot is not None
    assert snapshot.version == "0.4.0"


def test_a_chain_that_ends_early_says_how_far_it_leads():
    migration("-1.0.0", "0.4.0")(noted("first"))
    backend, state_id = saved("-1.0.0")
    with pytest.raises(IncompatibleVersionError, match=r"-1\.0\.0.*over 0\.4\.0.*1\.0\.0"):
        ExecutionState.load_from_state_id(state_id, backend)


@pytest.mark.parametrize("target", ["1.9.0", "0.9.0"])
def test_a_migration_leads_to_a_later_major_version(target):
    with pytest.raises(ValueError, match=rf"not from 1\.0\.0 to {target}"):
        migration("1.0.0", target)


def test_two_migrations_of_one_version_are_refused():
    migration("0.4.0", "1.0.0")(noted("one"))
    with pytest.raises(ValueError, match=r"schema 0\.x already.*noted"):
        migration("0.5.0", "1.0.0")(noted("other"))


def test_what_is_no_version_is_refused():
    with pytest.raises(CorruptStateError, match="'newest'"):
        migration("newest", "1.0.0")
