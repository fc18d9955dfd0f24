"""Rows that an earlier major version of the schema wrote: what a migration gets of them, and what is kept of it."""

import json
from typing import Any

import pytest

from recovery.models import Checkpoint, Event, State
from rh_agents import ExecutionState, migration
from rh_agents.core import migrations
from rh_agents.core.errors import CorruptStateError, IncompatibleVersionError
from rh_agents.core.state_recovery import Entry, StateStatus, Write
from rh_agents.testing.samples import step
from tests.recovery.log_samples import backend, changes, saved_state

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_migrations(monkeypatch):
    monkeypatch.setattr(migrations, "_migrations", {})


@pytest.fixture
def old() -> str:
    """A step that was `done`, which wrote as steps wrote then, in a state that was `held` and had labels."""
    state_id = saved_state()
    record = step(3, result="x")
    record.storage_writes, record.error_message = {"k": Write(1, "1")}, "a\x00b"
    backend().append(changes(state_id, 1, events=[record], storage={"k": Entry(1, "1")}, status=StateStatus.PAUSED))
    Event.objects.update(status="done", wrote=json.dumps({"put": {"k": 1}, "words": {"error_message": "a\x00b"}}))
    Checkpoint.objects.update(status="held", metadata='{"labels": ["a"]}')
    State.objects.update(schema_version="0.9.0")
    return state_id


def modern(state: dict[str, Any]) -> dict[str, Any]:
    for event in state["events"]:
        event["status"] = {"done": "completed"}[event["status"]]
        event["storage_writes"] = {key: [seq, "1"] for key, seq in event.pop("put").items()}
    state["status"] = {"held": "paused"}[state["status"]]
    state["metadata"]["tags"] = state["metadata"].pop("labels")
    return state


def test_a_migration_gets_the_words_that_were_written(old):
    migration("0.9.0", "1.0.0")(modern)
    snapshot = backend().load_state(old)
    assert (snapshot.status, snapshot.metadata.tags, snapshot.head) == (StateStatus.PAUSED, ["a"], 2)
    [record] = snapshot.events
    assert (record.result, record.error_message) == ("x", "a\x00b")
    assert record.storage_writes == {"k": Write(1, "1")}
    [listed] = backend().list_states()
    assert listed == snapshot


def test_the_rows_of_then_stay_below_those_of_now(old):
    migration("0.9.0", "1.0.0")(modern)
    state = ExecutionState.load_from_state_id(old, backend())
    state.save_checkpoint()
    assert list(Event.objects.order_by("pk").values_list("status", "added_in", "removed_in")) == [
        ("done", 2, 3),
        ("completed", 3, None),
    ]
    assert State.objects.get().schema_version == "1.0.0"
    assert [tag.tag for tag in State.objects.get().tags.all()] == ["a"]
    migrations._migrations.clear()
    assert backend().load_state(old).events[0].status == "completed"
    with pytest.raises(IncompatibleVersionError, match=old):
        backend().load_checkpoint(old, 2)


def test_rows_that_no_schema_wrote_are_damage(old):
    migration("0.9.0", "1.0.0")(modern)
    Event.objects.update(wrote="[1]")
    with pytest.raises(CorruptStateError, match=old):
        backend().load_state(old)
