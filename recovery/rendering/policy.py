"""The rules of a policy in words."""

from collections.abc import Mapping
from typing import Any

from recovery.rendering import quantities

LABELS = {
    "users": "People",
    "groups": "Groups",
    "permission": "Permission",
    "needed": "People needed",
    "from_groups": "Needed from groups",
    "self_approval": "Who started the run may decide",
    "reject_by": "Rejected by",
    "comment_required": "Needs words",
    "bulk_up_to": "Decided together up to",
    "undo_window_s": "Can be taken back for",
    "expires_after_s": "Expires after",
    "on_expire": "What it is then",
    "remind_every_s": "Reminders every",
    "escalate_after_s": "Escalated after",
    "escalate_to": "Escalated to",
}
ON_EXPIRE = {"reject": "rejected", "approve": "approved", "cancel": "the run is cancelled"}
REJECT_BY = {"one": "one person", "majority": "more than half of those needed"}
KINDS = {
    "approve": "approving",
    "edit": "approving with changes",
    "respond": "answering",
    "reject": "rejecting",
    "request_changes": "sending back",
}
NOTHING = "–"


def duration(seconds: float) -> str:
    """As people write it: `30 s`, `1 h 30 min`; exact only where it has no more than two units."""
    is_short = seconds < quantities.MINUTE_S
    return f"{seconds:g} s" if is_short else quantities.duration(seconds)


def words_of(name: str, value: Any) -> str:
    """The value of one rule."""
    if value is None or value == "":
        return NOTHING
    if name.endswith("_s"):
        return duration(value) if value else "not at all"
    if name == "on_expire":
        return ON_EXPIRE[value]
    if name == "reject_by":
        return REJECT_BY[value]
    if name == "comment_required":
        return ", ".join(word for kind, word in KINDS.items() if kind in value) or "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{count} of {group}" for group, count in sorted(value.items())) or NOTHING
    if isinstance(value, frozenset | set | list):
        return ", ".join(sorted(value)) or NOTHING
    return str(value)
