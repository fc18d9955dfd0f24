"""Closing requests that a run left behind: nobody can answer a question that is not asked any more."""

import uuid

from recovery.models import ApprovalRequest, Event, State
from recovery.models.approval import ApprovalRequestQuerySet
from recovery.models.prepared import Prepared
from recovery.services.settle import close
from rh_agents.core.types import ExecutionStatus


def supersede_open_requests(state_id: uuid.UUID) -> int:
    """Settle the open requests of a run that ended, as `supersede`; how many there were."""
    return supersede(_OF_RUN.all(state=state_id))


def supersede_left_behind(state: State) -> int:
    """Settle the open requests that a program of its own left behind, by the state as it is saved now.

    A question stays open while it stands in the history, even in a run that failed: it will not be asked anew. A pause
    by hand is over when the run is not saved as waiting any more: the next one asks anew.
    """
    requests = list(_locked().filter(state=state))
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
    return close(requests, "supersede")


def _locked() -> ApprovalRequestQuerySet:
    # With their states, which say whether a worker runs them.
    return ApprovalRequest.objects.select_for_update(of=("self",)).select_related("state").open()


_OF_RUN = Prepared(lambda given: _locked().filter(state_id=given.state), state=uuid.UUID)
