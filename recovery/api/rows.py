"""How rows become what the API gives."""

from datetime import UTC, datetime
from typing import Any

from recovery.api.shapes import Job
from recovery.models import (
    ApprovalRequest,
    ArtifactRef,
    Checkpoint,
    Decision,
    Event,
    Resolution,
    Resumption,
    Risk,
    State,
)
from rh_agents.core.errors import SerializationError
from rh_agents.core.serialization import to_plain

RISKS = {risk.value: risk.label.lower() for risk in Risk}


def state_row(state: State) -> dict[str, Any]:
    return {
        "id": state.pk,
        "pipeline": state.pipeline,
        "pipeline_version": state.pipeline_version,
        "status": state.status,
        "description": state.description,
        "tags": _tags(state),
        "checkpoint": state.head,
        "started_by": _name(state.started_by),
        "parent_id": state.parent_id,
        "created_at": state.created_at,
        "updated_at": state.updated_at,
    }


def step_row(event: Event) -> dict[str, Any]:
    is_large = bool(event.result_artifact)
    return {
        "position": event.position,
        "address": event.address,
        "generation": event.generation,
        "attempt": event.attempt,
        "kind": event.event_type,
        "status": event.status,
        "actor": event.actor,
        "started_at": datetime.fromtimestamp(event.started_at, UTC),
        "duration_s": event.duration_s,
        "result": None if is_large else plain(event.result or ""),
        "result_artifact": event.result_artifact or None,
        "size": event.size,
        "error_type": event.error_type,
        "error_message": event.error_message,
        "traceback": event.traceback,
    }


def artifact_entry(ref: ArtifactRef) -> dict[str, Any]:
    return {"key": ref.key, "artifact_id": ref.artifact_id, "media_type": ref.media_type, "size": ref.size}


def checkpoint_row(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "number": checkpoint.number,
        "status": checkpoint.status,
        "author": checkpoint.author,
        "created_at": checkpoint.created_at,
        "steps": checkpoint.event_count,
        "storage": checkpoint.storage_count,
        "artifacts": checkpoint.artifact_count,
        "digest": bytes(checkpoint.digest).hex(),
    }


def request_row(request: ApprovalRequest) -> dict[str, Any]:
    return {
        "id": request.pk,
        "state_id": request.state_id,
        "title": request.title,
        "pipeline": request.pipeline,
        "pipeline_version": request.pipeline_version,
        "reason": request.reason,
        "action": request.action,
        "effect": request.effect,
        "risk": RISKS[request.risk],
        "tags": _tags(request.state),
        "requested_by": _name(request.requested_by),
        "holder": _name(request.holder),
        "opened_at": request.opened_at,
        "due_at": request.due_at,
        "outcome": request.outcome,
        "resolved_at": request.resolved_at,
    }


def resolution_of(resolution: Resolution) -> dict[str, Any]:
    return {
        "outcome": resolution.outcome,
        "by": resolution.decision.actor_name,
        "at": resolution.created_at,
        "comment": resolution.decision.comment,
        "version": resolution.version,
        "digest": resolution.digest,
    }


def act_of(decision: Decision) -> dict[str, Any]:
    return {
        "kind": decision.kind,
        "by": decision.actor_name,
        "actor_kind": decision.actor_kind,
        "on_behalf_of": _name(decision.on_behalf_of),
        "at": decision.created_at,
        "version": decision.version,
        "comment": decision.comment,
        "refusal": decision.refusal,
    }


def job_of(job: Resumption | None) -> dict[str, Any] | None:
    if job is None:
        return None
    return {name: getattr(job, name) for name in Job.model_fields}


def plain(text: str) -> Any:
    """A saved value as plain JSON; what cannot be read says so in its place."""
    if not text:
        return None
    try:
        return to_plain(text)
    except SerializationError as error:
        return {"unreadable": str(error)}


def _tags(state: State) -> list[str]:
    """In the order they were given; sorted here, because the rows were fetched with others'."""
    return [tag.tag for tag in sorted(state.tags.all(), key=lambda tag: tag.pk)]


def _name(user: Any) -> str | None:
    return user.get_username() if user is not None else None
