"""The rules of a policy in words."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext

from recovery.languages import lazy as _
from recovery.rendering import quantities

LABELS = {
    "users": _("People"),
    "groups": _("Groups"),
    "permission": _("Permission"),
    "needed": _("People needed"),
    "from_groups": _("Needed from groups"),
    "self_approval": _("Who started the run may decide"),
    "reject_by": _("Rejected by"),
    "comment_required": _("Needs words"),
    "bulk_up_to": _("Decided together up to"),
    "undo_window_s": _("Can be taken back for"),
    "expires_after_s": _("Expires after"),
    "on_expire": _("What it is then"),
    "remind_every_s": _("Reminders every"),
    "escalate_after_s": _("Escalated after"),
    "escalate_to": _("Escalated to"),
}
ON_EXPIRE = {"reject": _("rejected"), "approve": _("approved"), "cancel": _("the run is cancelled")}
REJECT_BY = {"one": _("one person"), "majority": _("more than half of those needed")}
KINDS = {
    "approve": _("approving"),
    "edit": _("approving with changes"),
    "respond": _("answering"),
    "reject": _("rejecting"),
    "request_changes": _("sending back"),
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
        return duration(value) if value else gettext("not at all")
    if name == "on_expire":
        return str(ON_EXPIRE[value])
    if name == "reject_by":
        return str(REJECT_BY[value])
    if name == "comment_required":
        return ", ".join(str(word) for kind, word in KINDS.items() if kind in value) or gettext("nothing")
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, Mapping):
        return (
            ", ".join(
                gettext("%(count)s of %(group)s") % {"count": count, "group": group}
                for group, count in sorted(value.items())
            )
            or NOTHING
        )
    if isinstance(value, frozenset | set | list):
        return ", ".join(sorted(value)) or NOTHING
    return str(value)
