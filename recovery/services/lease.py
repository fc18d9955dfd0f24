"""The lease of a state: who may run it. Its number goes with every write, so that a stale holder writes nothing.

When it runs out is said by the clock of the database alone: those of the workers may differ.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Now

from recovery.models import Resumption, State
from recovery.models.prepared import Prepared, PreparedUpdate, can_return
from recovery.services import heartbeat


class Lease:
    """The right to run one state, as long as it is renewed. As a context manager it is renewed by the heartbeat.

    `renewed_at` and `renew_at` are on this machine's monotonic clock.
    """

    def __init__(self, state_id: uuid.UUID, fence: int, renewed_at: float) -> None:
        self.state_id = state_id
        self.fence = fence
        self._why_lost: str | None = None
        self._tell: Callable[[str], None] | None = None
        self.was_renewed(renewed_at)

    def __enter__(self) -> Self:
        heartbeat.keep(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        heartbeat.leave(self)

    def renew(self) -> bool:
        """`False`: somebody else holds the state by now, or nobody does."""
        return self.state_id in heartbeat.renew([self])

    def was_renewed(self, at: float) -> None:
        self.renewed_at = at
        self.renew_at = at + settings.RECOVERY["HEARTBEAT_S"]

    def when_lost(self, tell: Callable[[str], None]) -> None:
        """Call `tell` with the reason, on any thread, once the lease is lost; at once if it is."""
        self._tell = tell
        if self._why_lost is not None:
            tell(self._why_lost)

    def lose(self, why: str) -> None:
        self._why_lost = why
        if self._tell is not None:
            self._tell(why)

    def release_unless_due(self) -> bool:
        """Let go if no job is due. `False`: one came meanwhile, so the holder looks again."""
        with transaction.atomic():
            if not _HELD.all(pk=self.state_id, fence=self.fence):
                return True  # Deleted meanwhile, or somebody else's.
            if _DUE.all(state=self.state_id):
                return False
            _RELEASE.run(pk=self.state_id, fence=self.fence)
        return True


_HELD = Prepared(
    lambda given: State.objects.select_for_update(no_key=True).filter(pk=given.pk, fence=given.fence).values_list("pk"),
    pk=UUID,
    fence=int,
)
_DUE = Prepared(lambda given: Resumption.objects.due().filter(state_id=given.state).values_list("pk")[:1], state=UUID)
_RELEASE = PreparedUpdate(
    lambda given: State.objects.filter(pk=given.pk, fence=given.fence),
    lambda given: {"lease_until": None, "lease_owner": ""},
    pk=UUID,
    fence=int,
)


def claim(state_id: uuid.UUID) -> Lease | None:
    """Take the lease of a state that has a job due and no holder, by compare-and-set; `None` if that is not so."""
    began = time.monotonic()
    if can_return():
        claimed = _CLAIM.returning("fence", pk=state_id, owner=owner())
        return Lease(state_id, claimed[0], renewed_at=began) if claimed else None
    fences = _FENCE.first(pk=state_id)
    if fences is None:
        return None
    # The fence is part of the condition: this process may sleep here, and must not come by the number of a successor.
    is_claimed = _CLAIM_AFTER.run(pk=state_id, owner=owner(), fence=fences[0])
    return Lease(state_id, fences[0] + 1, renewed_at=began) if is_claimed else None


def _claimable(given: Any) -> QuerySet[State]:
    is_due = Exists(Resumption.objects.due().filter(state_id=OuterRef("pk")))
    return State.objects.unheld().filter(is_due, pk=given.pk)


def _taken(given: Any) -> dict[str, Any]:
    until = Now() + timedelta(seconds=settings.RECOVERY["LEASE_S"])
    return {"fence": F("fence") + 1, "lease_until": until, "lease_owner": given.owner}


_CLAIM = PreparedUpdate(_claimable, _taken, pk=UUID, owner=str)
_FENCE = Prepared(lambda given: _claimable(given).values_list("fence"), pk=UUID)
_CLAIM_AFTER = PreparedUpdate(
    lambda given: _claimable(given).filter(fence=given.fence), _taken, pk=UUID, owner=str, fence=int
)


def owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"[:200]
