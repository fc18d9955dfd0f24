"""What people do about a request beside deciding it: take the decision back, hold it, hand it on, talk about it."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from recovery.errors import InvalidInput, NotUndoable, Refused
from recovery.languages import lazy as _
from recovery.models import ApprovalRequest, State
from recovery.request_reads import said_about
from recovery.services.actors import Actor
from recovery.services.decide import decide
from recovery.services.undo import undo
from recovery.views.discussion import Discussion
from recovery.views.entered import key_of
from recovery.views.parts import PageRequest, wants_part
from recovery.views.refusals import Refusal
from recovery.views.request_page import page_of
from recovery.views.request_shown import asked_of, overtaken, part, visible_request, way_of, whole_page

# A form with one button for each.
KINDS = ("claim", "release", "delegate", "escalate", "withdraw")
UNDONE = _("Your decision is taken back: the request is open again, and nothing ran.")


@login_required
@require_http_methods(["POST", "GET", "HEAD"])
def undo_decision(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """GET undoes nothing, as below: it is where a login in between leads back to."""
    way = way_of(request, pk)
    if request.method != "POST":
        return redirect(way.request_url)
    try:
        undo(pk, by=request.user, channel="web")
    except ApprovalRequest.DoesNotExist:
        raise Http404("there is no such request") from None
    except NotUndoable as refused:
        refusal = Refusal.of(refused)
        return whole_page(request, asked_of(request, pk), refusal=refusal, status=refusal.status)
    if wants_part(request):
        return whole_page(request, asked_of(request, pk), told=UNDONE)
    messages.success(request, UNDONE)
    return redirect(way.request_url)


@login_required
@require_http_methods(["POST", "GET", "HEAD"])
def act_on_request(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Hold it, let it go, hand it on, escalate it, or take one's vote back. What is being typed on the page stays."""
    way = way_of(request, pk)
    if request.method != "POST":
        return redirect(way.request_url)
    kind = request.POST.get("kind", "")
    try:
        if kind not in KINDS:
            raise InvalidInput(
                {
                    "kind": [
                        gettext("Nothing is done by %(kind)s; there are: %(kinds)s.")
                        % {"kind": f"{kind[:50]!r}", "kinds": ", ".join(KINDS)}
                    ]
                }
            )
        key = key_of(kind, request.POST)
        comment = request.POST.get("comment", "")
        taker = _person(request.POST.get("delegate_to", "")) if kind == "delegate" else None
        decide(pk, by=request.user, kind=kind, delegate_to=taker, comment=comment, channel="web", idempotency_key=key)
    except (ApprovalRequest.DoesNotExist, State.DoesNotExist):
        raise Http404("there is no such request") from None
    except InvalidInput as invalid:
        wrong = " ".join(message for messages in invalid.errors.values() for message in messages)
        return _acted(request, pk, wrong=wrong, status=422)
    except Refused as refused:
        refusal = Refusal.of(refused)
        if not wants_part(request):
            return whole_page(request, asked_of(request, pk), refusal=refusal, status=refusal.status)
        if not refused.request.is_open:
            return overtaken(request, pk, refusal)
        return _acted(request, pk, wrong=f"{refusal.title} {refusal.text}", status=refusal.status)
    told = _TOLD[kind].format(Actor.of(taker).name if taker else "")
    if wants_part(request):
        return _acted(request, pk, told=told)
    messages.success(request, told)
    return redirect(way.request_url)


@login_required
@require_http_methods(["POST", "GET", "HEAD"])
def comment_on_request(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    way = way_of(request, pk)
    if request.method != "POST":
        return redirect(way.request_url)
    text = request.POST.get("comment", "")
    errors: list[str] = []
    try:
        decide(
            pk,
            by=request.user,
            kind="comment",
            comment=text,
            channel="web",
            idempotency_key=key_of("comment", request.POST),
        )
    except (ApprovalRequest.DoesNotExist, State.DoesNotExist):
        raise Http404("there is no such request") from None
    except InvalidInput as invalid:
        errors = [message for messages in invalid.errors.values() for message in messages]
    status = 422 if errors else 200
    if wants_part(request):
        approval = visible_request(request, pk)
        said = said_about(approval, with_acts=False)
        discussion = Discussion.of(said, text if errors else "", errors)
        context = {"approval": approval, "discussion": discussion, "is_commented": True}
        return part(request, pk, "discussion", context, status=status)
    if not errors:
        return redirect(f"{way.request_url}#discussion")
    asked = asked_of(request, pk)
    discussion = Discussion.of(said_about(asked.request, with_acts=False), text, errors)
    return whole_page(request, asked, discussion=discussion, status=status)


def _acted(request: PageRequest, pk: uuid.UUID, *, told: str = "", wrong: str = "", status: int = 200) -> HttpResponse:
    """The page; to htmx what of it such an act changes, and the forms stay as they are."""
    asked = asked_of(request, pk)
    context = page_of(asked, request.user) | {"told": told, "wrong": wrong}
    is_open = asked.request.is_open
    return part(request, pk, "acted" if is_open else "request", context, status=status)


def _person(pk: str) -> Any:
    is_number = pk.isascii() and pk.isdigit() and len(pk) < 10
    return get_user_model()._default_manager.filter(pk=int(pk), is_active=True).first() if is_number else None


_TOLD = {
    "claim": _("You hold it now; others see that."),
    "release": _("You let it go."),
    "delegate": _("You handed it on to {}."),
    "escalate": _("It is escalated."),
    "withdraw": _("Your vote is taken back."),
}
