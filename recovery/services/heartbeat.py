"""The heartbeat: one thread of a process, which renews all leases that its runs hold, on a connection of its own."""

import logging
import math
import os
import threading
import time
import uuid
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections, transaction
from django.db.models import Q
from django.db.models.functions import Now

from recovery.models import State

if TYPE_CHECKING:
    from recovery.services.lease import Lease

logger = logging.getLogger(__name__)

# After a beat that failed, so many more are tried in the time of one.
_RETRIES = 5
_LOCK_NOT_AVAILABLE = "55P03"


class Heartbeat:
    """Renews leases for as long as there are any. A handler that blocks its thread must not lose its lease, nor must
    runs that hold every connection of the pool: neither thread nor connection is theirs."""

    def __init__(self) -> None:
        self._leases: set[Lease] = set()
        self._changed = threading.Condition()
        self._is_running = False

    def keep(self, lease: "Lease") -> None:
        """Renew `lease` from now on, until it is left or lost."""
        with self._changed:
            self._leases.add(lease)
            self._changed.notify_all()
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="recovery-heartbeat", daemon=True).start()

    def leave(self, lease: "Lease") -> None:
        with self._changed:
            self._leases.discard(lease)
            self._changed.notify_all()

    def _run(self) -> None:
        while self._is_needed():
            _use_own_connection()
            try:
                while leases := self._next():
                    self._beat(leases)
            finally:
                _close_connection()

    def _is_needed(self) -> bool:
        """Wait for a lease, for the time of a beat: a run does not start at once when it has to start a thread. Without
        any the thread ends."""
        with self._changed:
            if self._changed.wait_for(lambda: self._leases, settings.RECOVERY["HEARTBEAT_S"]):
                return True
            self._is_running = False
            return False

    def _next(self) -> "list[Lease]":
        """Wait until one has to be renewed: all of them then. None if there are none any more."""
        with self._changed:
            while self._leases:
                wait_s = min(lease.renew_at for lease in self._leases) - time.monotonic()
                if wait_s <= 0:
                    return list(self._leases)
                self._changed.wait(wait_s)
            return []

    def _beat(self, leases: "Sequence[Lease]") -> None:
        began = time.monotonic()
        try:
            held = renew(leases)
        except Exception as error:
            if len(leases) > 1 and _is_lock_timeout(error):
                # Somebody keeps one of the rows locked. The others must not wait for that.
                for lease in leases:
                    self._beat([lease])
                return
            logger.warning("%d leases could not be renewed, which will be tried again", len(leases), exc_info=True)
            _close_connection()
            self._put_off(leases)
            return
        for lease in leases:
            if lease.state_id in held:
                lease.was_renewed(began)
            else:
                self._lose(lease, f"the lease of state {lease.state_id} was lost: another worker has it")

    def _put_off(self, leases: "Sequence[Lease]") -> None:
        now = time.monotonic()
        for lease in leases:
            lease.renew_at = now + settings.RECOVERY["HEARTBEAT_S"] / _RETRIES
            if now - lease.renewed_at >= settings.RECOVERY["LEASE_S"]:
                self._lose(lease, f"the lease of state {lease.state_id} ran out: it could not be renewed in time")

    def _lose(self, lease: "Lease", why: str) -> None:
        self.leave(lease)
        lease.lose(why)


def renew(leases: "Collection[Lease]") -> set[uuid.UUID]:
    """Put off the end of all these leases, in one statement; the states of those that are still held."""
    # One that was released is not taken again by a late beat: nobody would release it a second time.
    held = State.objects.filter(
        reduce(or_, (Q(pk=lease.state_id, fence=lease.fence) for lease in leases)), lease_until__isnull=False
    )
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                wait_ms = max(1, int(settings.RECOVERY["HEARTBEAT_S"] * 500))
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(wait_ms)])
        count = held.update(lease_until=Now() + timedelta(seconds=settings.RECOVERY["LEASE_S"]))
    if count == len(leases):
        return {lease.state_id for lease in leases}
    return set(held.values_list("pk", flat=True))


def _use_own_connection() -> None:
    """Give this thread a connection beside the pool, which does not wait for longer than a lease can."""
    own = connections.create_connection(DEFAULT_DB_ALIAS)
    options: dict[str, Any] = {**own.settings_dict.get("OPTIONS", {})}
    patience_s = settings.RECOVERY["HEARTBEAT_S"]
    if own.vendor == "postgresql":
        options.pop("pool", None)
        options |= {"connect_timeout": max(2, math.ceil(patience_s)), "tcp_user_timeout": math.ceil(patience_s * 1000)}
    elif own.vendor == "sqlite":
        options["timeout"] = patience_s
    own.settings_dict = {**own.settings_dict, "OPTIONS": options}
    connections[DEFAULT_DB_ALIAS] = own


def _close_connection() -> None:
    with suppress(DatabaseError):
        connection.close()


def _is_lock_timeout(error: Exception) -> bool:
    return getattr(error.__cause__, "sqlstate", "") == _LOCK_NOT_AVAILABLE


_heartbeat = Heartbeat()


def keep(lease: "Lease") -> None:
    """Renew `lease` on the thread of this process, until it is left or lost."""
    _heartbeat.keep(lease)


def leave(lease: "Lease") -> None:
    """Let `lease` run out, unless it is released."""
    _heartbeat.leave(lease)


def _start_anew() -> None:
    global _heartbeat
    _heartbeat = Heartbeat()


# Threads do not survive a fork, and the leases of the parent stay the parent's.
os.register_at_fork(after_in_child=_start_anew)
