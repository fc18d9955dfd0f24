"""Answers that htmx would put into the middle of a page, but that are whole pages: sign-in and errors."""

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django_htmx.http import HttpResponseClientRedirect


class PartsMiddleware:
    """An expired session sends the browser to the login and from there back to its page, whatever part was asked for.
    A whole page that says no takes the place of the page, never of a part."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        htmx = getattr(request, "htmx", None)
        if not htmx:
            return response
        if _leads_to_login(response):
            page = htmx.current_url_abs_path or resolve_url(settings.LOGIN_REDIRECT_URL)
            return HttpResponseClientRedirect(f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': page})}")
        if _is_whole_error_page(response):
            response["HX-Retarget"] = "body"
            response["HX-Reswap"] = "innerHTML"
        return response


def _leads_to_login(response: HttpResponse) -> bool:
    if response.status_code != HTTPStatus.FOUND:
        return False
    return urlsplit(response["Location"]).path == resolve_url(settings.LOGIN_URL)


def _is_whole_error_page(response: HttpResponse) -> bool:
    # Not 404 and 5xx, which htmx never swaps: see `noSwap` in templates/base.html. Parts say in Vary what they are.
    is_part = "hx-request" in response.get("Vary", "").lower()
    return response.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN) and not is_part
