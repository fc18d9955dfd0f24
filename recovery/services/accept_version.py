"""Letting a run go on with another version of its pipeline than the one it began with."""

import uuid
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext

from recovery.errors import NotActedOn, NotPermitted, OtherVersion, PipelineGone
from recovery.models import ApprovalRequest, Resumption, State
from recovery.permissions import why_not_start
from recovery.services import audit
from recovery.services.questions import is_ours, other_version, why_cannot_go_on
from recovery.services.retry import queue_retry, why_not_retry


@dataclass(frozen=True, slots=True)
class Accepted:
    """`retry` is the job that tries the run again, `None` where it was not stuck."""

    state: State
    retry: Resumption | None = None


def asks_version(state: State) -> str:
    """The version that somebody has to say yes to before the run goes on, "" if there is none."""
    is_over = state.status in (State.Status.COMPLETED, State.Status.CANCELLED)
    return "" if is_over else other_version(state)


def accept_version(state_id: uuid.UUID, *, version: str, by: Any, channel: str = "web") -> Accepted:
    """Let the run go on with `version`, the one of its pipeline that the person saw. If it is stuck, it is tried again.

    A second time it changes nothing, and says so by not failing.

    Raises:
        NotPermitted: this person may not.
        OtherVersion: the pipeline is another version by now.
        PipelineGone: it is not installed.
        NotActedOn: a worker is at the run, it is over, or its own program runs it.
    """
    with transaction.atomic():
        state = State.objects.select_for_update(no_key=True).get(pk=state_id)
        if reason := why_not_start(by):
            raise NotPermitted(reason)
        if reason := _why_not(state):
            raise NotActedOn(reason)
        current = other_version(state)
        if not current and (reason := why_cannot_go_on(state)):
            raise PipelineGone(reason)
        old = state.pipeline_version
        if version != (current or old):
            raise OtherVersion(state.pipeline, version, current or old)
        if not current:
            return Accepted(state)
        state.pipeline_version = current
        state.save(update_fields=["pipeline_version"])
        ApprovalRequest.objects.open().filter(state=state).update(pipeline_version=current)
        job = None if why_not_retry(state) else queue_retry(state)
        audit.record("version_accepted", by=by, channel=channel, state_id=state.pk, old=old, new=current)
        if job is not None:
            audit.record("retried", by=by, channel=channel, state_id=state.pk)
    return Accepted(state, job)


def _why_not(state: State) -> str:
    if not is_ours(state):
        return gettext("A program of its own runs this, with the version that it has.")
    if state.status in (State.Status.COMPLETED, State.Status.CANCELLED):
        return gettext("The run is %(status)s.") % {"status": state.status}
    # It runs the version that it took the run on with, and may come to an end with that.
    if State.objects.held().filter(pk=state.pk).exists():
        return gettext("A worker is at the run now. Look again when it pauses or ends.")
    return ""
