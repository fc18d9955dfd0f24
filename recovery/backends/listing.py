"""Lists of states, which leave the log where it is until somebody asks for it."""

import uuid
import warnings
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from django.db.models import Exists, OuterRef

from recovery.backends.reading import STATE_COLUMNS, load_at, snapshot_values
from recovery.models import State, Tag
from rh_agents.core.errors import CorruptStateError, IncompatibleVersionError, SerializationError, StateNotFoundError
from rh_agents.core.state_recovery import StateSnapshot, StateStatus

_UNREADABLE = (CorruptStateError, IncompatibleVersionError, SerializationError)


class ListedSnapshot(StateSnapshot):
    """A snapshot whose log (events, storage and artifacts) is read when somebody asks for it."""

    __slots__ = ("_load",)

    _load: Callable[[], StateSnapshot]
    _LOG = ("events", "storage", "artifacts")

    @classmethod
    def of(cls, load: Callable[[], StateSnapshot], **values: Any) -> "ListedSnapshot":
        snapshot = cls(**values)
        snapshot._load = load
        for name in cls._LOG:
            delattr(snapshot, name)
        return snapshot

    def __getattr__(self, name: str) -> Any:
        """Called for what is not there, which is the log before it was read."""
        if name not in self._LOG:
            raise AttributeError(name)
        loaded = self._load()
        for part in self._LOG:
            setattr(self, part, getattr(loaded, part))
        return getattr(loaded, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StateSnapshot):
            return NotImplemented
        return all(getattr(self, one.name) == getattr(other, one.name) for one in fields(StateSnapshot))

    __hash__ = None  # type: ignore[assignment]  # it can change, as every snapshot


def list_states(
    tags: Sequence[str], status: StateStatus | None, pipeline: str | None, limit: int
) -> list[StateSnapshot]:
    """Newest first. Warns about a state that cannot be read, and goes on."""
    rows = list(matching(list(dict.fromkeys(tags)), status, pipeline)[:limit])
    tags_by_state: dict[uuid.UUID, list[str]] = {row[0]: [] for row in rows}
    of_these = Tag.objects.filter(state_id__in=tags_by_state).order_by("pk")
    for key, tag in of_these.values_list("state_id", "tag"):
        tags_by_state[key].append(tag)
    found: list[StateSnapshot] = []
    for row in rows:
        try:
            found.append(_listed(row, tags_by_state[row[0]]))
        except _UNREADABLE as error:
            warnings.warn(f"left out of the list: {error}", stacklevel=4)
    return found


def matching(tags: list[str], status: StateStatus | None, pipeline: str | None) -> Any:
    """Rows of STATE_COLUMNS, newest first. The index of the awaiting states of a tag is used where it can be."""
    first, others = (tags[0], tags[1:]) if tags else (None, [])
    if first is not None and status == StateStatus.AWAITING:
        tagged = Tag.objects.filter(tag=first, awaiting_at__isnull=False)
        if pipeline is not None:
            tagged = tagged.filter(state__pipeline=pipeline)
        for tag in others:
            tagged = tagged.filter(Exists(Tag.objects.filter(state=OuterRef("state"), tag=tag)))
        columns = ["state_id", *(f"state__{name}" for name in STATE_COLUMNS[1:])]
        return tagged.order_by("-awaiting_at", "-state_id").values_list(*columns)
    states = State.objects.tagged(others)
    if first is not None:
        states = states.filter(tags__tag=first)
    if status is not None:
        states = states.with_status(status)
    if pipeline is not None:
        states = states.of_pipeline(pipeline)
    return states.newest_first().values_list(*STATE_COLUMNS)


def _listed(row: Sequence[Any], tags: list[str]) -> StateSnapshot:
    values = snapshot_values(row, tags)
    key, head = row[0], values["head"]

    def read() -> StateSnapshot:
        if head == 0:
            return StateSnapshot(state_id=str(key))
        loaded = load_at(key, head)
        if loaded is None:
            raise StateNotFoundError(f"state {key} was deleted since it was listed")
        return loaded

    return ListedSnapshot.of(read, **values)
