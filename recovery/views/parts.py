"""One address, one template, one part: the page for a browser, the part for htmx."""

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control, patch_vary_headers
from django_htmx.middleware import HtmxDetails


class PageRequest(HttpRequest):
    """A request of somebody who is signed in, behind django-htmx's middleware."""

    htmx: HtmxDetails
    user: User


def wants_part(request: HttpRequest) -> bool:
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    # What htmx asks for after Back takes the place of the whole page.
    return htmx is not None and bool(htmx) and not htmx.history_restore_request


def render_part(
    request: HttpRequest, template: str, part: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """The partial `part` of `template` to htmx, the whole of it to a browser. Templates know by `is_part`."""
    is_part = wants_part(request)
    name = f"{template}#{part}" if is_part else template
    response = render(request, name, {**context, "is_part": is_part}, status=status)
    # Without it the browser may show a cached part as the page after Back.
    patch_vary_headers(response, ["HX-Request"])
    # What waits and who decided changes under the page; Back asks again.
    patch_cache_control(response, private=True, no_cache=True)
    return response
