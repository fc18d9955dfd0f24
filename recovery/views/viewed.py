"""A state as its page shows it: as it stands now, or as it stood at an earlier checkpoint."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.http import Http404
from django.urls import reverse
from django.utils.translation import gettext

from recovery.languages import lazy as _
from recovery.models import Checkpoint, Resumption, State
from recovery.models.checkpoint import LogQuerySet

TABS = {
    "timeline": _("Timeline"),
    "storage": _("Storage"),
    "artifacts": _("Artifacts"),
    "checkpoints": _("Checkpoints"),
    "requests": _("Requests"),
    "audit": _("Audit"),
}
# What a checkpoint holds; the other tabs are about the state as a whole.
OF_A_CHECKPOINT = ("timeline", "storage", "artifacts")

_NUMBER_DIGITS = 9

Rows = TypeVar("Rows", bound=LogQuerySet)


@dataclass
class Viewed:
    """`checkpoint` is the one that the address asks for; `None` for the state as it stands now."""

    state: State
    tab: str = "timeline"
    checkpoint: Checkpoint | None = None
    notices: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, pk: uuid.UUID, query: Mapping[str, Any]) -> "Viewed":
        """Raises Http404 if there is no such state. What else in the address means nothing is left out, and said."""
        state = State.objects.select_related("started_by").defer("generations", "resolution_text").filter(pk=pk).first()
        if state is None:
            raise Http404(f"there is no state {pk}")
        viewed = cls(state)
        tab = query.get("tab", "timeline")
        if tab in TABS:
            viewed.tab = tab
        else:
            viewed.notices.append(gettext("There is no tab “%(tab)s”; this is the timeline.") % {"tab": tab[:50]})
        if asked := query.get("checkpoint", "").strip():
            viewed._go_back_to(asked)
        return viewed

    def _go_back_to(self, asked: str) -> None:
        is_number = asked.isascii() and asked.isdigit() and len(asked) <= _NUMBER_DIGITS
        number = int(asked) if is_number else 0
        self.checkpoint = Checkpoint.objects.filter(state=self.state, number=number).first() if number else None
        if self.checkpoint is None:
            head = self.state.head
            self.notices.append(
                gettext("There is no checkpoint “%(asked)s”; this is how the state stands now, at %(head)s.")
                % {"asked": asked[:50], "head": head}
            )

    @property
    def number(self) -> int:
        """Of the checkpoint that is shown; 0 for a run that nothing was saved of yet."""
        return self.checkpoint.number if self.checkpoint else self.state.head

    @property
    def status(self) -> str:
        return self.checkpoint.status if self.checkpoint else self.state.status

    @property
    def reference(self) -> str:
        """How a comparison names it."""
        return f"{self.state.pk}@{self.checkpoint.number}" if self.checkpoint else str(self.state.pk)

    def log(self, rows: Rows) -> Rows:
        """Of `rows` of the log those that stand, or stood, at what is shown."""
        of_state = rows.filter(state=self.state)
        return of_state.at_checkpoint(self.checkpoint.number) if self.checkpoint else of_state.current()

    @cached_property
    def tip(self) -> Checkpoint | None:
        """The checkpoint that is shown, with its counts."""
        return self.checkpoint or Checkpoint.objects.filter(state=self.state, number=self.state.head).first()

    @cached_property
    def job(self) -> Resumption | None:
        """The newest: what a worker does, or failed to do, with the run."""
        return self.state.resumptions.order_by("-pk").first()

    @property
    def is_queued(self) -> bool:
        return self.job is not None and self.job.status == Resumption.Status.PENDING

    @property
    def is_live(self) -> bool:
        """Whether the page goes on by itself."""
        if self.checkpoint is not None:
            return False
        return self.state.status == State.Status.RUNNING or (
            self.job is not None and self.job.status in Resumption.UNFINISHED
        )

    @property
    def key(self) -> str:
        """The same as long as there is nothing new to show."""
        job = self.job
        return f"{self.state.head}.{self.status_key}.{job.attempts if job else 0}"

    @property
    def status_key(self) -> str:
        return f"{self.state.status}-{self.job.pk if self.job else 0}-{self.job.status if self.job else ''}"

    @property
    def query(self) -> dict[str, Any]:
        return {"checkpoint": self.checkpoint.number} if self.checkpoint else {}

    def url(self, tab: str = "", **more: Any) -> str:
        """Of a tab, at the same checkpoint. What is empty is left out."""
        values = {"tab": tab if tab != "timeline" else "", **self.query, **more}
        return self.part_url("state", **values)

    def part_url(self, name: str, *args: Any, **query: Any) -> str:
        given = {key: value for key, value in query.items() if value not in ("", None)}
        address = reverse(f"recovery:{name}", args=[self.state.pk, *args])
        return f"{address}?{urlencode(given)}" if given else address
