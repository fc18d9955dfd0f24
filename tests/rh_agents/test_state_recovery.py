"""Snapshots, the changes between two of them, their difference, and the versions that are read."""

import copy
import warnings
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module, reload

import pytest

from rh_agents.checkpoint_lines import decode_line, encode_line
from rh_agents.core.errors import CorruptStateError, IncompatibleVersionError, SerializationError
from rh_agents.core.serialization import artifact_reference, encode
from rh_agents.core.state_recovery import (
    CURRENT_SCHEMA_VERSION,
    ArtifactReference,
    Changes,
    Entry,
    EventRecord,
    StateDiff,
    StateMetadata,
    StateSnapshot,
    StateStatus,
    Write,
    check_version,
)
from rh_agents.core.types import ExecutionStatus
from rh_agents.testing.samples import START, full_snapshot, random_series, simple_snapshot, step

SEEDS = range(20)


class TestEventRecord:
    @pytest.mark.parametrize("event", full_snapshot().events, ids=lambda event: event.actor[:5])
    def test_a_record_comes_back_with_every_field(self, event: EventRecord) -> None:
        assert EventRecord.from_dict(event.to_dict()) == event

    def test_fields_at_their_default_take_no_room(self) -> None:
        assert EventRecord(
            position=0, address="a::tool_call", event_type="tool_call", actor="a", status=ExecutionStatus.COMPLETED
        ).to_dict() == {
            "position": 0,
            "address": "a::tool_call",
            "event_type": "tool_call",
            "actor": "a",
            "status": "completed",
        }

    def test_no_writes_and_an_empty_table_of_writes_are_told_apart(self) -> None:
        none, empty = step(1), step(1)
        empty.storage_writes = {}
        assert EventRecord.from_dict(none.to_dict()).storage_writes is None
        assert EventRecord.from_dict(empty.to_dict()).storage_writes == {}

    def test_a_written_value_keeps_its_type(self) -> None:
        event = step(1)
        event.storage_writes = {"k": Write(1, None)}
        assert type(EventRecord.from_dict(event.to_dict()).storage_writes["k"]) is Write

    @pytest.mark.parametrize(
        "damage",
        [
            {"address": ...},
            {"status": ...},
            {"status": "no such status"},
            {"unknown": 1},
            {"storage_writes": [1]},
            {"storage_writes": {"k": []}},
            {"storage_writes": {"k": [1, "1", "", 0, None, "one too many"]}},
            {"artifact_writes": {"k": 7}},
        ],
    )
    def test_a_record_that_cannot_be_read_is_damage(self, damage: dict[str, object]) -> None:
        data = {**step(1).to_dict(), **damage}
        data = {name: value for name, value in data.items() if value is not ...}
        with pytest.raises(CorruptStateError):
            EventRecord.from_dict(data)

    def test_the_result_is_decoded_when_asked_for(self) -> None:
        assert step(1, result=(1, {"a"})).result == (1, {"a"})


