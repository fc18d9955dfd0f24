"""Stuck runs: what failed or is blocked, and what can be done about it, for several at once; and the requests that
nobody can decide."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext, ngettext_lazy
from django.views.decorators.http import require_http_methods

from recovery import pipelines
from recovery.errors import InvalidInput
from recovery.languages import lazy as _
from recovery.models import Resumption, State
from recovery.permissions import why_not_start
from recovery.services.accept_version import accept_version
from recovery.services.cancel_run import cancel_run
from recovery.services.dead_letters import Result, dismiss, each_of, page_of_stuck
from recovery.services.retry import retry
from recovery.services.undecidable import undecidable_requests
from recovery.views.filters import LONGEST_VALUE
from recovery.views.parts import PageRequest, render_part
from recovery.views.states import titles_of

PAGE_SIZE = 30
_SEPARATOR = "~"
_LARGEST_ID = 2**63 - 1

# What was done: to some runs, and to none.
_DONE = {
    "retry": (
        ngettext_lazy("%(count)s run is tried again.", "%(count)s runs are tried again.", "count"),
        _("No runs are tried again."),
    ),
    "accept": (
        ngettext_lazy(
            "%(count)s run goes on with the new version.", "%(count)s runs go on with the new version.", "count"
        ),
        _("No runs go on with the new version."),
    ),
    "dismiss": (
        ngettext_lazy("%(count)s run was dismissed.", "%(count)s runs were dismissed.", "count"),
        _("No runs were dismissed."),
    ),
    "cancel": (
        ngettext_lazy("%(count)s run was cancelled.", "%(count)s runs were cancelled.", "count"),
        _("No runs were cancelled."),
    ),
}


@dataclass(frozen=True, slots=True)
class StuckFilters:
    """Which part of the list it is, from the address. `after` is the place in it."""

    pipeline: str = ""
    after: tuple[datetime, int] | None = None
    notices: tuple[str, ...] = ()

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> Self:
        notices = []
        pipeline = str(query.get("pipeline", "")).strip()
        if "\x00" in pipeline or len(pipeline) > LONGEST_VALUE:
            notices.append(gettext("No pipeline is named like that; the filter was left out."))
            pipeline = ""
        after = _place(str(query.get("after", "")))
        if query.get("after") and after is None:
            notices.append(gettext("That place in the list is unknown; this is its top."))
        return cls(pipeline, after, tuple(notices))

    def url(self, after: tuple[datetime, int] | None = None) -> str:
        place = f"{after[0].isoformat()}{_SEPARATOR}{after[1]}" if after else ""
        given = {name: value for name, value in (("pipeline", self.pipeline), ("after", place)) if value}
        return reverse("recovery:stuck") + (f"?{urlencode(given)}" if given else "")

    @property
    def here(self) -> str:
        return self.url(self.after)


def _place(text: str) -> tuple[datetime, int] | None:
    try:
        when, pk = text.split(_SEPARATOR)
        moment = parse_datetime(when)
        if moment is None or timezone.is_naive(moment) or not 0 <= int(pk) <= _LARGEST_ID:
            return None
        return moment.astimezone(UTC), int(pk)
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Sent:
    """What was pressed: an act on all that are ticked, or `act:job` on that one, `accept:job:version` among them."""

    act: str = ""
    jobs: Sequence[int] = ()
    version: str = ""
    reason: str = ""
    problem: str = ""

    @classmethod
    def of(cls, data: Any) -> Self:
        act, _, rest = data.get("act", "").partition(":")
        job, _, version = rest.partition(":")
        named = [job] if job else data.getlist("job")
        jobs = [int(one) for one in named if one.isascii() and one.isdigit() and int(one) <= _LARGEST_ID]
        reason = data.get("reason", "")
        if act not in _DONE or (act == "accept" and not version):
            return cls(problem=gettext("Choose what to do with them."))
        return cls(act, jobs, version, reason, "" if jobs else gettext("Tick the runs first."))

    def on(self, user: Any) -> Callable[[Resumption], Any]:
        def act(job: Resumption) -> Any:
            match self.act:
                case "retry":
                    return retry(job.state_id, by=user, seen_job=job.pk)
                case "accept":
                    return accept_version(job.state_id, version=self.version, by=user)
                case "dismiss":
                    return dismiss(job.state_id, by=user, seen_job=job.pk)
                case _:
                    return cancel_run(job.state_id, by=user, reason=self.reason)

        return act


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it: how many it was done to, in words, and the (title, state, why) of those it was not."""

    words: str
    refused: list[tuple[str, State, str]] = field(default_factory=list)

    @classmethod
    def of(cls, act: str, results: Sequence[Result]) -> Self:
        titles = titles_of([one.state for one in results])
        refused = [(titles[one.state.pk], one.state, str(one.refusal)) for one in results if one.refusal]
        count = len(results) - len(refused)
        some, none = _DONE[act]
        return cls(some % {"count": count} if count else str(none), refused)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def show_stuck(request: PageRequest) -> HttpResponse:
    """The list; a POST acts on what is ticked, or on one of them."""
    filters = StuckFilters.of(request.GET)
    if request.method != "POST":
        return _page(request, filters)
    if reason := why_not_start(request.user):
        raise PermissionDenied(reason)
    sent = Sent.of(request.POST)
    if sent.problem:
        return _page(request, filters, sent=sent, problem=sent.problem, status=422)
    try:
        results = each_of(sent.jobs, sent.on(request.user))
    except InvalidInput as invalid:
        words = " ".join(words for named in invalid.errors.values() for words in named)
        return _page(request, filters, sent=sent, problem=words, status=422)
    return _page(request, filters, done=Done.of(sent.act, results))


def _page(
    request: PageRequest,
    filters: StuckFilters,
    *,
    sent: Sent | None = None,
    problem: str = "",
    done: Done | None = None,
    status: int = 200,
) -> HttpResponse:
    letters, next_place = page_of_stuck(PAGE_SIZE, pipeline=filters.pipeline, after=filters.after)
    titles = titles_of([letter.state for letter in letters])
    undecidable = undecidable_requests(pipeline=filters.pipeline)
    known = {one.name for one in pipelines.all_pipelines()} | {letter.state.pipeline for letter in letters}
    context = {
        "filters": filters,
        "rows": [(letter, titles[letter.state.pk]) for letter in letters],
        "older_url": filters.url(next_place) if next_place else "",
        "ticked": set(sent.jobs) if sent else set(),
        "sent": sent,
        "problem": problem,
        "done": done,
        "may_act": not why_not_start(request.user),
        "pipeline_names": sorted(name for name in {*known, filters.pipeline} if name),
        "undecidable": undecidable,
    }
    return render_part(request, "recovery/stuck.html", "list", context, status=status)
