"""Why an act on a request is not accepted, and the record of that."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext

from recovery.errors import AlreadyResolved, Held, NotAllowed, NotWaiting, OneByOne, Refused, StaleProposal
from recovery.models import ApprovalRequest, Decision, Resolution
from recovery.permissions import Say, policy_of
from recovery.services import audit, minor_acts
from recovery.services.actors import Actor
from recovery.services.answers import LONGEST_KIND, Act, changes_between
from recovery.services.questions import current_version, why_not_waiting
from recovery.services.votes import VOTES
from rh_agents.core.policy import RISK_ORDER

SYSTEM_KINDS = ("expire", "cancel")
# These say something about the proposal, which has to be the one that they looked at.
ABOUT_A_VERSION = (*VOTES, "request_changes")


def why_refused(
    request: ApprovalRequest, actor: Actor, act: Act, say: Say, seen_version: int | None, seen_digest: str
) -> Refused | None:
    if say.why_not and act.kind not in minor_acts.ANYBODYS:
        return NotAllowed(request, say.why_not)
    if not request.is_open and act.kind != "comment":
        return AlreadyResolved(request, standing_resolution(request))
    if act.kind == "claim" and (reason := minor_acts.why_held(request, actor)):
        return Held(request, reason)
    if act.kind not in (*ABOUT_A_VERSION, *SYSTEM_KINDS):
        return None
    if act.together and (reason := why_one_by_one(request)):
        return OneByOne(request, reason)
    if reason := why_not_waiting(request):
        return NotWaiting(request, reason)
    return _why_stale(request, seen_version, seen_digest)


def why_one_by_one(request: ApprovalRequest) -> str:
    """Why it may not be decided together with others, "" if it may."""
    limit = policy_of(request).bulk_up_to
    if request.risk <= RISK_ORDER.index(limit):
        return ""
    return gettext("Its risk is %(risk)s; above %(limit)s each is decided by itself.") % {
        "risk": request.get_risk_display().lower(),
        "limit": limit,
    }


def standing_resolution(request: ApprovalRequest) -> Resolution:
    return request.resolutions.select_related("decision").get(undone_at__isnull=True)


def _why_stale(request: ApprovalRequest, seen_version: int | None, seen_digest: str) -> StaleProposal | None:
    is_other_version = seen_version is not None and seen_version != request.version
    if not is_other_version and seen_digest in ("", request.digest):
        return None
    current = current_version(request)
    if seen_version is not None:
        seen = request.versions.filter(number=seen_version).first()
    else:
        seen = request.versions.filter(digest=seen_digest).order_by("-number").first()
    is_as_seen = seen is not None and seen.digest == current.digest and seen_digest in ("", current.digest)
    # An edit that was taken back leaves another number, but the proposal that they looked at.
    return None if is_as_seen else StaleProposal(request, seen, current, changes_between(seen, current))


def record_refusal(refusal: Refused, actor: Actor, act: Act) -> None:
    request = refusal.request
    Decision.objects.create(
        request=request,
        kind=act.kind[:LONGEST_KIND],
        **who(actor),
        channel=act.channel,
        version=request.version,
        digest=request.digest,
        comment=act.comment,
        refusal=refusal.code,
        created_at=timezone.now(),
    )
    audit.record(
        "refused",
        by=actor,
        channel=act.channel,
        state_id=request.state_id,
        request_id=request.pk,
        kind=act.kind,
        reason=refusal.code,
        message=str(refusal),
    )


def who(actor: Actor) -> dict[str, Any]:
    return {"actor": actor.user, "actor_kind": actor.kind, "actor_name": actor.name, "rule": actor.rule}