class TestChanges:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_changes_between_two_states_turn_the_one_into_the_other(self, seed: int) -> None:
        states = [state for _, state in random_series(seed, length=15)]
        for before, after in zip([None, *states], states, strict=False):
            changes = Changes.between(copy.deepcopy(before), copy.deepcopy(after))
            assert changes.apply_to(copy.deepcopy(before)) == after

    def test_changes_between_unrelated_states_turn_the_one_into_the_other(self) -> None:
        for seed in SEEDS:
            before = [state for _, state in random_series(seed)][-1]
            after = [state for _, state in random_series(seed + 1000)][-1]
            after.state_id = before.state_id
            after.updated_at = before.updated_at + timedelta(days=1)
            after.clock = before.clock
            after.head = before.head + 1
            assert Changes.between(before, after).apply_to(copy.deepcopy(before)) == after

    @pytest.mark.parametrize("seed", SEEDS)
    def test_changes_hold_what_changed_and_nothing_else(self, seed: int) -> None:
        before: StateSnapshot | None = None
        for given, after in random_series(seed):
            found = Changes.between(before, after)
            assert {event.position for event in found.events} <= {event.position for event in given.events}
            assert set(found.closed) <= set(given.closed)
            assert set(found.storage) <= set(given.storage)
            assert set(found.artifacts) <= set(given.artifacts)
            before = copy.deepcopy(after)

    def test_between_equal_states_there_is_no_event_and_no_entry(self) -> None:
        before, after = full_snapshot("run"), full_snapshot("run")
        changes = Changes.between(before, after)
        assert (changes.events, changes.closed, changes.storage, changes.artifacts) == ([], [], {}, {})
        assert changes.generations is None

    def test_a_record_that_changed_in_place_is_closed_and_written_again(self) -> None:
        before, after = simple_snapshot("run"), simple_snapshot("run", minute=1)
        before.events = [step(1), step(2, result="old")]
        after.events = [step(1), step(2, result="new")]
        changes = Changes.between(before, after)
        assert (changes.closed, changes.events) == ([2], [step(2, result="new")])

    def test_updated_at_moves_and_created_at_does_not(self) -> None:
        before = simple_snapshot("run")
        after = simple_snapshot("run")
        after.created_at = START + timedelta(days=1)
        changes = Changes.between(before, after)
        assert changes.created_at == START
        assert abs(changes.updated_at - datetime.now(UTC)) < timedelta(minutes=1)
        before.updated_at = datetime.now(UTC) + timedelta(days=1)
        assert Changes.between(before, after).updated_at > before.updated_at

    def test_metadata_that_cannot_be_compared_is_written(self) -> None:
        class Array:
            def __eq__(self, other: object) -> bool:
                raise ValueError("the truth value of an array is ambiguous")

        before, after = simple_snapshot("run"), simple_snapshot("run", minute=1)
        before.metadata = StateMetadata(custom_data={"a": Array()})
        after.metadata = StateMetadata(custom_data={"a": Array()})
        assert Changes.between(before, after).metadata is after.metadata

    def test_records_stand_in_order_of_their_start_however_they_end(self) -> None:
        state = None
        for base, position in enumerate([3, 1, 4, 0, 2]):
            changes = Changes(
                state_id="run", base=base, status=StateStatus.RUNNING, updated_at=START, events=[step(position)]
            )
            state = changes.apply_to(state)
        assert [event.position for event in state.events] == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize("seed", SEEDS)
    def test_changes_come_back_from_their_line(self, seed: int) -> None:
        for changes, _ in random_series(seed):
            line = encode_line(changes)
            assert line.count(b"\n") == 1 and line.endswith(b"\n")
            if changes.base:
                changes.created_at = None  # Only the first says when the state was created.
            assert decode_line(line[:-1], changes.state_id, changes.base + 1) == changes


