"""A worker's part: take the lease of a state, carry the decisions to its run, run it on, let go."""

import asyncio
import logging
import os
import traceback
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from recovery import dispatch, pipelines
from recovery.backends import DjangoArtifactBackend, DjangoStateBackend
from recovery.errors import DigestMismatch, LeaseLost, PipelineGone, WorkerDied
from recovery.models import Event, Resumption, State
from recovery.models.prepared import Prepared, PreparedUpdate
from recovery.services.deliver import apply_decisions, waits_by_hand
from recovery.services.end_state import end_state
from recovery.services.go_back import go_back
from recovery.services.lease import Lease, claim
from recovery.services.questions import why_cannot_go_on
from recovery.services.supersede import supersede_open_requests
from rh_agents.core.errors import (
    RhAgentsError,
    RunAbortedError,
    RunCancelledError,
    SerializationError,
    StaleWriterError,
)
from rh_agents.core.execution import ExecutionState
from rh_agents.core.runner import RunOutcome, run_pipeline
from rh_agents.core.serialization import decode, encode
from rh_agents.core.state_recovery import StateMetadata, StateStatus
from rh_agents.core.types import ExecutionStatus

logger = logging.getLogger(__name__)


def work_on_state(state_id: uuid.UUID) -> None:
    """Do all jobs of a state that are due. Safe to call any number of times, from anywhere at once."""
    # One thread runs one loop here and the calls are short, so the ORM may be used on it.
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with transaction.atomic():
        lease = claim(state_id)
        if lease is None:
            return
        # It was claimed for a job that is due.
        taken = _take_due_jobs(lease)
    with lease:
        try:
            _do_jobs(lease, *taken)
            while not lease.release_unless_due():
                _do_jobs(lease, *_take_due_jobs(lease))
        except (LeaseLost, StaleWriterError):
            logger.warning("state %s is held by another worker now", state_id)


def _do_jobs(lease: Lease, row: State, jobs: Sequence[Resumption], deaths: int) -> None:
    if not jobs:
        return
    ids = [job.pk for job in jobs]
    forks = [job for job in jobs if job.kind == Resumption.Kind.FORK]
    try:
        if deaths >= settings.RECOVERY["RESUME_MAX_ATTEMPTS"]:
            _give_up(lease, ids, WorkerDied(deaths))
        elif forks:
            # Whatever else was decided about this run: it goes on as another one.
            go_back(lease, min(forks, key=lambda job: job.pk), ids)
        else:
            _run(lease, row, ids)
    except (PipelineGone, DigestMismatch) as reason:
        _end_jobs(lease, ids, Resumption.Status.BLOCKED, str(reason))
    except (LeaseLost, StaleWriterError):
        raise
    except Exception as error:
        # Not the pipeline's own failure, which is an outcome: reading, writing or the database failed.
        logger.exception("state %s could not be run", lease.state_id)
        _try_later(lease, ids, error)


def _take_due_jobs(lease: Lease) -> tuple[State, list[Resumption], int]:
    """The state, and they; and how often one of them was tried, if the last time its worker died.

    Raises `LeaseLost` to a holder that slept too long: the jobs may be done by now, and must not be due again.
    """
    with transaction.atomic(savepoint=False):
        jobs: list[Resumption] = _DUE.all(state=lease.state_id, fence=lease.fence)
        state: State | None = jobs[0].state if jobs else _HELD.first(pk=lease.state_id, fence=lease.fence)
        if state is None:
            raise LeaseLost(f"state {lease.state_id} was taken over")
        # Nobody works on them but this holder, so whoever took those is dead, or has lost the lease.
        left = [job for job in jobs if job.status == Resumption.Status.RUNNING]
        for job in left:
            # A run of hours may well outlive some workers. Only those count that got no step further.
            job.attempts = 1 if _has_completed_a_step_since(job) else job.attempts + 1
            job.save(update_fields=["attempts"])
        for job in jobs:
            _TAKE_UP.run(pk=job.pk, now=timezone.now(), fence=lease.fence)
    return state, jobs, max((job.attempts for job in left), default=0)


