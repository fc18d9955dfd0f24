"""Stuck runs: what no worker goes on with until somebody does something. In the words of queues, dead letters."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import BooleanField, Exists, F, Func, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from recovery.errors import InvalidInput, NotPermitted, NotStuck, RecoveryError
from recovery.models import Resolution, Resumption, State
from recovery.permissions import why_not_start
from recovery.services import audit
from recovery.services.accept_version import asks_version
from recovery.services.retry import newest_job, why_not_the_one

AT_ONCE_AT_MOST = 100

# Written out as in the condition of the index `resumption_dead`: SQLite uses it for nothing that comes as a parameter.
_IS_STUCK = Func(F("status"), template="%(expressions)s IN ('failed', 'blocked')", output_field=BooleanField())
_UNUSED_OF_STATE = ("input", "output", "error", "custom_data", "generations", "resolution_text")
_UNUSED_OF_REQUEST = ("question", "message", "args_schema", "response_schema", "policy")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The `job` that failed or is blocked, with its state; what it `carries`, with request and decision; and the
    `version` of its pipeline that somebody has to accept first, if there is one."""

    job: Resumption
    carries: Resolution | None
    version: str

    @property
    def state(self) -> State:
        state: State = self.job.state
        return state


# ---- What is stuck ----


def stuck_jobs() -> QuerySet[Resumption]:
    """The newest job of each state that is stuck, dismissed by nobody, with no other job under way."""
    others = Resumption.objects.filter(state_id=OuterRef("state_id"))
    newer = Q(pk__gt=OuterRef("pk")) & ~Q(status=Resumption.Status.UNDONE)
    is_last = ~Exists(others.filter(newer | Q(status__in=Resumption.UNFINISHED)))
    return Resumption.objects.filter(_IS_STUCK, is_last, dismissed_at__isnull=True)


def page_of_stuck(
    at_most: int, *, pipeline: str = "", after: tuple[datetime, int] | None = None
) -> tuple[list[DeadLetter], tuple[datetime, int] | None]:
    """The newest first, behind the place `after`; and the place behind which the next page begins, if there is one."""
    jobs = stuck_jobs().select_related("state__started_by").prefetch_related("state__tags")
    if pipeline:
        jobs = jobs.filter(state__pipeline=pipeline)
    if after:
        moment, pk = after
        jobs = jobs.filter(Q(finished_at__lt=moment) | Q(finished_at=moment, pk__lt=pk))
    unused = (f"state__{name}" for name in _UNUSED_OF_STATE)
    rows = list(jobs.defer(*unused).order_by("-finished_at", "-pk")[: at_most + 1])
    page, last = rows[:at_most], rows[at_most - 1] if len(rows) > at_most else None
    return _letters(page), (last.finished_at, last.pk) if last and last.finished_at else None


def _letters(jobs: Sequence[Resumption]) -> list[DeadLetter]:
    carried = _carried(job.state_id for job in jobs)
    return [DeadLetter(job, carried.get(job.state_id), asks_version(job.state)) for job in jobs]


def _carried(state_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Resolution]:
    """State to the decision that its stuck job, or the one that this is another try of, carries to it."""
    jobs = Resumption.objects.filter(
        state_id__in=list(state_ids), resolution__isnull=False, status__in=Resumption.STUCK
    )
    related = "resolution__decision__actor", "resolution__request"
    unused = (f"resolution__request__{name}" for name in _UNUSED_OF_REQUEST)
    # The newest of a state comes last, and stays.
    rows = jobs.select_related(*related).defer("resolution__answer", *unused).order_by("pk")
    return {job.state_id: job.resolution for job in rows if job.resolution}


# ---- Acts ----


def dismiss(state_id: uuid.UUID, *, by: Any, channel: str = "web", seen_job: int | None = None) -> Resumption:
    """Nothing is to be done about it: it is not listed any more, until a later job of the run fails.

    `seen_job` is the one that the person looked at: another one since is refused.

    Raises:
        NotPermitted: this person may not.
        NotStuck: the run is not stuck, or that was dismissed before, or it failed again since they looked.
    """
    with transaction.atomic():
        state = State.objects.select_for_update(no_key=True).get(pk=state_id)
        if reason := why_not_start(by):
            raise NotPermitted(reason)
        if reason := why_not_the_one(state, seen_job):
            raise NotStuck(reason)
        job = stuck_jobs().filter(state=state).first()
        if job is None:
            newest = newest_job(state)
            raise NotStuck(
                gettext("It was dismissed already.")
                if newest and newest.dismissed_at
                else gettext("Nothing is stuck here.")
            )
        job.dismissed_at = timezone.now()
        job.save(update_fields=["dismissed_at"])
        audit.record("dismissed", by=by, channel=channel, state_id=state.pk, job=job.pk, error=job.last_error[:500])
    return job


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an act on one of several: `refusal` is why it was not done."""

    state: State
    refusal: RecoveryError | None


def each_of(job_ids: Sequence[int], act: Callable[[Resumption], Any]) -> list[Result]:
    """Do `act` on each of these stuck jobs, in a transaction of its own; what is gone meanwhile is passed over.

    Raises:
        InvalidInput: there are more than `AT_ONCE_AT_MOST`, or what `act` was given does not validate; nothing was
            done.
        NotPermitted: this person may not; nothing was done.
    """
    chosen = list(dict.fromkeys(job_ids))
    if len(chosen) > AT_ONCE_AT_MOST:
        message = gettext("At most %(at_once_at_most)s are acted on at once; these are %(count)s.") % {
            "at_once_at_most": AT_ONCE_AT_MOST,
            "count": len(chosen),
        }
        raise InvalidInput({"job": [message]}, "the choice")
    unused = (f"state__{name}" for name in _UNUSED_OF_STATE)
    jobs = Resumption.objects.select_related("state").defer(*unused).in_bulk(chosen)
    return [_result(jobs[pk], act) for pk in chosen if pk in jobs]


def _result(job: Resumption, act: Callable[[Resumption], Any]) -> Result:
    try:
        act(job)
    except (NotPermitted, InvalidInput):
        raise
    except RecoveryError as refusal:
        return Result(job.state, refusal)
    except State.DoesNotExist:
        return Result(job.state, NotStuck(gettext("It was deleted meanwhile.")))
    return Result(job.state, None)
