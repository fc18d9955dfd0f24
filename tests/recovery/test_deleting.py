"""Deleting a state: its rows and the artifacts that only it refers to go, what others need stays."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from recovery.backends import DjangoArtifactBackend
from recovery.models import ApprovalRequest, Artifact, AuditEntry, Decision, Resolution, Resumption, State
from recovery.services import audit
from rh_agents.core.serialization import artifact_reference
from rh_agents.core.state_recovery import Entry
from rh_agents.testing.samples import START, full_snapshot, step
from tests.recovery.log_samples import backend, changes, saved_state

pytestmark = pytest.mark.django_db(transaction=True)


def rows_of(state_id: str) -> dict[str, int]:
    """How many rows of each model belong to the state."""
    found = {}
    for model in apps.get_app_config("recovery").get_models():
        if any(field.name == "state" for field in model._meta.fields):
            found[model.__name__] = model.objects.filter(state_id=state_id).count()
    return {name: count for name, count in found.items() if count}


def test_deleting_leaves_no_row_of_the_state_and_all_of_the_others():
    doomed, kept = full_snapshot(), full_snapshot()
    for snapshot in (doomed, kept):
        backend().save_state(snapshot)
    before = rows_of(kept.state_id)
    assert before == rows_of(doomed.state_id)
    assert {"Tag", "Event", "StorageEntry", "ArtifactRef", "Checkpoint"} <= set(before)
    backend().delete_state(doomed.state_id)
    assert rows_of(doomed.state_id) == {}
    assert rows_of(kept.state_id) == before


def test_requests_and_decisions_go_and_the_audit_stays():
    state_id = saved_state()
    request = ApprovalRequest.objects.create(state_id=state_id, checkpoint=1, title="?", opened_at=START)
    decision = Decision.objects.create(request=request, kind="approve", created_at=START)
    resolution = Resolution.objects.create(
        request=request, decision=decision, outcome="approve", answer="{}", created_at=START
    )
    Resumption.objects.create(
        state_id=state_id, resolution=resolution, kind="resume", not_before=START, created_at=START
    )
    with transaction.atomic():
        audit.record("decided", state_id=State.objects.get().pk, request_id=request.pk)
    backend().delete_state(state_id)
    assert [model.objects.count() for model in (ApprovalRequest, Decision, Resolution, Resumption)] == [0, 0, 0, 0]
    entry = AuditEntry.objects.get()
    assert (str(entry.state_id), entry.request_id) == (state_id, request.pk)


def test_a_child_outlives_its_parent():
    parent = saved_state()
    child = saved_state(steps=1, parent_state_id=parent)
    backend().delete_state(parent)
    loaded = backend().load_state(child)
    assert (loaded.metadata.parent_state_id, len(loaded.events)) == (None, 1)
    assert backend().load_checkpoint(child, 1).metadata.parent_state_id == parent


def test_artifacts_go_with_the_last_state_that_refers_to_them():
    artifacts = DjangoArtifactBackend()
    own = ["own-ref", "own-result", "own-storage"]
    shared = ["shared-ref", "shared-result", "shared-storage"]
    for name in (*own, *shared, "earlier", "of-nobody"):
        artifacts.save_artifact(name, name)
    doomed, kept = saved_state(), saved_state()
    for state_id, whose in ((doomed, "own"), (doomed, "shared"), (kept, "shared")):
        base = backend().load_state(state_id).head
        record = step(base)
        record.result_text = artifact_reference(f"{whose}-result")
        backend().append(
            changes(
                state_id,
                base,
                seconds=10**9,
                events=[record],
                storage={whose: Entry(1, artifact_reference(f"{whose}-storage"))},
                artifacts={whose: Entry(2, f"{whose}-ref"), "replaced": Entry(3, "earlier")},
            )
        )
    backend().append(changes(doomed, 3, seconds=10**9, artifacts={"replaced": None}))
    backend().append(changes(kept, 2, seconds=10**9, artifacts={"replaced": None}))
    backend().delete_state(doomed)
    assert artifacts.list_artifacts() == sorted([*shared, "earlier", "of-nobody"])
    backend().delete_state(kept)
    assert artifacts.list_artifacts() == ["of-nobody"]


def test_an_artifact_that_somebody_saved_again_since_is_left_to_its_new_owner():
    artifacts = DjangoArtifactBackend()
    artifacts.save_artifact("again", 1)
    state_id = saved_state()
    backend().append(changes(state_id, 1, seconds=1, artifacts={"a": Entry(1, "again")}))
    State.objects.update(updated_at=Artifact.objects.get().last_saved_at)
    artifacts.save_artifact("again", 1)
    backend().delete_state(state_id)
    assert artifacts.exists("again")


def test_a_long_log_is_deleted_in_statements_of_a_bounded_size(monkeypatch):
    monkeypatch.setattr("recovery.backends.states.BATCH", 10)
    state_id = saved_state()
    backend().append(changes(state_id, 1, events=[step(position) for position in range(35)]))
    with CaptureQueriesContext(connection) as captured:
        assert backend().delete_state(state_id) is True
    deletes = [query["sql"] for query in captured if query["sql"].startswith('DELETE FROM "recovery_event"')]
    assert len(deletes) >= 4
    assert rows_of(state_id) == {}


def test_a_deleted_state_may_be_saved_again_from_the_start():
    state_id, store = saved_state(steps=2), backend()
    store.load_state(state_id)
    store.delete_state(state_id)
    assert store.append(changes(state_id, 0, updated_at=START + timedelta(days=1))) == 1
    assert store.load_state(state_id).events == []
