"""Trying a failed or blocked run again. Finished steps are skipped; a decision that was made stands."""

import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from recovery import dispatch
from recovery.errors import PipelineGone, RecoveryError
from recovery.models import Resumption, State
from recovery.permissions import why_not_start
from recovery.services import audit
from recovery.services.questions import is_ours, why_cannot_go_on


class NotRetryable(RecoveryError):
    """There is nothing to try again; the message says why."""


def why_not_retry(state: State) -> str:
    """Empty if the run could be tried again."""
    if not is_ours(state):
        return "This run belongs to a program of its own, which has to load the state."
    jobs = state.resumptions.order_by("-pk")
    if any(job.status in Resumption.UNFINISHED for job in jobs):
        return "The run is at work or queued."
    newest = jobs.first()
    if newest is None or newest.status not in (Resumption.Status.FAILED, Resumption.Status.BLOCKED):
        return "Nothing failed here."
    return ""


def retry(state_id: uuid.UUID, *, by: Any, channel: str = "web") -> Resumption:
    """Queue another try.

    Raises:
        NotRetryable: it is at work, or nothing failed, or this person may not.
        PipelineGone: the pipeline is still not there, or of another version.
    """
    with transaction.atomic():
        state = State.objects.select_for_update(no_key=True).get(pk=state_id)
        if reason := why_not_start(by) or why_not_retry(state):
            raise NotRetryable(reason)
        if reason := why_cannot_go_on(state):
            raise PipelineGone(reason)
        now = timezone.now()
        job = Resumption.objects.create(state=state, kind=Resumption.Kind.RETRY, not_before=now, created_at=now)
        dispatch.hand_over(state.pk)
        audit.record("retried", by=by, channel=channel, state_id=state.pk)
    return job
