"""Who may call the API: whoever is signed in. What else they may is for the services to say."""

from collections.abc import Callable
from typing import Any

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest
from ninja.errors import AuthorizationError
from ninja.security.session import SessionAuth


class SignedIn(SessionAuth):
    """A session of Django; what writes needs its CSRF token too."""

    def __call__(self, request: HttpRequest) -> Any:
        # Before the token is looked at: 401 tells a program to sign in, 403 would not.
        return super().__call__(request) if request.user.is_authenticated else None


def for_docs(view: Callable[..., Any]) -> Callable[..., Any]:
    """For those who are signed in. Swagger UI puts styles and pictures into the page, and this page alone may do so."""
    return login_required(csp_update({"style-src": [UNSAFE_INLINE], "img-src": ["data:"]})(view))


def allow(why_not: str) -> None:
    """Go on if there is no reason not to.

    Raises:
        AuthorizationError: 403 with the reason.
    """
    if why_not:
        raise AuthorizationError(message=why_not)
