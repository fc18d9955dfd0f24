"""Appending checkpoints: who may write, what is written with it, what is refused, what it costs."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recovery.backends import DjangoStateBackend, states
from recovery.models import Checkpoint, Event, State, StorageEntry, Tag
from rh_agents.core.errors import CorruptStateError, StaleWriterError
from rh_agents.core.serialization import artifact_reference, encode
from rh_agents.core.state_recovery import Entry, EventRecord, StateMetadata, StateSnapshot, StateStatus, Write
from rh_agents.testing.samples import START, full_snapshot, new_id, simple_snapshot, step
from tests.recovery.log_samples import KNOWN_ID, backend, changes, one_step, saved_state

pytestmark = pytest.mark.django_db(transaction=True)


def lease(state_id: str, *, fence: int, owner: str = "worker-1", seconds: float = 60) -> None:
    until = timezone.now() + timedelta(seconds=seconds)
    State.objects.filter(pk=state_id).update(fence=fence, lease_owner=owner, lease_until=until)


def stored(state_id: str) -> tuple[object, ...]:
    """Everything that a checkpoint could have changed."""
    return (
        State.objects.filter(pk=state_id).values().get(),
        *(
            list(model.objects.filter(state_id=state_id).order_by("pk").values())
            for model in (Tag, Checkpoint, Event, StorageEntry)
        ),
    )


WRITES = {
    "a step": lambda state_id: one_step(state_id, 1),
    "more than a step": lambda state_id: changes(state_id, 1, storage={"k": Entry(1, "1")}),
}
any_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


# ---- who may write


@any_write
def test_the_holder_of_the_lease_writes(write):
    state_id = saved_state()
    lease(state_id, fence=7)
    assert backend(fence=7).append(write(state_id)) == 2


@any_write
def test_a_writer_whose_lease_was_lost_is_refused_and_writes_nothing(write):
    state_id = saved_state()
    lease(state_id, fence=8)
    before = stored(state_id)
    with pytest.raises(StaleWriterError, match=rf"lease of state {state_id} was lost: its fence is 8, not 7"):
        backend(fence=7).append(write(state_id))
    assert stored(state_id) == before


@any_write
def test_without_a_lease_a_leased_state_is_refused_by_its_holders_name(write):
    state_id = saved_state()
    lease(state_id, fence=1, owner="worker-on-mars")
    before = stored(state_id)
    with pytest.raises(StaleWriterError, match="leased to worker-on-mars until"):
        backend().append(write(state_id))
    assert stored(state_id) == before


@any_write
def test_a_lease_that_ran_out_keeps_nobody_from_writing(write):
    state_id = saved_state()
    lease(state_id, fence=1, seconds=-1)
    assert backend().append(write(state_id)) == 2


@any_write
def test_a_state_that_is_gone_is_not_brought_back(write):
    state_id = saved_state()
    State.objects.all().delete()
    with pytest.raises(StaleWriterError, match=f"{state_id} is gone"):
        backend().append(write(state_id))
    with pytest.raises(StaleWriterError, match=f"{state_id} is gone"):
        backend(fence=1).append(changes(state_id, 0))
    assert not State.objects.exists()


def test_a_newer_checkpoint_is_named():
    state_id = saved_state(steps=2)
    with pytest.raises(StaleWriterError, match="stands at checkpoint 3; these changes follow 1"):
        backend().append(one_step(state_id, 1))


# ---- the first checkpoint of a run that was started


@pytest.fixture
def started_run():
    parent = State.objects.create(created_at=START, updated_at=START)
    run = State.objects.create(
        pipeline="refund",
        pipeline_version="3",
        status="running",
        description="Refund A-17",
        input='{"order":"A-17"}',
        parent=parent,
        started_by=get_user_model().objects.create_user("ada"),
        created_at=START,
        updated_at=START,
        fence=1,
        lease_until=timezone.now() + timedelta(minutes=1),
    )
    Tag.objects.create(state=run, tag="shop")
    return run


def test_a_started_run_is_there_before_its_first_checkpoint(started_run):
    loaded = backend().load_state(str(started_run.pk))
    assert (loaded.head, loaded.events, loaded.metadata.tags) == (0, [], ["shop"])
    assert [state.events for state in backend().list_states(pipeline_name="refund")] == [[]]
    assert backend().exists(str(started_run.pk))
    assert backend().load_checkpoint(str(started_run.pk), 0) is None


def test_the_first_checkpoint_takes_over_what_the_run_was_started_with(started_run):
    first = changes(
        str(started_run.pk),
        0,
        seconds=5,
        created_at=START + timedelta(days=1),
        metadata=StateMetadata(tags=["eu"], pipeline_name="another"),
        events=[step(1)],
    )
    assert backend(fence=1).append(first) == 1
    run = State.objects.get(pk=started_run.pk)
    for name in ("pipeline", "pipeline_version", "description", "input", "parent_id", "started_by_id", "created_at"):
        assert getattr(run, name) == getattr(started_run, name), name
    assert (run.head, run.updated_at) == (1, START + timedelta(seconds=5))
    loaded = backend().load_state(str(run.pk))
    assert loaded.metadata == StateMetadata(
        tags=["shop", "eu"],
        description="Refund A-17",
        pipeline_name="refund",
        parent_state_id=str(started_run.parent_id),
    )
    assert loaded == backend().load_checkpoint(str(run.pk), 1)


def test_a_pause_by_hand_does_not_take_a_run_out_of_its_pipeline(started_run):
    state_id = str(started_run.pk)
    store = backend(fence=1)
    store.append(changes(state_id, 0))
    store.append(changes(state_id, 1, status=StateStatus.AWAITING, metadata=StateMetadata(tags=["ask"])))
    loaded = backend().load_state(state_id)
    assert (loaded.metadata.pipeline_name, loaded.metadata.tags) == ("refund", ["ask"])
    assert loaded.metadata.parent_state_id == str(started_run.parent_id)
    assert loaded == backend().load_checkpoint(state_id, 2)


# ---- awaiting


def test_on_checkpoint_is_called_in_the_transaction_of_each_checkpoint_that_requests_may_follow_from():
    seen = []

    def ask(state_id, given, number, digest):
        checkpoint = Checkpoint.objects.get(state_id=state_id, number=number)
        seen.append((state_id, given, number, digest == bytes(checkpoint.digest), connection.in_atomic_block))

    state_id, store = new_id(), DjangoStateBackend(on_checkpoint=ask)
    store.append(changes(state_id, 0))
    asked = changes(state_id, 1, status=StateStatus.AWAITING, events=[step(1)])
    store.append(asked)
    after = changes(state_id, 2)
    store.append(after)
    store.append(one_step(state_id, 3))
    # The short way of writing one step is for a run that goes on.
    over = one_step(state_id, 4, status=StateStatus.FAILED)
    store.append(over)
    store.append(one_step(state_id, 5, status=StateStatus.PAUSED))
    assert seen == [(state_id, asked, 2, True, True), (state_id, after, 3, True, True), (state_id, over, 5, True, True)]


def test_an_awaiting_checkpoint_whose_request_cannot_be_opened_is_not_written():
    def fail(*_):
        raise RuntimeError("the inbox is closed")

    state_id = saved_state()
    before = stored(state_id)
    with pytest.raises(RuntimeError, match="the inbox is closed"):
        DjangoStateBackend(on_checkpoint=fail).append(changes(state_id, 1, status=StateStatus.AWAITING))
    assert stored(state_id) == before
    assert backend().append(one_step(state_id, 1)) == 2


def test_the_installed_service_is_asked_where_no_other_is_given(monkeypatch):
    asked = []
    monkeypatch.setattr(states, "_default_on_checkpoint", None)
    states.set_default_on_checkpoint(lambda state_id, *_: asked.append(state_id))
    awaiting = simple_snapshot()
    awaiting.status = StateStatus.AWAITING
    DjangoStateBackend().save_state(awaiting)
    assert asked == [awaiting.state_id]


def test_tags_know_since_when_their_state_awaits():
    state_id, store = saved_state(tags=["a", "b"]), backend()

    def awaiting_at():
        return [at and (at - START).total_seconds() for at in Tag.objects.values_list("awaiting_at", flat=True)]

    assert awaiting_at() == [None, None]
    store.append(changes(state_id, 1, seconds=10, status=StateStatus.AWAITING))
    assert awaiting_at() == [10, 10]
    store.append(changes(state_id, 2, seconds=20, status=StateStatus.AWAITING))
    assert awaiting_at() == [20, 20]
    store.append(changes(state_id, 3, seconds=30, status=StateStatus.AWAITING, metadata=StateMetadata(tags=["c"])))
    assert awaiting_at() == [30]
    store.append(one_step(state_id, 4, seconds=40))
    assert awaiting_at() == [None]


# ---- what is written


def test_a_digest_names_everything_up_to_its_checkpoint():
    """The very same on every database: a digest is compared by who has decided on another."""
    saved_state(steps=2, state_id=KNOWN_ID, tags=["a"])
    digests = [bytes(digest).hex() for digest in Checkpoint.objects.order_by("number").values_list("digest", flat=True)]
    assert digests[-1] == "61ccb59c4e3c84cd942970010510e7460b7fc6888878b3ed618d0b6fd12e87f6"

    other = saved_state(steps=1, tags=["b"])
    backend().append(one_step(other, 2))
    assert not set(digests) & {bytes(found.digest).hex() for found in Checkpoint.objects.filter(state_id=other)}


def test_the_order_of_storage_keys_does_not_change_the_digest():
    digests = set()
    for keys in (("a", "b"), ("b", "a")):
        state_id = saved_state()
        backend().append(changes(state_id, 1, storage={key: Entry(1, "1") for key in keys}))
        digests.add(bytes(Checkpoint.objects.get(state_id=state_id, number=2).digest))
    assert len(digests) == 1


def test_a_checkpoint_counts_what_stands_there():
    state_id, store = saved_state(), backend()
    store.append(changes(state_id, 1, events=[step(1), step(2)], storage={"a": Entry(1, "1"), "b": Entry(2, "2")}))
    store.append(changes(state_id, 2, closed=[2], events=[step(2, result="answer")], storage={"a": Entry(3, "3")}))
    store.append(changes(state_id, 3, closed=[1, 2], storage={"b": None, "never": None}))
    store.append(one_step(state_id, 4))
    counts = Checkpoint.objects.order_by("number").values_list("event_count", "storage_count", "artifact_count")
    assert list(counts) == [(0, 0, 0), (2, 2, 0), (2, 2, 0), (0, 1, 0), (1, 1, 0)]
    loaded = backend().load_state(state_id)
    assert (len(loaded.events), len(loaded.storage)) == (1, 1)


def test_a_large_value_names_the_artifact_that_holds_it():
    state_id, large = saved_state(), artifact_reference("f" * 64)
    record = step(1)
    record.result_text = large
    backend().append(changes(state_id, 1, events=[record], storage={"big": Entry(2, large), "small": Entry(3, "1")}))
    assert Event.objects.get().result_artifact == "f" * 64
    assert dict(StorageEntry.objects.values_list("key", "artifact")) == {"big": "f" * 64, "small": ""}
    loaded = backend().load_state(state_id)
    assert (loaded.events[0].result_text, loaded.storage["big"].text) == (large, large)


def test_the_size_of_a_result_is_in_bytes():
    state_id = saved_state()
    backend().append(changes(state_id, 1, events=[step(1, result="Zoë"), step(2, result=None)]))
    assert list(Event.objects.order_by("position").values_list("size", flat=True)) == [len('"Zoë"'.encode()), 4]


def test_what_a_failure_said_is_kept_to_the_letter_and_can_be_shown():
    state_id, said = saved_state(), "no \x00 money \ud800"
    record = step(1)
    record.error_type, record.error_message, record.traceback = "E" * 400, said, said * 2
    backend().append(changes(state_id, 1, events=[record]))
    assert backend().load_state(state_id).events == [record]
    row = Event.objects.get()
    assert (row.error_type, row.error_message) == ("E" * 300, "no \\x00 money \\ud800")


def test_a_plain_save_brings_metadata_along_only_when_it_changed():
    snapshot = full_snapshot()
    store = backend()
    store.save_state(snapshot)
    tags = list(Tag.objects.order_by("pk").values_list("pk", flat=True))
    store.save_state(snapshot)
    snapshot.metadata.description = "changed"
    store.save_state(snapshot)
    texts = Checkpoint.objects.order_by("number").values_list("metadata", flat=True)
    assert [bool(text) for text in texts] == [True, False, True]
    assert json.loads(texts[2])["description"] == "changed"
    assert list(Tag.objects.order_by("pk").values_list("tag", flat=True)) == snapshot.metadata.tags
    assert not set(tags) & set(Tag.objects.values_list("pk", flat=True))


def test_a_run_of_quick_steps_moves_in_the_lists_at_most_once_a_second():
    state_id, store = new_id(), backend()

    def listed() -> float:
        return (State.objects.get(pk=state_id).updated_at - START).total_seconds()

    store.append(changes(state_id, 0))
    for base, seconds, expected in ((1, 0.4, 0), (2, 0.9, 0), (3, 1.0, 1.0), (4, 1.5, 1.0), (5, 2.5, 2.5)):
        store.append(one_step(state_id, base, seconds=seconds))
        assert listed() == expected
        assert backend().load_state(state_id).updated_at == START + timedelta(seconds=seconds)
    store.append(changes(state_id, 6, seconds=2.6, status=StateStatus.PAUSED))
    assert listed() == 2.6


# ---- somebody else's transaction


def test_a_checkpoint_that_was_rolled_back_is_forgotten():
    state_id, other = saved_state(), saved_state()
    store = backend()
    store.load_state(state_id)
    with transaction.atomic():
        store.append(one_step(state_id, 1))
        transaction.set_rollback(True)
    for written, by in ((state_id, store), (other, backend())):
        by.append(changes(written, 1, events=[step(1, result="other")]))
        by.append(one_step(written, 2))
    ours, theirs = (
        list(Checkpoint.objects.filter(state_id=one).order_by("number").values_list("digest", "event_count"))
        for one in (state_id, other)
    )
    assert [(bytes(digest), count) for digest, count in ours] == [(bytes(digest), count) for digest, count in theirs]


def test_a_refused_step_leaves_the_transaction_around_it_usable():
    state_id = saved_state(steps=1)
    with transaction.atomic():
        with pytest.raises(ValueError, match="do not fit what is stored"):
            backend().append(changes(state_id, 2, events=[step(9, "step1::tool_call")]))
        with suppress(StaleWriterError):
            backend().append(one_step(state_id, 1))
        State.objects.filter(pk=state_id).update(description="still writable")
    assert State.objects.get(pk=state_id).description == "still writable"


# ---- what is refused


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ({"events": [step(1, "nul\x00::tool_call")]}, r"events\[0\]\.address holds a NUL"),
        ({"events": [step(1), step(2, "lone\ud800::tool_call")]}, r"events\[1\]\.address holds a lone surrogate"),
        ({"events": [step(1, "é" * 1000), step(2, "語" * 900)]}, r"events\[1\]\.address takes 2700 bytes"),
        ({"events": [step(1, "語" * 900)]}, r"events\[0\]\.address takes 2700 bytes"),
        ({"events": [step(1, "a" * 1001)]}, r"events\[0\]\.address has 1001 characters; at most 1000"),
        ({"storage": {"k\x00": Entry(1, "1")}}, r"storage\['k\\x00'\]\.key holds a NUL"),
        ({"storage": {"k\ud800": None}}, r"storage\['k\\ud800'\]\.key holds a lone surrogate"),
        ({"storage": {"k": Entry(1, "\x00")}}, r"storage\['k'\]\.text holds a NUL"),
        ({"artifacts": {"k": Entry(1, "i" * 201)}}, r"artifacts\['k'\]\.artifact_id has 201 characters"),
        ({"metadata": StateMetadata(parent_state_id="mum")}, r"'mum' is no state id"),
        ({"metadata": StateMetadata.model_construct(tags=["a\x00"])}, r"metadata\.tag holds a NUL"),
        ({"events": [step(1), step(2, "step1::tool_call")]}, r"do not fit what is stored"),
        ({"clock": 2**70}, "cannot be stored|do not fit"),
        ({"events": [replace(step(1), actor="a" * 1001)]}, r"events\[0\]\.actor has 1001 characters; at most 1000"),
        ({"events": [replace(step(1), event_type="t" * 17)]}, r"events\[0\]\.event_type has 17 characters; at most 16"),
        (
            {"events": [replace(step(1), fingerprint="f" * 65)]},
            r"events\[0\]\.fingerprint has 65 characters; at most 64",
        ),
        (
            {"events": [replace(step(1), result_text=artifact_reference("i" * 201))]},
            r"events\[0\]\.result_artifact has 201 characters",
        ),
        ({"storage": {"k": Entry(1, artifact_reference("i" * 201))}}, r"storage\['k'\]\.artifact has 201 characters"),
        ({"resolution_text": "\x00"}, r"changes\.resolution holds a NUL"),
        ({"metadata": StateMetadata.model_construct(pipeline_name="p" * 201)}, r"metadata\.pipeline_name has 201"),
        ({"metadata": StateMetadata.model_construct(tags=["t" * 101])}, r"metadata\.tag has 101 characters"),
    ],
)
def test_what_a_database_cannot_hold_is_refused_by_name_and_writes_nothing(what, named):
    state_id = saved_state()
    before = stored(state_id)
    with pytest.raises(ValueError, match=named):
        backend().append(changes(state_id, 1, **what))
    assert stored(state_id) == before


def test_what_the_database_refuses_of_a_request_is_said_plainly_and_writes_nothing():
    def open_one_without_its_text(*_: object) -> None:
        State.objects.filter(pk=state_id).update(input=None)

    state_id = saved_state()
    before = stored(state_id)
    store = DjangoStateBackend(on_checkpoint=open_one_without_its_text)
    with pytest.raises(ValueError, match=f"the changes to state {state_id} do not fit what is stored"):
        store.append(changes(state_id, 1, status=StateStatus.AWAITING))
    assert stored(state_id) == before


def test_the_author_of_a_checkpoint_is_as_much_of_the_name_as_fits():
    state_id = new_id()
    backend(author="a" * 200).append(changes(state_id, 0))
    assert Checkpoint.objects.get(state_id=state_id).author == "a" * 150
    with pytest.raises(ValueError, match=r"the backend\.author holds a NUL"):
        backend(author="\x00")


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match=r"updated_at .* has no time zone"):
        backend().append(changes(new_id(), 0, updated_at=START.replace(tzinfo=None)))
    assert not State.objects.exists()


# ---- damage


@pytest.mark.parametrize(
    ("model", "damage"),
    [
        (Event, {"wrote": '{"storage": {"k": 1}}'}),
        (Event, {"wrote": "{"}),
        (Event, {"wrote": "[1]"}),
        (Event, {"wrote": '{"words": {"speed": 1}}'}),
        (Event, {"wrote": '{"words": {"position": 7}}'}),
        (Event, {"wrote": '{"words": {"traceback": 7}}'}),
        (Event, {"wrote": '{"storage": {"k": [null, "1"]}}'}),
        (Event, {"wrote": '{"storage": {"k": "12"}}'}),
        (Event, {"wrote": '{"storage": ["k"]}'}),
        (Event, {"wrote": '{"artifacts": {"k": [1, "2", "", 0, [1]]}}'}),
        (Event, {"wrote": "[" * 100_000}),
        (Event, {"status": "dancing"}),
        (State, {"custom_data": "[1]"}),
        (State, {"generations": "[]"}),
        (State, {"generations": '{"step1::tool_call": "2"}'}),
        (State, {"head": 9}),
    ],
)
def test_a_damaged_state_is_named_and_never_loaded_in_part(model, damage):
    state_id = saved_state(steps=1)
    model.objects.update(**damage)
    with pytest.raises(CorruptStateError, match=state_id):
        backend().load_state(state_id)


@pytest.mark.parametrize(
    ("model", "column"),
    [
        *((Event, name) for name in ("position", "address", "result", "started_at")),
        *((State, name) for name in ("description", "created_at", "clock")),
        *((StorageEntry, name) for name in ("seq", "text")),
        (Checkpoint, "created_at"),
        (Tag, "tag"),
    ],
)
def test_a_value_of_the_wrong_kind_is_damage_or_not_taken(model, column):
    state_id = saved_state(tags=["production"])
    backend().append(changes(state_id, 1, events=[step(1, result="x")], storage={"k": Entry(1, "1")}))
    update = f'UPDATE {model._meta.db_table} SET "{column}" = %s'
    if connection.vendor == "postgresql":
        # Its columns hold values of their own kind alone: bytes become text there, or are refused.
        with suppress(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(update, [b"\xff"])
        try:
            assert backend().load_state(state_id).head == 2
        except CorruptStateError as error:
            assert state_id in str(error)  # "\xff" is text, and no address.
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = on")
        cursor.execute(update, [b"\xff"])
        cursor.execute("PRAGMA ignore_check_constraints = off")
    with pytest.raises(CorruptStateError, match=state_id):
        backend().load_state(state_id)


@pytest.mark.parametrize(
    "damage",
    [
        {"metadata": "{"},
        {"metadata": '{"tags": 3}'},
        {"extra": "[]"},
        {"extra": '{"generations": [1]}'},
        {"extra": '{"generations": {"step1::tool_call": null}}'},
    ],
)
def test_a_damaged_checkpoint_is_named(damage):
    state_id = saved_state(steps=1)
    Checkpoint.objects.filter(number=1).update(**damage)
    with pytest.raises(CorruptStateError, match=state_id):
        backend().load_checkpoint(state_id, 2)


def test_a_state_whose_newest_checkpoint_is_missing_takes_no_further_one():
    state_id = saved_state(steps=1)
    Checkpoint.objects.filter(number=2).delete()
    with pytest.raises(CorruptStateError, match=f"{state_id} is damaged: its newest checkpoint, 2, is missing"):
        backend().append(one_step(state_id, 2))


# ---- what it costs


def queries_of(call) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        call()
    return [query["sql"] for query in captured.captured_queries]


def test_the_checkpoint_after_a_step_is_one_statement_or_one_short_transaction():
    state_id, store = saved_state(), backend()
    store.load_state(state_id)
    counts = [len(queries_of(lambda base=base: store.append(one_step(state_id, base)))) for base in range(1, 12)]
    on_sqlite = 5  # BEGIN, the state, the event, the checkpoint, COMMIT
    assert set(counts) == {1 if connection.vendor == "postgresql" else on_sqlite}


def test_a_load_costs_two_statements_however_long_the_history_is():
    store = backend()
    short, long = saved_state(steps=1), new_id()
    store.append(changes(long, 0, events=[step(position) for position in range(500)]))
    assert [len(queries_of(lambda one=one: backend().load_state(one))) for one in (short, long)] == [2, 2]
    store.append(changes(long, 1, storage={"k": Entry(1, "1")}, artifacts={"a": Entry(2, "id")}))
    assert len(queries_of(lambda: backend().load_state(long))) == 4


def test_what_a_step_wrote_comes_back_with_it():
    state_id = saved_state()
    record = EventRecord(
        position=1,
        address="a::tool_call",
        event_type="tool_call",
        actor="a",
        status=step(1).status,
        result_text=encode(1),
        storage_writes={"k": Write(2, encode("ü\x00"), covers=(1, "0", "", "", 0)), "gone": Write(3, None)},
        artifact_writes={},
    )
    backend().append(changes(state_id, 1, events=[record]))
    assert backend().load_state(state_id).events == [record]


def test_an_earlier_snapshot_of_another_store_can_be_saved_over_a_state():
    state_id = saved_state(steps=3)
    foreign = StateSnapshot(state_id=state_id, events=[step(1, result="x")], head=40, updated_at=START)
    backend().save_state(foreign)
    assert foreign.head == 5
    assert [event.position for event in backend().load_state(state_id).events] == [1]
    assert [event.position for event in backend().load_checkpoint(state_id, 4).events] == [1, 2, 3]
