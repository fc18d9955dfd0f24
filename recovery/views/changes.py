"""What others did to a request since its page was made."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from recovery.models import ApprovalRequest
from recovery.views.discussion import Discussion


@dataclass(frozen=True, slots=True)
class Changes:
    """`key` is the same as long as there is nothing new to show; `version` is that of the proposal on the page. `said`
    is what others said since then: what somebody says themselves comes with its own answer."""

    key: str
    version: str
    is_settled: bool = False
    is_newer: bool = False
    said: Discussion | None = None

    @classmethod
    def of(cls, context: Mapping[str, Any], viewer: Any, *, seen: str = "", version: str = "") -> "Changes":
        """`context` is that of the page as it would be made now; `seen` and `version` are of the page as it is."""
        approval: ApprovalRequest = context["approval"]
        current, known = str(approval.version), version if version.isdecimal() else ""
        discussion: Discussion = context["discussion"]
        newest = _newest_of(seen)
        newer = [one for one in discussion.comments if one.pk > newest and one.actor_id != viewer.pk]
        return cls(
            key=_key_of(context),
            version=known or current,
            is_settled=not approval.is_open,
            is_newer=known not in ("", current),
            said=replace(discussion, comments=newer, has_earlier=False),
        )

    @property
    def query(self) -> str:
        return f"seen={self.key}&version={self.version}"


def _key_of(context: Mapping[str, Any]) -> str:
    approval: ApprovalRequest = context["approval"]
    acts = [act.decision.pk for act in context["ballot"].acts]
    said = [comment.pk for comment in context["discussion"].comments]
    policy = zlib.crc32(json.dumps(approval.policy, sort_keys=True).encode())
    newest = max((*acts, *said), default=0)
    return f"{newest}.{approval.version}.{approval.outcome}.{approval.holder_id or ''}.{policy:x}"


def _newest_of(key: str) -> int:
    """The newest act that a page of this key shows."""
    newest, _, _ = key.partition(".")
    return int(newest) if newest.isascii() and newest.isdigit() and len(newest) < 19 else 0
