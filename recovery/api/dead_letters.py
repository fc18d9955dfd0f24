"""Dead letters: runs that are stuck, listed, and several tried again or dismissed at once."""

from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from recovery.api.access import allow
from recovery.api.pages import LARGEST_NUMBER, Place, Word, cursor_of, place_of
from recovery.api.refusals import said_of
from recovery.api.rows import job_of, state_row
from recovery.api.shapes import ActedOn, DeadLetterPage, Refusal
from recovery.models import Resolution, Resumption
from recovery.permissions import why_not_start
from recovery.services.dead_letters import AT_ONCE_AT_MOST, DeadLetter, dismiss, each_of, page_of_stuck
from recovery.services.retry import retry

router = Router(tags=["dead letters"])

JobId = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]


class LetterFilters(Place):
    pipeline: Word = ""


class ActOnSeveral(Schema):
    """`jobs` are the ids of the jobs that you looked at: a run that was tried again since is refused."""

    act: Literal["retry", "dismiss"]
    jobs: Annotated[list[JobId], Field(min_length=1, max_length=AT_ONCE_AT_MOST)]


@router.get("", response=DeadLetterPage)
def list_dead_letters(request: HttpRequest, filters: Query[LetterFilters]) -> dict[str, Any]:
    """Runs that no worker goes on with by itself: what failed or is blocked and was not dismissed, the newest first."""
    after = place_of(filters.cursor, datetime, int)
    letters, place = page_of_stuck(
        filters.limit, pipeline=filters.pipeline, after=(after[0], after[1]) if after else None
    )
    return {"items": [_row(letter) for letter in letters], "next_cursor": cursor_of(*place) if place else None}


@router.post("", response={200: ActedOn, 403: Refusal, 422: Refusal})
def act_on_several(request: HttpRequest, sent: ActOnSeveral) -> dict[str, Any]:
    """Try several again, or dismiss them, each by itself: one that is refused leaves the others as they are. What is
    not there is left out."""
    allow(why_not_start(request.user))
    verb = {"retry": retry, "dismiss": dismiss}[sent.act]

    def act(job: Resumption) -> Any:
        return verb(job.state_id, by=request.user, channel="api", seen_job=job.pk)

    return {
        "items": [
            {"state_id": one.state.pk, "refusal": said_of(one.refusal) if one.refusal else None}
            for one in each_of(sent.jobs, act)
        ]
    }


def _row(letter: DeadLetter) -> dict[str, Any]:
    return {
        "state": state_row(letter.state),
        "job": job_of(letter.job),
        "since": letter.job.finished_at,
        "carries": _carried(letter.carries) if letter.carries else None,
        "version": letter.version,
    }


def _carried(resolution: Resolution) -> dict[str, Any]:
    return {
        "request_id": resolution.request_id,
        "title": resolution.request.title,
        "outcome": resolution.outcome,
        "by": resolution.decision.actor_name,
        "at": resolution.created_at,
    }
