"""The inbox: what waits for a person, most urgent first, and what was decided."""

import uuid
from collections.abc import Mapping, Sequence
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
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from recovery import pipelines, queries
from recovery.models import ApprovalRequest
from recovery.models.approval import ApprovalRequestQuerySet
from recovery.models.lists import fetch, written
from recovery.models.voices import Voice
from recovery.permissions import why_not_start
from recovery.services.dead_letters import stuck_jobs
from recovery.services.short_of_people import Shortage
from recovery.services.tally import tally
from recovery.views.filters import TABS, InboxFilters, Way, choices_of, moment_of, parts_after, place_of
from recovery.views.pane import opened_of
from recovery.views.parts import PageRequest, render_part, wants_part

PAGE_SIZE = 50


@login_required
@require_safe
def inbox(request: PageRequest) -> HttpResponse:
    """The list; to htmx its next rows."""
    filters = InboxFilters.of(request.GET)
    voices = queries.voices_at_desk(request.user)
    found, lost_place = _found(request.user, filters, voices)
    rows, has_more = found[:PAGE_SIZE], len(found) > PAGE_SIZE
    shortage = Shortage(rows, request.user)
    context: dict[str, Any] = {
        "filters": filters,
        "rows": rows,
        "votes": tally(rows),
        "outcomes": queries.outcomes_of(rows) if filters.tab == "decided" and rows else {},
        "may_select": filters.tab != "decided" and request.user.has_perm(queries.DECIDE),
        "more_url": filters.url(after=place_of(filters.tab, rows[-1])) if has_more else "",
    }
    if wants_part(request):
        people: Sequence[Any] = fetch(written(shortage.sets))
    else:
        counts, people = _counts(request.user, voices, shortage.sets())
        context |= _around(request.user, filters, counts)
        context["opened"], gone = opened_of(request, filters)
        context["notices"] = [*filters.notices, *(notice for notice in (lost_place, gone) if notice)]
    context["short_of_people"] = shortage.found(people)
    return render_part(request, "recovery/inbox.html", "rows", context)


def _found(user: Any, filters: InboxFilters, voices: Sequence[Voice]) -> tuple[list[ApprovalRequest], str]:
    """The rows, one more than a page has, and what to say about a place in the list that is not there any more."""
    first = queries.newest_decided_of if filters.tab == "decided" else queries.first_of
    key = queries.desk_key(user, voices)

    def narrowed() -> list[ApprovalRequestQuerySet]:
        return [filters.narrow(part, user) for part in _parts_of(user, filters.tab, voices)]

    # What is measured by the clock is another query each time, and what is searched for seldom the same twice.
    if key is not None and not (filters.after or filters.age or filters.due or filters.held or filters.text):
        same = (filters.tab, filters.pipeline, filters.risk, filters.tag, *key)
        return queries.rows_of(lambda: first(narrowed(), PAGE_SIZE + 1), same), ""
    parts, lost_place = parts_after(filters, narrowed())
    return queries.rows_of(lambda: first(parts, PAGE_SIZE + 1)), lost_place


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
    """On to the most urgent request that this person may decide, behind the one that they come from (`after`); with
    `pane`, beside the list."""
    filters = InboxFilters.of(request.GET)
    parts = ApprovalRequest.objects.decidable_parts(request.user)
    found = queries.next_of([filters.narrow(part, request.user) for part in parts], _named(filters.after))
    if found is not None:
        beside = filters.url(request=str(found.pk))
        return redirect(beside if "pane" in request.GET else Way(found.pk, filters).request_url)
    words = (
        gettext("Nothing else in this list waits for you.")
        if filters.is_active
        else gettext("Nothing else waits for you.")
    )
    messages.success(request, words)
    return redirect(filters.url())


def _named(text: str) -> ApprovalRequest | None:
    try:
        return ApprovalRequest.objects.filter(pk=uuid.UUID(text)).first()
    except ValueError:
        return None


def _parts_of(user: Any, tab: str, voices: Sequence[Voice]) -> Sequence[ApprovalRequestQuerySet]:
    """What a tab lists, in parts that have no request in common."""
    visible = ApprovalRequest.objects.visible_to(user)
    if tab == "mine":
        return visible.decidable_parts(user, voices)
    return [visible.decided() if tab == "decided" else visible.open()]


def _counts(user: Any, voices: Sequence[Voice], more: Sequence[Any] = ()) -> tuple[dict[str, int], Sequence[Any]]:
    """What the tabs and the navigation count, whatever the filters say, and what `more` asks for."""
    counts, found = queries.desk_counts(user, voices, None if why_not_start(user) else stuck_jobs, more)
    return dict(zip(("waiting_count", "open_count", "stuck_count"), counts, strict=True)), found


def _around(user: Any, filters: InboxFilters, counts: dict[str, int]) -> dict[str, Any]:
    """What stands around the rows of the whole page."""
    of_tab = {"mine": counts["waiting_count"], "open": counts["open_count"]}
    return {
        **counts,
        **_where_news_are(filters, timezone.now(), _seen(0, 0, counts)),
        "tabs": [
            {
                "name": name,
                "label": label,
                "url": replace(filters, tab=name, after="").url(),
                "is_current": name == filters.tab,
                "count": of_tab.get(name),
            }
            for name, label in TABS.items()
        ],
        "heading": TABS[filters.tab],
        "pipeline_names": sorted({filters.pipeline, *(one.name for one in pipelines.all_pipelines())} - {""}),
        "tag_names": [filters.tag] if filters.tag else [],
        "choices": choices_of(filters),
        "may_decide": user.has_perm(queries.DECIDE),
        "may_start": not why_not_start(user),
    }


def _news(user: Any, filters: InboxFilters, since: datetime) -> dict[str, Any]:
    """The counts, what came to this list and went from it since then, and where to ask for more of that."""
    voices = queries.voices_at_desk(user)
    came, went = _came_and_went(user, filters, since, voices)
    counts, _ = _counts(user, voices)
    where = _where_news_are(filters, since, _seen(came, went, counts))
    return {**counts, **where, "came": came, "went": went}


def _seen(came: int, went: int, counts: Mapping[str, int]) -> str:
    return f"{came}.{went}.{counts['waiting_count']}.{counts['open_count']}"


def _where_news_are(filters: InboxFilters, since: datetime, seen: str) -> dict[str, Any]:
    query = {**filters.query(), "since": since.isoformat(), "seen": seen}
    return {"seen": seen, "news_url": f"{reverse('recovery:inbox_news')}?{urlencode(query)}"}


def _came_and_went(user: Any, filters: InboxFilters, since: datetime, voices: Sequence[Voice]) -> tuple[int, int]:
    def narrowed(tab: str, **where: Any) -> list[ApprovalRequestQuerySet]:
        return [filters.narrow(part, user).filter(**where) for part in _parts_of(user, tab, voices)]

    if filters.tab == "decided":
        (came,) = queries.counts_of([narrowed("decided", resolved_at__gt=since)])
        return came, 0
    gone = narrowed("decided", resolved_at__gt=since, opened_at__lte=since)
    came, went = queries.counts_of([narrowed(filters.tab, opened_at__gt=since), gone])
    return came, went
