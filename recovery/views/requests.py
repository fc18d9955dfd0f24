"""One request: what is asked, the decision, and how the run goes on after it."""

import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_safe

from recovery.errors import (
    AlreadyResolved,
    InvalidInput,
    NotAllowed,
    NotWaiting,
    PipelineGone,
    StaleProposal,
)
from recovery.models import ApprovalRequest, State
from recovery.permissions import why_not_decide
from recovery.services.decide import decide
from recovery.views.asked import Asked
from recovery.views.entered import Entered
from recovery.views.filters import InboxFilters, Way
from recovery.views.parts import PageRequest, render_part, wants_part
from recovery.views.refusals import Refusal
from recovery.views.request_page import page_of, progress_part_of

TEMPLATE = "recovery/request.html"


@login_required
@require_safe
def show_request(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _page(request, _asked(request, pk))


@login_required
@require_http_methods(["POST", "GET", "HEAD"])
def decide_request(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Decide, or only change the rows of a form. GET never decides: it is where a login in between leads back to."""
    if request.method != "POST":
        return redirect(_way(request, pk).request_url)
    asked = _asked(request, pk)
    entered = Entered(asked, request.POST)
    try:
        if entered.is_act or not entered.is_valid():
            # Who may decide, and who was first, matters more than what is not valid.
            _refuse_if_closed(asked.request, request.user)
            return _form_again(request, asked, entered, status=200 if entered.is_act else 422)
        decide(pk, by=request.user, channel="web", **entered.act())
    except InvalidInput as invalid:
        entered.refuse(invalid.errors)
        return _form_again(request, asked, entered, status=422)
    except (ApprovalRequest.DoesNotExist, State.DoesNotExist):
        raise Http404("it was deleted meanwhile") from None
    except (NotAllowed, AlreadyResolved, NotWaiting, StaleProposal, PipelineGone) as refused:
        refusal = Refusal.of(refused, entered)
        if "live" in request.POST and wants_part(request):
            return _part(request, pk, "overtaken", {"refusal": refusal}, status=refusal.status)
        return _page(request, _asked(request, pk), refusal=refusal, status=refusal.status)
    if wants_part(request):
        return _page(request, _asked(request, pk))
    return redirect(_way(request, pk).request_url)


@login_required
@require_safe
def show_progress(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """How the run goes on; nothing, while that is what the page shows already."""
    if not wants_part(request):
        return redirect(_way(request, pk).request_url)
    context = progress_part_of(_visible(request, pk), request.user)
    if context is None or context["progress"].key == request.GET.get("seen"):
        return HttpResponse(status=204)
    return _part(request, pk, "progress", context)


def _visible(request: PageRequest, pk: uuid.UUID) -> ApprovalRequest:
    visible = ApprovalRequest.objects.visible_to(request.user)
    return get_object_or_404(visible.select_related("state", "requested_by", "holder"), pk=pk)


def _refuse_if_closed(approval: ApprovalRequest, user: Any) -> None:
    if reason := why_not_decide(user, approval):
        raise NotAllowed(approval, reason)
    if not approval.is_open:
        resolution = approval.resolutions.select_related("decision").get(undone_at__isnull=True)
        raise AlreadyResolved(approval, resolution)


def _asked(request: PageRequest, pk: uuid.UUID) -> Asked:
    return Asked.of(_visible(request, pk))


def _form_again(request: PageRequest, asked: Asked, entered: Entered, *, status: int = 200) -> HttpResponse:
    """The page with what was entered. htmx is given the forms and what follows from them, so that what else is open
    on the page stays as it is; to look along while somebody types, it takes only what follows."""
    context = page_of(asked, request.user, entered)
    if not (wants_part(request) and context["may_decide"]):
        return _part(request, asked.request.pk, "request", context, status=status)
    if "live" in request.POST:
        return _part(request, asked.request.pk, "follows", {**context, "is_live": True})
    response = _part(request, asked.request.pk, "entry", context, status=status)
    response["HX-Retarget"] = "#entry"
    response["HX-Reswap"] = "outerHTML"
    return response


def _page(
    request: PageRequest,
    asked: Asked,
    entered: Entered | None = None,
    *,
    refusal: Refusal | None = None,
    status: int = 200,
) -> HttpResponse:
    context: dict[str, Any] = page_of(asked, request.user, entered, refusal)
    return _part(request, asked.request.pk, "request", context, status=status)


def _part(
    request: PageRequest, pk: uuid.UUID, part: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    return render_part(request, TEMPLATE, part, {**context, "way": _way(request, pk)}, status=status)


def _way(request: PageRequest, pk: uuid.UUID) -> Way:
    return Way(pk, InboxFilters.of(request.GET))
