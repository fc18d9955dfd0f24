"""Queries that are written down once give what the ORM gives, for other values each time."""

import uuid
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from recovery.models import AuditEntry, PipelinePolicy, State
from recovery.models.prepared import Prepared, PreparedUpdate, can_return, insert

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 4, 12, 0, 0, 123456, tzinfo=UTC)


def make_state(**values):
    return State.objects.create(**{"created_at": NOON, "updated_at": NOON, **values})


def test_it_finds_the_row_of_each_value_it_is_given():
    by_id = Prepared(lambda given: State.objects.filter(pk=given.pk), pk=UUID)
    first, second = make_state(pipeline="a"), make_state(pipeline="b", started_by=None)

    found = [by_id.first(pk=state.pk) for state in (first, second, first)]

    assert found == [first, second, first]
    assert [(state.pipeline, state.created_at, state.pk) for state in found[:2]] == [
        ("a", NOON, first.pk),
        ("b", NOON, second.pk),
    ]
    assert by_id.first(pk=uuid.uuid4()) is None


def test_values_of_every_kind_are_compared_as_the_orm_does():
    query = Prepared(
        lambda given: State.objects.filter(
            pk=given.pk, fence__gte=given.fence, pipeline=given.pipeline, updated_at__lte=given.at
        ).values_list("fence", "pipeline", "updated_at"),
        pk=UUID,
        fence=int,
        pipeline=str,
        at=datetime,
    )
    state = make_state(pipeline="50% off; it's", fence=2**40)
    right = {"pk": state.pk, "fence": 2**40, "pipeline": "50% off; it's", "at": NOON}

    assert query.all(**right) == [(2**40, "50% off; it's", NOON)]
    for wrong in (
        {"fence": 2**40 + 1},
        {"pipeline": "50% off"},
        {"at": NOON - timedelta(microseconds=1)},
        {"pk": uuid.uuid4()},
    ):
        assert query.all(**right | wrong) == []


def test_related_and_deferred_columns_are_as_in_the_queryset(django_assert_num_queries):
    children = Prepared(
        lambda given: State.objects.select_related("started_by").defer("description", "input").filter(pk=given.pk),
        pk=UUID,
    )
    state = make_state(description="long", pipeline="a")

    found = children.first(pk=state.pk)

    assert found.get_deferred_fields() == {"description", "input"}
    with django_assert_num_queries(1):
        assert (found.started_by, found.pipeline, found.description) == (None, "a", "long")


def test_an_update_changes_the_rows_it_names_and_counts_them():
    rename = PreparedUpdate(
        lambda given: State.objects.filter(pk=given.pk, fence=given.fence),
        lambda given: {"pipeline": given.name, "lease_until": Now() + timedelta(hours=1)},
        pk=UUID,
        fence=int,
        name=str,
    )
    state, other = make_state(pipeline="a", fence=3), make_state(pipeline="a", fence=3)

    assert rename.run(pk=state.pk, fence=3, name="b") == 1
    assert rename.run(pk=state.pk, fence=4, name="c") == 0

    state.refresh_from_db()
    other.refresh_from_db()
    assert (state.pipeline, other.pipeline) == ("b", "a")
    assert state.lease_until > timezone.now()


def test_a_value_that_is_missing_is_named():
    by_id = Prepared(lambda given: State.objects.filter(pk=given.pk), pk=UUID)

    with pytest.raises(KeyError, match="pk"):
        by_id.first(id=uuid.uuid4())


def test_a_changed_setting_is_written_down_anew(settings):
    held = Prepared(lambda given: State.objects.held().filter(pk=given.pk), pk=UUID)
    state = make_state(lease_until=timezone.now() + timedelta(seconds=100))
    assert held.first(pk=state.pk) == state

    settings.RECOVERY = {**settings.RECOVERY, "LEASE_S": 1}

    assert held.first(pk=state.pk) is None


def test_an_inserted_row_is_what_saving_it_would_give():
    entry = AuditEntry(number=7, at=NOON, action="decided", actor="ada", actor_kind="user", request_id=uuid.uuid4())

    insert(entry)

    assert entry.pk is not None
    kept = AuditEntry.objects.get(pk=entry.pk)
    assert {field.attname: getattr(kept, field.attname) for field in AuditEntry._meta.concrete_fields} == {
        field.attname: getattr(entry, field.attname) for field in AuditEntry._meta.concrete_fields
    }
    entry.save()  # It is known to be there: an update.
    assert AuditEntry.objects.count() == 1


def test_json_and_keys_that_are_given_are_inserted_as_they_are():
    state = State(pk=uuid.uuid4(), created_at=NOON, updated_at=NOON)
    policy = PipelinePolicy(pipeline="refunds", rules={"needed": 2})

    insert(state)
    insert(policy)

    assert State.objects.get() == state
    assert PipelinePolicy.objects.get().rules == {"needed": 2}


def test_a_row_that_no_database_holds_is_refused_by_the_name_of_its_column():
    with pytest.raises(ValueError, match=r"AuditEntry\.action"):
        insert(AuditEntry(number=1, at=NOON, action="a\x00b", actor_kind="user"))

    insert(AuditEntry(number=1, at=NOON, action="a", actor_kind="user"))
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(AuditEntry(number=1, at=NOON, action="b", actor_kind="user"))
    assert list(AuditEntry.objects.values_list("action", flat=True)) == ["a"]


def test_what_is_annotated_stands_on_the_instance():
    counted = Prepared(
        lambda given: State.objects.filter(pk=given.pk).annotate(next_fence=F("fence") + 1, renamed=F("pipeline")),
        pk=UUID,
    )
    state = make_state(fence=3, pipeline="a")

    found = counted.first(pk=state.pk)

    assert (found, found.next_fence, found.renamed) == (state, 4, "a")


def test_an_update_gives_what_a_column_is_now_where_the_database_can():
    if not can_return():
        assert connection.vendor == "sqlite"
        return
    claim = PreparedUpdate(
        lambda given: State.objects.filter(pk=given.pk, fence__lt=5), lambda given: {"fence": F("fence") + 1}, pk=UUID
    )
    state = make_state(fence=3)

    assert [claim.returning("fence", pk=state.pk) for _ in range(3)] == [[4], [5], []]
