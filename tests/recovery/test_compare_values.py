"""Differences of values: JSON by keys, items and words, with the types told apart; texts by lines, tables by cells."""

import json
from collections import OrderedDict
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, PrivateAttr

from recovery.services.compare.align import Effort
from recovery.services.compare.json_diff import diff_json, is_same_json, one_sided_json
from recovery.services.compare.rows import CONTEXT_ROWS, SHORTEST_FOLD, Diff, Line, Row
from recovery.services.compare.text_diff import by_cells, by_ends, by_words, diff_texts
from rh_agents.core.serialization import encode, to_plain
from tests.rh_agents.serialization_samples import VALUES as SAMPLES


class Refund(BaseModel):
    order: str
    amount: Decimal
    _tries: int = PrivateAttr(default=0)


class Refund2(BaseModel):
    order: str
    amount: Decimal


class Point(NamedTuple):
    x: int
    y: int


def shown(line: Line | None) -> str:
    """A line with its marks in brackets, and its type behind it."""
    if line is None:
        return ""
    text = "".join(f"[{text}]" if marked else text for text, marked in line.segments)
    return f"{text} <{line.type}>" if line.type else text


def changes(diff: Diff) -> list[tuple[str, str, str]]:
    return [(row.path, shown(row.left), shown(row.right)) for row in diff.rows if row.kind != "same"]


def diff_of(left: Any, right: Any) -> Diff:
    return diff_json(encode(left), encode(right))


# What is marked


def test_the_differing_leaf_is_marked_and_nothing_around_it() -> None:
    diff = diff_of({"order": "A-17", "amount": 420}, {"order": "A-17", "amount": 380})
    assert [(row.kind, shown(row.left), shown(row.right)) for row in diff.rows] == [
        ("same", "{", "{"),
        ("same", '  "order": "A-17",', '  "order": "A-17",'),
        ("changed", '  "amount": [420]', '  "amount": [380]'),
        ("same", "}", "}"),
    ]


def test_of_a_long_text_only_the_words_that_differ_are_marked() -> None:
    left = "The refund takes three to five working days."
    assert changes(diff_of([left], [left.replace("three to five", "two")])) == [
        ("", '["The refund takes [three to five] working days."]', '["The refund takes [two] working days."]')
    ]


def test_a_text_of_several_lines_is_compared_line_by_line() -> None:
    diff = diff_of({"notes": "# Fixes\n\n- one\n- two"}, {"notes": "# Fixes\n\n- one\n- one and a half\n- two"})
    assert changes(diff) == [("notes", "", r"[- one and a half\n]")]
    assert diff.text("left") == '{\n  "notes": "# Fixes\\n\\n- one\\n- two"\n}'


def test_keys_are_aligned_by_name_and_additions_stand_where_the_right_has_them() -> None:
    diff = diff_of({"a": 1, "c": 3, "d": 4}, {"c": 3, "b": 2, "a": 1})
    assert [(row.kind, row.path) for row in diff.rows] == [
        ("same", ""),
        ("same", "a"),
        ("same", "c"),
        ("new", "b"),
        ("old", "d"),
        ("same", ""),
    ]


def test_the_order_of_keys_is_no_difference() -> None:
    assert diff_of({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}).is_empty
    assert is_same_json('{"a":1,"b":2}', '{"b":2,"a":1}')


def test_list_items_are_aligned_by_content_not_by_index() -> None:
    rows = [{"id": number, "text": f"row {number} " + "x" * 60} for number in range(5)]
    changed = {**rows[3], "text": "row 3 " + "x" * 59 + "y"}
    diff = diff_of(rows, [{"id": 9, "text": "new " + "z" * 60}, *rows[:2], changed, rows[4]])
    assert [(row.kind, row.path) for row in diff.rows if row.kind != "same"] == [
        *[("new", "[0]")] * 4,
        *[("old", "[2]")] * 4,
        ("changed", "[3].text"),
    ]


