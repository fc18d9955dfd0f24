"""What happens to a request when nobody decides: people are reminded, others may decide too, and in the end it
expires."""

import logging
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from recovery.errors import AlreadyResolved, InvalidInput
from recovery.models import ApprovalRequest
from recovery.permissions import policy_of
from recovery.services import notify
from recovery.services.actors import SYSTEM
from recovery.services.clocks import ClockWatch, watch
from recovery.services.decide import decide
from recovery.services.questions import why_not_waiting

logger = logging.getLogger(__name__)

AT_MOST = 1000
_BATCH = 100
CHANNEL = "clock"
# One that cannot be attended to, because its pipeline is not installed or it is broken, waits so long for another try.
AGAIN_AFTER = timedelta(minutes=5)


def attend(clock: ClockWatch = watch) -> int:
    """Do what is due by the database's clock, each request in a transaction of its own; how many there were.

    One that fails is logged and stops no other. Safe to call twice at once.
    """
    # Asked for every time: a jump is noticed only by looking.
    may_expire = clock.is_steady(settings.RECOVERY["CLOCK_SETTLES_S"])
    count = 0
    for pk, attend_at in _due():
        count += 1
        try:
            is_done = _attend_to(pk, may_expire)
        except Exception:  # whatever is wrong with this one, the others are due as well
            logger.exception("request %s could not be attended to; it is tried again in %s", pk, AGAIN_AFTER)
            is_done = False
        if not is_done:
            _put_off(pk, attend_at)
    return count


def _due() -> Iterator[tuple[uuid.UUID, datetime | None]]:
    """(id, attend_at) of those that are due, the longest due first."""
    due = ApprovalRequest.objects.open().filter(attend_at__lte=Now()).order_by("attend_at", "pk")
    found = list(due.values_list("pk", "attend_at")[:_BATCH])
    taken = 0
    while found and taken < AT_MOST:
        yield from found
        taken += len(found)
        pk, at = found[-1]
        # What was just attended to is due later, and what was put off is not due: both lie behind this place.
        later = due.filter(Q(attend_at__gt=at) | Q(attend_at=at, pk__gt=pk))
        found = list(later.values_list("pk", "attend_at")[:_BATCH])


def _attend_to(pk: uuid.UUID, may_expire: bool) -> bool:
    """Do the last thing that is due, and nothing that came before it: nobody is reminded of what is over. Whether
    there is nothing left to do later."""
    due = ApprovalRequest.objects.open().filter(pk=pk)
    if due.filter(expires_at__lte=Now()).exists():
        # By both clocks: either of them may have been set forward.
        is_over = may_expire and due.filter(expires_at__lte=timezone.now()).exists()
        return not is_over or _expire(pk)
    if due.filter(escalate_at__lte=Now()).exists():
        _escalate(pk)
    _remind(pk)
    return True


def _expire(pk: uuid.UUID) -> bool:
    request = ApprovalRequest.objects.select_related("state").get(pk=pk)
    if reason := why_not_waiting(request):
        # Trying would be recorded as a refusal, every time.
        logger.info("request %s has expired, but its run takes nothing now: %s", pk, reason)
        return False
    with suppress(AlreadyResolved):  # Somebody was first.
        decide(pk, by=SYSTEM, kind="expire", channel=CHANNEL)
    return True


def _escalate(pk: uuid.UUID) -> None:
    try:
        decide(pk, by=SYSTEM, kind="escalate", channel=CHANNEL)
    except (AlreadyResolved, InvalidInput):
        # Somebody was first, with this or with a decision; else it cannot be done at all.
        if ApprovalRequest.objects.open().filter(pk=pk, escalated_at__isnull=True).exists():
            raise


def _remind(pk: uuid.UUID) -> None:
    """Tell those who may decide, once however many come by."""
    with transaction.atomic():
        due = ApprovalRequest.objects.select_for_update(of=("self",)).open().annotate(at=Now())
        request: Any = due.filter(pk=pk, remind_at__lte=Now()).first()
        if request is None:
            return
        every_s = policy_of(request).remind_every_s
        request.remind_at = request.at + timedelta(seconds=every_s) if every_s is not None else None
        request.reminders += 1
        request.save(update_fields=["remind_at", "reminders"])
        notify.remind(request)


def _put_off(pk: uuid.UUID, attend_at: datetime | None) -> None:
    # Whatever is saved of the request meanwhile says anew when it is due.
    ApprovalRequest.objects.open().filter(pk=pk, attend_at=attend_at).update(attend_at=Now() + AGAIN_AFTER)
