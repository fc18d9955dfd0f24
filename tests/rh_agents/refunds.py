"""A question about a refund, and a pipeline that asks it."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from rh_agents import (
    ExecutionState,
    Question,
)


class Currency(StrEnum):
    EUR = "eur"
    USD = "usd"


class Refund(BaseModel):
    order: str
    amount: int
    currency: Currency = Currency.EUR


def refund_question(**fields: Any) -> Question:
    defaults: dict[str, Any] = {
        "key": "refund",
        "title": "Refund 420 EUR to Ada?",
        "proposal": Refund(order="A-17", amount=420),
        "editable": frozenset({"amount"}),
    }
    return Question(**{**defaults, **fields})


async def asks(input_data: Any, state: ExecutionState) -> Any:
    answer = await state.ask(refund_question())
    return answer.kind, answer.approved, answer.proposal
