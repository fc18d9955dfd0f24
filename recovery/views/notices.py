"""Notices: what happened that concerns the person who looks, and the bell that counts what they have not read."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_POST, require_safe

from recovery import queries
from recovery.models import Notice, Reader
from recovery.services import notices
from recovery.templatetags.waiting import in_words
from recovery.views.parts import PageRequest, wants_part

PAGE_SIZE = 30
_LARGEST_ID = 2**63 - 1


@login_required
@require_safe
def show_notices(request: PageRequest) -> HttpResponse:
    """The newest first; `before` is the last one of the page before."""
    mine = Notice.objects.filter(person=request.user).select_related("request").order_by("-pk")
    before = _id(request.GET.get("before", ""))
    found = list((mine.filter(pk__lt=before) if before is not None else mine)[: PAGE_SIZE + 1])
    rows = found[:PAGE_SIZE]
    url = reverse("recovery:notices")
    context: dict[str, Any] = {
        "rows": rows,
        "is_later_page": before is not None,
        "older_url": f"{url}?before={rows[-1].pk}" if len(found) > PAGE_SIZE else "",
    }
    response = render(request, "recovery/notices.html", context)
    patch_cache_control(response, private=True, no_cache=True)
    return response


@login_required
@require_safe
def show_bell(request: PageRequest) -> HttpResponse:
    """The counts of the bar at the top; nothing while they are what the page shows already."""
    if not wants_part(request):
        return redirect("recovery:notices")
    count = queries.waiting_count(request.user)
    waiting = in_words(count) if count else ""
    seen = f"{Reader.of(request.user).unread}.{waiting}"
    if seen == request.GET.get("seen"):
        return HttpResponse(status=204)
    return render(request, "recovery/_bell.html", {"waiting_words": waiting, "is_part": True})


@login_required
@require_POST
def mark_read(request: PageRequest) -> HttpResponse:
    """One (`notice`), or all."""
    named = request.POST.get("notice", "")
    pk = _id(named)
    if pk is not None or not named:
        notices.mark_read(request.user, pk)
    return redirect("recovery:notices")


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) <= _LARGEST_ID else None
