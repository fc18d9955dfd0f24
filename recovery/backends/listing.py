"""Lists of states, which leave the log where it is until somebody asks for it."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from recovery.backends import sql
from recovery.backends.reading import STATE_COLUMNS, load_at, snapshot_values
from recovery.backends.rows import check_texts
from recovery.models import State, Tag
from rh_agents.core.errors import CorruptStateError, IncompatibleVersionError, SerializationError, StateNotFoundError
from rh_agents.core.state_recovery import StateSnapshot, StateStatus, check_version, is_older

# As many as any database can count.
_NO_LIMIT = 2**63 - 1

_VERSION, _HEAD = STATE_COLUMNS.index("schema_version"), STATE_COLUMNS.index("head")
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
    """Newest first. Warns about a state that cannot be read, and goes on.

    Raises:
        ValueError: a tag or the pipeline's name is no text that a database could hold.
    """
    check_texts((*tags, pipeline), (*("tag" for _ in tags), "pipeline_name"), "the filter")
    statement, values = matching(list(dict.fromkeys(tags)), status, pipeline)
    rows = sql.select(f"{statement} LIMIT %s", [*values, min(limit, _NO_LIMIT)])
    tags_by_state: dict[Any, list[str]] = {row[0]: [] for row in rows}
    for key, tag in _tags(list(tags_by_state)):
        tags_by_state[key].append(tag)
    found: list[StateSnapshot] = []
    for row in rows:
        try:
            found.append(_listed(row, tags_by_state[row[0]]))
        except _UNREADABLE as error:
            warnings.warn(f"left out of the list: {error}", stacklevel=4)
    return found


def matching(tags: list[str], status: StateStatus | None, pipeline: str | None) -> tuple[str, list[str]]:
    """The statement for rows of STATE_COLUMNS, newest first, and its values.

    The index of the awaiting states of a tag is used where it can be: `awaiting_at` is the state's `updated_at`.
    """
    is_awaiting = bool(tags) and status == StateStatus.AWAITING
    tagged = f'JOIN {sql.table(Tag)} t ON t."state_id" = s."id" AND t."tag" = %s' if tags else ""
    other = f'EXISTS (SELECT 1 FROM {sql.table(Tag)} o WHERE o."state_id" = s."id" AND o."tag" = %s)'  # noqa: S608
    conditions = [other] * len(tags[1:])
    values = list(tags)
    if is_awaiting:
        conditions.append('t."awaiting_at" IS NOT NULL')
    elif status is not None:
        conditions.append('s."status" = %s')
        values.append(str(status))
    if pipeline is not None:
        conditions.append('s."pipeline" = %s')
        values.append(pipeline)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    order = 't."awaiting_at" DESC, t."state_id" DESC' if is_awaiting else 's."updated_at" DESC, s."id" DESC'
    columns = sql.names(STATE_COLUMNS, "s")
    return f"SELECT {columns} FROM {sql.table(State)} s {tagged} {where} ORDER BY {order}", values  # noqa: S608


def _tags(keys: list[Any]) -> Iterator[tuple[Any, str]]:
    """The tags of the states, each state's in their order."""
    for start in range(0, len(keys), sql.BATCH):
        batch = keys[start : start + sql.BATCH]
        marks = ", ".join(["%s"] * len(batch))
        statement = f'SELECT "state_id", "tag" FROM {sql.table(Tag)} WHERE "state_id" IN ({marks}) ORDER BY "id"'  # noqa: S608
        yield from sql.select(statement, batch)


def _listed(row: Sequence[Any], tags: list[str]) -> StateSnapshot:
    key, head, version = sql.as_uuid(row[0]), row[_HEAD], row[_VERSION]
    check_version(version)

    def read() -> StateSnapshot:
        if head == 0:
            return StateSnapshot(state_id=str(key))
        loaded = load_at(key, head)
        if loaded is None:
            raise StateNotFoundError(f"state {key} was deleted since it was listed")
        return loaded

    if head and is_older(version):
        return read()  # What a migration makes of it is known when all of it is.
    return ListedSnapshot.of(read, **snapshot_values(row, tags))
