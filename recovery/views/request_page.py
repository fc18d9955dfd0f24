"""Everything that the page of a request shows, in the order of the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from recovery import queries
from recovery.models import ApprovalRequest, Decision
from recovery.rendering import json_tree
from recovery.rendering.call import call_lines
from recovery.views.asked import Asked, plain_of
from recovery.views.entered import COMMENT_FIELDS, Entered
from recovery.views.evidence import exhibits_of
from recovery.views.progress import progress_of
from recovery.views.refusals import PAST_TENSE, Refusal
from recovery.views.version_question import VersionQuestion

_BUTTONS = {"approve": ("Approve", "check"), "edit": ("Approve", "check"), "respond": ("Send answer", "send")}
_FORMS = {"approve": "approve-form", "edit": "approve-form", "respond": "respond-form"}


@dataclass(frozen=True, slots=True)
class Button:
    """One way to decide that needs no panel of its own: it submits `form`, with a comment if there is one."""

    kind: str
    label: str
    icon: str
    form: str
    comment_id: str = ""
    comment_words: str = ""
    comment: str = ""
    reason: str = ""
    reasons: Sequence[str] = ()


def page_of(
    asked: Asked, viewer: Any, entered: Entered | None = None, refusal: Refusal | None = None
) -> dict[str, Any]:
    """The context of recovery/request.html."""
    approval = asked.request
    decisions = queries.decisions_of(approval)
    context: dict[str, Any] = {
        "approval": approval,
        "asked": asked,
        "tags": approval.state.tags.all(),
        "refusal": refusal,
        "exhibits": exhibits_of(asked),
        "compare_url": _compare_url(asked),
        "decisions": decisions,
        "custom_data": _custom_data(approval),
        "plain_question": json_tree.tree(asked.plain) if asked.unreadable and asked.plain else None,
    }
    if approval.is_open:
        return context | _open(asked, viewer, entered, refusal)
    return context | _decided(asked, viewer, decisions)


def progress_part_of(approval: ApprovalRequest, viewer: Any) -> dict[str, Any] | None:
    """What changes on the page while the run goes on; `None` for a request that is open."""
    decision = _settling(queries.decisions_of(approval))
    if approval.is_open or decision is None:
        return None
    return _outcome(approval, viewer, decision, with_step=True)


def _open(asked: Asked, viewer: Any, entered: Entered | None, refusal: Refusal | None) -> dict[str, Any]:
    why_not, blocked = asked.why_not_by(viewer), asked.why_blocked()
    may_decide = not why_not and not blocked and not (refusal and refusal.current)
    if entered is None or not may_decide:
        entered = Entered(asked, is_read_only=not may_decide)
    return {
        "entered": entered,
        "may_decide": may_decide,
        "why_not": why_not,
        "blocked": blocked,
        "version_question": VersionQuestion.of(asked.request.state, viewer),
        "others": queries.deciders(asked.request) if why_not else [],
        "buttons": _buttons(asked, entered) if may_decide else [],
        "rejection": asked.choice("reject") if "reject" in asked.kinds else None,
        "may_reject": may_decide and "reject" in asked.kinds,
        "call": entered.call() if asked.has_proposal else [],
    }


def _buttons(asked: Asked, entered: Entered) -> list[Button]:
    buttons: dict[str, Button] = {}
    for kind in asked.kinds:
        if kind not in _BUTTONS:
            continue
        label, icon = _BUTTONS[kind]
        choice = asked.choice(kind)
        if choice and choice.label:
            label = choice.label
        elif _FORMS[kind] == "approve-form" and entered.changes:
            count = len(entered.changes)
            label = f"Approve with {count} edit" + ("s" if count > 1 else "")
        # Approving and approving with edits are one button: what was edited says which it is.
        buttons.setdefault(
            _FORMS[kind],
            Button(
                kind,
                label,
                icon,
                _FORMS[kind],
                COMMENT_FIELDS[kind],
                _comment_words(asked, kind),
                *(entered.comment, entered.reason) if entered.comment_field == COMMENT_FIELDS[kind] else ("", ""),
                choice.reasons if choice else (),
            ),
        )
    return list(buttons.values())


def _comment_words(asked: Asked, kind: str) -> str:
    def is_required(kind: str) -> bool:
        choice = asked.choice(kind)
        return choice is not None and choice.comment_required

    if is_required(kind):
        return "required"
    if kind == "approve" and "edit" in asked.kinds and is_required("edit"):
        return "required with edits"
    return "kept in the record, goes to the run"


def _decided(asked: Asked, viewer: Any, decisions: list[Decision]) -> dict[str, Any]:
    approval = asked.request
    call = []
    if asked.has_proposal:
        call = call_lines(approval.action, asked.proposal(), initial=asked.first_proposal)
    decision = _settling(decisions)
    outcome = _outcome(approval, viewer, decision) if decision is not None else {}
    return {"call": call, "may_decide": False, **outcome}


def _outcome(approval: ApprovalRequest, viewer: Any, decision: Decision, *, with_step: bool = False) -> dict[str, Any]:
    return {
        "approval": approval,
        "decision": decision,
        "did": PAST_TENSE.get(approval.outcome, "decided this"),
        "response": json_tree.tree(plain_of(decision.payload)) if decision.kind == "respond" else None,
        "progress": progress_of(approval, decision, viewer, with_step=with_step),
    }


def _settling(decisions: list[Decision]) -> Decision | None:
    """The one that its request came to."""
    for decision in decisions:
        resolution = getattr(decision, "resolution", None)
        if resolution is not None and resolution.undone_at is None:
            return decision
    return None


def _compare_url(asked: Asked) -> str:
    if not asked.compare_to:
        return ""
    here = f"{asked.request.state_id}@{asked.request.checkpoint}"
    return reverse("recovery:compare", query={"left": asked.compare_to, "right": here})


def _custom_data(approval: ApprovalRequest) -> json_tree.Node | None:
    """What the author of a pause by hand put beside it."""
    if not approval.is_manual or approval.state.custom_data in ("", "{}", "null"):
        return None
    return json_tree.tree(plain_of(approval.state.custom_data))
