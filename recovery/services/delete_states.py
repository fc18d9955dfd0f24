"""Deleting states: their rows go, and the artifacts that nobody else uses; what the audit says of them stays."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Exists, OuterRef

from recovery.backends import DjangoStateBackend
from recovery.errors import StateHeld
from recovery.models import ApprovalRequest, Artifact, ArtifactRef, Checkpoint, Event, State, StorageEntry
from recovery.services import audit

# An older SQLite takes no more than 999 parameters in a statement.
_BATCH = 400
PREVIEW_AT_MOST = 100


class Going(NamedTuple):
    """How much goes with some states. `artifacts` are those that no other state refers to or may be about to."""

    states: int
    steps: int
    checkpoints: int
    storage_entries: int
    requests: int
    artifacts: int


def preview(ids: Sequence[uuid.UUID]) -> Going:
    """What `delete_states` would delete now.

    Raises:
        ValueError: there are more than `PREVIEW_AT_MOST`.
    """
    if len(ids) > PREVIEW_AT_MOST:
        raise ValueError(f"{len(ids)} states are too many to look at; at most {PREVIEW_AT_MOST}")
    steps, checkpoints, entries, requests = (
        model.objects.filter(state_id__in=ids).count() for model in (Event, Checkpoint, StorageEntry, ApprovalRequest)
    )
    return Going(State.objects.filter(pk__in=ids).count(), steps, checkpoints, entries, requests, _unshared_count(ids))


def held_states(ids: Iterable[uuid.UUID]) -> list[State]:
    """Those of them that a worker holds now."""
    return [
        state
        for batch in _batches(list(ids))
        for state in State.objects.held().filter(pk__in=batch).only(*_HELD_COLUMNS)
    ]


_HELD_COLUMNS = ("id", "pipeline", "lease_owner", "lease_until")


def delete_states(ids: Iterable[uuid.UUID], *, by: Any, channel: str = "admin") -> int:
    """Delete states, each in a transaction of its own, and write one `deleted` audit entry for each; how many there
    were. Ids that name no state are passed over.

    Raises:
        StateHeld: a worker holds one of them. Usually nothing was deleted; where it was claimed meanwhile, `deleted`
            says how many went before it.
    """
    chosen = list(dict.fromkeys(ids))
    if held := held_states(chosen):
        raise StateHeld(held, deleted=0)
    backend, deleted = DjangoStateBackend(), 0
    for pk in chosen:
        with transaction.atomic():
            state = State.objects.select_for_update().for_lists().filter(pk=pk).first()
            if state is None:
                continue
            # A lease that is over goes first: for the backend it may last, by the clock of this machine.
            if not State.objects.unheld().filter(pk=pk).update(lease_until=None):
                raise StateHeld([state], deleted=deleted)
            backend.delete_state(str(pk))
            audit.record(
                "deleted",
                by=by,
                channel=channel,
                state_id=pk,
                pipeline=state.pipeline,
                status=state.status,
                description=state.description,
                checkpoints=state.head,
            )
        deleted += 1
    return deleted


def _unshared_count(ids: Sequence[uuid.UUID]) -> int:
    """Of the artifacts that the states refer to, those that no other does."""
    references = ((ArtifactRef, "artifact_id"), (StorageEntry, "artifact"), (Event, "result_artifact"))
    owned: set[str] = set()
    for model, column in references:
        rows = model.objects.filter(state_id__in=ids).exclude(**{column: ""})
        owned.update(rows.values_list(column, flat=True).distinct().iterator())
    count = 0
    for batch in _batches(sorted(owned)):
        unshared = Artifact.objects.at_rest().filter(pk__in=batch)
        for model, column in references:
            others = model.objects.filter(**{column: OuterRef("pk")}).exclude(state_id__in=ids)
            unshared = unshared.exclude(Exists(others))
        count += unshared.count()
    return count


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))
