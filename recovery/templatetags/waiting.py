"""How many requests wait for the person who looks, and how many runs are stuck, in the navigation of every page."""

from typing import Any

from django import template

from recovery import queries
from recovery.permissions import why_not_start
from recovery.services.dead_letters import stuck_count

register = template.Library()


def in_words(count: int) -> str:
    """`14`, or `99+` for what nobody counted further."""
    return f"{queries.COUNT_AT_MOST}+" if count > queries.COUNT_AT_MOST else str(count)


@register.simple_tag(takes_context=True)
def waiting_for_viewer(context: template.Context) -> str:
    """The count in words, empty for none. A view that counted already says so as `waiting_count`."""
    counted: Any = context.get("waiting_count")
    if counted is None:
        user = getattr(context.get("request"), "user", None)
        counted = queries.waiting_count(user) if user is not None and user.is_authenticated else 0
    return in_words(counted) if counted else ""


@register.simple_tag(takes_context=True)
def stuck_for_viewer(context: template.Context) -> str:
    """How many runs are stuck, in words, empty for none. Nobody is counted for who could do nothing about it."""
    user = getattr(context.get("request"), "user", None)
    if user is None or not user.is_authenticated or why_not_start(user):
        return ""
    stuck = stuck_count()
    return in_words(stuck) if stuck else ""


@register.filter
def counted(count: int) -> str:
    return in_words(count)
