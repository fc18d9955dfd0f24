"""Taking a decision back, as long as the run has not gone on with it."""

import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from recovery.errors import NotUndoable
from recovery.models import ApprovalRequest, Decision, Resolution, Resumption
from recovery.services import audit
from recovery.services.actors import Actor
from recovery.services.answers import Act
from recovery.services.decide import lock
from recovery.services.open_request import add_version
from recovery.services.questions import is_ours, proposal_of
from recovery.services.refuse import record_refusal


def undo(request_id: uuid.UUID, *, by: Any, channel: str = "web") -> ApprovalRequest:
    """Take the decision of a request back: it is open again, and so are those that were cancelled with it. Only
    whoever decided last may, and only before a worker has taken it up.

    Raises:
        NotUndoable: it was refused, and that is recorded.
        ApprovalRequest.DoesNotExist: there is no such request.
    """
    actor = Actor.of(by)
    with transaction.atomic():
        request = lock(request_id)
        resolution = _standing(request)
        reason = _why_not(request, resolution, actor)
        if not reason and resolution is not None:
            _take_back(request, resolution, actor, channel)
            return request
        refusal = NotUndoable(request, reason)
        record_refusal(refusal, actor, Act("undo", channel=channel))
    raise refusal


def may_undo(request: ApprovalRequest, viewer: Any) -> bool:
    """Whether there is something that `viewer` could take back now."""
    return not _why_not(request, _standing(request), Actor.of(viewer))


def _standing(request: ApprovalRequest) -> Resolution | None:
    standing = request.resolutions.filter(undone_at__isnull=True).select_related("decision", "resumption")
    return standing.first()


def _why_not(request: ApprovalRequest, resolution: Resolution | None, actor: Actor) -> str:
    if resolution is None:
        return gettext("Nothing is decided here that could be taken back.")
    decision = resolution.decision
    if decision.actor_kind != Decision.ActorKind.USER or decision.actor_id != actor.user.pk:
        return gettext("Only %(name)s could take this back.") % {
            "name": decision.actor_name or gettext("whoever decided it")
        }
    if resolution.caused_by_id is not None:
        return gettext("It was cancelled with another one: take that one back.")
    if not is_ours(request.state):
        return gettext("The program that runs it has the decision already.")
    job = resolution.resumption
    if job.status != Resumption.Status.PENDING or job.started_at is not None:
        return gettext("The run has gone on with it.")
    return ""


def _take_back(request: ApprovalRequest, resolution: Resolution, actor: Actor, channel: str) -> None:
    now = timezone.now()
    with_it = Resolution.objects.filter(caused_by=resolution.decision, undone_at__isnull=True)
    both = [resolution, *with_it.select_related("request")]
    for one in both:
        # The state is locked, so no worker can be taking them just now; one that took the others is no reason to
        # leave this one as it is.
        Resumption.objects.filter(resolution=one, status=Resumption.Status.PENDING).update(
            status=Resumption.Status.UNDONE, finished_at=now
        )
        Resolution.objects.filter(pk=one.pk).update(undone_at=now)
        ApprovalRequest.objects.filter(pk=one.request_id).update(outcome="", resolved_at=None)
    request.outcome, request.resolved_at = "", None
    decision = Decision.objects.create(
        request=request,
        kind="undo",
        actor=actor.user,
        actor_kind=actor.kind,
        actor_name=actor.name,
        channel=channel,
        version=request.version,
        digest=request.digest,
        created_at=now,
    )
    if resolution.decision.kind == "edit":
        _put_back(request, resolution.decision, actor)
    for one in both:
        audit.record(
            "undone",
            by=actor,
            channel=channel,
            state_id=request.state_id,
            request_id=one.request_id,
            outcome=resolution.outcome if one is resolution else one.outcome,
            decision=decision.pk,
        )


def _put_back(request: ApprovalRequest, edit: Decision, actor: Actor) -> None:
    """The proposal as it stood before the edit that was taken back, as the newest version; unless somebody else had
    put up the same one, and voted for it, before."""
    earlier = request.decisions.filter(kind="edit", version=edit.version, refusal="", pk__lt=edit.pk)
    if earlier.exclude(actor=actor.user).exists():
        return
    before = request.versions.filter(number__lt=edit.version).exclude(digest=edit.digest).order_by("-number").first()
    if before is not None and edit.version == request.version:
        add_version(request, request.version + 1, proposal_of(before), by=actor.user, by_name=actor.name)