class TestStateDiff:
    def test_equal_states_differ_in_nothing(self) -> None:
        diff = StateSnapshot.diff(full_snapshot("run"), full_snapshot("run"))
        assert diff == StateDiff()
        assert diff.is_empty

    def test_steps_are_matched_by_address_wherever_they_stand(self) -> None:
        a, b = simple_snapshot(), simple_snapshot()
        a.events = [step(1, "kept::tool_call"), step(2, "gone::tool_call"), step(3, "other::tool_call", result=1)]
        b.events = [step(4, "new::tool_call"), step(5, "other::tool_call", result=2), step(6, "kept::tool_call")]
        diff = StateSnapshot.diff(a, b)
        assert diff.new_events == [b.events[0]]
        assert diff.removed_events == [a.events[1]]
        assert diff.changed_events == [(a.events[2], b.events[1])]
        assert not diff.is_empty

    def test_of_several_attempts_the_newest_is_compared(self) -> None:
        a, b = simple_snapshot(), simple_snapshot()
        failed = step(1, "flaky::tool_call")
        failed.status = ExecutionStatus.FAILED
        a.events = [step(1, "flaky::tool_call", result=7)]
        b.events = [failed, step(2, "flaky::tool_call", result=7)]
        assert StateSnapshot.diff(a, b).is_empty
        a.events = [failed]
        assert StateSnapshot.diff(a, b).changed_events == [(failed, b.events[1])]

    def test_storage_that_was_added_changed_or_removed_is_shown_with_both_sides(self) -> None:
        a, b = simple_snapshot(), simple_snapshot()
        a.storage = {"same": Entry(1, "1"), "changed": Entry(2, "2"), "removed": Entry(3, "null")}
        b.storage = {"same": Entry(9, "1", "elsewhere"), "changed": Entry(2, "3"), "added": Entry(4, "4")}
        assert StateSnapshot.diff(a, b).changed_storage == {
            "changed": (2, 3),
            "removed": (None, None),
            "added": (None, 4),
        }

    def test_values_are_typed_and_those_that_are_not_here_say_so(self) -> None:
        a, b = simple_snapshot(), simple_snapshot()
        a.storage = {"price": Entry(1, encode(Decimal("1.10"))), "large": Entry(2, "1"), "foreign": Entry(3, "1")}
        b.storage = {
            "price": Entry(1, encode(Decimal("1.20"))),
            "large": Entry(2, artifact_reference("a" * 64)),
            "foreign": Entry(3, '{"$t":"model","c":"nowhere:Thing","v":{}}'),
        }
        changed = StateSnapshot.diff(a, b).changed_storage
        assert changed["price"] == (Decimal("1.10"), Decimal("1.20"))
        assert changed["large"] == (1, ArtifactReference("a" * 64))
        assert changed["foreign"][0] == 1
        with pytest.raises(SerializationError, match="nowhere:Thing"):
            raise changed["foreign"][1]

    def test_artifacts_are_compared_by_key_and_content(self) -> None:
        a, b = simple_snapshot(), simple_snapshot()
        a.artifacts = {"same": Entry(1, "id1"), "changed": Entry(2, "id2"), "removed": Entry(3, "id3")}
        b.artifacts = {"same": Entry(7, "id1"), "changed": Entry(8, "id9"), "added": Entry(9, "id3")}
        diff = StateSnapshot.diff(a, b)
        assert (diff.new_artifacts, diff.removed_artifacts, diff.changed_artifacts) == (
            ["added"],
            ["removed"],
            ["changed"],
        )

    def test_swapping_the_sides_swaps_new_and_removed(self) -> None:
        for seed in SEEDS:
            states = [state for _, state in random_series(seed)]
            there, back = StateSnapshot.diff(states[4], states[-1]), StateSnapshot.diff(states[-1], states[4])
            assert there.is_empty == back.is_empty
            assert there.new_events == back.removed_events
            assert sorted(there.new_artifacts) == sorted(back.removed_artifacts)
            assert sorted(there.changed_artifacts) == sorted(back.changed_artifacts)
            assert there.changed_storage == {key: (old, new) for key, (new, old) in back.changed_storage.items()}


class TestVersions:
    @pytest.mark.parametrize("version", [CURRENT_SCHEMA_VERSION, "1.0.1", "1.99.0", "0.1.0"])
    def test_the_same_major_version_and_older_ones_are_read(self, version: str) -> None:
        check_version(version)

    @pytest.mark.parametrize("version", ["2.0.0", "10.0.0"])
    def test_a_later_major_version_is_refused_naming_both(self, version: str) -> None:
        with pytest.raises(IncompatibleVersionError) as caught:
            check_version(version)
        assert version in str(caught.value) and CURRENT_SCHEMA_VERSION in str(caught.value)

    @pytest.mark.parametrize(
        "version",
        ["", "one", "v1.0.0", None, 1, "1", "1.0", "1.x", "1.0.0.0", "-1.0.0", "01.0.0", "1.0.0-rc1", "1.0.٣"],
    )
    def test_what_is_no_version_is_damage(self, version: str) -> None:
        with pytest.raises(CorruptStateError):
            check_version(version)


class TestMetadata:
    @pytest.mark.parametrize("tag", ["", " ", "a\x00b", "\ud800", "x" * 101])
    def test_a_tag_that_is_no_word_is_refused(self, tag: str) -> None:
        with pytest.raises(ValueError, match="tag"):
            StateMetadata(tags=[tag])

    def test_a_tag_is_kept_once(self) -> None:
        assert StateMetadata(tags=["b", "a", "b"]).tags == ["b", "a"]


class TestRetiredCache:
    @pytest.mark.parametrize("name", ["rh_agents.cache_backends", "rh_agents.core.cache"])
    def test_importing_it_warns_and_what_it_holds_does_nothing(self, name: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = import_module(name)
        with pytest.warns(DeprecationWarning, match=name):
            reload(module)
        assert module.FileCacheBackend(cache_dir=".cache").cache_dir == ".cache"
        for cache in (
            module.FileCacheBackend(".cache", 100, ttl=3),
            module.InMemoryCacheBackend(100),
            module.InMemoryCacheBackend(max_size=100),
        ):
            assert cache.set("key", 1, ttl=5) is None
            assert cache.get("key") is None
            assert cache.delete("key") is None
            assert cache.clear() is None
            assert "key" not in cache
            assert type(copy.deepcopy(cache)) is type(cache)
