"""What a reviewer's edits change, before and after beside each other, and what others changed before."""

from decimal import Decimal

import pytest

from recovery.forms import Change
from recovery.pipelines import pipeline
from recovery.services.decide import decide
from recovery.services.questions import current_version, proposal_of
from recovery.views.edits import EDITS_AT_MOST, changes_between, edits_of
from rh_agents import ExecutionState, Question
from tests.recovery.conftest import only_request
from tests.recovery.sample_pipelines import Refund, RefundInput
from tests.web.pages import read
from tests.web.request_pages import form_in, look, panel, post

pytestmark = pytest.mark.django_db

LETTER = "Dear Ada,\n\nwe are sorry for the delay of your order.\n\nYours\nthe shop"


@pytest.fixture
def letter(run_until_it_waits):
    return only_request(run_until_it_waits("test-letter"))


@pipeline("test-letter", input_model=RefundInput, version="1")
async def write(data: RefundInput, state: ExecutionState) -> str:
    answer = await state.ask(
        Question(key="letter", title="Send it?", proposal={"to": "ada", "text": LETTER}, policy={"needed": 2})
    )
    return str(answer.proposal["text"])


def sides(page):
    """(field, before, after), with what is marked in brackets, of each row that differs."""
    rows = []
    for edit in page.one("div", id="edits").all("div", class_="edit"):
        for row in edit.all("tr", class_="is-changed"):
            cells = ["".join(_marked(child) for child in cell.children) for cell in row.all("td")]
            rows.append((edit.one("h4").text, *cells))
    return rows


def _marked(child):
    return child if isinstance(child, str) else f"[{child._raw_text()}]"


def test_before_and_after_stand_beside_each_other_at_the_leaf(refund, ada_at):
    page = look(ada_at, refund)
    assert "hidden" in page.one("div", id="edits").attrs
    data = form_in(page) | {"proposal.amount": "400.00", "proposal:check": ""}
    run = panel(read(post(ada_at, refund, data)), "What will run")
    assert sides(run) == [("amount", "[420.00]", "[400.00]")]
    assert run.one("div", id="edits").one("h4").one("a").attrs["href"] == "#proposal-amount"
    assert [one.text for one in run.one("thead").all("th")] == ["Before", "After"]


def test_in_longer_texts_the_words_are_marked_and_the_lines_that_stay_are_left_out(letter, ada_at):
    text = LETTER.replace("sorry for", "very sorry about")
    data = form_in(look(ada_at, letter)) | {"proposal.text": text, "proposal:check": ""}
    assert sides(read(post(ada_at, letter, data))) == [
        ("text", "we are sorry [for] the delay of your order.", "we are [very ]sorry [about] the delay of your order.")
    ]


def test_the_difference_follows_what_is_typed_and_nothing_else_of_the_form_is_sent(refund, ada_at, htmx):
    data = form_in(look(ada_at, refund)) | {"proposal.amount": "4", "proposal:check": "", "live": ""}
    part = read(post(ada_at, refund, data, headers=htmx))
    assert sides(part) == [("amount", "[420.00]", "[4]")]
    assert not part.all("input") and not part.all("textarea")
    part = read(post(ada_at, refund, data | {"proposal.amount": "420.00"}, headers=htmx))
    assert "hidden" in part.one("div", id="edits").attrs


def test_what_is_not_valid_is_shown_as_it_was_typed(refund, ada_at, htmx):
    data = form_in(look(ada_at, refund)) | {"proposal.amount": "a lot", "proposal:check": "", "live": ""}
    assert sides(read(post(ada_at, refund, data, headers=htmx))) == [("amount", "[420.00]", "[a lot]")]


def test_what_another_person_changed_is_said_to_the_next_and_after_the_decision(letter, ada, grace, ada_at):
    edited = {"to": "ada", "text": LETTER + "!"}
    decide(letter.pk, by=grace, kind="edit", proposal=edited)
    run = panel(look(ada_at, letter), "What will run")
    assert run.one("div", id="edits").one("h3").text == "1 change to what the run proposed, the last by grace"
    assert sides(run) == [("text", "the shop", "the shop[!]")]
    decide(letter.pk, by=ada, kind="approve")
    assert proposal_of(current_version(letter)) == edited
    assert sides(panel(look(ada_at, letter), "What was approved")) == [("text", "the shop", "the shop[!]")]


def test_leaves_are_found_in_whatever_holds_them():
    old = Refund(order="A", amount=Decimal("1.00"))
    new = old.model_copy(update={"amount": Decimal("1.0")})
    assert list(changes_between(old, new)) == [Change("amount", "amount", "1.00", "1.0")]
    assert list(changes_between({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]})) == [Change("a.2.b", "a, 2, b", "2", "3")]
    assert list(changes_between({"a": 1}, {"b": 1})) == [Change("a", "a", "1", ""), Change("b", "b", "", "1")]
    assert list(changes_between([1], [1, 2])) == [Change("", "the proposal", "[1]", "[1, 2]")]
    assert list(changes_between({"a": True}, {"a": 1})) == [Change("a", "a", "yes", "1")]
    assert list(changes_between(old, old)) == []


def test_of_very_many_edits_the_first_are_shown_and_the_rest_is_counted():
    changes = [Change(f"a.{number}", f"a {number}", "1", "2") for number in range(EDITS_AT_MOST + 7)]
    edits = edits_of(changes, prefix="p")
    assert (len(edits.shown), edits.count, edits.more) == (EDITS_AT_MOST, EDITS_AT_MOST + 7, 7)
    assert edits.shown[0].target == "p-a-0"
    [long] = edits_of([Change("a", "a", "x\n" * 500, "y\n" * 500)]).shown
    assert long.is_cut and sum(len(rows) for rows in long.stretches) == 60
