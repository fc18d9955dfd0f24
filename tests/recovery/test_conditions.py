"""Conditions of rules: what holds of which arguments, and which patterns are taken."""

import threading
from decimal import Decimal

import pytest

from recovery.errors import InvalidInput
from recovery.services import patterns
from recovery.services.conditions import all_hold, number_of, read_conditions
from rh_agents.core.serialization import encode, to_plain
from tests.recovery.sample_pipelines import Refund

PLAIN = to_plain(
    encode(
        {
            "refund": Refund(order="A-17", amount=Decimal("420.00")),
            "count": 3,
            "share": 0.1,
            "vip": True,
            "note": None,
            "account": "00123",
            "items": [{"sku": "x1", "price": Decimal("9.90")}, {"sku": "x2", "price": Decimal("1E+2")}],
            "huge": "9" * 300,
            "endless": float("inf"),
        },
        where="the test",
    )
)


def holds(path, operator, value):
    return all_hold(read_conditions([{"path": path, "is": operator, "value": value}]), PLAIN)


@pytest.mark.parametrize(
    ("path", "operator", "value"),
    [
        ("refund.order", "equals", "A-17"),
        ("refund.amount", "equals", 420),
        ("refund.amount", "equals", "420"),
        ("refund.amount", "equals", "4.2e2"),
        ("refund.amount", "at_most", 420),
        ("refund.amount", "below", "420.01"),
        ("refund.amount", "above", "419.99"),
        ("refund.amount", "at_least", 420.0),
        ("refund.method", "one_of", ["credit", "card"]),
        ("refund.order", "matches", r"[A-Z]-\d{1,4}"),
        ("refund.order", "not_equals", "A-18"),
        ("count", "one_of", [1, 3.0]),
        ("share", "equals", "0.1"),
        ("vip", "equals", True),
        ("note", "equals", None),
        ("account", "equals", "00123"),
        ("items.1.price", "equals", 100),
        ("items.0.sku", "equals", "x1"),
    ],
)
def test_it_holds(path, operator, value):
    assert holds(path, operator, value)


@pytest.mark.parametrize(
    ("path", "operator", "value"),
    [
        ("refund.amount", "below", 420),
        ("refund.amount", "above", 420),
        ("refund.amount", "not_equals", "420.0"),
        ("refund.order", "equals", "a-17"),
        ("refund.order", "below", 1000),
        ("refund.order", "matches", r"A"),
        ("refund.order", "matches", r"-17"),
        ("vip", "equals", 1),
        ("vip", "equals", "true"),
        ("vip", "at_least", 0),
        ("count", "equals", True),
        ("note", "equals", ""),
        ("note", "equals", False),
        ("account", "equals", 123),
        ("account", "equals", "123"),
        ("endless", "above", 0),
        ("huge", "matches", "9+"),
        ("count", "matches", r"\d+"),
    ],
)
def test_it_does_not_hold(path, operator, value):
    assert not holds(path, operator, value)


@pytest.mark.parametrize("operator", ["equals", "not_equals"])
@pytest.mark.parametrize(
    "path",
    ["nothing", "refund.nothing", "refund.order.0", "items.2", "items.-1", "items.x", "items.\u0660.sku", "note.x"],
)
def test_where_there_is_nothing_nothing_holds(path, operator):
    assert not holds(path, operator, "x")


