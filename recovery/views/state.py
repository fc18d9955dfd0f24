"""The page of a state: its head, its tabs, and while it runs what is new of both."""

import json
import uuid
from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from recovery import pipelines
from recovery.models import ApprovalRequest, AuditEntry, Resumption, State
from recovery.permissions import why_not_start
from recovery.rendering import json_tree
from recovery.rendering.timeline import Timeline
from recovery.services.accept_version import asks_version
from recovery.services.cancel_run import cancellation_of, why_not_cancel
from recovery.services.questions import why_cannot_go_on
from recovery.services.retry import why_not_retry
from recovery.views import state_tabs
from recovery.views.asked import plain_of
from recovery.views.outcome import instructions_of
from recovery.views.parts import PageRequest, render_part, wants_part
from recovery.views.state_timeline import axis_only, own_traceback, timeline_of, window_of
from recovery.views.version_question import VersionQuestion
from recovery.views.viewed import OF_A_CHECKPOINT, TABS, Viewed

TEMPLATE = "recovery/state.html"
FORKS_AT_MOST = 5

# How often a page asks for news that nothing tells it of; and where something does, how long it waits before it asks
# again. Less often where the answer takes longer to make.
PACE_S = 2
GAP_S = 1
SLOW_PACE_S = 10
MANY_STEPS = 2_000

_TAB_CONTEXTS: dict[str, Callable[[Viewed, Any], dict[str, Any]]] = {
    "storage": state_tabs.storage_tab,
    "artifacts": state_tabs.artifacts_tab,
    "checkpoints": state_tabs.checkpoints_tab,
    "requests": state_tabs.requests_tab,
    "audit": state_tabs.audit_tab,
}


