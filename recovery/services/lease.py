"""The lease of a state: who may run it. Its number goes with every write, so that a stale holder writes nothing."""

import logging
import os
import socket
import threading
import uuid
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import close_old_connections, connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from recovery.models import Resumption, State

logger = logging.getLogger(__name__)


class Lease:
    """The right to run one state, as long as it is renewed. As a context manager it renews itself on a thread of its
    own: a handler that blocks must not lose it."""

    def __init__(self, state_id: uuid.UUID, fence: int) -> None:
        self.state_id = state_id
        self.fence = fence
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{state_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def renew(self) -> bool:
        """`False`: somebody else holds the state by now."""
        renewed = State.objects.filter(pk=self.state_id, fence=self.fence).update(lease_until=_until())
        return bool(renewed)

    def release_unless_due(self) -> bool:
        """Let go if no job is due. `False`: one came meanwhile, so the holder looks again."""
        with transaction.atomic():
            state = State.objects.select_for_update(no_key=True).get(pk=self.state_id)
            if state.fence != self.fence:
                return True
            if Resumption.objects.due(timezone.now()).filter(state=state).exists():
                return False
            state.lease_until, state.lease_owner = None, ""
            state.save(update_fields=["lease_until", "lease_owner"])
        return True

    def _beat(self) -> None:
        try:
            while not self._ended.wait(settings.RECOVERY["HEARTBEAT_S"]):
                try:
                    if not self.renew():
                        return
                except Exception:  # a database that is away for a moment; the lease outlives some missed beats
                    logger.warning("the lease of state %s could not be renewed", self.state_id, exc_info=True)
                    close_old_connections()
        finally:
            connection.close()


def claim(state_id: uuid.UUID) -> Lease | None:
    """Take the lease of a state that has a job due and no holder, by compare-and-set; `None` if that is not so."""
    now = timezone.now()
    if not Resumption.objects.due(now).filter(state_id=state_id).exists():
        return None
    claimed = State.objects.filter(Q(lease_until__isnull=True) | Q(lease_until__lt=now), pk=state_id).update(
        fence=F("fence") + 1, lease_until=_until(), lease_owner=owner()
    )
    if not claimed:
        return None
    # Nobody can have raised the fence since: the lease is ours for some seconds.
    return Lease(state_id, State.objects.values_list("fence", flat=True).get(pk=state_id))


def owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"[:200]


def _until() -> datetime:
    return timezone.now() + timedelta(seconds=settings.RECOVERY["LEASE_S"])
