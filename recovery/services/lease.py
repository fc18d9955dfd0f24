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
from typing import Self

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from recovery.models import Resumption, State
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
            held = State.objects.filter(pk=self.state_id, fence=self.fence)
            if held.select_for_update(no_key=True).values_list("pk").first() is None:
                return True  # Deleted meanwhile, or somebody else's.
            if Resumption.objects.due().filter(state_id=self.state_id).exists():
                return False
            held.update(lease_until=None, lease_owner="")
        return True


def claim(state_id: uuid.UUID) -> Lease | None:
    """Take the lease of a state that has a job due and no holder, by compare-and-set; `None` if that is not so."""
    is_due = Exists(Resumption.objects.due().filter(state_id=OuterRef("pk")))
    fence = State.objects.filter(is_due, pk=state_id).values_list("fence", flat=True).first()
    if fence is None:
        return None
    began = time.monotonic()
    # The fence is part of the condition: this process may sleep here, and must not come by the number of a successor.
    claimed = (
        State.objects.unheld()
        .filter(pk=state_id, fence=fence)
        .update(
            fence=fence + 1,
            lease_until=Now() + timedelta(seconds=settings.RECOVERY["LEASE_S"]),
            lease_owner=owner(),
        )
    )
    return Lease(state_id, fence + 1, renewed_at=began) if claimed else None


def owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"[:200]
