"""Trying a failed or blocked run again. Finished steps are skipped; a decision that was made stands."""

import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from recovery import dispatch
from recovery.errors import NotPermitted, NotRetryable, PipelineGone
from recovery.models import Resumption, State
from recovery.permissions import why_not_start
from recovery.services import audit
from recovery.services.questions import is_ours, why_cannot_go_on


def newest_job(state: State) -> Resumption | None:
    """The last one that was not taken back before it started."""
    return state.resumptions.exclude(status=Resumption.Status.UNDONE).order_by("-pk").first()


def why_not_retry(state: State) -> str:
    """Empty if the run could be tried again."""
    if not is_ours(state):
        return gettext("This run belongs to a program of its own, which has to load the state.")
    if state.resumptions.filter(status__in=Resumption.UNFINISHED).exists():
        return gettext("The run is at work or queued.")
    newest = newest_job(state)
    if newest is None or newest.status not in Resumption.STUCK:
        return gettext("Nothing failed here.")
    if state.status == State.Status.CANCELLED:
        return gettext("The run was cancelled.")
    return ""


def retry(state_id: uuid.UUID, *, by: Any, channel: str = "web", seen_job: int | None = None) -> Resumption:
    """Queue another try. `seen_job` is the failed job that the person looked at: another one since is refused.

    Raises:
        NotPermitted: this person may not.
        NotRetryable: it is at work, or nothing failed, or it failed again since they looked.
        PipelineGone: the pipeline is still not there, or of another version.
    """
    with transaction.atomic():
        state = State.objects.select_for_update(no_key=True).get(pk=state_id)
        if reason := why_not_start(by):
            raise NotPermitted(reason)
        if reason := why_not_retry(state) or why_not_the_one(state, seen_job):
            raise NotRetryable(reason)
        if reason := why_cannot_go_on(state):
            raise PipelineGone(reason)
        job = queue_retry(state)
        audit.record("retried", by=by, channel=channel, state_id=state.pk)
    return job


def why_not_the_one(state: State, seen_job: int | None) -> str:
    newest = newest_job(state)
    if seen_job is None or (newest is not None and newest.pk == seen_job):
        return ""
    return gettext("It was tried again since you looked.")


def queue_retry(state: State) -> Resumption:
    """Of a state that is locked and stuck."""
    now = timezone.now()
    stuck = newest_job(state)
    mark_seen(state)
    if stuck is not None and stuck.kind == Resumption.Kind.FORK:
        # Another job would take the run on here, where it was to be sent back.
        anew = {"status": Resumption.Status.PENDING, "attempts": 0, "last_error": "", "not_before": now}
        unset = dict.fromkeys(("started_at", "finished_at", "dismissed_at"))
        Resumption.objects.filter(pk=stuck.pk).update(**anew, **unset)
        stuck.refresh_from_db()
        job = stuck
    else:
        job = Resumption.objects.create(state=state, kind=Resumption.Kind.RETRY, not_before=now, created_at=now)
    dispatch.hand_over(state.pk)
    return job


def mark_seen(state: State) -> int:
    """Somebody has seen all that failed, and has done something about it; how much there was.

    So the index of what is stuck holds only that, and not every failure there ever was.
    """
    stuck = state.resumptions.filter(status__in=Resumption.STUCK, dismissed_at__isnull=True)
    return stuck.update(dismissed_at=timezone.now())
