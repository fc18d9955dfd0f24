"""Comparing the steps of snapshots: aligned by address, children under their parent, equal ones folded."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.services.compare import compare
from recovery.services.compare.comparison import SameSteps, StepPair
from rh_agents.core.addressing import is_within
from rh_agents.core.serialization import EncodedArtifact, artifact_reference, encode
from rh_agents.core.state_recovery import Entry, StateSnapshot
from tests.recovery.compared_snapshots import LEFT_ID, addresses, failed, kinds, outline, pair_of, snapshot, step

# Steps


def test_steps_are_aligned_by_address_and_told_apart() -> None:
    left = snapshot(
        step("read::tool_call", [1]),
        step("draft::llm_call", {"amount": Decimal("1240.00")}),
        failed("pay::tool_call", "card declined"),
        step("fallback::tool_call"),
    )
    right = snapshot(
        step("read::tool_call", [1]),
        step("draft::llm_call", {"amount": Decimal("1180.00")}),
        step("pay::tool_call", "paid"),
        step("receipt::tool_call"),
    )
    comparison = compare(left, right)
    assert outline(comparison) == [
        "(1 step the same, read::tool_call)",
        "~ draft::llm_call",
        "~ pay::tool_call",
        "- fallback::tool_call",
        "+ receipt::tool_call",
    ]
    assert pair_of(comparison, "draft::llm_call").differs == ("result",)
    assert pair_of(comparison, "pay::tool_call").differs == ("result", "status", "error")
    counts = comparison.step_counts
    assert (counts.same, counts.changed, counts.removed, counts.added, counts.moved) == (1, 2, 1, 1, 0)
    assert not comparison.is_empty


def test_another_input_with_the_same_result_is_told_but_is_no_change() -> None:
    left = snapshot(step("read::tool_call", 1, fingerprint="aa"))
    comparison = compare(left, snapshot(step("read::tool_call", 1, fingerprint="bb")))
    assert outline(comparison) == ["= read::tool_call"]
    assert pair_of(comparison, "read::tool_call").differs == ("input",)
    assert comparison.step_counts.same == 1


def test_another_error_is_a_change_and_its_words_are_marked() -> None:
    left = snapshot(failed("pay::tool_call", "the card of Ada was declined"))
    comparison = compare(left, snapshot(failed("pay::tool_call", "the card of Grace was declined")))
    pair = pair_of(comparison, "pay::tool_call")
    assert pair.differs == ("error",)
    assert pair.result is None
    assert pair.error is not None
    assert pair.error.text("left") == "ValueError: the card of Ada was declined"
    (row,) = pair.error.rows
    assert row.right is not None
    assert [segment.text for segment in row.right.segments if segment.marked] == ["Grace"]


def test_a_result_that_only_one_side_has_is_shown_as_that_sides_alone() -> None:
    comparison = compare(snapshot(failed("pay::tool_call", "no")), snapshot(step("pay::tool_call", {"id": 7})))
    diff = pair_of(comparison, "pay::tool_call").result
    assert diff is not None
    assert {row.kind for row in diff.rows} == {"new"}
    assert (diff.text("left"), diff.text("right")) == ("", '{"id": 7}')


def test_equal_values_of_other_types_are_a_change() -> None:
    comparison = compare(snapshot(step("n::tool_call", Decimal("1.0"))), snapshot(step("n::tool_call", "1.0")))
    assert outline(comparison) == ["~ n::tool_call"]


def test_the_newest_attempt_counts_and_how_many_there_were_is_told() -> None:
    tries = [failed("pay::tool_call", "timeout", 1, attempt=1), failed("pay::tool_call", "timeout", 2, attempt=2)]
    left = snapshot(*tries, step("pay::tool_call", "paid", 3, attempt=3))
    comparison = compare(left, snapshot(step("pay::tool_call", "paid", 1), step("done::tool_call", 1, 2)))
    assert outline(comparison) == ["(1 step the same, pay::tool_call)", "+ done::tool_call"]
    pair = pair_of(compare(left, snapshot(step("pay::tool_call", "refused"))), "pay::tool_call")
    assert pair.left is not None and pair.right is not None
    assert (pair.left.attempts, pair.right.attempts) == (3, 1)


def test_occurrences_are_steps_of_their_own_and_generations_are_not() -> None:
    left = snapshot(step("a::tool_call", 1), step("a::tool_call#2", 2))
    right = snapshot(step("a::tool_call", 1), step("a::tool_call#2", 3, generation=2), step("a::tool_call#3", 3))
    assert kinds(compare(left, right)) == {
        "a::tool_call": "same",
        "a::tool_call#2": "changed",
        "a::tool_call#3": "added",
    }


def test_a_parent_stands_before_its_children_wherever_the_record_has_it() -> None:
    """It is recorded when it ends, and after an interruption it even begins behind the children it kept."""
    left = snapshot(
        step("plan::search::tool_call", 1, 2),
        step("plan::write::llm_call", 2, 3),
        step("other::tool_call", 3, 4),
        step("plan::agent_call", 4, 9),
    )
    right = snapshot(
        step("plan::agent_call", 5, 1), step("plan::search::tool_call", 6, 2), step("other::tool_call", 7, 8)
    )
    comparison = compare(left, right)
    assert outline(comparison) == [
        "~ plan::agent_call",
        "~ plan::search::tool_call",
        "- plan::write::llm_call",
        "~ other::tool_call",
    ]
    assert [entry.depth for entry in comparison.steps if isinstance(entry, StepPair)] == [0, 1, 1, 0]


def test_a_question_beside_an_agent_of_its_name_is_no_parent() -> None:
    events = [step("refund::decision", 1), step("refund::agent_call", 2), step("refund::pay::tool_call", 3)]
    comparison = compare(snapshot(*events), snapshot())
    assert [(entry.address, entry.depth) for entry in comparison.steps if isinstance(entry, StepPair)] == [
        ("refund::decision", 0),
        ("refund::agent_call", 0),
        ("refund::pay::tool_call", 1),
    ]


def test_steps_that_only_changed_their_order_are_told_as_moved() -> None:
    names = ["a::tool_call", "b::tool_call", "c::tool_call"]
    left = snapshot(*(step(name, 1) for name in names))
    comparison = compare(left, snapshot(*(step(name, 1) for name in (names[1], names[2], names[0]))))
    assert outline(comparison) == [
        "(2 steps the same, b::tool_call and c::tool_call)",
        "> a::tool_call",
    ]
    assert comparison.step_counts.moved == 1


def test_what_a_moved_step_called_has_not_moved_itself() -> None:
    family = ["a::agent_call", "a::x::tool_call", "a::y::tool_call"]
    left = snapshot(*(step(name, 1) for name in [*family, "b::tool_call", "c::tool_call"]))
    right = snapshot(*(step(name, 1) for name in ["b::tool_call", "c::tool_call", *family]))
    assert outline(compare(left, right)) == [
        "(2 steps the same, b::tool_call and c::tool_call)",
        "> a::agent_call",
        "(2 steps the same, a::x::tool_call and a::y::tool_call)",
    ]


def test_branches_that_ran_side_by_side_are_not_moved_by_how_they_interleaved() -> None:
    branches = [
        f"fetch[{branch}]::{kind}" for branch in range(2) for kind in ("agent_call", "a::tool_call", "b::tool_call")
    ]
    left = snapshot(*(step(name, 1) for name in branches))
    right = snapshot(*(step(name, 1) for name in (branches[place] for place in (0, 3, 1, 4, 2, 5))))
    assert compare(left, right).is_empty


@pytest.mark.parametrize(
    ("steps", "summary"),
    [
        (["a::tool_call"], "1 step the same, a::tool_call"),
        (["a::tool_call", "b::tool_call"], "2 steps the same, a::tool_call and b::tool_call"),
        (["a::agent_call", "a::b::tool_call"], "2 steps the same, a::agent_call and what it called"),
        (["a::tool_call", "b::tool_call", "c::tool_call"], "3 steps the same, a::tool_call to c::tool_call"),
        (
            ["a::agent_call", "a::b::tool_call", "c::tool_call"],
            "3 steps the same, a::agent_call and c::tool_call, with what they called",
        ),
    ],
)
def test_a_run_of_equal_steps_says_what_it_holds(steps: list[str], summary: str) -> None:
    left, right = (snapshot(*(step(name, 1) for name in steps)) for _ in range(2))
    (run,) = compare(left, right).steps
    assert isinstance(run, SameSteps)
    assert run.summary == summary


def test_equal_steps_keep_their_address_and_durations_only() -> None:
    left = snapshot(step("a::tool_call", "x" * 1_000, execution_time=2.0))
    (run,) = compare(left, snapshot(step("a::tool_call", "x" * 1_000, execution_time=3.0))).steps
    assert isinstance(run, SameSteps)
    assert tuple(run.steps[0]) == (1, "a::tool_call", 2.0, 3.0)


def test_a_result_kept_as_an_artifact_is_compared_inside() -> None:
    values = [{"text": "long " * 30, "n": number} for number in (1, 2)]
    stored = {f"id{number}": EncodedArtifact("json", encode(value).encode(), "") for number, value in enumerate(values)}
    left, right = (
        snapshot(step("a::tool_call", result_text=artifact_reference(identity))) for identity in ("id0", "id1")
    )
    diff = pair_of(compare(left, right, load_artifact=stored.get), "a::tool_call").result
    assert diff is not None
    assert [row.path for row in diff.rows if row.kind != "same"] == ["n"]
    lost = pair_of(compare(left, right, load_artifact={}.get), "a::tool_call")
    assert (lost.kind, lost.result, lost.note) == ("changed", None, "The artifact id0 cannot be loaded.")


# What always holds


POOL = [
    "p::agent_call", "p::a::tool_call", "p::a::tool_call#2", "p::b::agent_call", "p::b::c::tool_call", "p::decision",
    "p#2::x::tool_call", "p::agent_call#2", "q::tool_call", "q::agent_call", "q(agent_call)::r::tool_call",
    "q(tool_call)::tool_call", "q(tool_call)::decision", "deep::er::and::deeper::llm_call", "s::t::tool_call",
]  # fmt: skip


@st.composite
def snapshots(draw: st.DrawFn) -> StateSnapshot:
    chosen = draw(st.lists(st.sampled_from(POOL), unique=True))
    positions = draw(st.permutations(range(len(chosen))))
    results = draw(st.lists(st.integers(0, 1), min_size=len(chosen), max_size=len(chosen)))
    events = [step(name, result, position) for name, result, position in zip(chosen, results, positions, strict=True)]
    storage = draw(st.dictionaries(st.sampled_from("abc"), st.integers(0, 1)))
    entries = {key: Entry(0, encode(value)) for key, value in storage.items()}
    return StateSnapshot(state_id=LEFT_ID, events=events, storage=entries)


@settings(deadline=None)
@given(snapshots())
def test_nothing_differs_from_itself(one: StateSnapshot) -> None:
    comparison = compare(one, one)
    assert comparison.is_empty
    assert comparison.step_counts.total == len(one.events)
    assert all(isinstance(entry, SameSteps) for entry in comparison.steps)


@settings(deadline=None)
@given(snapshots(), snapshots())
def test_every_address_of_both_sides_appears_exactly_once(left: StateSnapshot, right: StateSnapshot) -> None:
    comparison = compare(left, right)
    found = addresses(comparison)
    assert sorted(found) == sorted({event.address for event in (*left.events, *right.events)})
    assert comparison.step_counts.total == len(found)


@settings(deadline=None)
@given(snapshots(), snapshots())
def test_swapping_the_sides_swaps_added_and_removed(left: StateSnapshot, right: StateSnapshot) -> None:
    swapped = {"added": "removed", "removed": "added"}
    there, back = compare(left, right), compare(right, left)

    def settled(found: dict[str, str]) -> dict[str, str]:
        # Which of two steps has moved past the other is a matter of view.
        return {address: "same" if kind == "moved" else kind for address, kind in found.items()}

    assert settled(kinds(there)) == {address: swapped.get(kind, kind) for address, kind in settled(kinds(back)).items()}
    assert {pair.key: pair.kind for pair in there.storage} == {
        pair.key: swapped.get(pair.kind, pair.kind) for pair in back.storage
    }


@settings(deadline=None)
@given(snapshots(), snapshots())
def test_no_step_stands_before_its_parent(left: StateSnapshot, right: StateSnapshot) -> None:
    found = addresses(compare(left, right))
    for place, address in enumerate(found):
        if address.partition("#")[0].endswith("::agent_call"):
            assert not any(is_within(earlier, address) for earlier in found[:place])


@settings(deadline=None)
@given(snapshots(), snapshots())
def test_numbers_count_the_steps_in_the_order_they_stand_in(left: StateSnapshot, right: StateSnapshot) -> None:
    numbers = [
        number
        for entry in compare(left, right).steps
        for number in ([entry.number] if isinstance(entry, StepPair) else [one.number for one in entry.steps])
    ]
    assert numbers == list(range(1, len(numbers) + 1))


# For a long time


def history(count: int, result: int = 0, order: int = 1) -> StateSnapshot:
    names = [f"plan#{number // 100}::part[{number % 7}]::s{number}::tool_call" for number in range(count)]
    return snapshot(*(step(name, {"value": result, "name": name}) for name in names[::order]))


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("equal", lambda: history(10_000)),
        ("one step more", lambda: history(10_001)),
        ("other results", lambda: history(10_000, result=1)),
        ("the other way round", lambda: history(10_000, order=-1)),
    ],
)
@pytest.mark.timeout(60)
def test_ten_thousand_steps_are_compared_while_somebody_waits(name: str, right: Any) -> None:
    sides = history(10_000), right()
    comparison = compare(*sides)
    assert comparison.step_counts.total >= 10_000
