"""Typed forms: what is edited is read exactly, and what is wrong with it is said where it was typed."""

import secrets
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from recovery.forms import ModelForm, form_for
from tests.recovery.browser_forms import controls, render, submitted
from tests.recovery.refund_forms import Address, Circle, Item, Method, Refund, refund, sent


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("amount", "1180.00", "amount", Decimal("1180.00")),
        ("amount", " 1180 ", "amount", Decimal(1180)),
        ("method", "store_credit", "method", Method.CREDIT),
        ("note", "two\nlines", "note", "two\nlines"),
        ("notify", False, "notify", False),
        (
            "items.1.amount",
            "2.50",
            "items",
            [Item(sku="A", amount=Decimal("1.00")), Item(sku="B", amount=Decimal("2.50"))],
        ),
        ("home.city", "Malmö", "home", Address(city="Malmö")),
        ("tags.0", "eu-2", "tags", {"eu-2", "vip"}),
        ("prices.0.value", "3.0", "prices", {"a": Decimal("3.0")}),
        ("prices.0.key", "b", "prices", {"b": Decimal("1.0")}),
        ("shape.radius", "5", "shape", Circle(radius=5)),
        ("when", "2026-07-01T09:30", "when", datetime(2026, 7, 1, 9, 30, tzinfo=ZoneInfo("Europe/Berlin"))),
        ("when:zone", "UTC", "when", datetime(2026, 11, 23, 16, 1, tzinfo=UTC)),
        ("when:zone", "", "when", datetime(2026, 11, 23, 16, 1)),
    ],
)
def test_one_edit_changes_one_field_and_nothing_else(name: str, text: str | bool, path: str, value: Any) -> None:
    initial = refund(
        amount="999.00", home={"city": "Lund"}, shape={"kind": "circle", "radius": 2}, tags=["eu", "vip"],
        prices={"a": "1.0"}, when=datetime(2026, 11, 23, 16, 1, tzinfo=ZoneInfo("Europe/Berlin")),
    )  # fmt: skip
    form = sent(initial, {name: text})

    assert form.errors == {}
    assert form.is_valid()
    got = getattr(form.value, path)
    assert got == value
    assert type(got) is type(value)
    assert form.value == initial.model_copy(update={path: value})
    assert len(form.changes) == 1
    assert form.changes[0].path.startswith(path)


def test_a_change_tells_the_old_value_and_the_new_one_as_they_are_read() -> None:
    form = sent(refund(), {"amount": "1180.0", "notify": False, "items.0.amount": "9.99"})

    assert form.changes == [
        ("amount", "Amount", "1240.00", "1180.0"),
        ("notify", "notify", "yes", "no"),
        ("items.0.amount", "items 1, amount", "1.00", "9.99"),
    ]


def test_text_that_means_the_very_same_value_is_no_edit() -> None:
    assert not sent(refund(), {"amount": " 1240.00 "}).is_edited
    assert sent(refund(), {"amount": "1240.0"}).is_edited


def test_an_edited_text_keeps_the_line_ends_that_it_had_throughout() -> None:
    assert sent(refund(note="a\r\nb"), {"note": "a\nc"}).value.note == "a\r\nc"
    assert sent(refund(note="a\nb"), {"note": "a\nc"}).value.note == "a\nc"


def test_fields_that_were_set_by_the_author_stay_apart_from_defaults() -> None:
    initial = Refund(order_id="1", amount=Decimal(5))

    form = sent(initial, {"note": "hello"})

    assert form.value.model_fields_set == {"order_id", "amount", "note"}


def test_the_page_shows_old_and_new_below_an_edited_field_and_a_button_that_puts_it_back() -> None:
    html = render(sent(refund(), {"amount": "1180.00"}))

    assert '<del><span class="visually-hidden">was </span>1240.00</del>' in html
    assert '<ins><span class="visually-hidden">now </span>1180.00</ins>' in html
    assert ("p:reset", "amount") in controls(html).buttons
    assert html.count('class="change-list"') == 1


