"""Comparing what snapshots keep, what they are to each other, and all of it as plain JSON."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from recovery.services.compare import as_dict, compare
from recovery.services.compare.comparison import KeyPair
from recovery.services.compare.values import NotComparable
from rh_agents.core.serialization import EncodedArtifact
from rh_agents.core.state_recovery import Entry, StateMetadata, StateSnapshot, StateStatus
from tests.recovery.compared_snapshots import LEFT_ID, RIGHT_ID, snapshot, step, with_artifacts

# Storage and artifacts


def test_storage_is_compared_by_key_and_inside_of_its_values() -> None:
    left = snapshot(storage={"claim": {"id": "DHL-77120", "state": "open"}, "gone": 1, "kept": [1, 2]})
    right = snapshot(storage={"claim": {"id": "DHL-77120", "state": "settled"}, "kept": [1, 2], "receipt_id": "r"})
    comparison = compare(left, right)
    assert [(pair.key, pair.kind) for pair in comparison.storage] == [
        ("claim", "changed"),
        ("gone", "removed"),
        ("kept", "same"),
        ("receipt_id", "added"),
    ]
    diff = comparison.storage[0].diff
    assert diff is not None
    assert [row.path for row in diff.rows if row.kind != "same"] == ["state"]
    assert comparison.storage_counts.differing == 3


def test_artifacts_are_compared_by_key_and_inside_of_what_is_text() -> None:
    table = "date,amount\n2026-11-12,-60.00\n"
    left, stored = with_artifacts(
        {"ledger.csv": table, "notes.md": "# A\n\none two three", "data.json": {"a": 1}, "same.txt": "x", "old.txt": ""}
    )
    right, more = with_artifacts(
        {
            "ledger.csv": table + "2026-11-23,5\n",
            "notes.md": "# A\n\none 2 three",
            "data.json": {"a": 2},
            "same.txt": "x",
        }
    )
    comparison = compare(left, right, load_artifact={**stored, **more}.get)
    assert {pair.key: pair.kind for pair in comparison.artifacts} == {
        "data.json": "changed",
        "ledger.csv": "changed",
        "notes.md": "changed",
        "old.txt": "removed",
        "same.txt": "same",
    }
    by_key = {pair.key: pair.diff for pair in comparison.artifacts}
    assert [row.kind for row in rows(by_key["ledger.csv"])] == ["same", "same", "new", "same"]
    assert [row.path for row in rows(by_key["data.json"]) if row.kind != "same"] == ["a"]
    assert [row.kind for row in rows(by_key["notes.md"])] == ["same", "same", "changed"]


def rows(diff: Any) -> list[Any]:
    assert diff is not None
    return list(diff.rows)


def artifact_pair(left: EncodedArtifact, right: EncodedArtifact, load: Any = None) -> KeyPair:
    stored = {"left": left, "right": right}
    states = [
        StateSnapshot(
            state_id=LEFT_ID, artifacts={"a": Entry(0, name, media_type=one.media_type, size=len(one.payload))}
        )
        for name, one in stored.items()
    ]
    return compare(*states, load_artifact=load or stored.get).artifacts[0]


@pytest.mark.parametrize(
    ("left", "note"),
    [
        (EncodedArtifact("bytes", b"\x89PNG", "image/png"), "Images are to be looked at"),
        (EncodedArtifact("bytes", b"%PDF", "application/pdf"), "application/pdf cannot be compared inside."),
        (EncodedArtifact("bytes", b"?", ""), "This cannot be compared inside."),
        (EncodedArtifact("bytes", b"a,\xff\n", "text/csv"), "This is not UTF-8 text (invalid start byte at byte 2)."),
        (EncodedArtifact("text", b"x" * 300_000, "text/plain"), "more than 256 KB are not compared inside"),
    ],
)
def test_artifacts_that_cannot_be_compared_inside_say_why(left: EncodedArtifact, note: str) -> None:
    pair = artifact_pair(left, left._replace(payload=left.payload + b"!"))
    assert (pair.kind, pair.diff) == ("changed", None)
    assert note in pair.note


def test_an_artifact_that_cannot_be_loaded_says_why() -> None:
    text = EncodedArtifact("text", b"a", "text/plain")

    def refuse(identity: str) -> EncodedArtifact | None:
        raise NotComparable("Its file is gone.")

    assert artifact_pair(text, text, refuse).note == "Its file is gone."
    assert artifact_pair(text, text, lambda identity: None).note == "The artifact left cannot be loaded."


def test_nothing_is_loaded_before_somebody_looks_inside() -> None:
    loaded: list[str] = []
    text = EncodedArtifact("text", b"a", "text/plain")

    def load(identity: str) -> EncodedArtifact:
        loaded.append(identity)
        return text

    pair = artifact_pair(text, text, load)
    assert loaded == []
    assert pair.diff is not None
    assert pair.diff is pair.diff
    assert loaded == ["left", "right"]


# The heads


def test_the_head_of_each_side_says_what_it_is() -> None:
    saved_at = datetime(2026, 11, 23, 16, 21, tzinfo=UTC)
    metadata = StateMetadata(pipeline_name="refunds", description="Refund for order SE-204417", tags=["eu"])
    left = snapshot(status=StateStatus.FAILED, head=41, updated_at=saved_at, metadata=metadata)
    side = compare(left, snapshot(state_id=RIGHT_ID)).left
    assert tuple(side) == (LEFT_ID, 41, "failed", "refunds", "Refund for order SE-204417", ("eu",), saved_at)
    assert side.short_id == "7c1e4b0a"


@pytest.mark.parametrize(
    ("left", "right", "relation"),
    [
        ({"head": 3}, {"head": 3}, "same"),
        ({"head": 3}, {"head": 5}, "later"),
        ({"head": 5}, {"head": 3}, "earlier"),
        ({}, {"state_id": RIGHT_ID}, "unrelated"),
        ({}, {"state_id": RIGHT_ID, "metadata": StateMetadata(parent_state_id=LEFT_ID)}, "fork_of_left"),
        ({"metadata": StateMetadata(parent_state_id=RIGHT_ID)}, {"state_id": RIGHT_ID}, "fork_of_right"),
        (
            {"metadata": StateMetadata(parent_state_id="p")},
            {"state_id": RIGHT_ID, "metadata": StateMetadata(parent_state_id="p")},
            "siblings",
        ),
    ],
)
def test_what_the_right_is_to_the_left_is_told(left: dict[str, Any], right: dict[str, Any], relation: str) -> None:
    assert compare(snapshot(**left), snapshot(**right)).relation.kind == relation


# For programs


def test_a_comparison_is_plain_json_for_programs() -> None:
    left = snapshot(step("a::tool_call", 1), step("b::tool_call", {"n": 1}), storage={"k": Decimal("1.0")})
    right = snapshot(step("a::tool_call", 1), step("b::tool_call", {"n": 2}), storage={"k": "1.0"})
    data = json.loads(json.dumps(as_dict(compare(left, right))))
    assert data["counts"]["steps"] == {"same": 1, "changed": 1, "removed": 0, "added": 0, "moved": 0}
    same, changed = data["steps"]
    assert same["steps"] == [{"number": 1, "address": "a::tool_call", "left_s": 1.5, "right_s": 1.5}]
    assert changed["address"] == "b::tool_call"
    assert changed["diff"]["rows"][1] == {
        "kind": "changed",
        "path": "n",
        "left": {"segments": [['  "n": ', False], ["1", True]], "type": "", "goes_on": False},
        "right": {"segments": [['  "n": ', False], ["2", True]], "type": "", "goes_on": False},
    }
    (key,) = data["storage"]
    assert (key["diff"]["rows"][0]["left"]["type"], key["diff"]["rows"][0]["right"]["type"]) == ("decimal", "str")


def test_a_program_gets_as_many_differences_as_it_wants_and_is_told_of_the_rest() -> None:
    left, right = (snapshot(*(step(f"s{number}::tool_call", value) for number in range(3))) for value in (1, 2))
    steps = as_dict(compare(left, right), most_diffs=2)["steps"]
    assert [one["diff"] is None for one in steps] == [False, False, True]
    assert steps[2]["note"] == "There are too many differences to give all of them."
