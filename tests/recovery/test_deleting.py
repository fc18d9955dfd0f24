"""Deleting a state: its rows and the artifacts that only it refers to go, what others need stays."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import time_machine
from django.apps import apps
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recovery.backends import DjangoArtifactBackend, DjangoStateBackend
from recovery.backends import artifacts as module
from recovery.models import ApprovalRequest, Artifact, AuditEntry, Decision, Resolution, Resumption, State
from recovery.services import audit
from recovery.services.delete_states import delete_states, preview
from rh_agents import ExecutionState
from rh_agents.core.errors import StaleWriterError
from rh_agents.core.serialization import artifact_reference
from rh_agents.core.state_recovery import Entry
from rh_agents.testing.samples import START, full_snapshot, step
from tests.recovery.log_samples import ask_nobody, backend, changes, saved_state

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


def artifact_of_a_deleted_state() -> str:
    """The id of one that a state refers to, which the tests delete."""
    DjangoArtifactBackend().save_artifact("again", 1)
    state_id = saved_state()
    backend().append(changes(state_id, 1, seconds=1, artifacts={"a": Entry(1, "again")}))
    return state_id


def test_an_artifact_that_somebody_else_is_about_to_refer_to_is_left_to_them():
    artifacts, doomed, other = DjangoArtifactBackend(), artifact_of_a_deleted_state(), saved_state()
    artifacts.save_artifact("again", 1)
    # The deleted state was itself saved after that, which says nothing about the other.
    backend().append(changes(doomed, 2, seconds=10**9))
    assert preview([UUID(doomed)]).artifacts == 0
    backend().delete_state(doomed)
    backend().append(changes(other, 1, artifacts={"a": Entry(1, "again")}))
    assert artifacts.load_artifact("again") == 1


@pytest.mark.parametrize("clock", [timedelta(0), -timedelta(days=1)], ids=["in time", "a day behind"])
def test_so_is_one_that_was_saved_by_a_process_whose_clock_is_behind(clock):
    doomed = artifact_of_a_deleted_state()
    with time_machine.travel(datetime.now(UTC) + clock, tick=False):
        DjangoArtifactBackend().save_artifact("again", 1)
    backend().delete_state(doomed)
    assert DjangoArtifactBackend().exists("again")


def test_so_is_one_that_two_saved_first_at_once(monkeypatch):
    """Both found none, and the second to write finds the first's."""
    monkeypatch.setattr("recovery.backends.artifacts._replace_row", meet_another_writer(module._replace_row))
    doomed = artifact_of_a_deleted_state()
    backend().delete_state(doomed)
    assert DjangoArtifactBackend().exists("again")


def meet_another_writer(replace_row):
    """Between looking for the row and writing it, somebody else writes it."""
    met = []

    def meet(row):
        found = replace_row(row)
        if not met:
            met.append(row)
            DjangoArtifactBackend().save_artifact(row.pk, 1)
        return found

    return meet


def test_after_the_grace_it_goes_with_its_state(settings):
    settings.RECOVERY = {**settings.RECOVERY, "ARTIFACT_GRACE_S": 60}
    doomed = artifact_of_a_deleted_state()
    with time_machine.travel(datetime.now(UTC) - timedelta(seconds=61), tick=False):
        Artifact.objects.update(created_at=datetime.now(UTC) - timedelta(days=1))
        DjangoArtifactBackend().save_artifact("again", 1)
    assert preview([UUID(doomed)]).artifacts == 1
    backend().delete_state(doomed)
    assert not DjangoArtifactBackend().exists("again")


def test_a_run_keeps_an_artifact_that_another_deleted_between_its_two_saves(ada):
    """A run saves its artifacts first and then the checkpoint that refers to them, each in its own transaction."""

    class DeletesMeanwhile(DjangoStateBackend):
        def append(self, changes):
            delete_states([UUID(doomed.state_id)], by=ada)
            return super().append(changes)

    doomed = ExecutionState(backend(), DjangoArtifactBackend())
    run = ExecutionState(DeletesMeanwhile(on_checkpoint=ask_nobody), DjangoArtifactBackend())
    for state in (doomed, run):
        state.storage.set_artifact("x.txt", "shared" * 2000)
        state.save_checkpoint()
    loaded = ExecutionState.load_from_state_id(run.state_id, backend(), DjangoArtifactBackend())
    assert loaded.storage.get_artifact("x.txt") == "shared" * 2000
    assert not State.objects.filter(pk=doomed.state_id).exists()


# ---- who holds it


def lease(state_id: str, *, fence: int, seconds: float) -> None:
    until = timezone.now() + timedelta(seconds=seconds)
    State.objects.filter(pk=state_id).update(fence=fence, lease_owner="worker-1", lease_until=until)


@pytest.mark.parametrize(
    ("fence", "error"),
    [(None, "is leased to worker-1 until"), (6, "was lost: its fence is 7, not 6")],
    ids=["without a fence", "with an older one"],
)
def test_a_state_that_somebody_else_runs_is_not_deleted(fence, error):
    state_id = saved_state(steps=2)
    lease(state_id, fence=7, seconds=60)
    before = rows_of(state_id)
    with pytest.raises(StaleWriterError, match=f"state {state_id} {error}"):
        backend(fence=fence).delete_state(state_id)
    assert rows_of(state_id) == before
    assert State.objects.filter(pk=state_id).exists()


@pytest.mark.parametrize(("fence", "seconds"), [(7, 60), (None, -1)], ids=["by its holder", "after the lease ran out"])
def test_a_leased_state_is_deleted(fence, seconds):
    state_id = saved_state()
    lease(state_id, fence=7, seconds=seconds)
    assert backend(fence=fence).delete_state(state_id) is True
    assert not State.objects.exists()


def test_a_runner_whose_state_was_deleted_stops_and_leaves_nothing_behind(ada):
    state_id = saved_state()
    lease(state_id, fence=7, seconds=-1)
    runner = ExecutionState.load_from_state_id(state_id, backend(fence=7), DjangoArtifactBackend())
    delete_states([UUID(state_id)], by=ada)
    with pytest.raises(StaleWriterError, match=f"state {state_id} is gone"):
        runner.save_checkpoint()
    assert not State.objects.exists()


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
