"""Closing requests that a run left behind: nobody can answer a question that is not asked any more."""

import uuid

from django.utils import timezone

from recovery.models import ApprovalRequest, Decision, Resolution
from recovery.services import audit
from rh_agents.core.approvals import Answer
from rh_agents.core.serialization import encode


def supersede_open_requests(state_id: uuid.UUID) -> int:
    """Settle the open requests of a run that ended, as `supersede`; how many there were."""
    requests = list(ApprovalRequest.objects.select_for_update().open().filter(state_id=state_id))
    now = timezone.now()
    for request in requests:
        decision = Decision.objects.create(
            request=request, kind="supersede", actor_kind="system", actor_name="the run", channel="run", created_at=now
        )
        Resolution.objects.create(
            request=request,
            decision=decision,
            outcome="supersede",
            answer=encode(Answer(kind="supersede", decided_at=now), where="the answer"),
            created_at=now,
        )
        request.outcome, request.resolved_at = "supersede", now
        request.save(update_fields=["outcome", "resolved_at"])
    for request in requests:
        audit.record("superseded", channel="run", state_id=state_id, request_id=request.pk)
    return len(requests)
