"""Runs that are stuck, as a worker would leave them: many of them, without running anything."""

from datetime import UTC, datetime, timedelta
from typing import Any

from recovery.models import Resumption, State

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def stuck(
    description: str = "A run",
    *,
    after: timedelta = timedelta(0),
    status: str = "failed",
    error: str = "GatewayError: 502",
    pipeline: str = "test-refund",
    version: str = "1",
    attempts: int = 0,
    **more: Any,
) -> Resumption:
    """The job of a run that ended like that, so long after noon."""
    at = NOON + after
    state = State.objects.create(
        description=description,
        pipeline=pipeline,
        pipeline_version=version,
        status="failed" if status == "failed" else "awaiting",
        created_at=NOON,
        updated_at=at,
        **more,
    )
    return job_of(state, status, at=at, last_error=error, attempts=attempts)


def job_of(state: State, status: str, at: datetime = NOON, **more: Any) -> Resumption:
    is_over = status not in Resumption.UNFINISHED
    return Resumption.objects.create(
        state=state,
        **{"kind": "retry"} | more,
        status=status,
        not_before=at,
        created_at=at,
        finished_at=at if is_over else None,
    )
