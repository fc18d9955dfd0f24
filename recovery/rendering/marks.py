"""The word, icon and tone of every status, decision, refusal, effect and risk."""

from typing import NamedTuple

from recovery.languages import lazy as _


class Mark(NamedTuple):
    """How a word of the product looks: colour is only ever added to an icon and a word."""

    word: str
    icon: str
    tone: str = ""  # ok, warn, bad or accent; plain when empty


STATE_MARKS = {
    "running": Mark(_("Running"), "loader-circle", "accent"),
    "paused": Mark(_("Paused"), "circle-pause"),
    "awaiting": Mark(_("Waiting for a decision"), "hourglass", "warn"),
    "completed": Mark(_("Completed"), "circle-check", "ok"),
    "failed": Mark(_("Failed"), "circle-x", "bad"),
    "cancelled": Mark(_("Cancelled"), "circle-slash"),
}
JOB_MARKS = {
    "failed": Mark(_("Failed"), "circle-x", "bad"),
    "blocked": Mark(_("Blocked"), "octagon-alert", "warn"),
}
STEP_MARKS = {
    "running": Mark(_("Running"), "loader-circle", "accent"),
    "started": Mark(_("Unfinished"), "circle-dashed"),
    "completed": Mark(_("Completed"), "circle-check", "ok"),
    "failed": Mark(_("Failed"), "circle-x", "bad"),
    "awaiting": Mark(_("Waiting"), "hourglass", "warn"),
    "cancelled": Mark(_("Cancelled"), "circle-slash"),
}
DECISION_MARKS = {
    "approve": Mark(_("Approved"), "circle-check", "ok"),
    "edit": Mark(_("Approved with changes"), "pencil", "ok"),
    "respond": Mark(_("Answered"), "message-square", "ok"),
    "reject": Mark(_("Rejected"), "circle-x", "bad"),
    "request_changes": Mark(_("Sent back"), "undo-2", "accent"),
    "expire": Mark(_("Expired"), "hourglass"),
    "cancel": Mark(_("Cancelled"), "circle-slash"),
    "supersede": Mark(_("Superseded"), "git-fork"),
    "withdraw": Mark(_("Withdrawn"), "undo-2"),
    "claim": Mark(_("Took it"), "user"),
    "release": Mark(_("Let it go"), "user"),
    "delegate": Mark(_("Handed on"), "send"),
    "escalate": Mark(_("Escalated"), "flag"),
    "comment": Mark(_("Commented"), "message-square"),
    "undo": Mark(_("Took it back"), "undo-2"),
}
REFUSAL_MARKS = {
    "already_resolved": Mark(_("Came second"), "users", "warn"),
    "not_waiting": Mark(_("Not waiting"), "clock", "warn"),
    "not_allowed": Mark(_("Not allowed"), "lock", "warn"),
    "stale": Mark(_("Saw an older version"), "pencil", "warn"),
    "held": Mark(_("Held by somebody"), "user", "warn"),
    "not_undoable": Mark(_("Too late to undo"), "undo-2", "warn"),
}
EFFECT_MARKS = {
    "read": Mark(_("Reads only"), "search"),
    "write": Mark(_("Writes"), "pencil"),
    "irreversible": Mark(_("Irreversible"), "octagon-alert", "bad"),
}
MESSAGE_MARKS = {
    "success": Mark(_("Done"), "circle-check", "ok"),
    "warning": Mark(_("Mind"), "triangle-alert", "warn"),
    "error": Mark(_("Failed"), "circle-x", "bad"),
}
REASON_WORDS = {
    "tool_call": _("before a step runs"),
    "input_required": _("needs a value"),
    "confirmation": _("to be confirmed"),
}
STEP_ICONS = {"agent_call": "bot", "tool_call": "wrench", "llm_call": "sparkles", "decision": "user"}
RISKS = (("low", _("Low")), ("medium", _("Medium")), ("high", _("High")), ("critical", _("Critical")))