def test_a_form_without_an_initial_value_gives_a_new_instance() -> None:
    blank: ModelForm[Address] = ModelForm(Address, prefix="p")
    form = ModelForm(Address, prefix="p", data=submitted(blank, {"p.city": "Lund", "p.postcode:none": True}))

    assert form.value == Address(city="Lund")
    assert "change-list" not in render(form)


def test_defaults_stand_in_a_blank_form_and_an_incomplete_initial_dict_fills_what_it_has() -> None:
    form = ModelForm(Refund, {"order_id": "X-1", "note": "a"}, prefix="p")

    assert form["order_id"].text == "X-1"
    assert form["currency"].text == "EUR"
    assert form["amount"].text == ""
    assert ModelForm(Refund, {"amount": "abc"}, prefix="p")["amount"].text == "abc"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("amount", "abc", "Enter a number, with a point before the fraction, such as 1180.00."),
        ("amount", "1,180.00", "Enter a number, with a point before the fraction, such as 1180.00."),
        ("amount", "", "This field is required."),
        ("amount", "0", "This must be greater than 0."),
        ("amount", "1240.01", "This must be at most 1240.00."),
        ("amount", "1e9999999999999999999", "This number is too large."),
        ("cost_centre", "CC-88", "This should match the pattern ^CC-[0-9]{4}$, such as CC-0088."),
        ("note", "x" * 2001, "Enter at most 2000 characters."),
        ("note", "a\0b", "This holds a character that cannot be sent or stored (U+0000 or half a surrogate pair)."),
        ("items.1.amount", "-1", "This must be greater than 0."),
        ("items.0.amount", "1.001", "Enter at most 2 digits after the point."),
        ("home.city", "", "Enter at least 1 character."),
        ("shape.radius", "0", "This must be at least 1."),
        ("shape.radius", "1.5", "Enter a whole number, such as 42."),
        ("prices.0.value", "x", "Enter a number, with a point before the fraction, such as 1180.00."),
        ("method", "cash", "Choose one of the values that are offered."),
        ("when", "2026-02-30T10:00", "There is no such day or time."),
        ("when:zone", "Mars/Olympus", "Enter a time zone as UTC, +02:00 or Europe/Berlin."),
        ("when:zone", "../../etc/passwd", "Enter a time zone as UTC, +02:00 or Europe/Berlin."),
    ],
)
def test_an_error_stands_at_its_field_beside_the_text_that_was_entered(name: str, text: str, message: str) -> None:
    initial = refund(
        home={"city": "Lund"}, shape={"kind": "circle", "radius": 2}, prices={"a": "1.0"},
        when=datetime(2026, 11, 23, 16, 1, tzinfo=UTC),
    )  # fmt: skip
    form = sent(initial, {name: text})

    path = name.partition(":")[0]
    assert form.errors == {path: [message]}
    assert not form.is_valid()
    with pytest.raises(ValueError, match="not valid"):
        _ = form.value
    if "\0" in text or name == "method":
        return
    again = dict(controls(render(form)).sent)
    assert again[f"p.{name}"] == text


def test_all_that_is_wrong_is_said_at_once() -> None:
    form = sent(
        refund(home={"city": "Lund"}),
        {"amount": "abc", "cost_centre": "x", "items.0.amount": "0", "items.1.amount": "y", "home.city": ""},
    )

    assert list(form.errors) == ["amount", "cost_centre", "items.0.amount", "items.1.amount", "home.city"]


def test_what_the_model_as_a_whole_refuses_stands_above_the_fields() -> None:
    form = sent(refund(), {"method": "store_credit"})

    assert form.errors == {}
    assert form.non_field_errors == ["store credit is for up to 1000."]
    assert not form.is_valid()
    assert "store credit is for up to 1000." in render(form)


