"""Typed forms: the page they make, and models in all their ways."""

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    create_model,
)

from recovery.forms import ModelForm, form_for
from tests.recovery.browser_forms import controls, render, submitted
from tests.recovery.refund_forms import Address, Method, refund, sent


def test_every_control_has_a_label_and_every_reference_leads_somewhere() -> None:
    initial = refund(home={"city": "Lund"}, shape={"kind": "circle", "radius": 2}, tags=["a"], prices={"a": "1.0"})
    html = render(sent(initial, {"amount": "abc", "note": "new", "method": "store_credit"}))

    ids = controls(html).ids
    assert len(ids) == len(set(ids))
    for attribute in ("for", "aria-describedby", "aria-labelledby"):
        for value in re.findall(rf'{attribute}="([^"]*)"', html):
            assert set(value.split()) <= set(ids), f"{attribute}={value}"
    for control in re.findall(r"<(?:input|select|textarea) [^>]*>", html):
        control_id = re.search(r' id="([^"]+)"', control)
        is_wrapped = 'type="checkbox"' in control
        is_labelled = control_id and (f'for="{control_id[1]}"' in html or "aria-label" in control)
        assert is_wrapped or 'type="hidden"' in control or is_labelled, control
    assert html.count('aria-invalid="true"') == 1
    assert " style=" not in html
    assert "<script" not in html
    assert " on" not in "".join(re.findall(r"<[^>]* (on\w+)=", html))


def test_limits_become_attributes_that_never_refuse_more_than_the_model() -> None:
    class Limits(BaseModel):
        count: int = Field(1, gt=0, le=10)
        fives: int = Field(5, ge=1, multiple_of=5)
        debt: Decimal = Decimal(0)
        price: Decimal = Field(Decimal(1), ge=0)
        code: str = Field("CC-0001", pattern="^CC-[0-9]{4}$", max_length=7)
        part: str = Field("abc", pattern="b")
        either: str = Field("a", pattern="^a|b$")
        big: int = 2**60
        day: date = Field(date(2026, 1, 2), ge=date(2026, 1, 1))

    form = ModelForm(Limits, Limits())

    assert form["count"].attrs == {"step": "1", "min": "1", "max": "10"}
    assert form["fives"].attrs == {"step": "5", "min": "5"}
    assert form["debt"].attrs == {}
    assert form["price"].attrs == {"inputmode": "decimal"}
    assert form["code"].help.endswith("Pattern: `^CC-[0-9]{4}$`")
    assert form["code"].attrs == {"maxlength": "7", "pattern": "CC-[0-9]{4}"}
    assert form["part"].attrs == {}
    assert form["either"].attrs == {}
    assert form["big"].input_type == "text"
    assert (form["day"].input_type, form["day"].attrs) == ("date", {"min": "2026-01-01"})
    assert form["count"].help == "More than 0. At most 10."


def test_aliases_are_neither_shown_nor_needed() -> None:
    class Aliased(BaseModel):
        amount: int = Field(alias="Amount-In-Cents")
        name: str = Field(validation_alias=AliasChoices("n", "N"))
        other: int = 0

    initial = Aliased.model_validate({"Amount-In-Cents": 5, "n": "a"})

    assert sent(initial).value == initial
    form = sent(initial, {"amount": "7", "name": "b"})
    assert (form.value.amount, form.value.name) == (7, "b")
    assert list(sent(initial, {"amount": "x"}).errors) == ["amount"]


def test_strict_and_frozen_models_can_be_edited() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(strict=True, frozen=True, extra="forbid", revalidate_instances="always")
        amount: Decimal
        day: date
        tags: frozenset[int]
        home: Address
        method: Method

    initial = Strict(
        amount=Decimal(1), day=date(2026, 1, 1), tags=frozenset({1}), home=Address(city="a"), method=Method.CARD
    )
    form = sent(
        initial, {"amount": "2", "day": "2026-01-02", "tags.0": "3", "home.city": "b", "method": "store_credit"}
    )

    assert form.value == Strict(
        amount=Decimal(2), day=date(2026, 1, 2), tags=frozenset({3}), home=Address(city="b"), method=Method.CREDIT
    )


def test_extra_fields_stay_and_private_ones_are_the_models_own_affair() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")
        x: int
        _cache: dict[str, int] = PrivateAttr(default_factory=dict)

    initial = Open.model_validate({"x": 1, "more": [1]})

    assert sent(initial, {"x": "2"}).value == Open.model_validate({"x": 2, "more": [1]})
    assert "more" not in form_for(initial)._root.fields


def test_a_nested_instance_of_a_subclass_keeps_its_class_and_its_fields() -> None:
    class Home(Address):
        floor: int = 0

    class Person(BaseModel):
        address: Address

    initial = Person(address=Home(city="Lund", floor=3))
    form = sent(initial, {"address.floor": "4"})

    assert type(form.value.address) is Home
    assert form.value.address == Home(city="Lund", floor=4)


def test_a_default_that_its_own_field_would_refuse_is_left_alone() -> None:
    class Sloppy(BaseModel):
        name: str = None  # type: ignore[assignment]
        other: int = 0

    assert sent(Sloppy(), {"other": "1"}).value == Sloppy(other=1)


