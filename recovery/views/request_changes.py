"""A request whose page is open: it shows what others do, and leaves alone what somebody types there."""

import uuid

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from recovery.views.changes import Changes
from recovery.views.parts import PageRequest, wants_part
from recovery.views.request_page import page_of
from recovery.views.request_shown import asked_of, part, way_of


@login_required
@require_safe
def request_changes(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What is new about an open request; nothing while that is what the page shows already."""
    if not wants_part(request):
        return redirect(way_of(request, pk).request_url)
    context = page_of(asked_of(request, pk), request.user)
    seen, version = request.GET.get("seen", ""), request.GET.get("version", "")
    changes = Changes.of(context, request.user, seen=seen, version=version)
    if changes.key == seen:
        return HttpResponse(status=204)
    return part(request, pk, "changes", {**context, "changes": changes})
