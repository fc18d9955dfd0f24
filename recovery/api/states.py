"""Runs: listed, read, started and tried again."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from django.db.models import Count, Q
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema, Status

from recovery.api.access import allow
from recovery.api.pages import Place, Text, Word, cursor_of, page_of, place_of
from recovery.api.rows import artifact_entry, checkpoint_row, job_of, plain, state_row, step_row
from recovery.api.shapes import (
    AcceptedVersion,
    CheckpointPage,
    Job,
    Refusal,
    StateDetail,
    StatePage,
    StateRow,
    StepPage,
)
from recovery.models import ArtifactRef, Checkpoint, Event, State, StorageEntry
from recovery.permissions import why_not_start
from recovery.services.accept_version import accept_version
from recovery.services.cancel_run import LONGEST_REASON, cancel_run
from recovery.services.dead_letters import dismiss
from recovery.services.retry import retry
from recovery.services.start_run import start_run

router = Router(tags=["states"])

TAGS_AT_MOST = 20


class StateFilters(Place):
    status: State.Status | None = None
    pipeline: Word = ""
    tag: Annotated[list[Word], Field(max_length=TAGS_AT_MOST)] = []
    text: Word = Field("", description="A part of the description, of the pipeline's name or of a tag.")


class RunToStart(Schema):
    """`input` is validated by the pipeline's input model."""

    pipeline: Word
    input: dict[str, Any]
    description: Annotated[Text, Field(max_length=500)] = ""
    tags: Annotated[list[Annotated[Text, Field(max_length=100)]], Field(max_length=TAGS_AT_MOST)] = []


class SeenVersion(Schema):
    """`version` of the pipeline is the one that you looked at."""

    version: Annotated[Text, Field(min_length=1, max_length=64)]


class Reason(Schema):
    reason: Annotated[Text, Field(max_length=LONGEST_REASON, description="It stays in the record.")]


@router.get("", response=StatePage)
def list_states(request: HttpRequest, filters: Query[StateFilters]) -> dict[str, Any]:
    """Newest first by `updated_at`. `tag` may be given several times: all of them."""
    states = State.objects.for_lists().defer("error").select_related("started_by")
    if filters.tag:
        first, *others = dict.fromkeys(filters.tag)
        # A join for the first, which is unique for each state: it begins at the states of that tag.
        states = states.filter(tags__tag=first).tagged(others)
    if filters.status:
        states = states.with_status(filters.status)
    if filters.pipeline:
        states = states.of_pipeline(filters.pipeline)
    if filters.text:
        states = states.matching(filters.text)
    if place := place_of(filters.cursor, datetime, uuid.UUID):
        states = states.after(*place)
    rows, last = page_of(list(states.newest_first()[: filters.limit + 1]), filters.limit)
    return {
        "items": [state_row(state) for state in rows],
        "next_cursor": cursor_of(last.updated_at, last.pk) if last else None,
    }


@router.post("", response={201: StateRow, 403: Refusal, 404: Refusal, 422: Refusal})
def start(request: HttpRequest, sent: RunToStart) -> Status:
    """Start a run; a worker takes it on. 403 without the permission to start runs, 404 `unknown_pipeline`, 422 with
    `errors` by the path in the input; then nothing was started."""
    allow(why_not_start(request.user))
    state = start_run(
        sent.pipeline, sent.input, by=request.user, description=sent.description, tags=sent.tags, channel="api"
    )
    return Status(201, state_row(state))


@router.get("/{state_id}", response={200: StateDetail, 404: Refusal})
def read_state(request: HttpRequest, state_id: uuid.UUID) -> dict[str, Any]:
    """One run as it stands now, without its steps. A value of 64 KiB or more is an artifact, here its id."""
    state = State.objects.select_related("started_by").prefetch_related("tags").get(pk=state_id)
    entries = StorageEntry.objects.current().filter(state=state).order_by("key")
    refs = list(ArtifactRef.objects.current().filter(state=state).order_by("key"))
    storage = {key: plain(text) for key, text in entries.values_list("key", "text")}
    newest = Checkpoint.objects.filter(state=state, number=state.head).first()
    asked = state.requests.aggregate(requests=Count("pk"), open_requests=Count("pk", filter=Q(resolved_at=None)))
    return {
        **state_row(state),
        "forked_from_address": state.forked_from_address,
        "input": plain(state.input),
        "output": plain(state.output),
        "error": state.error,
        "storage": storage,
        "artifacts": [artifact_entry(ref) for ref in refs],
        "counts": {
            "steps": newest.event_count if newest else 0,
            "checkpoints": state.head,
            "storage": len(storage),
            "artifacts": len(refs),
            **asked,
        },
        "job": job_of(state.resumptions.order_by("-pk").first()),
    }