def test_an_empty_model_has_an_empty_form() -> None:
    class Nothing(BaseModel):
        pass

    assert sent(Nothing()).value == Nothing()


@pytest.mark.parametrize(
    "value",
    [
        {"order_id": "A", "amount": Decimal("1.0"), "tags": ["a"], "deep": {"a": [None]}, "none": None},
        {"json": 1, "copy": "x", "with space": 2, "model_x": True, "_private": "a", "key_0": "b"},
        {}, [], [1, 2], "text", 5, Decimal("1.00"), {1: "a"}, {"a": {"b": "c"}}, [{"a": 1}, {"b": None}],
    ],
)  # fmt: skip
def test_a_proposal_without_a_model_has_a_form_too(value: Any) -> None:
    form = sent(value)

    assert form.is_valid(), form.errors
    assert form.value == value
    assert type(form.value) is type(value)
    assert not form.is_edited
    assert sent(value, editable=False).value == value


def test_the_keys_of_a_plain_dict_are_edited_like_fields() -> None:
    value = {"order_id": "A", "amount": Decimal("1.0"), "with space": 2}

    form = sent(value, {"amount": "2.50", "key_2": "3"}, editable=frozenset({"amount", "with space"}))

    assert form.value == {"order_id": "A", "amount": Decimal("2.50"), "with space": 3}
    assert list(form.value) == list(value)
    assert [change.label for change in form.changes] == ["amount", "with space"]


_TEXTS = st.text(max_size=30)
_LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, _TEXTS),
    (int, st.integers()),
    (float, st.floats(allow_nan=False)),
    (bool, st.booleans()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (date, st.dates()),
    (datetime, st.datetimes(timezones=st.none() | st.just(UTC) | st.just(ZoneInfo("America/St_Johns")))),
    (timedelta, st.timedeltas()),
    (Method, st.sampled_from(Method)),
    (time, st.times(timezones=st.none() | st.just(UTC))),
    (UUID, st.uuids()),
    (bytes, st.binary(max_size=20)),
    (Literal["a", "b", 3], st.sampled_from(["a", "b", 3])),
    (Annotated[int, Field(ge=-5, le=10)], st.integers(-5, 10)),
    (Annotated[str, Field(max_length=5)], st.text(max_size=5)),
    (tuple[int, str], st.tuples(st.integers(), _TEXTS)),
    (str | None, st.none() | _TEXTS),
    (int | str, st.integers() | _TEXTS),
    (int | date | None, st.none() | st.integers() | st.dates()),
]


class Leaf(BaseModel):
    kind: Literal["leaf"] = "leaf"
    weight: Decimal


class Branch(BaseModel):
    kind: Literal["branch"] = "branch"
    name: str
    twigs: list["Annotated[Leaf | Branch, Field(discriminator='kind')]"] = []
    parent: "Branch | None" = None


_TREES: st.SearchStrategy[Any] = st.recursive(
    st.builds(Leaf, weight=st.decimals(allow_nan=False, allow_infinity=False)),
    lambda inner: st.builds(Branch, name=_TEXTS, twigs=st.lists(inner, max_size=3)),
    max_leaves=5,
)


@st.composite
def models(draw: st.DrawFn, depth: int = 2) -> BaseModel:
    fields: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for place in range(draw(st.integers(1, 4))):
        annotation, value = _drawn(draw, depth)
        fields[f"f{place}"], values[f"f{place}"] = (annotation, ...), value
    return create_model("Made", **fields).model_validate(values)


def _drawn(draw: st.DrawFn, depth: int) -> tuple[Any, Any]:
    if depth and draw(st.integers(0, 5)) == 0:
        return Annotated[Leaf | Branch, Field(discriminator="kind")], draw(_TREES)
    if depth and draw(st.booleans()):
        nested = draw(models(depth=depth - 1))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            return type(nested), nested
        if kind == 1:
            return list[type(nested)], [nested] * draw(st.integers(0, 2))  # type: ignore[misc]
        if kind == 2:
            return type(nested) | None, draw(st.sampled_from([None, nested]))
        return dict[str, type(nested)], {key: nested for key in draw(st.lists(_TEXTS, max_size=2))}  # type: ignore[misc]
    annotation, values = draw(st.sampled_from(_LEAVES))
    shape = draw(st.integers(0, 3))
    if shape == 1:
        return list[annotation], draw(st.lists(values, max_size=3))
    if shape == 2:
        return dict[str, annotation], draw(st.dictionaries(_TEXTS, values, max_size=3))
    if shape == 3:
        kind = draw(st.sampled_from([set, frozenset]))
        return kind[annotation], kind(draw(st.sets(values, max_size=3)))
    return annotation, draw(values)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(models())
def test_any_model_comes_back_equal_from_a_form_that_nobody_edited(initial: BaseModel) -> None:
    form = sent(initial)

    assert form.is_valid(), form.errors
    assert form.value == initial
    assert form.changes == []
    assert repr(form.value) == repr(initial)
    # As JSON it comes back too.
    as_json = form_for(initial, prefix="p", data=submitted(form_for(initial, prefix="p", as_json=True)))
    assert as_json.is_as_json
    assert as_json.value == initial
    assert as_json.changes == []
    # A second page, made from what was entered, sends the same again.
    again = form_for(initial, prefix="p", data=submitted(form))
    assert again.value == initial
    assert again.changes == []
