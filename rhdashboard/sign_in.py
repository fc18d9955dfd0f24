"""Signing in, with a limit: whoever guesses passwords has to wait, and whoever mistypes theirs hardly notices."""

import hashlib
import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import redirect_to_login
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _


class SignInForm(AuthenticationForm):
    """Django's own. From one address few tries go wrong for one name, and not many for all names, within
    `SIGN_IN_WAIT_S`; beyond that no password is looked at, the right one neither."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "too_many": _("Too many tries went wrong. Wait %(minutes)s min, then try again."),
    }

    def clean(self) -> dict[str, Any]:
        limits = dict(self._limits())
        tried = cache.get_many(limits)
        if any(tried.get(key, 0) >= limit for key, limit in limits.items()):
            minutes = -(-settings.SIGN_IN_WAIT_S // 60)
            raise ValidationError(self.error_messages["too_many"], code="too_many", params={"minutes": minutes})
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            for key in limits:
                # The time begins with the first try, and is not prolonged by the next.
                if not cache.add(key, 1, settings.SIGN_IN_WAIT_S):
                    with suppress(ValueError):  # It ran out just now.
                        cache.incr(key)
            raise
        cache.delete(next(iter(limits), ""))
        return cleaned

    def _limits(self) -> Iterator[tuple[str, int]]:
        """Key to how many tries may go wrong: of this name from this address, and of this address."""
        name = self.cleaned_data.get("username")
        if name and self.request is not None:
            address = address_of(self.request)
            yield _key(address, name.casefold()), settings.SIGN_IN_TRIES
            if not _is_everybodys(address):
                yield _key(address), settings.SIGN_IN_TRIES * 10


def admin_sign_in(request: HttpRequest) -> HttpResponse:
    """The admin has no way in of its own: it would be one without a limit. Who is in already may not see the admin."""
    if request.user.is_authenticated:
        raise PermissionDenied
    return redirect_to_login(request.GET.get("next") or reverse("admin:index"))


def address_of(request: HttpRequest) -> str:
    """Whose request it is: of the proxy, where one is trusted to say it, the last that it names."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.TRUST_X_FORWARDED_FOR else ""
    return forwarded.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "")


def _is_everybodys(address: str) -> bool:
    """Whether it is that of a proxy on this machine, which does not say who comes through it."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True


def _key(*parts: str) -> str:
    # A name may hold what a key of a cache may not.
    return f"sign-in:{hashlib.sha256(repr(parts).encode()).hexdigest()}"
