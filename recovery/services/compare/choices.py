"""What a state or checkpoint may be compared with: its other checkpoints, its relatives, runs of its pipeline."""

from typing import NamedTuple

from django.db.models import Q
from django.utils.translation import gettext

from recovery.models import Checkpoint, State
from recovery.services.compare.states import Reference

CHECKPOINTS_AT_MOST = 30
STATES_AT_MOST = 10


class RelatedState(NamedTuple):
    relation: str
    state: State


class Choices(NamedTuple):
    """The newest of each come first."""

    checkpoints: list[Checkpoint]
    states: list[RelatedState]


def choices_for(reference: Reference) -> Choices:
    """What the side `reference` may be compared with, itself left out."""
    state = State.objects.only("id", "parent_id", "pipeline", "head").filter(pk=reference.state_id).first()
    if state is None:
        return Choices([], [])
    given = state.head if reference.checkpoint is None else reference.checkpoint
    checkpoints = Checkpoint.objects.filter(state=state).exclude(number=given).order_by("-number")
    shown = checkpoints.only("number", "status", "created_at", "author", "event_count")
    return Choices(list(shown[:CHECKPOINTS_AT_MOST]), _related(state))


def newest_states() -> list[State]:
    """Where to begin when neither side is given."""
    return list(State.objects.filter(head__gt=0).for_lists().newest_first()[:STATES_AT_MOST])


def _related(state: State) -> list[RelatedState]:
    relatives = Q(parent=state)
    if state.parent_id:
        relatives |= Q(pk=state.parent_id) | Q(parent=state.parent_id)
    found = _saved(state, relatives)
    if state.pipeline:
        known = {one.state.pk for one in found}
        found += [one for one in _saved(state, Q(pipeline=state.pipeline)) if one.state.pk not in known]
    return found[:STATES_AT_MOST]


def _saved(state: State, wanted: Q) -> list[RelatedState]:
    states = State.objects.filter(wanted, head__gt=0).exclude(pk=state.pk).for_lists().newest_first()
    return [RelatedState(_relation(state, other), other) for other in states[:STATES_AT_MOST]]


def _relation(state: State, other: State) -> str:
    if other.pk == state.parent_id:
        return gettext("What it was forked from")
    if other.parent_id == state.pk:
        return gettext("Fork of it")
    return (
        gettext("Fork of the same state")
        if state.parent_id and other.parent_id == state.parent_id
        else gettext("Run of the same pipeline")
    )
