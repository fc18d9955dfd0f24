"""Settling a request: its resolution, the job that carries it to the run, and what goes with it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from recovery import dispatch
from recovery.models import ApprovalRequest, Decision, Resolution, Resumption
from recovery.models.prepared import PreparedUpdate, insert
from recovery.permissions import policy_of
from recovery.services import audit
from recovery.services.actors import RUN, Actor
from recovery.services.questions import is_ours
from rh_agents.core.approvals import Answer
from rh_agents.core.serialization import encode


def settle(
    request: ApprovalRequest,
    decision: Decision,
    answer: Answer,
    *,
    job: Resumption.Kind | None = Resumption.Kind.RESUME,
    wait_s: float = 0,
    caused_by: Decision | None = None,
) -> tuple[Resolution, Resumption | None]:
    """Write what a request, which is locked, came to. `wait_s`: how long the job waits, so that it can be undone."""
    now = decision.created_at
    resolution = Resolution(
        request=request,
        decision=decision,
        outcome=decision.kind,
        version=request.version,
        digest=request.digest,
        answer=encode(answer, where="the answer"),
        created_at=now,
        caused_by=caused_by,
    )
    insert(resolution)
    request.outcome, request.resolved_at = decision.kind, now
    _RESOLVE.run(pk=request.pk, outcome=request.outcome, now=now, version=request.version, digest=request.digest)
    if job is None or not is_ours(request.state):
        return resolution, None
    resumption = Resumption(
        state_id=request.state_id,
        resolution=resolution,
        kind=job,
        not_before=now + timedelta(seconds=wait_s),
        created_at=now,
    )
    insert(resumption)
    dispatch.hand_over(request.state_id, in_s=wait_s)
    return resolution, resumption


_RESOLVE = PreparedUpdate(
    lambda given: ApprovalRequest.objects.filter(pk=given.pk),
    lambda given: {
        "outcome": given.outcome,
        "resolved_at": given.now,
        "version": given.version,
        "digest": given.digest,
    },
    pk=UUID,
    outcome=str,
    now=datetime,
    version=int,
    digest=str,
)


def undo_window_s(request: ApprovalRequest) -> float:
    own = policy_of(request).undo_window_s
    return float(settings.RECOVERY["UNDO_WINDOW_S"] if own is None else own)


def close(
    requests: Sequence[ApprovalRequest],
    kind: str,
    *,
    by: Actor = RUN,
    comment: str = "",
    carry: Callable[[ApprovalRequest, Answer], None] | None = None,
    channel: str = "run",
    wait_s: float = 0,
    caused_by: Decision | None = None,
) -> int:
    """Settle `requests`, which are locked, without anybody having decided them, as `supersede` or `cancel`; how many
    there were. `carry`: the run gets it as an answer, of a job where a worker runs it, else by this."""
    now = timezone.now()
    for request in requests:
        decision = Decision.objects.create(
            request=request,
            kind=kind,
            actor=by.user,
            actor_kind=by.kind,
            actor_name=by.name,
            channel=channel,
            version=request.version,
            digest=request.digest,
            comment=comment,
            created_at=now,
        )
        answer = Answer(kind=kind, decided_at=now, comment=comment, by=[by.get_username()] if by.is_person else [])
        job = Resumption.Kind.RESUME if carry is not None else None
        _, resumption = settle(request, decision, answer, job=job, wait_s=wait_s, caused_by=caused_by)
        if carry is not None and resumption is None:
            carry(request, answer)
    for request in requests:
        audit.record(
            _PAST[kind],
            by=by if by.is_person else None,
            channel=channel,
            state_id=request.state_id,
            request_id=request.pk,
            **({"comment": comment} if comment else {}),
        )
    return len(requests)


_PAST = {"supersede": "superseded", "cancel": "cancelled"}


def rest_of_group(request: ApprovalRequest) -> list[ApprovalRequest]:
    """The open requests that go with this one when it is rejected; locked."""
    if not request.group or request.group_policy != "first_reject_cancels":
        return []
    others = ApprovalRequest.objects.select_for_update().open().filter(state_id=request.state_id, group=request.group)
    found = list(others.exclude(pk=request.pk).order_by("pk"))
    for other in found:
        other.state = request.state
    return found
