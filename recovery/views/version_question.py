"""What a page asks when the version of a pipeline changed under a run: whether it may go on with the new one."""

from dataclasses import dataclass
from typing import Any, Self

from django.urls import reverse

from recovery.models import State
from recovery.permissions import holders_of, why_not_start
from recovery.services.accept_version import asks_version
from recovery.services.retry import why_not_retry

START = "recovery.start_state"
NAMED_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class VersionQuestion:
    """`others` are some of those who may say so, where the viewer may not. `is_stuck`: the run is tried again then."""

    state: State
    version: str
    may_say: bool
    others: list[Any]
    is_stuck: bool

    @classmethod
    def of(cls, state: State, viewer: Any) -> Self | None:
        version = asks_version(state)
        if not version:
            return None
        may_say = not why_not_start(viewer)
        others = [] if may_say else list(holders_of(START).order_by("first_name", "username")[:NAMED_AT_MOST])
        return cls(state, version, may_say, others, not why_not_retry(state))

    @property
    def url(self) -> str:
        return reverse("recovery:accept_version", args=[self.state.pk])