def test_all_of_them_have_to_hold():
    one = {"path": "count", "is": "equals", "value": 3}
    other = {"path": "count", "is": "above", "value": 3}
    assert all_hold(read_conditions([one]), PLAIN)
    assert not all_hold(read_conditions([one, other]), PLAIN)
    assert all_hold(read_conditions([]), None)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3),
        (0.1, Decimal("0.1")),
        ("-1.50", Decimal("-1.5")),
        ("1E+3", 1000),
        (True, None),
        (None, None),
        ("", None),
        (" 1", None),
        ("1_000", None),
        ("٣", None),
        ("NaN", None),
        ("007", None),
        (float("nan"), None),
        (10**500, None),
        ("1e9999", None),
        (["1"], None),
    ],
)
def test_what_is_a_number(value, number):
    assert number_of(value) == number


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({}, "They are not a list."),
        (["x"], "Condition 1: It takes a path, an is and a value."),
        ([{"path": "a", "is": "equals"}], "Condition 1: It takes a path, an is and a value."),
        ([{"path": "a..b", "is": "equals", "value": 1}], "Condition 1: The path is not the names of fields"),
        ([{"path": "", "is": "equals", "value": 1}], "Condition 1: The path is not the names of fields"),
        ([{"path": "a", "is": "like", "value": 1}], "Condition 1: There is no 'like'"),
        ([{"path": "a", "is": "below", "value": "many"}], "Condition 1: 'many' is not a number."),
        ([{"path": "a", "is": "below", "value": True}], "Condition 1: True is not a number."),
        ([{"path": "a", "is": "equals", "value": {}}], "Condition 1: The value is not a text"),
        ([{"path": "a", "is": "equals", "value": "v" * 501}], "Condition 1: The value is longer"),
        ([{"path": "a", "is": "one_of", "value": "x"}], "Condition 1: It takes a list of 1 to 100 values."),
        ([{"path": "a", "is": "one_of", "value": []}], "Condition 1: It takes a list of 1 to 100 values."),
        ([{"path": "a", "is": "one_of", "value": [[]]}], "Condition 1: The value is not a text"),
        ([{"path": "a", "is": "matches", "value": 1}], "Condition 1: The pattern is not a text."),
        ([{"path": "a", "is": "matches", "value": "("}], "Condition 1: This is no regular expression"),
        ([{"path": "a", "is": "equals", "value": 1}] * 21, "There are more than 20."),
    ],
)
def test_what_is_no_condition_is_said(raw, says):
    with pytest.raises(InvalidInput) as refused:
        read_conditions(raw)
    [message] = refused.value.errors["conditions"]
    assert message.startswith(says)


# ---- Patterns ----


@pytest.mark.parametrize(
    "pattern",
    [
        r"[A-Z]{2}-\d+",
        r"\d+(\.\d+)?",
        r"(?:EUR|USD) \d{1,6}(?:\.\d\d)?",
        r".*refund.*",
        r"[\]+*]{3}",
        r"a\+b\(c\)",
        r"(ab){3}c",
        r"[^]a]+",
        r"a{,5}",
        r"(\d{1,3}\.){3}\d{1,3}",
        r"\(?\d{3}\)?-\d+",
        r"[(?]x\\1",
        r"a{}b{x}",
    ],
)
def test_ordinary_patterns_are_taken(pattern):
    assert patterns.why_refused(pattern) == ""


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+b",
        r"(a*)*",
        r"(a|a)*b",
        r"((a?){2}b)*",
        r"(?:a?){30}a{30}",
        r"(.*)(.*)(.*)(.*)x",
        r"a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?aaaaaaaaaaaaaaaaaaaaaaaa",
        r"(\w+\s?)*x",
        r"(" * 40 + "a" + ")+" * 40,
        r"(\d{1,3}\.){20}",
        r".{,}.{,}.{0,}.{0,}x",
        r"(a)\1",
        r"(?=a)b",
        r"(?i)a",
        r"(?P<n>a)",
        r"[",
        "a" * 201,
        r"a{99999999999}",
    ],
)
def test_patterns_that_could_run_for_ever_are_not(pattern):
    assert patterns.why_refused(pattern) != ""
    with pytest.raises(ValueError):
        patterns.matches(pattern, "a" * 40)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r".*.*.*x", "a" * 200),
        (r"[a-z]+[a-z]+[a-z]+\d", "a" * 200),
        (r"a?a?a?a?a?a?a?a?a?a?a?a?a?a?aaaaaaaaaaaaaa", "a" * 13),
        (r"\w+\d+\w+-", "1" * 200),
    ],
)
def test_the_worst_patterns_that_are_taken_end_soon(pattern, text):
    assert patterns.why_refused(pattern) == ""
    tried = threading.Thread(target=patterns.matches, args=(pattern, text), daemon=True)
    tried.start()
    tried.join(60)
    assert not tried.is_alive()
