"""What a list can be narrowed to, and the views of it that somebody saved."""

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from recovery import pipelines, queries
from recovery.models import SavedView
from recovery.views.filters import HOLDERS, InboxFilters, choices_of
from recovery.views.parts import PageRequest, render_part, wants_part

TEMPLATE = "recovery/inbox_options.html"
VIEWS_AT_MOST = 50
LONGEST_NAME = 60


@login_required
@require_safe
def inbox_options(request: PageRequest) -> HttpResponse:
    """To a browser a page with all filters; to htmx what the page of the inbox leaves out."""
    return _options(request)


@login_required
@require_POST
def save_view(request: PageRequest) -> HttpResponse:
    """Save the filters of the address under a name; under a name that is there already, these instead."""
    name = " ".join(request.POST.get("name", "").split())
    query = _query_of(InboxFilters.of(request.GET))
    if wrong := _why_not(name):
        return _options(request, wrong=wrong, status=422)
    with transaction.atomic():
        # Whoever saves two at once waits here for themselves.
        get_user_model()._default_manager.select_for_update(no_key=True).get(pk=request.user.pk)
        saved = SavedView.objects.filter(user=request.user)
        if saved.exclude(name=name).count() >= VIEWS_AT_MOST:
            return _options(
                request,
                wrong=gettext("%(views_at_most)s views are saved already; delete one first.")
                % {"views_at_most": VIEWS_AT_MOST},
                status=422,
            )
        saved.update_or_create(user=request.user, name=name, defaults={"query": query})
    return _done(request, gettext("The view “%(name)s” is saved.") % {"name": name})


@login_required
@require_POST
def delete_view(request: PageRequest, pk: int) -> HttpResponse:
    """Deleted twice is deleted."""
    SavedView.objects.filter(user=request.user, pk=pk).delete()
    return _done(request, gettext("The view is deleted."))


def _why_not(name: str) -> str:
    if not name:
        return gettext("A view needs a name.")
    if len(name) > LONGEST_NAME:
        return gettext("The name is longer than %(longest_name)s characters.") % {"longest_name": LONGEST_NAME}
    return gettext("The name holds a character that cannot be saved.") if not name.isprintable() else ""


def _query_of(filters: InboxFilters) -> str:
    return filters.suffix.removeprefix("?")


def _done(request: PageRequest, words: str) -> HttpResponse:
    if wants_part(request):
        return _options(request)
    messages.success(request, words)
    return redirect(InboxFilters.of(request.GET).url())


def _options(request: PageRequest, *, wrong: str = "", status: int = 200) -> HttpResponse:
    filters = replace(InboxFilters.of(request.GET), after="")
    options = queries.filter_options()
    held = {
        one.username: gettext("Held by %(name)s") % {"name": one.get_full_name() or one.username}
        for one in options.holders
    }
    registered = (one.name for one in pipelines.all_pipelines())
    context: dict[str, Any] = {
        "filters": filters,
        "pipeline_names": _in_order(filters.pipeline, *options.pipelines, *registered),
        "tag_names": _in_order(filters.tag, *options.tags),
        "choices": choices_of(filters, {name: words for name, words in held.items() if name not in HOLDERS}),
        "views": SavedView.objects.filter(user=request.user),
        "current_query": _query_of(filters),
        "wrong": wrong,
    }
    return render_part(request, TEMPLATE, "options", context, status=status)


def _in_order(*names: str) -> list[str]:
    return sorted({name for name in names if name})
