"""Typed forms: rows that come and go, groups that may be absent, and one of several kinds, all without a script."""

from decimal import Decimal

from pydantic import BaseModel

from recovery.forms import form_for
from tests.recovery.browser_forms import controls, render, submitted
from tests.recovery.refund_forms import Address, Item, Square, refund, sent


def test_a_row_is_added_by_a_button_and_what_was_typed_so_far_stays() -> None:
    form = sent(refund(), {"amount": "abc", "items.0.amount": "5"}, press=("p:add", "items"))

    assert form.action == "add items"
    assert not form.is_valid()
    assert form.errors == {}
    page = dict(controls(render(form)).sent)
    assert page["p.items:rows"] == "0,1,+"
    assert page["p.amount"] == "abc"
    assert page["p.items.0.amount"] == "5"
    assert page["p.items.2.sku"] == ""


def test_an_added_row_becomes_part_of_the_value() -> None:
    initial = refund()
    added = sent(initial, press=("p:add", "items"))
    form = form_for(initial, prefix="p", data=submitted(added, {"p.items.2.sku": "C", "p.items.2.amount": "3"}))

    assert form.value.items == [*initial.items, Item(sku="C", amount=Decimal(3))]
    assert [(c.path, c.label, c.old) for c in form.changes] == [("items.2", "items 3", "")]


def test_a_row_is_removed_by_its_button_and_the_others_move_up() -> None:
    initial = refund()
    removed = sent(initial, {"items.1.amount": "7"}, press=("p:remove", "items.0"))

    assert removed.action == "remove items.0"
    assert [item.sku for item in removed.draft.items] == ["B"]
    form = form_for(initial, prefix="p", data=submitted(removed))
    assert form.value.items == [Item(sku="B", amount=Decimal(7))]
    assert form.changes[0] == ("items.0", "items 1", 'Item(sku = "A", amount = Decimal("1.00"))', "")
    assert form.changes[1] == ("items.0.amount", "items 1, amount", "2.00", "7")


def test_a_row_changes_places_with_its_neighbour_and_takes_along_what_was_typed() -> None:
    initial = refund()
    moved = sent(initial, {"items.1.amount": "7"}, press=("p:up", "items.1"))

    assert moved.action == "up items.1"
    assert dict(controls(render(moved)).sent)["p.items:rows"] == "1,0"
    form = form_for(initial, prefix="p", data=submitted(moved))
    assert form.is_edited
    assert [(item.sku, item.amount) for item in form.value.items] == [("B", Decimal(7)), ("A", Decimal("1.00"))]
    assert form.changes == [
        ("items", "items, order of rows", "1, 2", "2, 1"),
        ("items.0.amount", "items 1, amount", "2.00", "7"),
    ]
    back = form_for(initial, prefix="p", data=submitted(moved, press=("p:down", "items.0")))
    assert [change.path for change in back.changes] == ["items.1.amount"]


def test_a_row_at_an_end_stays_there() -> None:
    for press in (("p:up", "items.0"), ("p:down", "items.1")):
        assert sent(refund(), press=press).draft == refund()


def test_what_has_no_order_has_no_buttons_for_it() -> None:
    buttons = controls(render(sent(refund(tags={"a", "b"}, prices={"a": "1", "b": "2"})))).buttons
    assert {value for name, value in buttons if name in ("p:up", "p:down")} == {"items.0", "items.1"}
    form = sent(refund(tags={"a", "b"}))
    data = submitted(form).copy()
    data["p:up"] = "tags.1"
    refused = form_for(refund(tags={"a", "b"}), prefix="p", data=data)
    assert refused.non_field_errors == ["tags cannot do this: up."]


def test_removed_rows_can_be_put_back() -> None:
    initial = refund()
    removed = sent(initial, press=("p:remove", "items.0"))
    back = form_for(initial, prefix="p", data=submitted(removed, press=("p:reset", "items")))

    assert back.action == "reset items"
    assert back.draft == initial


def test_one_field_is_put_back_by_its_button() -> None:
    initial = refund()
    edited = sent(initial, {"amount": "abc", "note": "new"})
    back = form_for(initial, prefix="p", data=submitted(edited, press=("p:reset", "amount")))

    assert back.action == "reset amount"
    assert [change.path for change in back.changes] == ["note"]


def test_entries_of_a_dict_are_added_and_two_of_one_key_are_refused() -> None:
    initial = refund(prices={"a": "1.0"})
    added = sent(initial, press=("p:add", "prices"))
    form = form_for(initial, prefix="p", data=submitted(added, {"p.prices.1.key": "a", "p.prices.1.value": "2"}))

    assert form.errors == {"prices.1": ["Another row has this key already."]}
    form = form_for(initial, prefix="p", data=submitted(added, {"p.prices.1.key": "b", "p.prices.1.value": "2"}))
    assert form.value.prices == {"a": Decimal("1.0"), "b": Decimal(2)}


def test_an_absent_group_is_opened_first_and_filled_in_then() -> None:
    initial = refund()
    for press, changes in ((("p:set", "home"), {}), (None, {"home:set": True})):
        opened = sent(initial, changes, press=press)
        assert opened.action in ("set home", "show home")
        form = form_for(initial, prefix="p", data=submitted(opened, {"p.home.city": "Lund"}))
        assert form.value.home == Address(city="Lund")
        assert form.changes == [("home", "home", "none", 'Address(city = "Lund", postcode = None)')]


def test_a_group_whose_box_is_not_ticked_any_more_is_none() -> None:
    form = sent(refund(home={"city": "Lund"}), {"home:set": False, "home.city": ""})

    assert form.value.home is None


def test_no_value_and_the_empty_text_are_different_things() -> None:
    initial = refund(home={"city": "Lund", "postcode": "222"})

    assert sent(initial, {"home.postcode": ""}).value.home.postcode == ""
    assert sent(initial, {"home.postcode:none": True}).value.home.postcode is None
    both = sent(initial, {"home.postcode:none": True, "home.postcode": "333"})
    assert both.errors == {
        "home.postcode": ["“No value” is ticked, and a text is entered: untick it, or clear the text."]
    }


def test_another_variant_shows_its_fields_before_anything_is_decided() -> None:
    initial = refund(shape={"kind": "circle", "radius": 2})
    chosen = sent(initial, {"shape:variant": "1"})

    assert chosen.action == "show shape"
    assert not chosen.is_valid()
    assert chosen["shape.side"].text == "1"
    form = form_for(initial, prefix="p", data=submitted(chosen, {"p.shape.side": "4"}))
    assert form.value.shape == Square(side=4)


def test_a_variant_without_fields_is_decided_at_once() -> None:
    assert sent(refund(shape={"kind": "circle", "radius": 2}), {"shape:variant": "none"}).value.shape is None


def test_one_text_can_become_another_kind_of_text_at_once() -> None:
    class Either(BaseModel):
        x: int | str

    assert sent(Either(x="5"), {"x:variant": "0"}).value.x == 5
    assert sent(Either(x=5), {"x:variant": "1"}).value.x == "5"
    assert sent(Either(x="a"), {"x:variant": "0"}).errors == {"x": ["Enter a whole number, such as 42."]}


def test_enter_in_a_text_field_checks_the_form_and_decides_nothing() -> None:
    page = controls(render(form_for(refund(), prefix="p")))
    assert page.buttons[0] == ("p:check", "")

    form = sent(refund(), {"amount": "abc"}, press=("p:check", ""))

    assert form.action == "check"
    assert not form.is_valid()
    assert list(form.errors) == ["amount"]
