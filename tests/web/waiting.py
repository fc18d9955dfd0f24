"""Requests as the engine would write them down, without running anything: for lists of them."""

from datetime import timedelta

from django.utils import timezone

from recovery.models import ApprovalRequest, Decision, ProposalVersion, Resolution, Risk, State, Tag
from rh_agents.core.approvals import Answer, Question
from rh_agents.core.serialization import encode


def ask(title="Go on?", *, risk=Risk.MEDIUM, due=None, age=timedelta(minutes=5), tags=(), started_by=None, **more):
    """An open request, written down as the engine would, without running anything."""
    opened = timezone.now() - age
    state = State.objects.create(created_at=opened, updated_at=opened, pipeline=more.get("pipeline", "refunds"))
    Tag.objects.bulk_create([Tag(state=state, tag=tag, awaiting_at=opened) for tag in tags])
    request = ApprovalRequest.objects.create(
        state=state,
        checkpoint=1,
        address="q::decision",
        question=encode(Question(key="q", title=title)),
        title=title,
        risk=risk,
        due_at=due,
        opened_at=opened,
        requested_by=started_by,
        **{"pipeline": "refunds"} | more,
    )
    ProposalVersion.objects.create(request=request, number=1, args="null", digest="d", created_at=opened)
    return request


def settle(request, by, outcome="approve", at=None):
    at = at or timezone.now()
    decision = Decision.objects.create(request=request, kind=outcome, actor=by, actor_name=by.username, created_at=at)
    answer = encode(Answer(kind=outcome))
    Resolution.objects.create(request=request, decision=decision, outcome=outcome, answer=answer, created_at=at)
    request.outcome, request.resolved_at = outcome, at
    request.save()
    Tag.objects.filter(state=request.state_id).update(awaiting_at=None)
    return request
