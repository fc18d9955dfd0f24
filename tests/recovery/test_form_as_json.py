"""Proposals edited as JSON: nothing is lost, nothing but plain data comes in, and what is wrong says where."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from recovery.forms import ModelForm, form_for
from tests.recovery.browser_forms import controls, render, submitted
from tests.recovery.test_form_round_trips import VALUES, _name, with_field


class Card(BaseModel):
    kind: Literal["card"] = "card"
    last4: str


class Transfer(BaseModel):
    kind: Literal["transfer"] = "transfer"
    iban: str


class Line(BaseModel):
    sku: str
    price: Decimal = Field(gt=0)


class Payment(BaseModel):
    by: Annotated[Card | Transfer, Field(discriminator="kind")]
    lines: list[Line]
    on: date
    note: str = ""


PAYMENT = Payment(
    by=Card(last4="1234"),
    lines=[Line(sku="a", price=Decimal("1.00")), Line(sku="b", price=Decimal("2.50"))],
    on=date(2026, 1, 2),
)


def as_json(value: Any, changes: dict[str, str] | None = None, **more: Any) -> ModelForm[Any]:
    form = form_for(value, prefix="p", as_json=True, **more)
    return form_for(value, prefix="p", data=submitted(form, changes), **more)


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=map(_name, VALUES))
def test_every_value_comes_back_as_it_was_from_json_that_nobody_edited(annotation: Any, value: Any) -> None:
    initial = with_field(annotation, value)
    form = ModelForm(type(initial), initial, data=submitted(ModelForm(type(initial), initial, as_json=True)))
    assert form.is_as_json
    assert form.is_valid(), form.errors
    assert form.changes == []
    assert form.value.x is value


def test_models_stand_as_plain_objects_and_become_models_again() -> None:
    blank = form_for(PAYMENT, prefix="p", as_json=True)
    page = dict(controls(render(blank)).sent)
    assert '"$t": "model"' not in page["p.by"] and '"last4": "1234"' in page["p.by"]
    form = as_json(PAYMENT, {"p.by": '{"kind": "transfer", "iban": "DE1"}'})
    assert form.is_valid(), form.errors
    assert form.value == PAYMENT.model_copy(update={"by": Transfer(iban="DE1")})
    assert type(form.value.by) is Transfer
    assert form.value.lines[0].price.as_tuple() == Decimal("1.00").as_tuple()
    assert [change.path for change in form.changes] == ["by"]


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("p.lines", '[{"sku": "a", "price": "-1"}]', "0.price: This must be greater than 0."),
        ("p.lines", '[{"price": "1"}]', "0.sku: This field is required."),
        ("p.by", '{"kind": "cash"}', "Input tag 'cash'"),
        ("p.lines", '[\n  {"sku": "a",\n]', "line 3 column 1"),
        ("p.on", '"yesterday"', "date"),
        ("p.lines", "", "This field is required."),
        ("p.lines", '[{"$t": "model", "c": "os:system", "v": {}}]', "cannot be entered here"),
        ("p.note", "[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_wrong_says_where_and_what_was_typed_stays(field: str, text: str, message: str) -> None:
    form = as_json(PAYMENT, {field: text})
    assert not form.is_valid()
    [[said]] = [form[field.removeprefix("p.")].errors]
    assert message in said
    assert dict(controls(render(form)).sent)[field] == text


def test_what_may_not_be_edited_is_no_text_and_is_never_read() -> None:
    form = as_json(PAYMENT, {"p.note": '"hi"'}, editable=frozenset({"note"}))
    assert {name for name in controls(render(form)).names if not name.startswith("p:")} == {"p.note"}
    assert form.value == PAYMENT.model_copy(update={"note": "hi"})


def test_what_was_typed_into_fields_goes_along_into_the_json() -> None:
    fields = form_for(PAYMENT, prefix="p")
    data = submitted(fields, {"p.lines.1.price": "9.75", "p.note": "hi", "p.on": "never"})
    form = form_for(PAYMENT, prefix="p", data=data).entered_as_json()
    sent = dict(controls(render(form)).sent)
    assert '"9.75"' in sent["p.lines"] and sent["p.note"] == '"hi"' and sent["p.on"] == '"never"'
    assert sent["p:layout"] == "json"
    again = form_for(PAYMENT, prefix="p", data=submitted(form, {"p.on": '"2026-03-04"'}))
    assert again.is_valid(), again.errors
    assert again.value.lines[1].price == Decimal("9.75")
    assert (again.value.note, again.value.on) == ("hi", date(2026, 3, 4))


def test_a_dict_of_anything_is_edited_as_json_too() -> None:
    form = as_json({"a": {"b": [1, None]}, "c": Decimal("1.0")}, {"p.a": '{"b": [2]}'})
    assert form.value == {"a": {"b": [2]}, "c": Decimal("1.0")}
