"""What the expense batch sample understands of what a reviewer writes when they send it back."""

from decimal import Decimal

import pytest

from recovery.demo.expenses.expense import Category
from recovery.demo.expenses.instructions import NewCategory, NewRate, new_categories, new_rates
from recovery.demo.expenses.markdown import escaped, table
from rh_agents.core.approvals import Instruction


def told(*texts: str) -> list[NewCategory | NewRate]:
    instructions = [Instruction(address="convert::tool_call", text=text) for text in texts]
    return [*new_categories(instructions), *new_rates(instructions)]


@pytest.mark.parametrize(
    ("line", "category"),
    [
        ("category: travel", (0, Category.TRAVEL)),
        ("Category = Meals.", (0, Category.MEALS)),
        ("line 17 category: travel", (17, Category.TRAVEL)),
        ("  - line 17: category office", (17, Category.OFFICE)),
    ],
)
def test_a_category_is_understood_for_one_line_or_for_all_without(line, category):
    [found] = told(f"This is wrong:\n{line}\nThank you!")
    assert (found.line, found.category) == category


@pytest.mark.parametrize("line", ["rate USD 0.95", "`rate usd: 0.95`", "Rate USD=0.95"])
def test_a_rate_is_understood(line):
    [found] = told(line)
    assert (found.currency, found.rate) == ("USD", Decimal("0.95"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "category: fun",
        "category: travel, please",
        "the category: travel",
        "line x category: travel",
        "rate USD",
        "rate USD 0",
        "rate USD -1",
        "rate USD 1.2.3",
        "rate USD 999999999",
        "rate DOLLAR 1",
        "rate USD ٣",
    ],
)
def test_anything_else_is_for_people(text):
    assert told(text) == []


def test_several_lines_are_followed_in_the_order_in_which_they_were_written():
    assert told("rate USD 0.95\ncategory: travel", "rate SEK 0.1\nrate USD 0.96") == [
        NewCategory(number=0, line=0, category=Category.TRAVEL),
        NewRate(number=0, currency="USD", rate=Decimal("0.95")),
        NewRate(number=1, currency="SEK", rate=Decimal("0.1")),
        NewRate(number=1, currency="USD", rate=Decimal("0.96")),
    ]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Paper & More", "Paper & More"),
        ("&lt;b&gt;", r"\&lt;b\&gt;"),
        ("a|b\nc", r"a\|b c"),
        ("# *x* _y_ `z` [l](http://h) <b>", r"\# \*x\* \_y\_ \`z\` \[l\](http://h) \<b\>"),
        ("- x", r"\- x"),
        ("2026-10-05", "2026-10-05"),
    ],
)
def test_what_people_typed_is_no_markdown(text, written):
    assert escaped(text) == written
    assert table(["a"], [[written]]) == f"| a |\n| --- |\n| {written} |\n"
