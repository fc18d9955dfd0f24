"""What only the pages of requests show: when one expires, how long one can still undo, who says what."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recovery.rendering import quantities
from recovery.templatetags.recovery_tags import SOON_S, exact, icon, initials_of

register = template.Library()

# A countdown of more than this counts minutes.
LONG_S = 90
_THEN = {"reject": "rejected", "approve": "approved", "cancel": "cancelled"}


@register.simple_tag
def expires(when: datetime, on_expire: str = "") -> SafeString:
    """How long until nobody can decide any more, and with `on_expire` what it comes to then."""
    left_s = (when - timezone.now()).total_seconds()
    return format_html(
        '<span class="due{}" title="expires {}">{}{}{}</span>',
        " due-soon" if left_s < SOON_S else "",
        exact(when),
        icon("hourglass"),
        f"expires in {quantities.span(left_s)}" if left_s > 0 else "expires now",
        f", then {_THEN.get(on_expire, on_expire)}" if on_expire else "",
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
