"""Typed forms: keys that are missing, doubled, forged or far too many, and values that have no end."""

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from pydantic import BaseModel, create_model

from recovery.forms import form_for
from tests.recovery.browser_forms import controls, render, submitted
from tests.recovery.refund_forms import Item, refund, sent


@pytest.mark.parametrize(
    "drop",
    [
        "amount",
        "method",
        "note",
        "notify:shown",
        "items:rows",
        "items.0.amount",
        "home:shown",
        "shape:variant",
        "shape:was",
    ],
)
def test_a_field_that_did_not_arrive_is_an_error_and_never_a_default(drop: str) -> None:
    form = sent(refund(shape={"kind": "square"}), {"notify": False}, drop=drop)

    path = drop.partition(":")[0]
    assert form.errors == {path: ["This field did not arrive with the form. Load the page again and repeat the edit."]}


@pytest.mark.parametrize(
    "rows",
    [
        "2",
        "0,0",
        "-1",
        "999999999",
        "0,1,x",
        "0,1,",
        ",",
        "+" * 10,
        "0;1",
        "1e3",
        "²",
        "+," * 1000 + "+",
        "0," * 100_000,
    ],
)
def test_rows_that_the_list_cannot_have_are_refused(rows: str) -> None:
    form = sent(refund(), extra={"p.items:rows": rows})

    assert list(form.errors) == ["items"]
    assert form.draft.items == refund().items