_HELD = Prepared(
    lambda given: (
        State.objects.select_for_update(no_key=True)
        .filter(pk=given.pk, fence=given.fence)
        .defer("output", "error", "custom_data", "generations")
    ),
    pk=UUID,
    fence=int,
)
_DUE = Prepared(
    lambda given: (
        Resumption.objects.select_for_update(no_key=True, of=("state", "self"))
        .due()
        .select_related("state")
        .defer("state__output", "state__error", "state__custom_data", "state__generations")
        .filter(state_id=given.state, state__fence=given.fence)
        .order_by("created_at", "pk")
    ),
    state=UUID,
    fence=int,
)
_TAKE_UP = PreparedUpdate(
    lambda given: Resumption.objects.filter(pk=given.pk),
    lambda given: {"status": Resumption.Status.RUNNING, "started_at": given.now, "fence": given.fence},
    pk=int,
    now=datetime,
    fence=int,
)


def _has_completed_a_step_since(job: Resumption) -> bool:
    if job.started_at is None:
        return False
    completed = Event.objects.filter(state_id=job.state_id, status=ExecutionStatus.COMPLETED)
    return completed.filter(started_at__gte=job.started_at.timestamp()).exists()


def _run(lease: Lease, row: State, job_ids: list[int]) -> None:
    if reason := why_cannot_go_on(row):
        raise PipelineGone(reason)
    pipeline = pipelines.get(row.pipeline)
    state = _load(row, lease)
    lease.when_lost(state.lose)
    input_data = decode(row.input)
    decided = apply_decisions(state)
    if not decided.applied and waits_by_hand(state):
        # A worker died between the pause and the end of its job.
        _finish(lease, state, RunOutcome(StateStatus.AWAITING), job_ids)
        return
    if decided.applied or state.status is not StateStatus.RUNNING:
        state.save_checkpoint(StateStatus.RUNNING)
    if decided.why_cancelled:
        error = RunCancelledError(decided.why_cancelled)
        _finish(lease, state, RunOutcome(StateStatus.CANCELLED, error=error), job_ids)
        return
    try:
        outcome = asyncio.run(_on_connections(connections.all(), pipeline.function, input_data, state))
    except SystemExit as raised:
        # Out of a task that the run made: the loop lets it through at once.
        outcome = RunOutcome(StateStatus.FAILED, error=RunAbortedError(raised))
    cause = outcome.error.__cause__ if outcome.error else None
    if cause is not None and dispatch.ends_the_worker(cause):
        raise cause
    _finish(lease, state, outcome, job_ids)


async def _on_connections(
    held: Sequence[BaseDatabaseWrapper], function: pipelines.Function, input_data: Any, state: ExecutionState
) -> RunOutcome:
    """Run the pipeline on the database connections `held` by this thread.

    On a running loop Django keeps connections by task context, so that every task would open one of its own.
    """
    for connection in held:
        connections[connection.alias] = connection
    return await run_pipeline(function, input_data, state)


def _load(row: State, lease: Lease) -> ExecutionState:
    backend = DjangoStateBackend(fence=lease.fence, author="worker")
    options = {"auto_checkpoint": True, "large_value_bytes": settings.RECOVERY["LARGE_VALUE_BYTES"]}
    if row.head:
        return ExecutionState.load_from_state_id(str(row.pk), backend, DjangoArtifactBackend(), **options)
    metadata = StateMetadata(
        pipeline_name=row.pipeline,
        description=row.description,
        tags=list(row.tags.order_by("pk").values_list("tag", flat=True)),
    )
    return ExecutionState(backend, DjangoArtifactBackend(), state_id=str(row.pk), metadata=metadata, **options)


