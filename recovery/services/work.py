"""A worker's part: take the lease of a state, carry the decisions to its run, run it on, let go."""

import asyncio
import logging
import os
import traceback
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet
from django.utils import timezone

from recovery import pipelines
from recovery.backends import DjangoArtifactBackend, DjangoStateBackend
from recovery.errors import DigestMismatch, LeaseLost, PipelineGone
from recovery.models import Resumption, State
from recovery.services.deliver import apply_decisions, waits_by_hand
from recovery.services.lease import Lease, claim
from recovery.services.questions import why_cannot_go_on
from recovery.services.supersede import supersede_open_requests
from rh_agents.core.errors import RhAgentsError, SerializationError, StaleWriterError
from rh_agents.core.execution import ExecutionState
from rh_agents.core.runner import RunOutcome, run_pipeline
from rh_agents.core.serialization import decode, encode
from rh_agents.core.state_recovery import StateMetadata, StateStatus

logger = logging.getLogger(__name__)


def work_on_state(state_id: uuid.UUID) -> None:
    """Do all jobs of a state that are due. Safe to call any number of times, from anywhere at once."""
    # One thread runs one loop here and the calls are short, so the ORM may be used on it.
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    lease = claim(state_id)
    if lease is None:
        return
    with lease:
        try:
            while not lease.release_unless_due():
                _do_due_jobs(lease)
        except (LeaseLost, StaleWriterError):
            logger.warning("state %s is held by another worker now", state_id)


def _do_due_jobs(lease: Lease) -> None:
    ids = _take_due_jobs(lease)
    try:
        _run(lease, ids)
    except (PipelineGone, DigestMismatch) as reason:
        _end_jobs(lease, ids, Resumption.Status.BLOCKED, str(reason))
    except (LeaseLost, StaleWriterError):
        raise
    except Exception as error:
        # Not the pipeline's own failure, which is an outcome: reading, writing or the database failed.
        logger.exception("state %s could not be run", lease.state_id)
        _try_later(lease, ids, error)


def _take_due_jobs(lease: Lease) -> list[int]:
    """Raises `LeaseLost` to a holder that slept too long: the jobs may be done by now, and must not be due again."""
    with transaction.atomic():
        if not State.objects.select_for_update(no_key=True).filter(pk=lease.state_id, fence=lease.fence):
            raise LeaseLost(f"state {lease.state_id} was taken over")
        jobs = Resumption.objects.due(timezone.now()).filter(state_id=lease.state_id).order_by("created_at", "pk")
        ids = list(jobs.values_list("pk", flat=True))
        Resumption.objects.filter(pk__in=ids).update(
            status=Resumption.Status.RUNNING, started_at=timezone.now(), fence=lease.fence
        )
    return ids


def _run(lease: Lease, job_ids: list[int]) -> None:
    row = State.objects.get(pk=lease.state_id)
    if reason := why_cannot_go_on(row):
        raise PipelineGone(reason)
    pipeline = pipelines.get(row.pipeline)
    state = _load(row, lease)
    input_data = decode(row.input)
    applied = apply_decisions(state)
    if not applied and waits_by_hand(state):
        # A worker died between the pause and the end of its job.
        _finish(lease, state, RunOutcome(StateStatus.AWAITING), job_ids)
        return
    if applied or state.status is not StateStatus.RUNNING:
        state.save_checkpoint(StateStatus.RUNNING)
    outcome = asyncio.run(_on_connections(connections.all(), pipeline.function, input_data, state))
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
        if not State.objects.filter(pk=lease.state_id, fence=lease.fence).update(output=output, error=words):
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


def _jobs(lease: Lease, job_ids: list[int]) -> QuerySet[Resumption]:
    """Those of `job_ids` that are still this holder's to write."""
    return Resumption.objects.filter(pk__in=job_ids, fence=lease.fence, state__fence=lease.fence)


def _end_jobs(lease: Lease, job_ids: list[int], status: str, error: str = "") -> None:
    _jobs(lease, job_ids).update(status=status, finished_at=timezone.now(), last_error=error)


def _try_later(lease: Lease, job_ids: list[int], error: Exception) -> None:
    """Once more in a while, and then twice that; in the end the page offers to retry."""
    words = _storable(f"{type(error).__name__}: {error}")
    for job_id, before in list(_jobs(lease, job_ids).values_list("pk", "attempts")):
        attempts = before + 1
        changes: dict[str, Any] = {"attempts": attempts, "last_error": words}
        if attempts >= settings.RECOVERY["RESUME_MAX_ATTEMPTS"] or isinstance(error, RhAgentsError):
            changes |= {"status": Resumption.Status.FAILED, "finished_at": timezone.now()}
        else:
            not_before = timezone.now() + timedelta(seconds=2.0**attempts)
            changes |= {"status": Resumption.Status.PENDING, "not_before": not_before}
        _jobs(lease, [job_id]).update(**changes)


def _storable(words: str) -> str:
    return words.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
