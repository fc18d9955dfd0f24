"""The list of states: every run, newest first, by filters that live in the address."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from recovery import pipelines, queries
from recovery.models import State
from recovery.permissions import why_not_start
from recovery.rendering.marks import STATE_MARKS
from recovery.views.parts import PageRequest, render_part
from recovery.views.state_filters import StateFilters, page_of

PAGE_SIZE = 30


@login_required
@require_safe
def show_states(request: PageRequest) -> HttpResponse:
    filters = StateFilters.of(request.GET)
    states = filters.narrow(State.objects.for_lists().defer("error"))
    rows, newer, older, lost_place = page_of(states, filters, PAGE_SIZE)
    left, notices = _left(filters)
    titles = titles_of(rows)
    context: dict[str, Any] = {
        "filters": filters,
        "rows": [(state, titles[state.pk], _compare_url(state, filters)) for state in rows],
        "newer_url": filters.url(before=newer) if newer else "",
        "older_url": filters.url(after=older) if older else "",
        "is_top": not (filters.after or filters.before) or bool(lost_place),
        "left": left,
        "left_title": titles_of([left])[left.pk] if left else "",
        "notices": [*filters.notices, *notices, *([lost_place] if lost_place else [])],
        "statuses": [(status, STATE_MARKS[status].word) for status in State.Status.values],
        "pipeline_names": [one.name for one in pipelines.all_pipelines()],
        "may_start": not why_not_start(request.user),
    }
    return render_part(request, "recovery/states.html", "list", context)


def _left(filters: StateFilters) -> tuple[State | None, list[str]]:
    """The first side of a comparison that is being chosen."""
    if not filters.left:
        return None, []
    left = State.objects.only("id", "pipeline", "description", "status").filter(pk=filters.left).first()
    return left, [] if left else [gettext("There is no state %(left)s to compare with.") % {"left": filters.left}]


def _compare_url(state: State, filters: StateFilters) -> str:
    """To the comparison if this is its second side, else to the same list with this as its first."""
    if not filters.left:
        return filters.url(left=str(state.pk))
    return reverse("recovery:compare", query={"left": filters.left, "right": state.pk})


def titles_of(states: Iterable[State]) -> dict[Any, str]:
    """What each goes by. The title of a pipeline, which is what nobody wrote, tells no run from another: then it is
    what the run asks now, or its id."""
    states = list(states)
    nameless = {one.title for one in pipelines.all_pipelines()} | {""}
    titles = {state.pk: state.description.strip().split("\n")[0][:300] for state in states}
    asking = [state.pk for state in states if titles[state.pk] in nameless and state.status == State.Status.AWAITING]
    asked = queries.open_titles(asking) if asking else {}
    for state in states:
        if titles[state.pk] in nameless:
            name = titles[state.pk] or state.pipeline or "State"
            titles[state.pk] = asked.get(state.pk) or f"{name} {state.short_id}"
    return titles
