"""All that is written down about one state, for whoever has to find out what went wrong."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from recovery.models import (
    ApprovalRequest,
    AuditEntry,
    Checkpoint,
    Decision,
    Event,
    ProposalVersion,
    Resolution,
    Resumption,
    State,
)
from tests.conformance.chaos.pipelines import Course, notes

COLUMNS: dict[Any, tuple[str, str]] = {
    State: (
        "pk",
        "status pipeline parent_id superseded_by_id forked_from_address input error head fence lease_owner lease_until",
    ),
    Checkpoint: ("state", "number status author created_at extra"),
    Event: ("state", "position address generation attempt status actor added_in removed_in error_message"),
    ApprovalRequest: ("state", "id title address generation checkpoint outcome resolved_at version digest"),
    ProposalVersion: ("request__state", "request_id number args digest by_name"),
    Decision: ("request__state", "id request_id kind actor_name version refusal idempotency_key created_at payload"),
    Resolution: ("request__state", "id request_id decision_id outcome version digest undone_at answer"),
    Resumption: ("state", "id kind status resolution_id attempts fence started_at finished_at last_error"),
    AuditEntry: ("state_id", "number at action actor detail"),
}


def history(state_id: uuid.UUID, runs: Mapping[uuid.UUID, Course]) -> Iterator[str]:
    """The lines to print, those of the run that it is a fork of first."""
    parent_id = State.objects.values_list("parent", flat=True).get(pk=state_id)
    if parent_id is not None:
        yield from history(parent_id, runs)
        yield "sent back, and gone on as"
    for model, (owner, columns) in COLUMNS.items():
        names = columns.split()
        yield f"{model.__name__} ({', '.join(names)})"
        for row in model.objects.filter(**{owner: state_id}).order_by("pk").values_list(*names):
            yield f"  {' | '.join(str(value) for value in row)}"
    if state_id in runs:
        yield "steps that ran, in forks too"
        yield from (f"  {note}" for note in notes(runs[state_id].folder))
