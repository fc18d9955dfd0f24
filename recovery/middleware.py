"""Around every page: the reader's zone, language and theme; and answers that htmx would put into the middle of a page,
but that are whole pages: sign-in and errors."""

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils import timezone, translation
from django.utils.translation import check_for_language
from django_htmx.http import HttpResponseClientRedirect

from recovery.models import Reader

THEME_COOKIE = "theme"
A_YEAR_S = 365 * 24 * 3600


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


class ReaderMiddleware:
    """Makes each page in the reader's time zone and language. `request.reader` is their settings, for templates.

    Their theme is kept in a cookie too, so that the page where they sign in again looks as they like it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Without a session nobody is asked who it is: programs and probes stay as cheap as they are.
        has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
        reader = Reader.of(request.user) if has_session else Reader()
        is_known = has_session and request.user.is_authenticated
        if not is_known:
            reader.theme = theme_of(request)
        request.reader = reader  # type: ignore[attr-defined]
        if reader.language and check_for_language(reader.language):
            translation.activate(reader.language)  # Until the next request's LocaleMiddleware says otherwise.
            request.LANGUAGE_CODE = translation.get_language() or settings.LANGUAGE_CODE
        with timezone.override(reader.zone):
            response = self.get_response(request)
        if is_known and reader.theme != theme_of(request):
            keep_theme(response, reader.theme)
        return response


def theme_of(request: HttpRequest) -> str:
    """As this browser was told last."""
    theme = request.COOKIES.get(THEME_COOKIE, "")
    return theme if theme in Reader.Theme.values else Reader.Theme.SYSTEM


def keep_theme(response: HttpResponse, theme: str) -> None:
    response.set_cookie(
        THEME_COOKIE, theme, max_age=A_YEAR_S, samesite="Lax", httponly=True, secure=settings.SESSION_COOKIE_SECURE
    )
