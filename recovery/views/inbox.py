"""The inbox: what waits for a person, most urgent first, and what was decided."""

import uuid
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from recovery import pipelines, queries
from recovery.models import ApprovalRequest
from recovery.models.approval import ApprovalRequestQuerySet
from recovery.permissions import why_not_start
from recovery.services.tally import tally
from recovery.views.filters import AGES, RISKS, TABS, InboxFilters, Way, moment_of, place_after, place_of
from recovery.views.pane import opened_of
from recovery.views.parts import PageRequest, render_part, wants_part

PAGE_SIZE = 30


@login_required
@require_safe
def inbox(request: PageRequest) -> HttpResponse:
    """The list; to htmx its next rows."""
    filters = InboxFilters.of(request.GET)
    requests, lost_place = place_after(filters, filters.narrow(_of_tab(request.user, filters.tab)))
    found = queries.inbox_rows(requests, PAGE_SIZE + 1, decided=filters.tab == "decided")
    rows, has_more = found[:PAGE_SIZE], len(found) > PAGE_SIZE
    context: dict[str, Any] = {
        "filters": filters,
        "rows": rows,
        "votes": tally(rows),
        "more_url": filters.url(after=place_of(filters.tab, rows[-1])) if has_more else "",
    }
    if not wants_part(request):
        context |= _around(request.user, filters)
        context["opened"], gone = opened_of(request, filters)
        context["notices"] = [*filters.notices, *(notice for notice in (lost_place, gone) if notice)]
    return render_part(request, "recovery/inbox.html", "rows", context)


@login_required
@require_safe
def inbox_news(request: PageRequest) -> HttpResponse:
    """What came and went since the page was made; nothing while that is what the page says already."""
    try:
        since = moment_of(request.GET.get("since", ""))
    except ValueError:
        return redirect("recovery:inbox")
    if not wants_part(request):
        return redirect("recovery:inbox")
    filters = InboxFilters.of(request.GET)
    news = _news(request.user, filters, since)
    if news["seen"] == request.GET.get("seen"):
        return HttpResponse(status=204)
    return render_part(request, "recovery/inbox.html", "news", {"filters": filters, **news})


@login_required
@require_safe
def next_request(request: PageRequest) -> HttpResponse:
    """On to the most urgent request that this person may decide, behind the one that they come from (`after`)."""
    filters = InboxFilters.of(request.GET)
    waiting = filters.narrow(ApprovalRequest.objects.decidable_by(request.user))
    found = queries.next_of(waiting, _named(filters.after))
    if found is not None:
        return redirect(Way(found.pk, filters).request_url)
    words = "Nothing else in this list waits for you." if filters.is_active else "Nothing else waits for you."
    messages.success(request, words)
    return redirect(filters.url())


def _named(text: str) -> ApprovalRequest | None:
    try:
        return ApprovalRequest.objects.filter(pk=uuid.UUID(text)).first()
    except ValueError:
        return None


def _of_tab(user: Any, tab: str) -> ApprovalRequestQuerySet:
    visible = ApprovalRequest.objects.visible_to(user)
    if tab == "decided":
        return visible.decided()
    return visible.decidable_by(user) if tab == "mine" else visible.open()


def _around(user: Any, filters: InboxFilters) -> dict[str, Any]:
    """What stands around the rows of the whole page."""
    open_pipelines, tags = queries.filter_options()
    registered = [one.name for one in pipelines.all_pipelines()]
    news = _news(user, filters, timezone.now(), is_first=True)
    counts = {"mine": news["waiting_count"], "open": news["open_count"]}
    return {
        **news,
        "tabs": [
            {
                "name": name,
                "label": label,
                "url": replace(filters, tab=name, after="").url(),
                "is_current": name == filters.tab,
                "count": counts.get(name),
            }
            for name, label in TABS.items()
        ],
        "heading": TABS[filters.tab],
        "pipeline_names": _choices(filters.pipeline, *open_pipelines, *registered),
        "tag_names": _choices(filters.tag, *tags),
        "risks": RISKS,
        "ages": AGES,
        "may_decide": user.has_perm(queries.DECIDE),
        "may_start": not why_not_start(user),
    }


def _choices(*names: str) -> list[str]:
    return sorted({name for name in names if name})


def _news(user: Any, filters: InboxFilters, since: datetime, *, is_first: bool = False) -> dict[str, Any]:
    """The counts, what came to this list and went from it since then, and where to ask for more of that."""
    came, went = (0, 0) if is_first else _came_and_went(user, filters, since)
    waiting = queries.waiting_count(user)
    open_count = queries.capped_count(ApprovalRequest.objects.visible_to(user).open())
    seen = f"{came}.{went}.{waiting}.{open_count}"
    query = {**filters.query(), "since": since.isoformat(), "seen": seen}
    return {
        "waiting_count": waiting,
        "open_count": open_count,
        "came": came,
        "went": went,
        "seen": seen,
        "news_url": f"{reverse('recovery:inbox_news')}?{urlencode(query)}",
    }


def _came_and_went(user: Any, filters: InboxFilters, since: datetime) -> tuple[int, int]:
    decided = filters.narrow(_of_tab(user, "decided")).filter(resolved_at__gt=since)
    if filters.tab == "decided":
        return queries.capped_count(decided), 0
    came = filters.narrow(_of_tab(user, filters.tab)).filter(opened_at__gt=since)
    return queries.capped_count(came), queries.capped_count(decided.filter(opened_at__lte=since))
