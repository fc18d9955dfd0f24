"""Acts that settle nothing: a comment, holding a request, handing it on, taking one's vote back."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext

from recovery.errors import InvalidInput
from recovery.models import ApprovalRequest, Decision, RequestDecider
from recovery.permissions import DECIDE, policy_of, say_of
from recovery.services import notify
from recovery.services.actors import Actor
from recovery.services.answers import WHAT, Act
from recovery.services.votes import accepted_acts, votes_of

KINDS = ("comment", "claim", "release", "delegate", "escalate", "withdraw")
# Whoever may see a request may do these; of a hold only its own person, see `_release`.
ANYBODYS = ("comment", "release")
PAST = {
    "comment": "commented",
    "claim": "claimed",
    "release": "released",
    "delegate": "delegated",
    "escalate": "escalated",
    "withdraw": "withdrew",
}


def why_held(request: ApprovalRequest, actor: Actor) -> str:
    """Why `actor` cannot claim it, "" if they can: nobody holds it, they do, or somebody has for too long."""
    if request.holder_id is None or request.holder_id == getattr(actor.user, "pk", None):
        return ""
    held_for = timezone.now() - (request.held_since or request.opened_at)
    if held_for >= timedelta(seconds=settings.RECOVERY["CLAIM_S"]):
        return ""
    holder = Actor.of(request.holder).name
    minutes = int(held_for.total_seconds() // 60)
    return gettext("%(holder)s holds it since %(minutes)s min. Ask them, or decide it without holding it.") % {
        "holder": holder,
        "minutes": minutes,
    }


def carry_out(request: ApprovalRequest, actor: Actor, act: Act, decision: Decision) -> None:
    """Do what `decision`, which is written down, says.

    Raises:
        InvalidInput: it cannot be done; the transaction is to be given up.
    """
    _DO[act.kind](request, actor, act, decision)


def _comment(request: ApprovalRequest, actor: Actor, act: Act, decision: Decision) -> None:
    if not act.comment.strip():
        raise InvalidInput({"comment": [gettext("Write something first.")]}, WHAT)


def _claim(request: ApprovalRequest, actor: Actor, act: Act, decision: Decision) -> None:
    if request.holder_id != actor.user.pk:
        _hold(request, actor.user, decision)


def _hold(request: ApprovalRequest, user: Any, decision: Decision) -> None:
    request.holder, request.held_since = user, decision.created_at if user else None
    request.save(update_fields=["holder", "held_since"])


def _release(request: ApprovalRequest, actor: Actor, act: Act, decision: Decision) -> None:
    if request.holder_id is None or request.holder_id != actor.user.pk:
        raise InvalidInput({"kind": [gettext("You do not hold it.")]}, WHAT)
    _hold(request, None, decision)


def _delegate(request: ApprovalRequest, actor: Actor, act: Act, decision: Decision) -> None:
    taker = act.delegate_to
    if taker is None:
        raise InvalidInput({"delegate_to": [gettext("Say to whom.")]}, WHAT)
    if taker == actor.user:
        raise InvalidInput({"delegate_to": [gettext("That is you.")]}, WHAT)
    why_not = say_of(taker, request).why_not
    if why_not and (request.open_to_all or not _could_be_named(taker, request)):
        name = Actor.of(taker).name
        raise InvalidInput(
            {"delegate_to": [gettext("%(name)s may not decide it, whoever hands it on.") % {"name": name}]}, WHAT
        )
    if why_not:
        RequestDecider.objects.create(request=request, username=taker.get_username(), why=RequestDecider.Why.DELEGATED)
    _hold(request, taker, decision)
    notify.tell_of_handing_on(request, taker)


def _could_be_named(user: Any, request: ApprovalRequest) -> bool:
    """Whether only the policy's list keeps them from it."""
    is_requester = request.requested_by_id == user.pk and not request.self_approval
    return bool(user.is_active and not is_requester and user.has_perm(DECIDE))


def _escalate(request: ApprovalRequest, actor: Actor, act: Act, decision: Decision) -> None:
    policy = policy_of(request)
    if not policy.escalate_to:
        raise InvalidInput({"kind": [gettext("The policy names nobody that it could be escalated to.")]}, WHAT)
    if request.escalated_at is not None:
        raise InvalidInput({"kind": [gettext("It is escalated already.")]}, WHAT)
    RequestDecider.objects.bulk_create(
        RequestDecider(request=request, group=name, why=RequestDecider.Why.ESCALATED)
        for name in sorted(policy.escalate_to)
    )
    request.escalate_at, request.escalated_at = None, decision.created_at
    request.save(update_fields=["escalate_at", "escalated_at"])
    notify.tell_of_escalation(request)


def _withdraw(request: ApprovalRequest, actor: Actor, act: Act, decision: Decision) -> None:
    before = [one for one in accepted_acts(request) if one.pk != decision.pk]
    if not any(vote.actor_id == actor.user.pk for votes in votes_of(request, before) for vote in votes):
        raise InvalidInput({"kind": [gettext("You have no vote here to take back.")]}, WHAT)


_DO = {
    "comment": _comment,
    "claim": _claim,
    "release": _release,
    "delegate": _delegate,
    "escalate": _escalate,
    "withdraw": _withdraw,
}
