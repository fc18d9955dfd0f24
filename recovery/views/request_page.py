"""Everything that the page of a request shows, in the order of the page."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from recovery.languages import lazy as _
from recovery.models import ApprovalRequest, Decision, Event
from recovery.permissions import Say, policy_of
from recovery.rendering import json_tree, quantities
from recovery.rendering.call import call_lines
from recovery.request_reads import done_before, said_about
from recovery.services.deciders import deciders_of, takers_of
from recovery.views.asked import Asked, plain_of
from recovery.views.discussion import Discussion
from recovery.views.edits import Edits, changes_between, edits_of
from recovery.views.entered import COMMENT_FIELDS, PROPOSAL, Entered
from recovery.views.evidence import exhibits_of
from recovery.views.outcome import group_of, instructions_of, outcome_of, settling
from recovery.views.policy_words import all_of, some_of
from recovery.views.refusals import Refusal
from recovery.views.state_timeline import step_url
from recovery.views.version_question import VersionQuestion
from recovery.views.viewed import Viewed
from recovery.views.voting import ballot_of

DECIDERS_AT_MOST = 5
EVIDENCE_AT_MOST = 40
TAKERS_AT_MOST = 200

_BUTTONS = {"approve": (_("Approve"), "check"), "edit": (_("Approve"), "check"), "respond": (_("Send answer"), "send")}
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


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step that the run ended before it asked; `url` is its place in the timeline."""

    event: Event
    url: str


@dataclass(frozen=True, slots=True)
class Handing:
    """What one can do about an open request without deciding: `key` makes each of it count once."""

    is_holder: bool
    held_for: str
    takers: Sequence[Any] | None
    escalate_to: str
    key: str = field(default_factory=lambda: str(uuid.uuid4()))


def page_of(
    asked: Asked,
    viewer: Any,
    entered: Entered | None = None,
    refusal: Refusal | None = None,
    *,
    with_takers: bool = False,
) -> dict[str, Any]:
    """The context of recovery/request.html. `with_takers`: the people whom it can be handed to come along."""
    approval = asked.request
    said = said_about(approval)
    done = done_before(approval, asked.evidence[:EVIDENCE_AT_MOST])
    context: dict[str, Any] = {
        "approval": approval,
        "asked": asked,
        "tags": approval.tags,
        "refusal": refusal,
        "exhibits": exhibits_of(approval.state_id, done.evidence),
        "steps": [StepRow(event, step_url(Viewed(approval.state), event.address)) for event in done.steps],
        "compare_url": _compare_url(asked),
        "group": group_of(approval),
        "instructions": instructions_of(approval.state),
        "discussion": Discussion.of(said),
        "custom_data": _custom_data(approval),
        "plain_question": json_tree.tree(asked.plain) if asked.unreadable and asked.plain else None,
    }
    if approval.is_open:
        return context | _open(asked, viewer, said.acts, entered, refusal, with_takers=with_takers)
    return context | _decided(asked, viewer, said.acts)


def progress_part_of(approval: ApprovalRequest, viewer: Any) -> dict[str, Any] | None:
    """What changes on the page while the run goes on; `None` for a request that is open."""
    decision = settling(said_about(approval).acts)
    if approval.is_open or decision is None:
        return None
    return outcome_of(approval, viewer, decision, with_step=True)


def _open(
    asked: Asked,
    viewer: Any,
    decisions: list[Decision],
    entered: Entered | None,
    refusal: Refusal | None,
    *,
    with_takers: bool,
) -> dict[str, Any]:
    say, blocked = asked.say_of(viewer), asked.why_blocked()
    may_decide = not say.why_not and not blocked and not (refusal and refusal.current)
    if entered is None or not may_decide:
        entered = Entered(asked, is_read_only=not may_decide)
    return {
        "entered": entered,
        "may_decide": may_decide,
        "why_not": say.why_not,
        "blocked": blocked,
        "version_question": VersionQuestion.of(asked.request.state, viewer),
        "ballot": ballot_of(asked, viewer, decisions, say, is_blocked=bool(blocked)),
        "others": list(deciders_of(asked.request)[:DECIDERS_AT_MOST]) if say.why_not else [],
        "buttons": _buttons(asked, entered) if may_decide else [],
        "rejection": asked.choice("reject") if "reject" in asked.kinds else None,
        "reject_needs_words": "reject" in asked.comment_required,
        "may_reject": may_decide and "reject" in asked.kinds,
        "handing": _handing(asked.request, viewer, with_takers=with_takers) if may_decide else None,
        "call": entered.call() if asked.has_proposal else [],
        "edits": edits_of(entered.changes, prefix=PROPOSAL) if entered.changes else _earlier_edits(asked),
    }


def handing_of(asked: Asked, viewer: Any) -> Handing | None:
    """With the people whom it can be handed to; `None` to those who may not decide it."""
    may_decide = asked.request.is_open and not asked.say_of(viewer).why_not and not asked.why_blocked()
    return _handing(asked.request, viewer, with_takers=True) if may_decide else None


def _handing(approval: ApprovalRequest, viewer: Any, *, with_takers: bool) -> Handing:
    held_s = (timezone.now() - (approval.held_since or approval.opened_at)).total_seconds()
    escalate_to = policy_of(approval).escalate_to if approval.escalated_at is None else ()
    return Handing(
        is_holder=approval.holder_id == viewer.pk,
        held_for=quantities.span(held_s) if approval.holder_id is not None else "",
        takers=list(takers_of(approval, viewer)[:TAKERS_AT_MOST]) if with_takers else None,
        escalate_to=all_of(some_of(escalate_to)),
    )


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
            label = ngettext("Approve with %(count)s edit", "Approve with %(count)s edits", count) % {"count": count}
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
    if kind in asked.comment_required:
        return gettext("required")
    if kind == "approve" and "edit" in asked.kinds and "edit" in asked.comment_required:
        return gettext("required with edits")
    return gettext("kept in the record, goes to the run")


def _decided(asked: Asked, viewer: Any, decisions: list[Decision]) -> dict[str, Any]:
    approval = asked.request
    call = []
    if asked.has_proposal and not asked.is_large:
        call = call_lines(approval.action, asked.proposal(), initial=asked.first_proposal)
    decision = settling(decisions)
    outcome = outcome_of(approval, viewer, decision) if decision is not None else {}
    ballot = ballot_of(asked, viewer, decisions, Say(), is_blocked=False)
    return {"call": call, "may_decide": False, "ballot": ballot, "edits": _earlier_edits(asked), **outcome}


def _earlier_edits(asked: Asked) -> Edits:
    """What people made of the proposal before: the versions after the run's own."""
    if len(asked.versions) == 1 or not asked.has_proposal or asked.is_large:
        return Edits()
    changes = list(changes_between(asked.first_proposal, asked.proposal()))
    return edits_of(changes, by=asked.current.by_name or gettext("somebody"))


def _compare_url(asked: Asked) -> str:
    if not asked.compare_to:
        return ""
    here = f"{asked.request.state_id}@{asked.request.checkpoint}"
    return reverse("recovery:compare", query={"left": asked.compare_to, "right": here, "only": "changes"})


def _custom_data(approval: ApprovalRequest) -> json_tree.Node | None:
    """What the author of a pause by hand put beside it."""
    if not approval.is_manual or approval.state.custom_data in ("", "{}", "null"):
        return None
    return json_tree.tree(plain_of(approval.state.custom_data))