def test_items_of_a_short_list_are_marked_inside_of_their_line() -> None:
    assert changes(diff_of({"by": ["grace"]}, {"by": ["tomas", "ada", "grace"]})) == [
        ("by", '  "by": ["grace"]', '  "by": [["tomas", "ada", ]"grace"]')
    ]


def test_a_value_that_became_another_kind_of_value_is_told_whole() -> None:
    assert changes(diff_of({"a": {"b": [1, 2]}}, {"a": "gone"})) == [
        ("a", '  "a": [{"b": [1, 2]}] <dict>', '  "a": ["gone"] <str>')
    ]


# Types


@pytest.mark.parametrize(
    ("left", "right", "types"),
    [
        (1, "1", ("int", "str")),
        (1, True, ("int", "bool")),
        (1, 1.0, ("int", "float")),
        (0, False, ("int", "bool")),
        (None, "None", ("None", "str")),
        (Decimal("1.0"), "1.0", ("decimal", "str")),
        (date(2026, 11, 23), "2026-11-23", ("date", "str")),
        ((1, 2), [1, 2], ("tuple", "list")),
        ({1, 2}, [1, 2], ("set", "list")),
        ({1: "a"}, {"1": "a"}, ("dict with int keys", "dict")),
        (Point(1, 2), {"x": 1, "y": 2}, ("Point", "dict")),
        (Refund(order="A", amount=Decimal(1)), Refund2(order="A", amount=Decimal(1)), ("Refund", "Refund2")),
    ],
)
def test_values_that_look_alike_but_differ_in_type_are_different_and_say_their_types(
    left: Any, right: Any, types: tuple[str, str]
) -> None:
    for a, b in ((left, right), ([left, "x" * 80], [right, "x" * 80]), ({"k": left}, {"k": right})):
        assert not is_same_json(encode(a), encode(b))
        (row,) = [row for row in diff_of(a, b).rows if row.kind != "same"]
        assert row.left is not None and row.right is not None
        assert (row.left.type, row.right.type) == types


def test_types_are_not_named_where_they_are_the_same() -> None:
    diff = diff_of({"amount": Decimal("1.0")}, {"amount": Decimal("1.00")})
    assert changes(diff) == [("amount", '  "amount": ["1.0"]', '  "amount": ["1.00"]')]


def test_classes_of_one_name_are_told_apart_by_their_modules() -> None:
    left = '{"$t":"model","c":"shop.models:Refund","v":{"order":"A"}}'
    diff = diff_json(left, left.replace("shop.models", "shop.old"))
    assert changes(diff) == [("", "[{] <shop.models:Refund>", "[{] <shop.old:Refund>")]


def test_a_difference_that_nothing_shows_is_told_in_words() -> None:
    left, right = (Refund(order="A", amount=Decimal(1)) for _ in range(2))
    right._tries = 3
    diff = diff_of(left, right)
    assert diff.is_empty
    assert "private attributes" in diff.note
    assert "order of keys" in diff_of(OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)).note


# What always holds


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8") | st.sampled_from('\n"\\ ,'), max_size=12)
    | st.decimals(allow_nan=False, allow_infinity=False, places=2)
    | st.dates()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=4), inner, max_size=5)
        | st.dictionaries(st.integers(0, 5), inner, max_size=3)
    ),
    max_leaves=25,
)


def strict(value: Any) -> str:
    """Equal for equal JSON of equal types, whatever the order of keys."""
    return json.dumps(value, sort_keys=True)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Any, Any]:
    """Two values that often share a part."""
    left, right, shared = draw(VALUES), draw(VALUES), draw(VALUES)
    return draw(
        st.sampled_from(
            [(left, right), ([left, shared], [shared, right]), ({"a": left, "s": shared}, {"s": shared, "a": right})]
        )
    )


@settings(deadline=None)
@given(pairs())
@example(("a\nb", "a\nb\n"))
@example(("", "\n\n"))
@example(({"a": "x\ny"}, {"a": Decimal(1)}))
def test_what_stands_on_each_side_is_that_sides_value_whole(pair: tuple[Any, Any]) -> None:
    left, right = (encode(value) for value in pair)
    diff = diff_json(left, right)
    assert strict(json.loads(diff.text("left"))) == strict(to_plain(left))
    assert strict(json.loads(diff.text("right"))) == strict(to_plain(right))


