"""The request beside the list: the same part that its own page is made of."""

import uuid
from typing import Any

from django.template.loader import render_to_string

from recovery.languages import lazy as _
from recovery.request_reads import versions_with_request
from recovery.views.asked import Asked
from recovery.views.changes import Changes
from recovery.views.filters import InboxFilters, Way
from recovery.views.parts import PageRequest
from recovery.views.request_page import page_of
from recovery.views.request_shown import TEMPLATE

GONE = _("The request that this address names is not there any more.")


def opened_of(request: PageRequest, filters: InboxFilters) -> tuple[str, str]:
    """The request that the address opens, drawn, or "" for none; and what to say where there is no such request."""
    named = request.GET.get("request", "")
    if not named:
        return "", ""
    try:
        pk = uuid.UUID(named)
    except ValueError:
        return "", GONE
    versions = versions_with_request(pk, request.user)
    if not versions:
        return "", GONE
    context: dict[str, Any] = {**page_of(Asked.of(versions), request.user), "way": Way(pk, filters), "is_part": False}
    context["changes"] = Changes.of(context, request.user)
    return render_to_string(f"{TEMPLATE}#request", context, request), ""
