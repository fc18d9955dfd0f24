"""What will run: every argument whole and exact, what was edited marked, and nothing that only looks alike."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, ConfigDict, RootModel, SecretStr

from recovery.rendering.call import CallLine, blocks, call_lines, literal


class Method(Enum):
    CARD = "original_card"


class Item(BaseModel):
    sku: str
    amount: Decimal


class Refund(BaseModel):
    order_id: str
    amount: Decimal
    items: list[Item] = []
    tags: list[str] = []
    note: str = ""
    prices: dict[str, Item] = {}


def text(*args: Any, **kwargs: Any) -> str:
    return "\n".join(line.text for line in call_lines(*args, **kwargs))


def marked(lines: list[CallLine]) -> list[str]:
    return [line.text.strip() for line in lines if line.is_edited]


def refund(**fields: Any) -> Refund:
    return Refund.model_validate({"order_id": "SE-204417", "amount": "1180.00", **fields})


def test_a_model_is_the_call_of_its_action_with_a_line_for_each_field() -> None:
    value = refund(items=[{"sku": "A", "amount": "1.0"}], tags=["eu", "vip"], note="two\nlines\n")

    assert text("payments.refund", value) == "\n".join(
        [
            "payments.refund(",
            '  order_id = "SE-204417"',
            '  amount = Decimal("1180.00")',
            "  items = [",
            '    Item(sku = "A", amount = Decimal("1.0"))',
            "  ]",
            '  tags = ["eu", "vip"]',
            "  note = (",
            '    "two\\n"',
            '    "lines\\n"',
            "  )",
            "  prices = {}",
            ")",
        ]
    )


def test_a_short_part_is_written_out_where_one_of_its_fields_was_edited_or_is_wrong() -> None:
    before = refund(items=[{"sku": "A", "amount": "1.0"}, {"sku": "B", "amount": "2.0"}])
    after = refund(items=[{"sku": "A", "amount": "1.0"}, {"sku": "B", "amount": "3.0"}])

    lines = call_lines("pay", after, initial=before)

    assert '    Item(sku = "A", amount = Decimal("1.0"))' in [line.text for line in lines]
    assert marked(lines) == ['amount = Decimal("3.0")']
    wrong = [line.text.strip() for line in call_lines("pay", before, errors=["items.0.sku"]) if line.is_invalid]
    assert wrong == ['sku = "A"']


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "run()"),
        ({}, "run()"),
        ({"order_id": 5, "class": None}, 'run(\n  "order_id": 5\n  "class": None\n)'),
        ({"order_id": 5}, "run(\n  order_id = 5\n)"),
        ([1, 2], "run(\n  [1, 2]\n)"),
        ("text", 'run(\n  "text"\n)'),
        (RootModel[list[int]]([1]), "run(\n  [1]\n)"),
    ],
)
def test_a_value_without_a_model_is_written_as_well_as_one_can(value: Any, expected: str) -> None:
    assert text("run", value) == expected


@dataclass
class Spot:
    x: int


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('a "quoted" \\ text', r'"a \"quoted\" \\ text"'),
        ("\u202eevil\u200b\x00\ud83d\u00a0", r'"\u202eevil\u200b\x00\ud83d\xa0"'),
        ("漢字 é 🎉", '"漢字 é 🎉"'),
        (1.0, "1.0"),
        (float("nan"), 'float("nan")'),
        (True, "True"),
        (Decimal("1E+3"), 'Decimal("1E+3")'),
        (10**5000, hex(10**5000)),
        (b"\x00", r"b'\x00'"),
        (date(2026, 11, 23), 'date("2026-11-23")'),
        (datetime(2026, 11, 23, 16, 1, tzinfo=UTC), 'datetime("2026-11-23 16:01:00+00:00")'),
        (
            datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")),
            'datetime("2026-07-01 00:00:00+02:00[Europe/Berlin]")',
        ),
        (timedelta(days=-1, seconds=-1), 'timedelta("-1 day 00:00:01")'),
        (UUID(int=1), 'UUID("00000000-0000-0000-0000-000000000001")'),
        (Path("/a b"), 'Path("/a b")'),
        (Method.CARD, "Method.CARD"),
        (SecretStr("hunter2"), 'SecretStr("**********")'),
        ((1,), "(1,)"),
        ((), "()"),
        ({3, 1}, "{1, 3}"),
        (set(), "set([])"),
        (frozenset({1}), "frozenset([1])"),
        (Item(sku="A", amount=Decimal("1.0")), 'Item(sku = "A", amount = Decimal("1.0"))'),
        (Spot(1), "Spot(x = 1)"),
        ({"a": [1, {"b": None}]}, '{"a": [1, {"b": None}]}'),
    ],
    ids=lambda value: ascii(value)[:30] if not isinstance(value, int) else "number",
)
def test_every_value_says_its_type_and_hides_nothing(value: Any, expected: str) -> None:
    assert literal(value) == expected


def test_long_texts_and_lists_are_whole() -> None:
    value = {"note": "x" * 100_000, "many": list(range(2_000))}

    lines = text("run", value)

    assert "x" * 100_000 in lines
    assert all(f"    {number}" in lines for number in range(2_000))


def test_exactly_what_was_edited_is_marked() -> None:
    old = refund(items=[{"sku": "A", "amount": 1}, {"sku": "B", "amount": 2}], note="a\nb\nc", tags=["x"])
    new = refund(
        amount="1180.0", items=[{"sku": "A", "amount": 1}, {"sku": "B", "amount": 3}], note="a\nB\nc", tags=["y"]
    )

    assert marked(call_lines("run", old, initial=old)) == []
    assert marked(call_lines("run", new)) == []
    assert marked(call_lines("run", new, initial=old)) == [
        'amount = Decimal("1180.0")', 'amount = Decimal("3")', 'tags = ["y"]', r'"B\n"',
    ]  # fmt: skip


def test_rows_that_came_or_went_mark_the_list_and_what_is_new_in_it() -> None:
    a, b, c = ({"sku": sku, "amount": 1} for sku in "ABC")

    assert marked(call_lines("run", refund(items=[a, c]), initial=refund(items=[a, b, c]))) == ["items = ["]
    assert marked(call_lines("run", refund(items=[a, b, c]), initial=refund(items=[a, c]))) == [
        "items = [", "Item(", 'sku = "B"', 'amount = Decimal("1")', ")",
    ]  # fmt: skip
    assert marked(call_lines("run", refund(prices={"b": a}), initial=refund(prices={"a": a})))[0] == "prices = {"


def test_an_edited_secret_is_marked_and_not_shown() -> None:
    lines = call_lines("run", {"key": SecretStr("new")}, initial={"key": SecretStr("old")})

    assert lines[1] == CallLine('  key = SecretStr("**********")', is_edited=True)


def test_lines_with_an_error_are_marked_by_the_paths_of_the_form() -> None:
    value = refund(items=[{"sku": "A", "amount": 1}], tags=["a", "b"], prices={"k": {"sku": "B", "amount": 2}})
    errors = {"items.0.amount": ["x"], "tags.1": ["x"], "prices.0.value.sku": ["x"]}

    lines = call_lines("run", value, errors=errors)

    assert [line.text.strip() for line in lines if line.is_invalid] == [
        'amount = Decimal("1")', 'tags = ["a", "b"]', 'sku = "B"',
    ]  # fmt: skip


def test_fields_that_the_model_was_only_given_are_written_too() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")
        x: int

    assert text("run", Open.model_validate({"x": 1, "more": "a"})) == 'run(\n  x = 1\n  more = "a"\n)'


def test_a_list_that_contains_itself_has_an_end() -> None:
    loop: list[Any] = [1]
    loop.append(loop)

    assert "<list that contains itself>" in text("run", loop)
    assert literal(loop) == "[1, <list that contains itself>]"


# ---- What is folded ----


@pytest.mark.parametrize("count", [0, 1, 24])
def test_a_short_call_is_not_folded(count: int) -> None:
    [block] = blocks([CallLine(str(number)) for number in range(count)])

    assert (len(block.lines), block.is_folded) == (count, False)


def test_a_long_call_folds_what_nobody_edited_and_loses_no_line() -> None:
    touched = {40: {"is_edited": True}, 41: {"is_invalid": True}, 50: {"is_edited": True}}
    call = [CallLine(str(number), **touched.get(number, {})) for number in range(100)]

    found = blocks(call)

    assert [line for block in found for line in block.lines] == call
    assert [(block.lines[0].text, block.lines[-1].text, block.is_folded) for block in found] == [
        ("0", "2", False),
        ("3", "36", True),
        ("37", "53", False),
        ("54", "96", True),
        ("97", "99", False),
    ]