@login_required
@require_safe
def show_state(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The page; to htmx the next window of its steps."""
    viewed = Viewed.of(pk, request.GET)
    context = _tab_context(viewed, request.GET)
    if not wants_part(request):
        context |= _around(viewed, request.user) | _head(viewed, request.user, context.get("timeline"))
    return render_part(request, TEMPLATE, "steps", context)


@login_required
@require_safe
def state_news(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What changed on the page of a run; nothing, while that is what the page shows already."""
    viewed = Viewed.of(pk, request.GET)
    seen, seen_status = request.GET.get("seen", ""), request.GET.get("status", "")
    if not wants_part(request):
        return HttpResponse(status=303, headers={"Location": viewed.url(viewed.tab)})
    if seen == viewed.key:
        return HttpResponse(status=204)
    context: dict[str, Any] = {"viewed": viewed, "has_new_status": seen_status != viewed.status_key}
    if viewed.tab == "timeline":
        context |= _tab_context(viewed, request.GET)
    context |= _head(viewed, request.user, context.get("timeline"))
    return render_part(request, TEMPLATE, "news", context)


def _tab_context(viewed: Viewed, query: Any) -> dict[str, Any]:
    if viewed.tab == "timeline":
        return {"viewed": viewed, **window_of(viewed, timeline_of(viewed), query)}
    return {"viewed": viewed, **_TAB_CONTEXTS[viewed.tab](viewed, query)}


def _head(viewed: Viewed, viewer: Any, timeline: Timeline | None) -> dict[str, Any]:
    """What of the head changes while the run goes on."""
    state = viewed.state
    counts = state_tabs.counts_of(viewed)
    is_newest = viewed.checkpoint is None
    open_requests = ApprovalRequest.objects.open().filter(state=state).most_urgent_first()
    has_many_steps = counts["timeline"] >= MANY_STEPS
    return {
        "tabs": [(tab, label, _tab_url(viewed, tab), counts[tab]) for tab, label in TABS.items()],
        "axis": timeline.axis if timeline is not None else axis_only(viewed),
        "newest": viewed.tip,
        "open_requests": list(open_requests.only("id", "title")[:3]) if is_newest else [],
        "retry_url": _retry_url(viewed, viewer),
        "stuck": _why_stuck(viewed),
        "version_question": VersionQuestion.of(state, viewer) if is_newest else None,
        "cancel_url": _cancel_url(viewed, viewer),
        "cancellation": _cancellation(viewed),
        "error": _error(viewed),
        "traceback": own_traceback(state.error) if is_newest and state.error else [],
        "output": _output(viewed),
        "superseded_by": state.superseded_by_id if is_newest else None,
        "news_url": _news_url(viewed),
        "pace_s": SLOW_PACE_S if has_many_steps else PACE_S,
        "gap_s": SLOW_PACE_S if has_many_steps else GAP_S,
    }


def _around(viewed: Viewed, viewer: Any) -> dict[str, Any]:
    """What of the head stays as it is."""
    state = viewed.state
    return {
        "heading": state.description.strip().split("\n")[0][:500] or (f"{state.pipeline} {state.short_id}".strip()),
        "details": state.description.strip().partition("\n")[2].strip(),
        "tags": list(state.tags.order_by("pk")),
        "pipeline_url": reverse("recovery:pipeline", args=[state.pipeline]) if pipelines.find(state.pipeline) else "",
        "parent": State.objects.filter(pk=state.parent_id).only("id").first() if state.parent_id else None,
        "forks": list(state.children.only("id").order_by("-created_at")[: FORKS_AT_MOST + 1]),
        "forks_at_most": FORKS_AT_MOST,
        "instructions": instructions_of(state),
        "input": json_tree.tree(plain_of(state.input)) if state.input else None,
        "now_url": Viewed(state).url(viewed.tab),
        "viewer": viewer,
    }


def _tab_url(viewed: Viewed, tab: str) -> str:
    return viewed.url(tab) if tab in OF_A_CHECKPOINT else Viewed(viewed.state).url(tab)


def _news_url(viewed: Viewed) -> str:
    if not viewed.is_live:
        return ""
    return viewed.part_url("state_news", tab=viewed.tab, seen=viewed.key, status=viewed.status_key)


def _retry_url(viewed: Viewed, viewer: Any) -> str:
    if viewed.checkpoint is not None or why_not_start(viewer) or why_not_retry(viewed.state):
        return ""
    # Else it is asked whether the run may go on with another version, and tried again then.
    return "" if asks_version(viewed.state) else reverse("recovery:retry", args=[viewed.state.pk])


def _cancel_url(viewed: Viewed, viewer: Any) -> str:
    is_at_work = viewed.job is not None and viewed.job.status == Resumption.Status.RUNNING
    if viewed.checkpoint is not None or is_at_work or why_not_start(viewer) or why_not_cancel(viewed.state):
        return ""
    return reverse("recovery:cancel", args=[viewed.state.pk])


def _cancellation(viewed: Viewed) -> tuple[AuditEntry, str] | None:
    """Who cancelled the run, and why."""
    entry = cancellation_of(viewed.state) if viewed.checkpoint is None else None
    return (entry, json.loads(entry.detail)["reason"]) if entry is not None else None


def _why_stuck(viewed: Viewed) -> str:
    """Why no worker can go on with the run as things are."""
    state, job = viewed.state, viewed.job
    if viewed.checkpoint is not None or state.is_finished or asks_version(state):
        return ""
    if job is not None and job.status == Resumption.Status.BLOCKED:
        return job.last_error
    return why_cannot_go_on(state)


def _error(viewed: Viewed) -> tuple[str, str] | None:
    """The class and the words of what the run failed with, or of why it is tried again later."""
    job = viewed.job
    if viewed.checkpoint is not None or job is None or not job.last_error or job.status == Resumption.Status.BLOCKED:
        return None
    is_tried_again = job.status in (Resumption.Status.PENDING, Resumption.Status.FAILED)
    if viewed.state.status != State.Status.FAILED and not is_tried_again:
        return None
    kind, colon, message = job.last_error.partition(": ")
    return (kind, message) if colon and " " not in kind else ("", job.last_error)


def _output(viewed: Viewed) -> json_tree.Node | None:
    state = viewed.state
    if viewed.checkpoint is not None or state.status != State.Status.COMPLETED or state.output in ("", "null"):
        return None
    return json_tree.tree(plain_of(state.output))
