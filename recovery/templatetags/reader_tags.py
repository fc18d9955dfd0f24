"""What a page owes to its reader: language, theme and density of the whole of it, and the offer of their time zone."""

from typing import Any
from urllib.parse import unquote

from django import template
from django.conf import settings
from django.utils import timezone, translation
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from recovery.models import Reader
from recovery.services import readers

register = template.Library()

# Written by static/js/zone.js.
ZONE_COOKIE = "browser_zone"


@register.simple_tag(takes_context=True)
def page_attributes(context: template.Context) -> SafeString:
    """Of the element <html>: made here, so that a page is never seen in another theme first."""
    reader = _reader(context)
    # The page of a broken server knows the cookie only, as `theme`.
    theme = reader.theme if reader is not None else context.get("theme", "")
    attributes = {"lang": translation.get_language() or settings.LANGUAGE_CODE}
    if theme in (Reader.Theme.LIGHT, Reader.Theme.DARK):
        attributes["data-theme"] = theme
    if reader is not None and reader.density == Reader.Density.COMPACT:
        attributes["data-density"] = reader.density
    if reader is not None and not reader.has_shortcuts:
        attributes["data-shortcuts"] = "off"
    return format_html_join(" ", '{}="{}"', attributes.items())


@register.simple_tag(takes_context=True)
def unread_notices(context: template.Context) -> int:
    reader = _reader(context)
    return reader.unread if reader is not None else 0


@register.simple_tag(takes_context=True)
def offered_zone(context: template.Context) -> str:
    """The zone of their browser, for somebody who has not said which they want and would see another one's times."""
    reader, request = _reader(context), context.get("request")
    if reader is None or reader.time_zone or not reader.user_id:
        return ""
    zone = unquote(request.COOKIES.get(ZONE_COOKIE, "")) if request is not None else ""
    return zone if zone != settings.TIME_ZONE and readers.is_zone(zone) else ""


@register.simple_tag
def zone_name() -> str:
    return timezone.get_current_timezone_name()


def _reader(context: template.Context) -> Reader | None:
    reader: Any = getattr(context.get("request"), "reader", None)
    return reader