@settings(deadline=None)
@given(pairs())
def test_a_difference_is_shown_exactly_where_there_is_one(pair: tuple[Any, Any]) -> None:
    left, right = (encode(value) for value in pair)
    diff = diff_json(left, right)
    assert diff.is_empty == (is_same_json(left, right) or bool(diff.note))


@settings(deadline=None)
@given(VALUES)
def test_nothing_differs_from_itself(value: Any) -> None:
    text = encode(value)
    diff = diff_json(text, text)
    assert diff.is_empty
    assert not diff.note


@settings(deadline=None)
@given(pairs())
def test_folding_hides_equal_rows_only_and_loses_none(pair: tuple[Any, Any]) -> None:
    diff = diff_json(*(encode(value) for value in pair))
    assert [row for stretch in diff.stretches for row in stretch.rows] == list(diff.rows)
    assert all(row.kind == "same" for stretch in diff.stretches if stretch.is_folded for row in stretch.rows)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_kind_of_value_that_is_saved_can_be_compared(name: str) -> None:
    text = encode(SAMPLES[name])
    other = encode({"other": [1]})
    assert diff_json(text, text).is_empty
    assert strict(json.loads(diff_json(text, other).text("left"))) == strict(to_plain(text))
    assert strict(json.loads(one_sided_json("right", text).text("right"))) == strict(to_plain(text))


# Folding


def test_long_equal_stretches_are_folded_around_what_differs() -> None:
    left = {f"k{number}": "x" * 10 for number in range(40)}
    diff = diff_of(left, {**left, "k20": "y"})
    assert [(stretch.is_folded, len(stretch), stretch.path) for stretch in diff.stretches] == [
        (True, 18, "k20"),
        (False, 2 * CONTEXT_ROWS + 1, ""),
        (True, 17, ""),
    ]


def test_a_few_equal_lines_are_not_worth_a_fold() -> None:
    left = {f"k{number}": number for number in range(20)}
    worth = 2 * CONTEXT_ROWS + SHORTEST_FOLD
    for equal_lines, is_folded in ((worth - 1, False), (worth, True)):
        right = {**left, "k2": "", f"k{3 + equal_lines}": ""}
        stretches = diff_of(left, right).stretches
        assert any(stretch.is_folded and stretch.path == f"k{3 + equal_lines}" for stretch in stretches) is is_folded


# Texts and tables


TEXTS = st.text(st.sampled_from('ab ,.\n"é'), max_size=40)


@settings(deadline=None)
@given(TEXTS, TEXTS, st.sampled_from([by_words, by_cells]), st.integers(0, 200))
@example("\n", "", by_cells, 0)
@example('a,"b', 'a,"b"c', by_cells, 0)
def test_what_is_not_marked_is_the_same_on_both_sides(left: str, right: str, split: Any, effort: int) -> None:
    segments_left, segments_right = split(left, right, Effort(effort))
    assert "".join(segment.text for segment in segments_left) == left
    assert "".join(segment.text for segment in segments_right) == right
    kept_left, kept_right = (
        "".join(segment.text for segment in segments if not segment.marked)
        for segments in (segments_left, segments_right)
    )
    assert kept_left == kept_right


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_by_ends_marks_one_stretch_at_most(left: str, right: str) -> None:
    for text, segments in zip((left, right), by_ends(left, right), strict=True):
        assert "".join(segment.text for segment in segments) == text
        assert sum(segment.marked for segment in segments) <= 1


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_both_texts_stand_whole_in_their_difference(left: str, right: str) -> None:
    diff = diff_texts(left, right)
    assert diff.text("left") == left
    assert diff.text("right") == right
    assert diff.is_empty == (left == right)


