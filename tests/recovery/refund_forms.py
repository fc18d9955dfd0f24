"""A proposal with a field of every sort, and the way of its form to a reviewer and back."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

from pydantic import (
    BaseModel,
    Field,
    computed_field,
    model_validator,
)

from recovery.forms import ModelForm, form_for
from tests.recovery.browser_forms import submitted


class Method(Enum):
    CARD = "original_card"
    CREDIT = "store_credit"


class Item(BaseModel):
    sku: str = Field(frozen=True)
    amount: Decimal = Field(gt=0, decimal_places=2)


class Address(BaseModel):
    city: str = Field(min_length=1)
    postcode: str | None = None


class Circle(BaseModel):
    kind: Literal["circle"] = "circle"
    radius: int = Field(ge=1)


class Square(BaseModel):
    kind: Literal["square"] = "square"
    side: int = 1


class Refund(BaseModel):
    order_id: str
    amount: Decimal = Field(title="Amount", description="What the customer gets back", gt=0, le=Decimal("1240.00"))
    currency: str = "EUR"
    method: Method = Method.CARD
    cost_centre: str = Field("CC-0001", pattern=r"^CC-[0-9]{4}$", examples=["CC-0088"])
    note: str = Field("", max_length=2000)
    notify: bool = Field(True, description="Send the note to the customer")
    items: list[Item] = []
    home: Address | None = None
    shape: Circle | Square | None = None
    tags: set[str] = set()
    prices: dict[str, Decimal] = {}
    when: datetime | None = None

    @computed_field(title="Total")  # type: ignore[prop-decorator]
    @property
    def total(self) -> Decimal:
        return sum((item.amount for item in self.items), Decimal(0))

    @model_validator(mode="after")
    def _credit_is_small(self) -> "Refund":
        if self.method is Method.CREDIT and self.amount > 1000:
            raise ValueError("store credit is for up to 1000")
        return self


def refund(**fields: Any) -> Refund:
    lines = [Item(sku="A", amount=Decimal("1.00")), Item(sku="B", amount=Decimal("2.00"))]
    return Refund.model_validate({"order_id": "SE-204417", "amount": "1240.00", "items": lines, **fields})


def sent(
    initial: Any,
    changes: dict[str, str | bool] | None = None,
    *,
    editable: bool | frozenset[str] = True,
    press: tuple[str, str] | None = None,
    extra: dict[str, str] | None = None,
    drop: str = "",
) -> ModelForm[Any]:
    """The form after a reviewer saw `initial`, made `changes` and pressed a button; `extra` keys were forged."""
    blank = form_for(initial, prefix="p", editable=editable)
    data = submitted(blank, {f"p.{name}": value for name, value in (changes or {}).items()}, press).copy()
    for name, value in (extra or {}).items():
        data.setlist(name, [value])
    data.pop(f"p.{drop}", None)
    return form_for(initial, prefix="p", editable=editable, data=data)
