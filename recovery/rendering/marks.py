"""The word, icon and tone of every status, decision, refusal, effect and risk."""

from typing import NamedTuple


class Mark(NamedTuple):
    """How a word of the product looks: colour is only ever added to an icon and a word."""

    word: str
    icon: str
    tone: str = ""  # ok, warn, bad or accent; plain when empty


STATE_MARKS = {
    "running": Mark("Running", "loader-circle", "accent"),
    "paused": Mark("Paused", "circle-pause"),
    "awaiting": Mark("Waiting for a decision", "hourglass", "warn"),
    "completed": Mark("Completed", "circle-check", "ok"),
    "failed": Mark("Failed", "circle-x", "bad"),
    "cancelled": Mark("Cancelled", "circle-slash"),
}
JOB_MARKS = {
    "failed": Mark("Failed", "circle-x", "bad"),
    "blocked": Mark("Blocked", "octagon-alert", "warn"),
}
STEP_MARKS = {
    "running": Mark("Running", "loader-circle", "accent"),
    "started": Mark("Unfinished", "circle-dashed"),
    "completed": Mark("Completed", "circle-check", "ok"),
    "failed": Mark("Failed", "circle-x", "bad"),
    "awaiting": Mark("Waiting", "hourglass", "warn"),
    "cancelled": Mark("Cancelled", "circle-slash"),
}
DECISION_MARKS = {
    "approve": Mark("Approved", "circle-check", "ok"),
    "edit": Mark("Approved with changes", "pencil", "ok"),
    "respond": Mark("Answered", "message-square", "ok"),
    "reject": Mark("Rejected", "circle-x", "bad"),
    "request_changes": Mark("Sent back", "undo-2", "accent"),
    "expire": Mark("Expired", "hourglass"),
    "cancel": Mark("Cancelled", "circle-slash"),
    "supersede": Mark("Superseded", "git-fork"),
    "withdraw": Mark("Withdrawn", "undo-2"),
    "claim": Mark("Took it", "user"),
    "release": Mark("Let it go", "user"),
    "delegate": Mark("Handed on", "send"),
    "escalate": Mark("Escalated", "flag"),
    "comment": Mark("Commented", "message-square"),
    "undo": Mark("Took it back", "undo-2"),
}
REFUSAL_MARKS = {
    "already_resolved": Mark("Came second", "users", "warn"),
    "not_waiting": Mark("Not waiting", "clock", "warn"),
    "not_allowed": Mark("Not allowed", "lock", "warn"),
    "stale": Mark("Saw an older version", "pencil", "warn"),
    "held": Mark("Held by somebody", "user", "warn"),
    "not_undoable": Mark("Too late to undo", "undo-2", "warn"),
}
EFFECT_MARKS = {
    "read": Mark("Reads only", "search"),
    "write": Mark("Writes", "pencil"),
    "irreversible": Mark("Irreversible", "octagon-alert", "bad"),
}
MESSAGE_MARKS = {
    "success": Mark("Done", "circle-check", "ok"),
    "warning": Mark("Mind", "triangle-alert", "warn"),
    "error": Mark("Failed", "circle-x", "bad"),
}
REASON_WORDS = {"tool_call": "before a step runs", "input_required": "needs a value", "confirmation": "to be confirmed"}
STEP_ICONS = {"agent_call": "bot", "tool_call": "wrench", "llm_call": "sparkles", "decision": "user"}
RISKS = (("low", "Low"), ("medium", "Medium"), ("high", "High"), ("critical", "Critical"))