def test_a_row_of_a_table_is_marked_cell_by_cell() -> None:
    left = "date,kind,amount,balance\n2026-11-12,shipping,-60.00,1180.00\n2026-11-23,reserve,-1240.00,-60.00"
    right = left.replace("-1240.00,-60.00", "-1180.00,0.00") + "\n2026-11-23,refund,1180.00,0.00"
    assert changes(diff_texts(left, right, inside=by_cells)) == [
        ("", "2026-11-23,reserve,[-1240.00],[-60.00]", "2026-11-23,reserve,[-1180.00],[0.00]"),
        ("", "", "[2026-11-23,refund,1180.00,0.00]"),
    ]


def test_a_comma_in_quotes_separates_no_cells() -> None:
    assert changes(diff_texts('1,"a, b",x', '1,"a, c",x', inside=by_cells)) == [("", '1,["a, b"],x', '1,["a, c"],x')]


# Bounds


def megabyte(word: str) -> list[dict[str, Any]]:
    return [
        {"id": number, "name": f"{word} {number * 7919 % 1000}", "tags": [word, "b", "c"], "amount": number / 7}
        for number in range(11_000)
    ]


LARGE: dict[str, tuple[Any, Any]] = {
    "one leaf": (megabyte("a"), [*megabyte("a")[:-1], {"id": "last"}]),
    "every record": (megabyte("a"), megabyte("b")),
    "every record in another order": (megabyte("a"), megabyte("a")[::-1]),
    "one long text": ("word " * 200_000, "word " * 199_000 + "other"),
    "many lines": ("a\nb\n" * 120_000, "b\nb\na\n" * 80_000),
    "long lines": ("\n".join(["ab " * 15_000] * 20), "\n".join(["ba " * 15_000] * 20)),
    "many keys": ({f"k{n}": n for n in range(60_000)}, {f"k{n * 3}": n for n in range(60_000)}),
    "many small numbers": ([n % 3 for n in range(400_000)], [n % 2 for n in range(400_000)]),
}


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.timeout(60)
def test_a_megabyte_is_compared_while_somebody_waits(name: str) -> None:
    left, right = (encode(value) for value in LARGE[name])
    diff = diff_json(left, right)
    assert diff.stretches
    assert not diff.is_empty


def test_more_differences_than_anybody_reads_are_cut_with_a_note() -> None:
    diff = diff_of(megabyte("a"), megabyte("b"))
    assert diff.note == "Only the first 2,000 differing lines are shown."
    assert sum(isinstance(part, Row) and part.kind != "same" for part in diff.parts) == 2_000


def test_what_is_too_large_to_look_inside_is_cut_to_where_it_begins_to_differ() -> None:
    left = json.dumps({"a": "x" * 3_000_000, "b": 1})
    diff = diff_json(left, left.replace('"b": 1', '"b": 2'))
    (row,) = diff.rows
    assert row.left is not None and row.right is not None
    assert (row.left.text[-3:], row.right.text[-3:]) == (": 1", ": 2")
    assert len(row.left.text) < 1_000
    assert diff.note.startswith("3,000,017 and 3,000,017 characters are too much")


@pytest.mark.parametrize(
    ("left", "right", "note"),
    [
        ("[" * 5_000 + "]" * 5_000, "[" * 4_999 + "]" * 4_999, "nested too deeply"),
        ("{not json", "{no json", "no JSON"),
        ('{"$t":"no such tag","v":[1,{"$t":3}]}', '{"$t":"no such tag","v":[2,{"$t":3}]}', ""),
        ('{"$t":"model"}', '{"$t":"model","v":3}', ""),
        ('{"$t":"dict","v":[[1]]}', '{"$t":"dict","v":7}', ""),
        (r'["\ud800"]', r'["\udfff"]', ""),
        ("[1e999]", "[-1e999]", ""),
    ],
)
def test_text_that_nobody_encoded_is_compared_as_well_as_it_can_be(left: str, right: str, note: str) -> None:
    diff = diff_json(left, right)
    assert not diff.is_empty
    assert note in diff.note
    diff.text("left").encode()
    assert one_sided_json("left", left).parts
