"""How many requests wait for the person who looks, and how many runs are stuck, in the navigation of every page."""

from typing import Any

from django import template

from recovery import queries
from recovery.permissions import why_not_start
from recovery.services.dead_letters import stuck_jobs

register = template.Library()

_COUNTS = "recovery.counts"


def in_words(count: int) -> str:
    """`14`, or `99+` for what nobody counted further."""
    return f"{queries.COUNT_AT_MOST}+" if count > queries.COUNT_AT_MOST else str(count)


@register.simple_tag(takes_context=True)
def waiting_for_viewer(context: template.Context) -> str:
    """The count in words, empty for none. A view that counted already says so as `waiting_count`."""
    return _in_words(context, "waiting_count")


@register.simple_tag(takes_context=True)
def stuck_for_viewer(context: template.Context) -> str:
    """How many runs are stuck, in words, empty for none. Nobody is counted for who could do nothing about it. A view
    that counted already says so as `stuck_count`."""
    return _in_words(context, "stuck_count")


def _in_words(context: template.Context, name: str) -> str:
    counted: Any = context.get(name)
    if counted is None:
        counted = _counts_for(context).get(name, 0)
    return in_words(counted) if counted else ""


def _counts_for(context: template.Context) -> dict[str, int]:
    """Both, counted once for a page and in one query."""
    known: dict[str, int] | None = context.render_context.get(_COUNTS)
    if known is not None:
        return known
    user = getattr(context.get("request"), "user", None)
    if user is None or not user.is_authenticated:
        return {}
    stuck = None if why_not_start(user) else stuck_jobs
    waiting, _, stuck_count = queries.desk_counts(user, queries.voices_at_desk(user), stuck)[0]
    counts = {"waiting_count": waiting, "stuck_count": stuck_count}
    context.render_context[_COUNTS] = counts
    return counts


@register.filter
def counted(count: int) -> str:
    return in_words(count)
