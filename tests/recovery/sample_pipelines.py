"""Pipelines for the tests: a refund that asks before it pays, one that asks for a value, one that pauses by hand."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from recovery.pipelines import pipeline
from rh_agents import ExecutionState, Policy, Question, StateMetadata, StateStatus, Tool, agent, tool

calls: list[str] = []


class Method(StrEnum):
    CARD = "card"
    CREDIT = "credit"


class RefundInput(BaseModel):
    order: str = Field(min_length=1)
    amount: Decimal = Field(gt=0)


class Refund(BaseModel):
    order: str
    amount: Decimal = Field(gt=0, le=Decimal("1000"))
    method: Method = Method.CARD
    on: date = date(2026, 11, 23)


class Address(BaseModel):
    street: str
    zip: str = Field(pattern=r"^\d{5}$")


@tool
async def look_up(order: RefundInput, context: Any, state: ExecutionState) -> dict[str, Any]:
    calls.append("look_up")
    state.storage.set("looked_up", order.order)
    state.storage.set_artifact("events.csv", "time,event\n09:00,sorted\n")
    return {"order": order.order, "paid": order.amount}


@tool
async def pay(refund: Refund, context: Any, state: ExecutionState) -> str:
    calls.append("pay")
    state.storage.set("paid", refund)
    return f"paid {refund.amount} by {refund.method}"


@pipeline("test-refund", input_model=RefundInput, title="Refund", version="1")
async def refund(order: RefundInput, state: ExecutionState) -> str:
    found = await look_up(order, None, state)
    answer = await state.ask(
        Question(
            key="refund",
            title=f"Refund {order.amount} for {order.order}?",
            message="**Please** look.",
            proposal=Refund(order=order.order, amount=found.result["paid"]),
            action="payments.refund",
            editable=frozenset({"amount", "method"}),
            effect="irreversible",
            risk="high",
            evidence=["events.csv"],
        )
    )
    if not answer.approved:
        return f"refused: {answer.comment}"
    paid = await pay(answer.proposal, None, state)
    return str(paid.result)


@pipeline("test-question", input_model=RefundInput, title="Question", version="1")
async def question(order: RefundInput, state: ExecutionState) -> Any:
    answer = await state.ask(Question(key="where", title="Where to?", response_model=Address))
    return answer.response if answer.approved else None


@pipeline("test-manual", input_model=RefundInput, title="By hand", version="1")
async def manual(order: RefundInput, state: ExecutionState) -> str | None:
    await look_up(order, None, state)
    if state.resolution is None:
        state.save_checkpoint(
            status=StateStatus.AWAITING,
            metadata=StateMetadata(
                tags=["awaiting-user-approval"],
                description=f"Approve the order {order.order}",
                pipeline_name="test-manual",
                custom_data={"user_id": "123"},
            ),
        )
        return None
    return f"{state.resolution.kind}: {state.resolution.comment}"


@agent
async def three_gates(order: RefundInput, context: Any, state: ExecutionState) -> list[str]:
    kinds = []
    for _ in range(3):
        await look_up(order, None, state)
        kinds.append((await state.ask(Question(key="gate", title="Go on?"))).kind)
    return kinds


@pipeline("test-gates", input_model=RefundInput, title="Three gates", version="1")
async def gates(order: RefundInput, state: ExecutionState) -> Any:
    return (await three_gates(order, None, state)).result


@pipeline("test-failing", input_model=RefundInput, title="Failing", version="1")
async def failing(order: RefundInput, state: ExecutionState) -> str:
    await look_up(order, None, state)

    async def break_once(value: Any, context: Any, run: ExecutionState) -> str:
        calls.append("break_once")
        if calls.count("break_once") == 1:
            raise ConnectionError("the gateway is away")
        return "mended"

    return str((await Tool(name="break_once", handler=break_once)(order, None, state)).result)


async def book_trip(state: ExecutionState, policy: Policy | None) -> list[str]:
    """Three questions of one group; one rejection cancels the others. What each came to."""

    async def one(name: str) -> str:
        asked = Question(
            key=name, title=f"Book {name}?", group="trip", group_policy="first_reject_cancels", policy=policy
        )
        return (await state.ask(asked)).kind

    kinds: list[str] = await state.parallel(*(one(name) for name in ("flight", "hotel", "dinner")))
    return kinds
