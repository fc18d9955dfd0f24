"""What only the pages of requests show: when one expires, how long one can still undo, who says what."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from recovery.languages import lazy as _
from recovery.rendering import quantities
from recovery.rendering.tables import Table
from recovery.templatetags.recovery_tags import SOON_S, icon, initials_of, time_of

register = template.Library()

# A countdown of more than this counts minutes.
LONG_S = 90
# Whoever sorts wants to see more than the first few.
MORE_ROWS = 200
_THEN = {"reject": _("rejected"), "approve": _("approved"), "cancel": _("cancelled")}


@register.simple_tag
def expires(when: datetime, on_expire: str = "") -> SafeString:
    """How long until nobody can decide any more, and with `on_expire` what it comes to then."""
    left_s = (when - timezone.now()).total_seconds()
    return format_html(
        '<span class="due{}">{}{}{}</span>',
        " due-soon" if left_s < SOON_S else "",
        icon("hourglass"),
        time_of(
            when,
            gettext("expires in %(span)s") % {"span": quantities.span(left_s)}
            if left_s > 0
            else gettext("expires now"),
            gettext("expires"),
        ),
        gettext(", then %(on_expire)s") % {"on_expire": _THEN.get(on_expire, on_expire)} if on_expire else "",
    )


@register.filter
def countdown(left_s: float) -> str:
    """What is left, counted down to nothing; static/js/request.js goes on with it in the same words."""
    whole = math.ceil(left_s)
    return f"{whole} s" if whole < LONG_S else f"{math.ceil(whole / 60)} min"


@register.filter
def name_initials(name: str) -> str:
    """Of a name that was written down: the account may be gone."""
    return initials_of(name)


@register.filter
def of(values: Mapping[Any, Any], key: Any) -> Any:
    return values.get(key)


@register.simple_tag
def preview_link(url: str, *, table: Table, words: str, sort: int | None = None) -> SafeString:
    """A link to more rows of a table, or with `sort` to the same sorted by that column; what it brings takes the place
    of the preview."""
    by = table.sort if sort is None else sort
    is_down = table.descending if sort is None else table.sort == sort and not table.descending
    rows = table.next_rows if sort is None else max(len(table.rows), MORE_ROWS)
    address = f"{url}&rows={rows}" + (f"&sort={by}{'&order=down' if is_down else ''}" if by is not None else "")
    return format_html(
        '<a href="{0}" hx-get="{0}" hx-target="closest .preview" hx-swap="outerHTML"><bdi>{1}</bdi></a>',
        address,
        words,
    )
