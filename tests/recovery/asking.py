"""A pipeline that asks whatever a test wants to be asked, and people in groups."""

from typing import Any

from django.contrib.auth.models import Group

from recovery.models import ApprovalRequest, State
from recovery.pipelines import pipeline
from recovery.services.start_run import start_run
from rh_agents import ExecutionState, Policy, Question
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import Refund, RefundInput, pay

_WANTED: dict[str, Any] = {}


@pipeline("test-asking", input_model=RefundInput, title="Asking", version="1")
async def asking(order: RefundInput, state: ExecutionState) -> str:
    answer = await state.ask(
        Question(
            **{
                "key": "q",
                "title": f"Pay {order.amount} for {order.order}?",
                "proposal": Refund(order=order.order, amount=order.amount),
                "action": "payments.refund",
                "risk": "low",
            }
            | _WANTED
        )
    )
    if not answer.approved:
        return f"{answer.kind}: {answer.comment}"
    return str((await pay(answer.proposal, None, state)).result)


def run(policy: Policy | None = None, *, by: Any = None, amount: str = "420.00", **question: Any) -> State:
    """A run that asks: the question of the pipeline, with `question` and `policy` instead of what it says itself."""
    _WANTED.clear()
    _WANTED.update(question, **({"policy": policy} if policy is not None else {}))
    return work(start_run("test-asking", {"order": "A-17", "amount": amount}, by=by).pk)


def ask(policy: Policy | None = None, **asked: Any) -> ApprovalRequest:
    """The open request of such a run."""
    return only_request(run(policy, **asked))


def member(user: Any, *groups: str) -> Any:
    user.groups.add(*(Group.objects.get_or_create(name=name)[0] for name in groups))
    return user


def at(address: str, user: Any) -> Any:
    user.email = address
    user.save()
    return user
