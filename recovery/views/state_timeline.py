"""What the timeline of a state shows: a window of its steps, and what each of them says when it is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Substr
from django.utils import timezone
from django.utils.translation import gettext

from recovery.models import Checkpoint, Event, State
from recovery.rendering.failures import TraceLine, traceback_lines
from recovery.rendering.step_tree import Attempt, Step
from recovery.rendering.time_axis import Halt, TimeAxis
from recovery.rendering.timeline import WINDOW, Row, Span, Timeline, anchor_of, axis_of
from recovery.views.viewed import Viewed
from rh_agents.core.types import ExecutionStatus

# What is shown of a failure's words before somebody asks for all of them.
MESSAGE_CHARACTERS = 600

# Stops beyond these many would be narrower than a pixel.
_HALTS_AT_MOST = 400
_RUNS_AT = (State.Status.RUNNING, State.Status.COMPLETED)


@dataclass(slots=True)
class Shown:
    """A row and what stands under it. `traceback` only of the step that the run failed with."""

    row: Row
    is_open: bool = False
    message: str = ""
    traceback: Sequence[TraceLine] = ()
    request_id: Any = None


def timeline_of(viewed: Viewed) -> Timeline:
    rows = viewed.log(Event.objects.order_by("position", "pk")).values_list(*Attempt._fields)
    now = _now(viewed)
    attempts = (Attempt(*columns) for columns in rows)
    return Timeline(attempts, _halts(viewed, now), now, is_running=viewed.status == State.Status.RUNNING)


def axis_only(viewed: Viewed) -> TimeAxis:
    """For the tabs that show no steps but the same head."""
    spans = viewed.log(Event.objects.order_by()).values_list(*Span._fields)
    now = _now(viewed)
    return axis_of((Span(*columns) for columns in spans), _halts(viewed, now), now)


def _now(viewed: Viewed) -> float:
    return (viewed.checkpoint.created_at if viewed.checkpoint else timezone.now()).timestamp()


def window_of(viewed: Viewed, timeline: Timeline, query: Any) -> dict[str, Any]:
    """The window that the address asks for: `from` a row, or the one around the step at the address `step`."""
    culprit = timeline.tree.culprit() if viewed.status == State.Status.FAILED else None
    asked = query.get("step", "")
    first, opened = _row_number(query.get("from", "")), ""
    if asked:
        index = timeline.tree.index_of(asked)
        if index is None:
            viewed.notices.append(gettext("There is no step “%(asked)s” here.") % {"asked": asked[:100]})
        else:
            first, opened = index // WINDOW * WINDOW, asked
    first = min(first, max(0, (len(timeline) - 1) // WINDOW * WINDOW))
    rows = timeline.window(first)
    end = first + len(rows)
    last = (len(timeline) - 1) // WINDOW * WINDOW

    def url(row: int) -> str:
        return viewed.url(**{"from": str(row or "")})

    return {
        "timeline": timeline,
        "steps": _shown(viewed, rows, culprit, opened),
        "first": first,
        "end": end,
        "callers": timeline.above(first) if first else [],
        "earlier_url": url(max(0, first - WINDOW)) if first else "",
        "more_url": url(end) if end < len(timeline) else "",
        "newest_url": url(last) if end < last else "",
        "culprit": culprit,
        "culprit_url": step_url(viewed, culprit.address) if culprit else "",
    }


def step_url(viewed: Viewed, address: str) -> str:
    """The timeline with that step open."""
    return f"{viewed.url(step=address)}#{anchor_of(address)}"


def own_traceback(traceback: str) -> list[TraceLine]:
    return traceback_lines(traceback, str(settings.BASE_DIR))


def _row_number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0


def _shown(viewed: Viewed, rows: list[Row], culprit: Step | None, opened: str) -> list[Shown]:
    shown = [Shown(row, is_open=row.step is culprit or row.step.address == opened) for row in rows]
    failed = {one.row.position: one for one in shown if one.row.status == ExecutionStatus.FAILED and one.row.position}
    if failed:
        found = viewed.log(Event.objects.filter(position__in=list(failed), status=ExecutionStatus.FAILED.value))
        for position, message in found.values_list("position", Substr("error_message", 1, MESSAGE_CHARACTERS)):
            failed[position].message = message
    for one in shown:
        if one.row.step is culprit and one.row.position is not None:
            event = viewed.log(Event.objects.filter(position=one.row.position)).only("traceback").first()
            one.traceback = own_traceback(event.traceback) if event else ()
    questions = {one.row.step.address: one for one in shown if one.row.step.is_decision}
    if questions:
        asked = viewed.state.requests.filter(address__in=list(questions)).order_by("generation")
        for address, request_id in asked.values_list("address", "pk"):
            questions[address].request_id = request_id
    return shown


def _halts(viewed: Viewed, now: float) -> list[Halt]:
    """The times between a checkpoint at which the run stopped, and the next."""
    if not viewed.number:
        return []
    checkpoints = Checkpoint.objects.filter(state=viewed.state, number__lte=viewed.number)
    stopped = list(
        checkpoints.filter(~Q(status__in=_RUNS_AT) | Q(status=State.Status.COMPLETED, number__lt=viewed.number))
        .order_by("-number")
        .values_list("number", "status", "created_at")[:_HALTS_AT_MOST]
    )
    followed = checkpoints.filter(number__in=[number + 1 for number, *_ in stopped])
    until = {number - 1: at.timestamp() for number, at in followed.values_list("number", "created_at")}
    halts = []
    for number, status, at in stopped:
        is_waiting = status == State.Status.AWAITING
        # Behind the newest there is nothing: a run that failed is over, one that waits does so until now.
        end = until.get(number, now if is_waiting else at.timestamp())
        halts.append(Halt(at.timestamp(), end, is_waiting))
    return halts