@router.get("/{state_id}/steps", response={200: StepPage, 404: Refusal})
def list_steps(request: HttpRequest, state_id: uuid.UUID, filters: Query[Place]) -> dict[str, Any]:
    """Every attempt of every step that stands now, in the order they ended."""
    _check_exists(state_id)
    events = Event.objects.current().filter(state_id=state_id).defer("wrote", "fingerprint")
    if place := place_of(filters.cursor, int):
        events = events.filter(position__gt=place[0])
    rows, last = page_of(list(events.order_by("position")[: filters.limit + 1]), filters.limit)
    return {
        "items": [step_row(event) for event in rows],
        "next_cursor": cursor_of(last.position) if last else None,
    }


@router.get("/{state_id}/checkpoints", response={200: CheckpointPage, 404: Refusal})
def list_checkpoints(request: HttpRequest, state_id: uuid.UUID, filters: Query[Place]) -> dict[str, Any]:
    """Newest first."""
    _check_exists(state_id)
    checkpoints = Checkpoint.objects.filter(state_id=state_id).defer("metadata", "extra")
    if place := place_of(filters.cursor, int):
        checkpoints = checkpoints.filter(number__lt=place[0])
    rows, last = page_of(list(checkpoints.order_by("-number")[: filters.limit + 1]), filters.limit)
    return {
        "items": [checkpoint_row(checkpoint) for checkpoint in rows],
        "next_cursor": cursor_of(last.number) if last else None,
    }


@router.post("/{state_id}/retry", response={202: Job, 403: Refusal, 404: Refusal, 409: Refusal})
def try_again(request: HttpRequest, state_id: uuid.UUID) -> Status:
    """Queue another try of a failed or blocked run. 409 `not_retryable` if nothing failed, `pipeline_gone` if it could
    not go on: see `accept-version`."""
    return Status(202, job_of(retry(state_id, by=request.user, channel="api")))


@router.post(
    "/{state_id}/accept-version",
    response={200: AcceptedVersion, 403: Refusal, 404: Refusal, 409: Refusal, 422: Refusal},
)
def accept_another_version(request: HttpRequest, state_id: uuid.UUID, sent: SeenVersion) -> dict[str, Any]:
    """Let the run go on with the version that its pipeline has now. Finished steps are not run again; a step that is
    not there any more is left out. A run that is stuck is tried again by `job`; else that is `null`. A second time it
    changes nothing.

    409 `other_version` with `current` if it is another by now, `not_acted_on` while a worker is at the run or if it is
    over, `pipeline_gone` if the pipeline is not installed.
    """
    accepted = accept_version(state_id, version=sent.version, by=request.user, channel="api")
    return {"pipeline_version": accepted.state.pipeline_version, "job": job_of(accepted.retry)}


@router.post("/{state_id}/cancel", response={200: StateRow, 403: Refusal, 404: Refusal, 409: Refusal, 422: Refusal})
def cancel(request: HttpRequest, state_id: uuid.UUID, sent: Reason) -> dict[str, Any]:
    """Cancel a run that no worker is at, for good, with what it asks. 409 `not_cancellable` if it is over, or a worker
    is at it."""
    return state_row(cancel_run(state_id, by=request.user, reason=sent.reason, channel="api"))


@router.post("/{state_id}/dismiss", response={200: Job, 403: Refusal, 404: Refusal, 409: Refusal})
def dismiss_failure(request: HttpRequest, state_id: uuid.UUID) -> dict[str, Any] | None:
    """Nothing is to be done about what failed: it is no dead letter any more, until a later job of the run fails. 409
    `not_stuck` if there is none."""
    return job_of(dismiss(state_id, by=request.user, channel="api"))


def _check_exists(state_id: uuid.UUID) -> None:
    State.objects.only("pk").get(pk=state_id)
