"""A proposal that is too large for the page of its request: looked at by parts, or kept as a file."""

import json
import uuid

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.http import require_safe

from recovery.rendering.preview import preview
from recovery.rendering.window import LARGE
from recovery.views.artifacts import harmless_file, window_of
from recovery.views.asked import plain_of
from recovery.views.parts import PageRequest, render_part
from recovery.views.request_shown import asked_of, way_of

# Beyond this it is a file to keep, and its beginning is shown as text.
LOOKED_INTO_BYTES = 8_000_000


@login_required
@require_safe
def show_proposal(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What would run now, as the tree that it is."""
    asked = asked_of(request, pk)
    saved = asked.current.args.encode("utf-8", "surrogatepass")
    at_most = LOOKED_INTO_BYTES if len(saved) <= LOOKED_INTO_BYTES else LARGE.bytes
    window = window_of(request.GET, at_most)
    shown = preview(saved[:at_most], "application/json", size=len(saved), codec="json", window=window)
    context = {
        "approval": asked.request,
        "asked": asked,
        "preview": shown,
        "window": window,
        "way": way_of(request, pk),
    }
    part = "rows" if "from" in request.GET and shown.kind == "json" else "preview"
    return render_part(request, "recovery/proposal.html", part, context)


@login_required
@require_safe
def download_proposal(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    asked = asked_of(request, pk)
    text = json.dumps(plain_of(asked.current.args), ensure_ascii=False, indent=1)
    response = HttpResponse(text.encode("utf-8", "backslashreplace"), content_type="application/json")
    name = f"{asked.request.action or 'proposal'}-{asked.request.short_id}-{asked.current.number}"
    return harmless_file(response, name, "application/json")