@pytest.mark.parametrize(
    "act",
    [
        "items.999999999", "items.-1", "items.0.amount", "items", "", "amount", "nowhere", "..",
        "items." * 300, "__class__",
        "items.__class__", "tree.prefix", "0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["add", "remove", "set"])
def test_an_act_on_something_that_is_not_there_changes_nothing(verb: str, act: str) -> None:
    if (verb, act) == ("add", "items"):
        return
    form = sent(refund(), extra={f"p:{verb}": act})

    assert not form.is_valid()
    assert len(form.non_field_errors) == 1
    assert form.draft == refund()


def test_a_list_does_not_grow_beyond_a_thousand_rows(settings: Any) -> None:
    class Names(BaseModel):
        names: list[str]

    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000
    initial = Names(names=["a"] * 1000)
    blank = form_for(initial, prefix="p")

    assert ("p:add", "names") not in controls(render(blank)).buttons
    forged = form_for(initial, prefix="p", data=QueryDict("p:add=names&p.names:rows=" + "+%2C" * 1000 + "%2B"))
    assert not forged.is_valid()


class Numbers(BaseModel):
    numbers: list[int]
    more: list[int] | None = None


@pytest.mark.parametrize("rows", [901, 1001])
def test_a_list_that_is_too_long_for_rows_is_one_json_text(rows: int) -> None:
    initial = Numbers(numbers=list(range(rows)), more=list(range(rows)))
    form = sent(initial)

    assert form["numbers"].kind == "raw"
    assert form.value == initial
    form = sent(initial, {"numbers": "[1, 2]", "more": "[3]"})
    assert form.value == Numbers(numbers=[1, 2], more=[3])


def test_rows_of_rows_cannot_make_more_fields_than_the_form_may_have() -> None:
    class Wide(BaseModel):
        cells: list[int] = [0] * 50

    class Table(BaseModel):
        rows: list[Wide]

    form = form_for(Table(rows=[]), prefix="p", data=QueryDict("p.rows:rows=" + "%2B%2C" * 999 + "%2B"))

    assert form.errors == {"rows": ["The form has too many fields for more rows."]}


def test_many_rows_of_models_are_shown_fixed_so_that_nothing_in_them_escapes_validation() -> None:
    initial = refund(items=[{"sku": "A", "amount": "1"}] * 1001)
    form = sent(initial, {"note": "edited"}, extra={"p.items": "[]", "p.items:rows": ""})

    assert not form["items"].is_editable
    assert form.value == initial.model_copy(update={"note": "edited"})


def test_no_form_needs_more_keys_than_a_request_may_have() -> None:
    class Wide(BaseModel):
        first: list[Item]
        second: list[int]
        third: dict[str, int]

    initial = Wide(
        first=[Item(sku=str(n), amount=Decimal(1)) for n in range(300)],
        second=list(range(600)),
        third={str(n): n for n in range(200)},
    )

    assert len(submitted(form_for(initial))) <= 1000
    assert sent(initial).value == initial
    assert sent(initial, {"first.299.amount": "7"}).value.first[299].amount == 7


def test_a_model_with_more_fields_than_a_request_may_have_can_still_be_approved_as_it_is() -> None:
    huge = create_model("Huge", **{f"f{n}": (int, n) for n in range(1200)})()  # type: ignore[call-overload]
    form = sent(huge)

    assert form.is_valid()
    assert form.value == huge
    assert not any(field.is_editable for field in form.fields)


@pytest.mark.parametrize(
    "text",
    [
        '{"$t":"model","c":"tests.recovery.refund_forms:Item","v":{"sku":"x","amount":{"$t":"decimal","v":"-1"}}}',
        '[{"$t":"dataclass","c":"tests.recovery.refund_forms:Item","v":{}}]',
        '{"$t":"dict","$t":"enum","c":"tests.recovery.refund_forms:Method","n":"CARD"}',
        '{"$t":"class","v":"builtins:int"}',
        '{"$t":"artifact","v":"a"}',
        '{"$t":"ndarray","dtype":"f8","shape":[100000000000],"v":[]}',
        '{"$t":["x"]}',
    ],
)
def test_json_cannot_bring_in_anything_but_plain_data(text: str) -> None:
    class Free(BaseModel):
        x: Any

    assert list(sent(Free(x={"a": 1}), {"x": text}).errors) == ["x"]
    assert list(form_for({"x": None}, prefix="p", data=QueryDict(urlencode({"p.x": text}))).errors) == ["x"]


def test_a_model_in_a_field_of_any_type_is_edited_as_the_model_it_is() -> None:
    class Free(BaseModel):
        x: Any
        many: Any

    initial = Free(x=Item(sku="A", amount=Decimal(1)), many=[Item(sku="A", amount=Decimal(1))])

    assert sent(initial, {"x.amount": "2"}).value.x == Item(sku="A", amount=Decimal(2))
    assert list(sent(initial, {"x.amount": "-2"}).errors) == ["x.amount"]
    assert not form_for(initial)["many"].is_editable


def test_keys_that_no_field_has_are_never_read() -> None:
    data = submitted(form_for(refund(), prefix="p")).copy()
    for number in range(100_000):
        data[f"p.items.{number}.amount"] = "1"
    for name in (
        "__proto__",
        "constructor",
        "__class__.__init__",
        "p.__class__",
        "p.items.__len__",
        "p.model_config",
        "p.",
    ):
        data[name] = "x"
    data["p.items.0.amount"] = "1.00"
    data["p.items.1.amount"] = "2.00"

    form = form_for(refund(), prefix="p", data=data)

    assert form.is_valid()
    assert not form.is_edited


def test_a_key_that_is_sent_twice_counts_as_missing() -> None:
    data = submitted(form_for(refund(), prefix="p")).copy()
    data.setlist("p.amount", ["5", "1240.00"])

    assert list(form_for(refund(), prefix="p", data=data).errors) == ["amount"]


class Nest(BaseModel):
    label: str
    inner: "Nest | None" = None
    more: list["Nest"] = []


def test_boxes_in_boxes_end_at_a_fixed_depth() -> None:
    initial = Nest(label="a")
    path, data = "p", {"p.label": "a", "p.more:rows": ""}
    for _ in range(5_000):
        path += ".inner"
        data |= {f"{path}:shown": "1", f"{path}:set": "on", f"{path}.label": "x", f"{path}.more:rows": ""}

    form = form_for(initial, prefix="p", data=data)

    assert not form.is_valid()
    assert max(node.depth for node in form._root.walk()) <= 14


def test_a_value_that_is_deeper_than_the_form_is_shown_and_kept() -> None:
    initial = Nest(label="0")
    for level in range(1, 60):
        initial = Nest(label=str(level), inner=initial, more=[Nest(label="side")])

    form = sent(initial)

    assert form.value == initial
    assert sent(initial, {"label": "new"}).value == initial.model_copy(update={"label": "new"})


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "", "[1,", '{"a":' * 5_000, "1" * 5_000, "nope"])
def test_json_that_cannot_be_read_is_an_error_at_its_field(text: str) -> None:
    class Free(BaseModel):
        x: Any

    form = sent(Free(x={"a": 1}), {"x": text})

    assert list(form.errors) == ["x"]


@pytest.mark.parametrize(("variant", "was"), [("7", "0"), ("0", "7"), ("__class__", "0"), ("", "0"), ("raw", "raw")])
def test_a_variant_that_is_not_offered_is_refused(variant: str, was: str) -> None:
    form = sent(refund(shape={"kind": "circle", "radius": 2}), extra={"p.shape:variant": variant, "p.shape:was": was})

    assert list(form.errors) == ["shape"]


def test_what_was_entered_cannot_leave_its_place_on_the_page() -> None:
    evil = '"><script>alert(1)</script>'
    form = sent(
        refund(prices={evil: "1.0"}, tags=[evil]),
        {"amount": evil, "note": evil + "\n</textarea>" + evil, "cost_centre": evil},
    )

    assert "<script" not in render(form)
    assert "</textarea></textarea>" not in render(form)
    assert "<script" not in render(form_for(refund(note=evil), editable=False))
