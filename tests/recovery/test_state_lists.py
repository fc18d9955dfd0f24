"""Lists of states: they read no log until somebody asks for it, and use the indexes that were made for them."""

import copy
import uuid
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from recovery.backends import listing
from recovery.models import State, Tag
from rh_agents.core.errors import StateNotFoundError
from rh_agents.core.state_recovery import Entry, StateSnapshot, StateStatus
from rh_agents.testing.samples import START, full_snapshot
from tests.recovery.log_samples import backend, changes, one_step, saved_state

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("count", [1, 30])
def test_a_list_costs_two_statements_however_long_it_is(count):
    for _ in range(count):
        saved_state(steps=2, tags=["a", "b"])
    with CaptureQueriesContext(connection) as captured:
        listed = backend().list_states(tags=["a"])
        tags = [state.metadata.tags for state in listed]
    assert (len(captured), tags) == (2, [["a", "b"]] * count)


def test_the_log_is_read_when_it_is_asked_for_and_once():
    state_id = saved_state(steps=2)
    backend().append(changes(state_id, 3, storage={"k": Entry(1, "1")}, artifacts={"a": Entry(2, "id")}))
    [listed] = backend().list_states()
    assert [event.position for event in listed.events] == [1, 2]
    with CaptureQueriesContext(connection) as captured:
        assert (listed.storage, listed.artifact_ids) == ({"k": Entry(1, "1")}, {"a": "id"})
        assert len(listed.events) == 2
    assert len(captured) == 0


def test_a_listed_snapshot_equals_the_loaded_one():
    snapshot = full_snapshot()
    backend().save_state(snapshot)
    [listed] = backend().list_states()
    loaded = backend().load_state(snapshot.state_id)
    assert listed == loaded and loaded == listed
    assert copy.deepcopy(listed) == loaded
    assert isinstance(listed, StateSnapshot)
    assert StateSnapshot.diff(listed, loaded).is_empty
    loaded.clock += 1
    assert listed != loaded


def test_a_listed_snapshot_can_be_saved():
    snapshot = full_snapshot()
    backend().save_state(snapshot)
    [listed] = backend().list_states()
    listed.metadata.description = "changed"
    listed.updated_at += timedelta(seconds=1)
    backend().save_state(listed)
    assert backend().load_state(snapshot.state_id) == listed


def test_a_listed_snapshot_stays_what_it_was_when_it_was_listed():
    state_id = saved_state(steps=1)
    [listed] = backend().list_states()
    backend().append(one_step(state_id, 2))
    assert [event.position for event in listed.events] == [1]


def test_the_log_of_a_listed_state_that_was_deleted_since_is_not_there():
    state_id = saved_state(steps=1)
    [listed] = backend().list_states()
    backend().delete_state(state_id)
    with pytest.raises(StateNotFoundError, match=f"{state_id} was deleted since it was listed"):
        _ = listed.events
    with pytest.raises(AttributeError, match="speed"):
        _ = listed.speed


def test_a_state_that_cannot_be_read_is_left_out_with_a_warning():
    broken, fine = saved_state(), saved_state()
    State.objects.filter(pk=broken).update(custom_data="{")
    with pytest.warns(UserWarning, match=f"left out of the list: .*{broken}"):
        listed = backend().list_states()
    assert [state.state_id for state in listed] == [fine]


@pytest.mark.parametrize("filters", [{"tags": ["a\x00"]}, {"tags": ["a", "\ud800"]}, {"pipeline_name": "p\x00"}])
def test_a_filter_that_is_no_text_is_refused_by_name(filters):
    with pytest.raises(ValueError, match=r"the filter\.(tag|pipeline_name) holds a"):
        backend().list_states(**filters)


def test_a_limit_beyond_every_count_is_no_limit():
    state_id = saved_state()
    assert [state.state_id for state in backend().list_states(limit=2**80)] == [state_id]


@pytest.fixture
def many_states():
    """3 000 of them, one in fifty awaiting; a database with three rows uses no index."""
    states, tags = [], []
    for number in range(3000):
        is_awaiting, at = number % 50 == 0, START + timedelta(seconds=number)
        state = State(
            id=uuid.UUID(int=number),
            status="awaiting" if is_awaiting else "completed",
            pipeline=f"p{number % 40}",
            created_at=at,
            updated_at=at,
        )
        states.append(state)
        for name in ("all", f"team-{number % 5}"):
            tags.append(Tag(state=state, tag=name, awaiting_at=at if is_awaiting else None))
    State.objects.bulk_create(states, batch_size=500)
    Tag.objects.bulk_create(tags, batch_size=500)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def plan_of(*filters) -> str:
    statement, values = listing.matching(*filters)
    with transaction.atomic(), connection.cursor() as cursor:
        explain = "EXPLAIN QUERY PLAN"
        if connection.vendor == "postgresql":
            # What so few rows cost is no matter: the question is whether the index can give them in order.
            explain = "EXPLAIN"
            cursor.execute("SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"{explain} {statement} LIMIT 50", values)
        return "\n".join(" ".join(map(str, row)) for row in cursor.fetchall())


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ((["all"], StateStatus.AWAITING, None), "tag_awaiting"),
        ((["all", "team-0"], StateStatus.AWAITING, None), "tag_awaiting"),
        (([], None, None), "state_newest"),
        (([], StateStatus.AWAITING, None), "state_by_status"),
        (([], None, "p7"), "state_by_pipeline"),
    ],
)
def test_a_list_is_read_from_its_index_without_sorting(many_states, filters, index):
    plan = plan_of(*filters)
    assert index in plan
    assert "Sort" not in plan and "TEMP B-TREE" not in plan


def test_the_newest_awaiting_states_of_a_tag_are_the_same_with_and_without_its_index(many_states):
    by_index = backend().list_states(tags=["team-0"], status=StateStatus.AWAITING, limit=7)
    expected = State.objects.filter(status="awaiting", tags__tag="team-0").newest_first()[:7]
    assert [state.state_id for state in by_index] == [str(state.pk) for state in expected]
    assert len(by_index) == 7
