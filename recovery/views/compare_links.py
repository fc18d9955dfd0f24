"""From a comparison to the places that it compares: the same step, key or artifact in either state."""

from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.urls import reverse

from recovery.rendering.timeline import anchor_of
from recovery.services.compare.comparison import KeyPair, Side
from rh_agents.core.state_recovery import Entry

# Those that hold nothing active: an SVG may hold a script.
PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp"}


class Urls(NamedTuple):
    left: str
    right: str


@dataclass(frozen=True)
class SideLinks:
    """`checkpoint` is `None` for a state as it stands now."""

    state_id: str
    checkpoint: int | None

    @classmethod
    def of(cls, side: Side, head: int) -> "SideLinks":
        return cls(side.state_id, None if side.checkpoint == head else side.checkpoint)

    def state(self, **query: Any) -> str:
        values = {name: value for name, value in {"checkpoint": self.checkpoint, **query}.items() if value is not None}
        page = reverse("recovery:state", args=[self.state_id])
        return f"{page}?{urlencode(values)}" if values else page

    def artifact(self, key: str, entry: Entry | None, page: str = "artifact") -> str:
        if entry is None:
            return ""
        return f"{reverse(f'recovery:{page}', args=[self.state_id, entry.text])}?{urlencode({'key': key})}"


@dataclass(frozen=True)
class Links:
    left: SideLinks
    right: SideLinks

    def step(self, address: str) -> Urls:
        anchor = anchor_of(address)
        return Urls(*(f"{side.state(step=address)}#{anchor}" for side in (self.left, self.right)))

    def storage(self) -> Urls:
        return Urls(*(side.state(tab="storage") for side in (self.left, self.right)))

    def artifact(self, pair: KeyPair, page: str = "artifact") -> Urls:
        return Urls(self.left.artifact(pair.key, pair.left, page), self.right.artifact(pair.key, pair.right, page))

    def pictures(self, pair: KeyPair) -> Urls | None:
        """The bytes of an artifact that is a picture on both sides."""
        entries = pair.left, pair.right
        if not all(entry is not None and entry.media_type in PICTURES for entry in entries):
            return None
        return self.artifact(pair, "artifact_download")
