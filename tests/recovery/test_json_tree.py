"""Values as trees: readable, and bounded in depth, width and length whatever they are."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
from pydantic import BaseModel

from recovery.rendering.json_tree import AT_MOST_NODES, Node, tree


def leaf(value: object) -> str:
    return tree(value).text


def depth_of(node: Node) -> int:
    return 1 + max((depth_of(child) for child in node.children), default=0)


def count_of(node: Node) -> int:
    return 1 + sum(count_of(child) for child in node.children)


class Colour(Enum):
    RED = "r"


class Order(BaseModel):
    id: str
    amount: Decimal


@dataclass
class Point:
    x: int
    y: int


class TestJsonTree:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, "null"),
            (True, "true"),
            (0, "0"),
            (1.5, "1.5"),
            ("a\nb", '"a\\nb"'),
            (Decimal("1.00"), "1.00"),
            (datetime(2026, 11, 23, 16, 1, tzinfo=UTC), "2026-11-23T16:01:00+00:00"),
            (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
            (b"abc", "bytes, 3 B"),
            (Colour.RED, "Colour.RED"),
            (float("nan"), "nan"),
        ],
    )
    def test_a_leaf_is_written_as_people_write_it(self, value: object, text: str) -> None:
        assert leaf(value) == text

    def test_an_integer_too_long_to_write_is_described(self) -> None:
        assert leaf(10**5000) == "an integer of 16,610 bits"

    def test_a_mapping_names_its_keys_in_order(self) -> None:
        node = tree({"b": 1, "a": [2]})
        assert node.label == "2 keys"
        assert [(child.key, child.text, child.label) for child in node.children] == [
            ("b", "1", ""),
            ("a", "", "1 item"),
        ]

    def test_models_and_dataclasses_show_their_name_and_fields(self) -> None:
        assert tree(Order(id="A", amount=Decimal("2.50"))).label == "Order, 2 fields"
        assert [(child.key, child.text) for child in tree(Point(1, 2)).children] == [("x", "1"), ("y", "2")]

    def test_many_children_are_counted_and_not_shown(self) -> None:
        node = tree(list(range(5_000)))
        assert len(node.children) == 100
        assert node.more == "4,900 more"

    def test_depth_is_bounded(self) -> None:
        value: list[object] = []
        for _ in range(50_000):
            value = [value]
        assert depth_of(tree(value)) == 13

    def test_a_value_that_holds_itself_ends(self) -> None:
        value: dict[str, object] = {}
        value["self"] = value
        assert depth_of(tree(value)) == 13

    def test_a_large_first_child_does_not_hide_its_siblings(self) -> None:
        node = tree({"first": [[[0] * 100] * 100] * 100, "last": 1})
        assert [child.key for child in node.children] == ["first", "last"]
        assert count_of(node) <= AT_MOST_NODES + 1

    def test_a_long_text_is_cut_and_says_how_long_it_is(self) -> None:
        assert leaf("x" * 50_000_000).endswith('x…" (50,000,000 characters)')

    def test_hidden_characters_are_written_out_in_keys_and_values(self) -> None:
        child = tree({"a\u202eb": "c\u202ed"}).children[0]
        assert (child.key, child.text) == ("a⟨U+202E⟩b", '"c⟨U+202E⟩d"')

    def test_a_value_whose_own_code_fails_is_named(self) -> None:
        class Broken:
            def __str__(self) -> str:
                raise RuntimeError

        assert leaf(Broken()) == "a Broken that cannot be written"
