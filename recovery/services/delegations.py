"""Delegations for a time: while somebody is away, another person decides what they may decide."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext

from recovery import pipelines
from recovery.errors import InvalidInput, RecoveryError
from recovery.models import Delegation
from recovery.models.access import DelegationQuerySet
from recovery.permissions import DECIDE, holders_of
from recovery.services import audit, notify

REVOKE_ALL = "recovery.change_delegation"
LONGEST = timedelta(days=366)
LONGEST_REASON = 500


class NotRevocable(RecoveryError):
    """There is nothing to take back, or not for this person; the message says why."""


def why_not_give(giver: Any) -> str:
    """Empty for somebody who has a say that they can lend."""
    if giver.is_active and giver.has_perm(DECIDE):
        return ""
    return gettext("You are not among those who decide requests, so there is nothing to hand over.")


def give(
    *,
    giver: Any,
    taker: Any,
    starts_at: datetime,
    ends_at: datetime,
    pipeline: str = "",
    reason: str = "",
    by: Any = None,
    channel: str = "web",
) -> Delegation:
    """Let `taker` decide what `giver` may decide, of one pipeline or of all. Given twice, it is the same one.

    `by` is who says so, where that is not the giver.

    Raises:
        InvalidInput: it cannot be given like this; nothing was written.
    """
    if errors := _errors(giver, taker, starts_at, ends_at, pipeline, reason):
        raise InvalidInput(errors, "the delegation")
    about = {"giver": giver, "taker": taker, "pipeline": pipeline, "starts_at": starts_at, "ends_at": ends_at}
    with transaction.atomic():
        # Two clicks at once queue here, so that the second finds what the first gave.
        get_user_model()._default_manager.select_for_update(no_key=True).get(pk=giver.pk)
        if known := Delegation.objects.filter(**about, revoked_at__isnull=True).first():
            return known
        delegation = Delegation.objects.create(**about, reason=reason, created_by=by or giver)
        notify.tell_of_handing_over(delegation)
        _record("delegation_given", delegation, by or giver, channel)
    return delegation


def revoke(pk: int, *, by: Any, channel: str = "web") -> Delegation:
    """End a delegation now. Whoever gave it may, whoever took it, and admins.

    Raises:
        NotRevocable: it is over already, or somebody else's.
        Delegation.DoesNotExist: there is none.
    """
    with transaction.atomic():
        delegation = Delegation.objects.select_related("giver", "taker").get(pk=pk)
        if by.pk not in (delegation.giver_id, delegation.taker_id) and not by.has_perm(REVOKE_ALL):
            raise NotRevocable(gettext("This delegation is between other people."))
        if not Delegation.objects.filter(pk=pk).filter(_NOT_OVER).update(revoked_at=Now()):
            raise NotRevocable(gettext("This delegation is over already."))
        delegation.refresh_from_db(fields=["revoked_at"])
        _record("delegation_revoked", delegation, by, channel)
    return delegation


_NOT_OVER = Q(revoked_at__isnull=True, ends_at__gt=Now())


def of(user: Any) -> DelegationQuerySet:
    """Those that somebody gave or took, the newest first."""
    return Delegation.objects.filter(Q(giver=user) | Q(taker=user)).select_related("giver", "taker", "created_by")


def takers_for(giver: Any) -> Any:
    """The people to whom somebody could hand over."""
    return holders_of(DECIDE).exclude(pk=giver.pk).order_by("first_name", "last_name", "username")


def _errors(
    giver: Any, taker: Any, starts_at: datetime, ends_at: datetime, pipeline: str, reason: str
) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    if why_not := why_not_give(giver):
        errors[""] = [why_not]
    if taker.pk == giver.pk:
        errors["taker"] = [gettext("That is the same person.")]
    elif not taker.is_active or not taker.has_perm(DECIDE):
        errors["taker"] = [gettext("%(name)s may not decide requests at all.") % {"name": taker.get_username()}]
    if pipeline and pipelines.find(pipeline) is None:
        errors["pipeline"] = [gettext("No pipeline is named %(pipeline)s.") % {"pipeline": f"{pipeline!r}"}]
    if ends_at <= starts_at:
        errors["ends_at"] = [gettext("It ends before it begins.")]
    elif ends_at <= timezone.now():
        errors["ends_at"] = [gettext("That is over already.")]
    elif ends_at - starts_at > LONGEST:
        errors["ends_at"] = [gettext("It lasts longer than a year (%(days)s days).") % {"days": LONGEST.days}]
    if len(reason) > LONGEST_REASON:
        errors["reason"] = [
            gettext("It is longer than %(longest_reason)s characters.") % {"longest_reason": LONGEST_REASON}
        ]
    return errors


def _record(action: str, delegation: Delegation, by: Any, channel: str) -> None:
    audit.record(
        action,
        by=by,
        channel=channel,
        delegation=delegation.pk,
        giver=delegation.giver.get_username(),
        taker=delegation.taker.get_username(),
        pipeline=delegation.pipeline,
        starts_at=delegation.starts_at.isoformat(),
        ends_at=delegation.ends_at.isoformat(),
        reason=delegation.reason,
    )