def _finish(lease: Lease, state: ExecutionState, outcome: RunOutcome, job_ids: list[int]) -> None:
    """Save how the run ended, and close its jobs, in one transaction."""
    status, error, output = outcome.status, outcome.error, ""
    if status is StateStatus.COMPLETED:
        try:
            output = encode(outcome.output, where="the output of the pipeline")
        except SerializationError as refused:
            status, error = StateStatus.FAILED, refused
    with transaction.atomic():
        if status is StateStatus.COMPLETED:
            state.close_unasked()
        if status is not StateStatus.AWAITING or state.status is not status:
            state.save_checkpoint(status)
        words = _storable("".join(traceback.format_exception(error))) if error else ""
        if not _END.run(pk=lease.state_id, fence=lease.fence, output=output, error=words):
            raise LeaseLost(f"state {lease.state_id} was taken over")
        if status in (StateStatus.COMPLETED, StateStatus.CANCELLED):
            supersede_open_requests(lease.state_id)
        failed = status is StateStatus.FAILED
        _end_jobs(
            lease,
            job_ids,
            Resumption.Status.FAILED if failed else Resumption.Status.DONE,
            _storable(f"{type(error).__name__}: {error}") if error else "",
        )


_END = PreparedUpdate(
    lambda given: State.objects.filter(pk=given.pk, fence=given.fence),
    lambda given: {"output": given.output, "error": given.error},
    pk=UUID,
    fence=int,
    output=str,
    error=str,
)


def _give_up(lease: Lease, job_ids: list[int], error: WorkerDied) -> None:
    """Save the state as failed. Nothing of it is loaded: that may be what its workers died of."""
    row = State.objects.get(pk=lease.state_id)
    words = f"{type(error).__name__}: {error}"
    with transaction.atomic():
        end_state(row, StateStatus.FAILED, DjangoStateBackend(fence=lease.fence, author="worker"))
        State.objects.filter(pk=row.pk, fence=lease.fence).update(error=words)
        _end_jobs(lease, job_ids, Resumption.Status.FAILED, words)
    logger.error("state %s is given up: %s", row.pk, error)


def _jobs(lease: Lease, job_ids: list[int]) -> QuerySet[Resumption]:
    """Those of `job_ids` that are still this holder's to write."""
    return Resumption.objects.filter(pk__in=job_ids, fence=lease.fence, state__fence=lease.fence)


def _end_jobs(lease: Lease, job_ids: list[int], status: str, error: str = "") -> None:
    for job_id in job_ids:
        _END_JOB.run(pk=job_id, fence=lease.fence, status=str(status), now=timezone.now(), error=error)


_END_JOB = PreparedUpdate(
    lambda given: Resumption.objects.filter(
        Exists(State.objects.filter(pk=OuterRef("state_id"), fence=given.fence)), pk=given.pk, fence=given.fence
    ),
    lambda given: {"status": given.status, "finished_at": given.now, "last_error": given.error},
    pk=int,
    fence=int,
    status=str,
    now=datetime,
    error=str,
)


def _try_later(lease: Lease, job_ids: list[int], error: Exception) -> None:
    """Once more in a while, and then twice that; in the end the page offers to retry."""
    words = _storable(f"{type(error).__name__}: {error}")
    for job_id, before in list(_jobs(lease, job_ids).values_list("pk", "attempts")):
        attempts = before + 1
        changes: dict[str, Any] = {"attempts": attempts, "last_error": words}
        if attempts >= settings.RECOVERY["RESUME_MAX_ATTEMPTS"] or isinstance(error, RhAgentsError):
            changes |= {"status": Resumption.Status.FAILED, "finished_at": timezone.now()}
        else:
            not_before = Now() + timedelta(seconds=2.0**attempts)
            changes |= {"status": Resumption.Status.PENDING, "not_before": not_before}
        _jobs(lease, [job_id]).update(**changes)


def _storable(words: str) -> str:
    return words.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
