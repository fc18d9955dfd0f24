"""Who opens a stream, and what of what they ask for they may see. Asks the database, so never on the event loop."""

from importlib import import_module
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.contrib import auth
from django.http import parse_cookie

from recovery.live import topics
from recovery.models import ApprovalRequest, State


class _ReadSession(dict[str, Any]):
    """What is kept in a session. To read it never renews or ends it: there is no answer that could carry a new key."""

    def flush(self) -> None:
        self.clear()

    def cycle_key(self) -> None:
        pass


def session_key_of(cookies: str) -> str:
    """`cookies` is the header; empty where it has no session."""
    return parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME, "")


def person_of(session_key: str) -> Any:
    """Who is signed in with it; `None` for nobody, not any more, or not active."""
    if not session_key:
        return None
    kept = import_module(settings.SESSION_ENGINE).SessionStore(session_key).load()
    user = auth.get_user(SimpleNamespace(session=_ReadSession(kept)))  # type: ignore[arg-type]  # all that it reads
    return user if user.is_authenticated else None


def visible_to(user: Any, wanted: frozenset[str]) -> frozenset[str]:
    """Those of `wanted` that `user` may know of. What is not there is left out like what is not theirs."""
    visible = {topics.INBOX} & wanted
    if ids := topics.ids_of("request", wanted):
        found = ApprovalRequest.objects.visible_to(user).filter(pk__in=ids)
        visible |= {topics.of_request(pk) for pk in found.values_list("pk", flat=True)}
    if ids := topics.ids_of("state", wanted):
        # Everybody who is signed in sees every state, as its page does.
        visible |= {topics.of_state(pk) for pk in State.objects.filter(pk__in=ids).values_list("pk", flat=True)}
    return frozenset(visible)
