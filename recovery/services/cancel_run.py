"""Cancelling a run that nobody is at: what it asked is settled, what was queued does not start."""

import uuid
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext

from recovery.backends import DjangoStateBackend
from recovery.errors import InvalidInput, NotCancellable, NotPermitted
from recovery.models import ApprovalRequest, AuditEntry, Resumption, State
from recovery.permissions import why_not_start
from recovery.services import audit
from recovery.services.actors import Actor
from recovery.services.end_state import end_state
from recovery.services.questions import is_ours
from recovery.services.retry import mark_seen
from recovery.services.settle import close
from rh_agents.core.state_recovery import StateStatus
from rh_agents.core.texts import check_text

LONGEST_REASON = 2_000
CANCELLED = "run_cancelled"


def why_not_cancel(state: State) -> str:
    """Empty if the run could be cancelled, but for a worker that is at it."""
    if not is_ours(state):
        return gettext("This run belongs to a program of its own, which has to cancel it.")
    if state.status in (State.Status.COMPLETED, State.Status.CANCELLED):
        return gettext("The run is %(status)s already.") % {"status": state.status}
    return ""


def cancellation_of(state: State) -> AuditEntry | None:
    """The entry that says who cancelled the run, when and why; `None` for one that nobody did."""
    if state.status != State.Status.CANCELLED:
        return None
    return AuditEntry.objects.filter(state_id=state.pk, action=CANCELLED).order_by("-number").first()


def cancel_run(state_id: uuid.UUID, *, by: Any, reason: str, channel: str = "web") -> State:
    """Save the run as cancelled, for good. A run that failed can be cancelled too: then nobody tries it again.

    Raises:
        InvalidInput: there is no reason, or one that could not be stored.
        NotPermitted: this person may not.
        NotCancellable: it is over, a worker is at it, or its own program runs it.
    """
    reason = _checked(reason)
    with transaction.atomic():
        state = State.objects.select_for_update(no_key=True).get(pk=state_id)
        if why_not := why_not_start(by):
            raise NotPermitted(why_not)
        if why_not := why_not_cancel(state):
            raise NotCancellable(why_not)
        # The number of the lease moves, so that a worker that slept through its lease writes nothing any more.
        unheld = State.objects.unheld().filter(pk=state.pk)
        if not unheld.update(lease_until=None, lease_owner="", fence=F("fence") + 1):
            raise NotCancellable(gettext("A worker is at the run now. Cancel it when it pauses or ends."))
        requests = list(ApprovalRequest.objects.select_for_update().open().filter(state=state).order_by("pk"))
        for request in requests:
            request.state = state
        end_state(state, StateStatus.CANCELLED, DjangoStateBackend(author=by.get_username()))
        _end_jobs(state, by)
        close(requests, "cancel", by=Actor.of(by), comment=reason, channel=channel)
        audit.record(CANCELLED, by=by, channel=channel, state_id=state.pk, reason=reason)
    state.refresh_from_db()
    return state


def _checked(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise InvalidInput({"reason": [gettext("Say why: it stays in the record.")]}, "the cancellation")
    try:
        return check_text(reason, "The reason", LONGEST_REASON)
    except ValueError as error:
        raise InvalidInput({"reason": [f"{error}."]}, "the cancellation") from error


def _end_jobs(state: State, by: Any) -> None:
    now = timezone.now()
    jobs = state.resumptions
    jobs.filter(status=Resumption.Status.PENDING).update(status=Resumption.Status.UNDONE, finished_at=now)
    # Nobody holds the state, so its worker has died.
    jobs.filter(status=Resumption.Status.RUNNING).update(
        status=Resumption.Status.FAILED, finished_at=now, last_error=f"The run was cancelled by {by.get_username()}."
    )
    mark_seen(state)
