"""Signing in, with a limit: whoever guesses passwords has to wait, and whoever mistypes theirs hardly notices."""

import hashlib
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.core.cache import cache
from django.core.exceptions import ValidationError
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
                    cache.incr(key)
            raise
        cache.delete(next(iter(limits), ""))
        return cleaned

    def _limits(self) -> Iterator[tuple[str, int]]:
        """Key to how many tries may go wrong: of this name from this address, and of this address."""
        name = self.cleaned_data.get("username")
        if name and self.request is not None:
            address = self.request.META.get("REMOTE_ADDR", "")
            yield _key(address, name.casefold()), settings.SIGN_IN_TRIES
            yield _key(address), settings.SIGN_IN_TRIES * 10


def _key(*parts: str) -> str:
    # A name may hold what a key of a cache may not.
    return f"sign-in:{hashlib.sha256(repr(parts).encode()).hexdigest()}"
