"""A proposal that is too large for the page of its request: looked at by parts, or kept as a file."""

import json
import uuid

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from recovery.models import ProposalVersion
from recovery.rendering.preview import preview
from recovery.rendering.window import LARGE
from recovery.request_reads import versions_with_request
from recovery.views.artifacts import harmless_file, window_of
from recovery.views.asked import plain_of
from recovery.views.parts import PageRequest, render_part
from recovery.views.request_shown import way_of

# Beyond this it is a file to keep, and its beginning is shown as text.
LOOKED_INTO_BYTES = 8_000_000


@login_required
@require_safe
def show_proposal(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What would run now, as the tree that it is."""
    version = _current(request, pk)
    saved = version.args.encode("utf-8", "surrogatepass")
    at_most = LOOKED_INTO_BYTES if len(saved) <= LOOKED_INTO_BYTES else LARGE.bytes
    window = window_of(request.GET, at_most)
    shown = preview(saved[:at_most], "application/json", size=len(saved), codec="json", window=window)
    context = {
        "approval": version.request,
        "version": version,
        "preview": shown,
        "window": window,
        "way": way_of(request, pk),
    }
    part = "rows" if "from" in request.GET and shown.kind == "json" else "preview"
    return render_part(request, "recovery/proposal.html", part, context)


@login_required
@require_safe
def download_proposal(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    version = _current(request, pk)
    text = json.dumps(plain_of(version.args), ensure_ascii=False, indent=1)
    response = HttpResponse(text.encode("utf-8", "backslashreplace"), content_type="application/json")
    name = f"{version.request.action or 'proposal'}-{version.request.short_id}-{version.number}"
    return harmless_file(response, f"{name}.json", "application/json")


def _current(request: PageRequest, pk: uuid.UUID) -> ProposalVersion:
    found = versions_with_request(pk, request.user)
    if not found:
        raise Http404("there is no such request")
    return found[-1]
