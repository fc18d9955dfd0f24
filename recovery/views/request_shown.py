"""The page of a request as an answer: the whole of it to a browser, the part that changed to htmx."""

import uuid
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404

from recovery.models import ApprovalRequest
from recovery.request_reads import versions_with_request
from recovery.views.asked import Asked
from recovery.views.changes import Changes
from recovery.views.entered import Entered
from recovery.views.filters import InboxFilters, Way
from recovery.views.parts import PageRequest, render_part, wants_part
from recovery.views.refusals import Refusal
from recovery.views.request_page import page_of

TEMPLATE = "recovery/request.html"


def visible_request(request: PageRequest, pk: uuid.UUID) -> ApprovalRequest:
    visible = ApprovalRequest.objects.visible_to(request.user)
    return get_object_or_404(visible.select_related("state__superseded_by", "requested_by", "holder"), pk=pk)


def asked_of(request: PageRequest, pk: uuid.UUID) -> Asked:
    found = versions_with_request(pk, request.user)
    if not found:
        raise Http404("there is no such request")
    return Asked.of(found)


def way_of(request: PageRequest, pk: uuid.UUID) -> Way:
    return Way(pk, InboxFilters.of(request.GET))


def whole_page(
    request: PageRequest,
    asked: Asked,
    entered: Entered | None = None,
    *,
    refusal: Refusal | None = None,
    status: int = 200,
    with_takers: bool = False,
    **more: Any,
) -> HttpResponse:
    context = page_of(asked, request.user, entered, refusal, with_takers=with_takers)
    context["changes"] = Changes.of(context, request.user)
    return part(request, asked.request.pk, "request", {**context, **more}, status=status)


def overtaken(request: PageRequest, pk: uuid.UUID, refusal: Refusal) -> HttpResponse:
    """To somebody who is in the middle of something: it says so and takes nothing away."""
    return part(request, pk, "overtaken", {"refusal": refusal}, status=refusal.status)


def form_again(request: PageRequest, asked: Asked, entered: Entered, *, status: int = 200) -> HttpResponse:
    """The page with what was entered. htmx is given the forms and what follows from them, so that what else is open
    on the page stays as it is; to look along while somebody types, it takes only what follows."""
    context = page_of(asked, request.user, entered)
    context["changes"] = Changes.of(context, request.user)
    if not (wants_part(request) and context["may_decide"]):
        return part(request, asked.request.pk, "request", context, status=status)
    if "live" in request.POST:
        return part(request, asked.request.pk, "follows", {**context, "is_live": True})
    name, place = ("back", "#send-back") if entered.is_about_going_back else ("entry", "#entry")
    response = part(request, asked.request.pk, name, context, status=status)
    response["HX-Retarget"] = place
    response["HX-Reswap"] = "outerHTML"
    return response


def part(request: PageRequest, pk: uuid.UUID, name: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    return render_part(request, TEMPLATE, name, {**context, "way": way_of(request, pk)}, status=status)
