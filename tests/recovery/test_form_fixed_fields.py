"""Typed forms: what a reviewer may not edit has no control, and no forged request can change it."""

import re
from decimal import Decimal

import pytest
from pydantic import (
    BaseModel,
    SecretStr,
)

from recovery.forms import ModelForm, form_for
from tests.recovery.browser_forms import controls, render, submitted
from tests.recovery.refund_forms import Item, Refund, refund, sent


def test_only_the_named_fields_have_controls() -> None:
    page = controls(render(form_for(refund(), prefix="p", editable=frozenset({"amount", "notify"}))))

    assert page.names == {"p:check", "p.amount", "p.notify", "p.notify:shown"}
    assert "cannot be edited here" in render(form_for(refund(), prefix="p", editable=frozenset({"amount"})))


@pytest.mark.parametrize("editable", [frozenset({"amount"}), False])
def test_a_forged_post_changes_nothing_that_is_fixed(editable: bool | frozenset[str]) -> None:
    initial = refund(home={"city": "Lund"}, shape={"kind": "square"}, tags=["a"], prices={"a": "1.0"})
    everything = submitted(
        form_for(initial, prefix="p"),
        {
            "p.order_id": "X", "p.currency": "USD", "p.note": "forged", "p.notify": False, "p.items:rows": "1,+",
            "p.items.1.amount": "5", "p.home:set": False, "p.tags.0": "b", "p.prices.0.key": "b", "p.shape.side": "9",
        },
        ("p:remove", "items.0"),
    ).copy()  # fmt: skip
    del everything["p:remove"]

    form = form_for(initial, prefix="p", editable=editable, data=everything)

    assert form.is_valid()
    assert form.value == initial
    assert not form.is_edited


def test_fixed_fields_inside_of_an_editable_list_keep_their_row_wherever_it_moves() -> None:
    form = sent(refund(), {"items:rows": "1,0", "items.0.amount": "7"}, extra={"p.items.0.sku": "forged"})

    assert form.value.items == [Item(sku="B", amount=Decimal("7")), Item(sku="A", amount=Decimal("2.00"))]


@pytest.mark.parametrize("verb", ["add", "remove", "reset", "set", "show"])
def test_an_act_on_a_fixed_field_is_refused(verb: str) -> None:
    initial = refund(home={"city": "Lund"})
    form = sent(
        initial, editable=frozenset({"amount"}), extra={f"p:{verb}": "items.0" if verb == "remove" else "items"}
    )

    assert not form.is_valid()
    assert form.draft == initial


def test_a_name_that_the_model_does_not_have_cannot_be_editable() -> None:
    with pytest.raises(ValueError, match="no field colour"):
        ModelForm(Refund, refund(), editable=frozenset({"colour"}))


def test_a_computed_field_is_shown_and_has_no_control() -> None:
    html = render(form_for(refund(), prefix="p"))

    assert re.search(r'Total</span>\s*<span class="field-fixed mono"><span>3.00</span>', html)
    assert "p.total" not in controls(html).names


def test_a_secret_is_never_on_the_page_and_stays_unless_another_is_entered() -> None:
    class Login(BaseModel):
        user: str
        password: SecretStr
        code: SecretStr | None = None

    initial = Login(user="ada", password=SecretStr("hunter2"), code=SecretStr("42-secret"))

    assert "hunter2" not in render(form_for(initial))
    assert "42-secret" not in render(form_for(initial, editable=False))
    assert sent(initial, {"user": "bob"}).value.password.get_secret_value() == "hunter2"
    new = sent(initial, {"password": "correct horse", "code:none": True})
    assert new.value == Login(user="ada", password=SecretStr("correct horse"))
    assert [(change.old, change.new) for change in new.changes] == [("••••••••", "••••••••"), ("••••••••", "none")]
    assert "correct horse" not in render(sent(initial, {"password": "correct horse", "user": ""}))
    assert "enter it again" in render(sent(initial, {"password": "correct horse"}))
