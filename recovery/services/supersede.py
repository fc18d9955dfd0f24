"""Closing requests that a run left behind: nobody can answer a question that is not asked any more."""

import uuid

from django.utils import timezone

from recovery.models import ApprovalRequest, Decision, Event, Resolution, State
from recovery.services import audit
from rh_agents.core.approvals import Answer
from rh_agents.core.serialization import encode
from rh_agents.core.types import ExecutionStatus


def supersede_open_requests(state_id: uuid.UUID) -> int:
    """Settle the open requests of a run that ended, as `supersede`; how many there were."""
    return supersede(list(ApprovalRequest.objects.select_for_update().open().filter(state_id=state_id)))


def supersede_left_behind(state: State) -> int:
    """Settle the open requests that a program of its own left behind, by the state as it is saved now.

    A question stays open while it stands in the history, even in a run that failed: it will not be asked anew. A pause
    by hand is over when the run is not saved as waiting any more: the next one asks anew.
    """
    requests = list(ApprovalRequest.objects.select_for_update().open().filter(state=state))
    if not requests:
        return 0
    is_over = state.status in (State.Status.COMPLETED, State.Status.CANCELLED)
    asked = Event.objects.current().filter(state=state, status=ExecutionStatus.AWAITING.value)
    questions = set() if is_over else set(asked.values_list("address", "generation"))

    def is_left(request: ApprovalRequest) -> bool:
        if request.is_manual:
            return state.status != State.Status.AWAITING
        return (request.address, request.generation) not in questions

    return supersede([request for request in requests if is_left(request)])


def supersede(requests: list[ApprovalRequest]) -> int:
    """Settle `requests`, which are locked; how many there were."""
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
        audit.record("superseded", channel="run", state_id=request.state_id, request_id=request.pk)
    return len(requests)