def test_an_error_in_a_nested_group_as_a_whole_stands_at_the_group() -> None:
    class Span(BaseModel):
        start: int
        end: int

        @model_validator(mode="after")
        def _in_order(self) -> "Span":
            if self.start > self.end:
                raise ValueError("the end is before the start")
            return self

    class Plan(BaseModel):
        span: Span
        spans: list[Span]

    form = sent(Plan(span=Span(start=1, end=2), spans=[Span(start=1, end=2)]), {"span.start": "3", "spans.0.end": "0"})

    assert form.errors == {"span": ["the end is before the start."], "spans.0": ["the end is before the start."]}


def test_a_list_that_is_too_short_says_so_at_the_list() -> None:
    class Basket(BaseModel):
        names: list[str] = Field(min_length=2)

    form = form_for(Basket(names=["a", "b"]), prefix="p", data=QueryDict("p.names:rows=0&p.names.0=a"))

    assert form.errors == {"names": ["There must be at least 2 entries, there are 1."]}


def test_an_initial_value_that_the_model_itself_refuses_is_said_above_the_fields_and_can_be_left_as_it_is() -> None:
    wrong = Refund.model_construct(**{**dict(refund()), "amount": Decimal(-1)})

    form = sent(wrong, editable=frozenset({"note"}))

    assert form.non_field_errors == ["Amount: This must be greater than 0."]
    assert form.is_valid() and form.value is wrong
    edited = sent(wrong, {"note": "mine"}, editable=frozenset({"note"}))
    assert not edited.is_valid()


def test_validators_that_normalise_do_not_touch_what_nobody_edited() -> None:
    class Noisy(BaseModel):
        name: str
        other: int = 0

        @field_validator("name")
        @classmethod
        def _grow(cls, name: str) -> str:
            return f"{name}!"

    initial = Noisy(name="a")

    assert sent(initial).value == Noisy.model_construct(name="a!", other=0)
    assert sent(initial, {"other": "1"}).value == Noisy.model_construct(name="a!", other=1)
    assert sent(initial, {"name": "b"}).value == Noisy.model_construct(name="b!", other=0)


def test_validators_that_change_nested_values_in_place_do_not_touch_the_initial_value() -> None:
    class Outer(BaseModel):
        home: Address
        names: list[str]
        other: int = 0

        @model_validator(mode="after")
        def _shout(self) -> "Outer":
            self.home.city += "!"
            self.names.append("more")
            return self

    initial = Outer(home=Address(city="Lund"), names=["a"])
    before = initial.model_copy(deep=True)

    assert sent(initial).value == before
    assert sent(initial, {"other": "1"}).value == before.model_copy(update={"other": 1})
    assert initial == before


def test_a_field_that_follows_from_an_edit_follows_it_where_it_may_be_edited_and_refuses_it_where_not() -> None:
    class Sum(BaseModel):
        a: int
        b: int = 0

        @model_validator(mode="after")
        def _double(self) -> "Sum":
            self.b = self.a * 2
            return self

    assert sent(Sum(a=1), {"a": "5"}).value == Sum(a=5)
    assert [change.path for change in sent(Sum(a=1), {"a": "5"}).changes] == ["a", "b"]
    fixed = sent(Sum(a=1), {"a": "5"}, editable=frozenset({"a"}))
    assert fixed.non_field_errors == [
        "b: Your edit would change this, and it is set by the run: it cannot be changed here."
    ]


def test_a_field_that_is_new_at_every_validation_is_not_taken_for_an_edit() -> None:
    class Stamped(BaseModel):
        note: str
        stamp: str = ""

        @model_validator(mode="after")
        def _stamp(self) -> "Stamped":
            self.stamp = secrets.token_hex(8)
            return self

    initial = Stamped(note="a")
    form = sent(initial, {"note": "b"}, editable=frozenset({"note"}))

    assert form.value.stamp == initial.stamp


def test_a_validator_that_cannot_take_its_own_result_does_not_stop_an_unedited_proposal() -> None:
    class Csv(BaseModel):
        names: Annotated[list[str], BeforeValidator(lambda text: text.split(","))]
        other: int = 0

    initial = Csv.model_validate({"names": "a,b"})

    assert sent(initial).value is initial
    assert not sent(initial, {"other": "1"}).is_valid()
