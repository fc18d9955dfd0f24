"""Pipelines that are decided under the policy that a test put up, in a group, and with a step to be sent back to."""

from typing import Any

from recovery.pipelines import pipeline
from rh_agents import ChangeTarget, ExecutionState, Policy, Question, tool
from tests.recovery.sample_pipelines import Refund, RefundInput, book_trip, look_up

POLICIES: dict[str, Policy] = {}


@tool
async def draft(order: RefundInput, context: Any, state: ExecutionState) -> Refund:
    """Half of it, once somebody has sent the run back."""
    return Refund(order=order.order, amount=order.amount / 2 if state.instructions else order.amount)


@pipeline("test-decided", input_model=RefundInput, title="Decided", version="1")
async def decided(order: RefundInput, state: ExecutionState) -> Any:
    await look_up(order, None, state)
    proposal = (await draft(order, None, state)).result
    answer = await state.ask(
        Question(
            key="pay",
            title=f"Pay {proposal.amount} for {order.order}?",
            proposal=proposal,
            change_targets=[ChangeTarget(address="draft::tool_call", label="Write the proposal")],
            policy=POLICIES.get("now"),
        )
    )
    return [answer.kind, str(answer.proposal.amount), answer.comment]


@pipeline("test-trip", input_model=RefundInput, title="Trip", version="1")
async def trip(order: RefundInput, state: ExecutionState) -> Any:
    return await book_trip(state, POLICIES.get("now"))
