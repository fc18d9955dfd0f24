"""What must never be half true is a constraint of the database, on each of the databases."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction

from recovery.models import (
    ApprovalRequest,
    Artifact,
    ArtifactRef,
    AuditEntry,
    Checkpoint,
    Decision,
    Event,
    ProposalVersion,
    Resolution,
    Resumption,
    State,
    StorageEntry,
    Tag,
)
from rh_agents.testing.samples import START

pytestmark = pytest.mark.django_db

MODELS = [
    *(ApprovalRequest, Artifact, ArtifactRef, AuditEntry, Checkpoint, Decision, Event),
    *(ProposalVersion, Resolution, Resumption, State, StorageEntry, Tag),
]


@pytest.fixture
def state() -> State:
    return State.objects.create(created_at=START, updated_at=START)


@pytest.fixture
def request_(state: State) -> ApprovalRequest:
    return ApprovalRequest.objects.create(state=state, checkpoint=1, title="Refund?", opened_at=START)


def refused(make: Any) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make()


def event(state: State, position: int = 1, **values: Any) -> Event:
    defaults = {"address": "a::tool_call", "status": "completed", "event_type": "tool_call", "added_in": 1}
    return Event.objects.create(state=state, position=position, **defaults | values)


def decision(request: ApprovalRequest, **values: Any) -> Decision:
    return Decision.objects.create(request=request, kind="approve", created_at=START, **values)


def resolution(request: ApprovalRequest, **values: Any) -> Resolution:
    defaults = {"decision": decision(request), "outcome": "approve", "answer": "{}", "created_at": START}
    return Resolution.objects.create(request=request, **defaults | values)


def resumption(state: State, **values: Any) -> Resumption:
    return Resumption.objects.create(state=state, not_before=START, created_at=START, **values)


def test_the_migrations_say_what_the_models_say():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def in_the_database(table: str) -> str:
    """What the database itself says of a table, its indexes and its constraints."""
    source = {
        "postgresql": "SELECT indexdef FROM pg_indexes WHERE tablename = %s UNION ALL "
        "SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass",
        "sqlite": "SELECT sql FROM sqlite_master WHERE tbl_name = %s UNION ALL SELECT %s",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(source, [table, table])
        return "\n".join(row[0] for row in cursor.fetchall() if row[0])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_index_and_constraint_is_in_the_database(model: type[models.Model]):
    found = in_the_database(model._meta.db_table)
    wanted = [one.name for one in (*model._meta.indexes, *model._meta.constraints)]
    assert [name for name in wanted if not re.search(rf"\b{name}\b", found)] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_partial_index_is_partial_in_the_database_too(model: type[models.Model]):
    lines = in_the_database(model._meta.db_table).splitlines()
    for one in (*model._meta.indexes, *model._meta.constraints):
        if isinstance(one, models.CheckConstraint) or one.condition is None:
            continue
        [definition] = [line for line in lines if "INDEX" in line and re.search(rf"\b{one.name}\b", line)]
        assert " WHERE " in definition


def test_a_status_that_nobody_knows_is_refused(state):
    refused(lambda: State.objects.filter(pk=state.pk).update(status="dancing"))


def test_a_tag_is_carried_once(state):
    Tag.objects.create(state=state, tag="a")
    refused(lambda: Tag.objects.create(state=state, tag="a"))
    Tag.objects.create(state=State.objects.create(created_at=START, updated_at=START), tag="a")


def test_an_attempt_stands_once_in_a_history_and_any_number_of_times_in_earlier_ones(state):
    first = event(state)
    refused(lambda: event(state, 2))
    event(state, 2, attempt=2)
    Event.objects.filter(pk=first.pk).update(removed_in=2)
    event(state, 3, added_in=2)
    refused(lambda: event(state, 4, added_in=3))


def test_an_answer_takes_the_position_of_its_question_in_a_later_checkpoint_only(state):
    question = event(state)
    refused(lambda: event(state, 1, attempt=2))
    Event.objects.filter(pk=question.pk).update(removed_in=2)
    event(state, 1, added_in=2)
    assert [found.added_in for found in Event.objects.current()] == [2]
    assert [found.added_in for found in Event.objects.at_checkpoint(1)] == [1]


@pytest.mark.parametrize("model", [Event, StorageEntry, ArtifactRef], ids=lambda model: model.__name__)
def test_nothing_is_removed_before_it_was_added(state, model):
    makers = {
        Event: lambda: event(state, added_in=3),
        StorageEntry: lambda: StorageEntry.objects.create(state=state, key="k", text="1", seq=1, added_in=3),
        ArtifactRef: lambda: ArtifactRef.objects.create(state=state, key="k", artifact_id="x", seq=1, added_in=3),
    }
    makers[model]()
    refused(lambda: model.objects.update(removed_in=3))
    model.objects.update(removed_in=4)


def test_a_storage_key_holds_one_value_at_a_time(state):
    values = {"state": state, "key": "k", "seq": 1}
    first = StorageEntry.objects.create(text="1", added_in=1, **values)
    refused(lambda: StorageEntry.objects.create(text="2", added_in=2, **values))
    StorageEntry.objects.filter(pk=first.pk).update(removed_in=2)
    StorageEntry.objects.create(text="2", added_in=2, **values)


def test_an_artifact_key_holds_one_artifact_at_a_time(state):
    values = {"state": state, "key": "k", "seq": 1}
    first = ArtifactRef.objects.create(artifact_id="x", added_in=1, **values)
    refused(lambda: ArtifactRef.objects.create(artifact_id="y", added_in=2, **values))
    ArtifactRef.objects.filter(pk=first.pk).update(removed_in=2)
    ArtifactRef.objects.create(artifact_id="y", added_in=2, **values)


def test_a_checkpoint_has_its_number_alone(state):
    values = {"state": state, "number": 1, "status": "paused", "created_at": START, "digest": b"d"}
    Checkpoint.objects.create(**values)
    refused(lambda: Checkpoint.objects.create(**values))


@pytest.mark.parametrize(("inline", "file_name"), [(None, ""), (b"x", "ab/cd")])
def test_an_artifact_is_stored_in_one_place(inline, file_name):
    values = {"sha256": "", "codec": "bytes", "size": 1}
    refused(lambda: Artifact.objects.create(pk="a", inline=inline, file_name=file_name, **values))
    Artifact.objects.create(pk="b", inline=b"", **values)
    Artifact.objects.create(pk="c", file_name="ab/cd", **values)


def test_a_question_is_asked_once_a_generation(state, request_):
    values = {"state": state, "checkpoint": 2, "title": "Again?", "opened_at": START}
    refused(lambda: ApprovalRequest.objects.create(**values))
    ApprovalRequest.objects.create(generation=2, **values)
    ApprovalRequest.objects.create(address="other::decision", **values)


@pytest.mark.parametrize(
    "half", [{"outcome": "approve"}, {"resolved_at": START}, {"risk": 7}], ids=lambda half: next(iter(half))
)
def test_a_request_is_not_half_resolved(request_, half):
    refused(lambda: ApprovalRequest.objects.update(**half))
    ApprovalRequest.objects.update(outcome="approve", resolved_at=START)


def test_a_version_of_a_proposal_has_its_number_alone(request_):
    values = {"request": request_, "args": "{}", "digest": "", "created_at": START}
    ProposalVersion.objects.create(number=1, **values)
    refused(lambda: ProposalVersion.objects.create(number=1, **values))
    ProposalVersion.objects.create(number=2, **values)


def test_an_idempotency_key_counts_once_for_a_person_and_not_for_refusals(request_, django_user_model):
    ada, grace = (django_user_model.objects.create_user(name) for name in ("ada", "grace"))
    decision(request_, actor=ada, idempotency_key="k", refusal="stale")
    decision(request_, actor=ada, idempotency_key="k")
    refused(lambda: decision(request_, actor=ada, idempotency_key="k"))
    decision(request_, actor=grace, idempotency_key="k")
    decision(request_, actor=ada)
    decision(request_, actor=ada)


def test_one_resolution_counts_and_it_may_be_undone(request_):
    first = resolution(request_)
    refused(lambda: resolution(request_))
    Resolution.objects.filter(pk=first.pk).update(undone_at=START + timedelta(seconds=5))
    second = resolution(request_)
    refused(lambda: Resolution.objects.filter(pk=first.pk).update(undone_at=None))
    assert list(Resolution.objects.filter(undone_at=None)) == [second]


def test_a_decision_settles_one_resolution(request_):
    first = resolution(request_, undone_at=START)
    refused(lambda: resolution(request_, decision=first.decision))


def test_a_resolution_is_carried_to_its_run_once(state, request_):
    settled = resolution(request_)
    refused(lambda: resumption(state, kind="resume"))
    resumption(state, kind="resume", resolution=settled)
    refused(lambda: resumption(state, kind="resume", resolution=settled))
    resumption(state, kind="start")
    resumption(state, kind="retry")


def test_an_audit_entry_has_its_number_alone():
    values = {"number": 1, "at": START, "action": "decided", "actor_kind": "user", "hash": "h"}
    AuditEntry.objects.create(**values)
    refused(lambda: AuditEntry.objects.create(**values))
