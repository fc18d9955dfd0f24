"""One request: what is asked, the decision, and how the run goes on after it."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from recovery.errors import AlreadyResolved, InvalidInput, NotAllowed, PipelineGone, Refused
from recovery.models import ApprovalRequest, State
from recovery.permissions import why_not_decide
from recovery.request_reads import said_about
from recovery.services.decide import decide
from recovery.views.discussion import Discussion
from recovery.views.entered import Entered
from recovery.views.parts import PageRequest, wants_part
from recovery.views.refusals import Refusal
from recovery.views.request_page import handing_of, progress_part_of
from recovery.views.request_shown import (
    asked_of,
    form_again,
    overtaken,
    part,
    visible_request,
    way_of,
    whole_page,
)
from recovery.views.voting import vote_in_words

# A row's number has no more digits than this.
LONGEST_PLACE = 19


@login_required
@require_safe
def show_request(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The page; of its address `before` asks for earlier comments, `hand-on` for the people who could take it over."""
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < LONGEST_PLACE:
        return _earlier(request, pk, int(before))
    asked = asked_of(request, pk)
    if "hand-on" in request.GET and wants_part(request):
        return part(request, pk, "handing", {"handing": handing_of(asked, request.user)})
    return whole_page(request, asked, with_takers="hand-on" in request.GET)


def _earlier(request: PageRequest, pk: uuid.UUID, before: int) -> HttpResponse:
    if wants_part(request):
        approval = visible_request(request, pk)
        said = said_about(approval, before=before, with_acts=False)
        return part(request, pk, "comments", {"approval": approval, "discussion": Discussion.of(said)})
    asked = asked_of(request, pk)
    discussion = Discussion.of(said_about(asked.request, before=before, with_acts=False), is_earlier=True)
    return whole_page(request, asked, discussion=discussion)


@login_required
@require_http_methods(["POST", "GET", "HEAD"])
def decide_request(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Decide, or only change the rows of a form. GET never decides: it is where a login in between leads back to."""
    if request.method != "POST":
        return redirect(way_of(request, pk).request_url)
    asked = asked_of(request, pk)
    entered = Entered(asked, request.POST)
    try:
        if entered.is_act or not entered.is_valid():
            # Who may decide, and who was first, matters more than what is not valid.
            _refuse_if_closed(asked.request, request.user)
            return form_again(request, asked, entered, status=200 if entered.is_act else 422)
        outcome = decide(pk, by=request.user, channel="web", **entered.act())
    except InvalidInput as invalid:
        entered.refuse(invalid.errors)
        return form_again(request, asked, entered, status=422)
    except (ApprovalRequest.DoesNotExist, State.DoesNotExist):
        raise Http404("it was deleted meanwhile") from None
    except (Refused, PipelineGone) as refused:
        refusal = Refusal.of(refused, entered)
        if "live" in request.POST and wants_part(request):
            return overtaken(request, pk, refusal)
        return whole_page(request, asked_of(request, pk), refusal=refusal, status=refusal.status)
    is_short = outcome.resolution is None and asked.request.is_open
    told = vote_in_words(outcome.request, outcome.decision) if is_short else ""
    if wants_part(request):
        return whole_page(request, asked_of(request, pk), told=told)
    if told:
        messages.success(request, told)
    return redirect(way_of(request, pk).request_url)


@login_required
@require_safe
def show_progress(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """How the run goes on; nothing, while that is what the page shows already."""
    if not wants_part(request):
        return redirect(way_of(request, pk).request_url)
    context = progress_part_of(visible_request(request, pk), request.user)
    if context is None or context["progress"].key == request.GET.get("seen"):
        return HttpResponse(status=204)
    return part(request, pk, "progress", context)


def _refuse_if_closed(approval: ApprovalRequest, user: Any) -> None:
    if reason := why_not_decide(user, approval):
        raise NotAllowed(approval, reason)
    if not approval.is_open:
        resolution = approval.resolutions.select_related("decision").get(undone_at__isnull=True)
        raise AlreadyResolved(approval, resolution)
