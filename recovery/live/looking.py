"""What changed in the database: cheap reads, the same for any number of streams. Nothing is written for them."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from django.db import connection

from recovery.live import topics
from recovery.models import AuditEntry, AuditTail, Resumption, State

ENTRIES_AT_MOST = 1_000
_IDS_AT_ONCE = 500
# Of what is about no request, this one takes requests away.
_DELETED = "deleted"


class Looker:
    """Remembers what it saw. Use it on one thread: on SQLite the connection says whether others wrote since.

    Every act on a request is an entry of the audit, whose numbers have no gaps and come in the order of the commits: so
    what comes after the last one is exactly what is new. How a run goes on is in its state and its jobs.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._is_behind = False
        self._data_version: int | None = None
        self._states: dict[uuid.UUID, Any] = {}

    def look(self, watched: Collection[str]) -> set[str]:
        """Those of `watched` that changed since the last look. Of what was not watched before it says nothing."""
        state_ids = topics.ids_of("state", watched)
        is_new = any(pk not in self._states for pk in state_ids)
        if not (self._has_been_written() or is_new or self._is_behind):
            return set()
        return (self._acts() | self._runs(state_ids)) & set(watched)

    def let_go(self) -> None:
        """Close its connection; the next look opens another one, and remembers what was seen before."""
        connection.close()
        # Each connection counts anew, and may well come to the same number.
        self._data_version = None

    def _has_been_written(self) -> bool:
        """Whether anybody wrote anything; PostgreSQL does not say."""
        if connection.vendor != "sqlite":
            return True
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA data_version")
            before, (self._data_version,) = self._data_version, cursor.fetchone()
        return self._data_version != before

    def _acts(self) -> set[str]:
        tail = AuditTail.objects.filter(pk=1).values_list("number", flat=True).first() or 0
        if self._number is None or self._number == tail:
            self._number = tail
            return set()
        newer = AuditEntry.objects.filter(number__gt=self._number, number__lte=tail).order_by("number")
        entries = list(newer.values_list("number", "action", "state_id", "request_id")[:ENTRIES_AT_MOST])
        self._is_behind = len(entries) == ENTRIES_AT_MOST
        self._number = entries[-1][0] if self._is_behind else tail
        changed: set[str] = set()
        for _, action, state_id, request_id in entries:
            # Rules, policies and who stands in for whom are about no state either, and change for whom requests wait.
            if request_id or not state_id or action == _DELETED:
                changed.add(topics.INBOX)
            if request_id:
                changed.add(topics.of_request(request_id))
            if state_id:
                changed.add(topics.of_state(state_id))
        return changed

    def _runs(self, state_ids: list[uuid.UUID]) -> set[str]:
        before, self._states = self._states, _versions(state_ids)
        return {topics.of_state(pk) for pk in state_ids if pk in before and self._states[pk] != before[pk]}


def _versions(state_ids: list[uuid.UUID]) -> dict[uuid.UUID, Any]:
    """State to what is another thing as soon as its page shows something else; `None` for one that is not there."""
    versions: dict[uuid.UUID, Any] = dict.fromkeys(state_ids)
    for ids in _portions(state_ids):
        jobs: dict[uuid.UUID, list[Any]] = defaultdict(list)
        found = Resumption.objects.filter(state_id__in=ids).order_by("pk")
        for pk, *job in found.values_list("state_id", "pk", "status", "attempts"):
            jobs[pk].append(job)
        states = State.objects.filter(pk__in=ids).values_list("pk", "head", "status", "superseded_by_id")
        for pk, *state in states:
            versions[pk] = (state, jobs[pk])
    return versions


def _portions(ids: list[uuid.UUID]) -> Iterable[list[uuid.UUID]]:
    return (ids[start : start + _IDS_AT_ONCE] for start in range(0, len(ids), _IDS_AT_ONCE))
