"""A pipeline whose proposal has rows, canned reasons and evidence that is not there."""

from decimal import Decimal

from pydantic import BaseModel, Field

from recovery.pipelines import pipeline
from rh_agents import ExecutionState, Question
from rh_agents.core.approvals import Choice
from tests.recovery.sample_pipelines import RefundInput, look_up


class Line(BaseModel):
    sku: str
    quantity: int = Field(ge=1)
    price: Decimal


class Order(BaseModel):
    number: str
    lines: list[Line]


CHOICES = [
    Choice(kind="approve", label="Place the order"),
    Choice(kind="edit"),
    Choice(kind="reject", label="Turn down", reasons=["Too expensive", "Not needed"], comment_required=True),
]


class Reply(BaseModel):
    street: str
    floor: int = 0


@pipeline("test-either", input_model=RefundInput, version="1")
async def either(data: RefundInput, state: ExecutionState) -> str:
    """To be approved as it is or answered with something else; an answer needs a reason, approving needs none."""
    answer = await state.ask(
        Question(
            key="either",
            title="Send it there?",
            proposal={"street": "Elm"},
            response_model=Reply,
            choices=[
                Choice(kind="reject", comment_required=True),
                Choice(kind="approve"),
                Choice(kind="respond", comment_required=True, reasons=["It moved"]),
            ],
        )
    )
    return f"{answer.kind}: {answer.comment}"


@pipeline("test-order", input_model=RefundInput, version="1")
async def order(data: RefundInput, state: ExecutionState) -> str:
    found = await look_up(data, None, state)
    answer = await state.ask(
        Question(
            key="order",
            title="Order these?",
            proposal=Order(
                number=found.result["order"],
                lines=[
                    Line(sku="A-1", quantity=2, price=Decimal("5.00")),
                    Line(sku="B-2", quantity=1, price=Decimal("7.50")),
                ],
            ),
            choices=CHOICES,
            evidence=["look_up::tool_call", "photo.jpg"],
            compare_to="11111111-1111-4111-8111-111111111111@3",
            effect="write",
        )
    )
    if not answer.approved:
        return f"turned down: {answer.comment}"
    return ", ".join(f"{line.quantity} {line.sku}" for line in answer.proposal.lines)
