"""What a request came to, and what it has to do with others: its group, the run it was sent back to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from recovery import queries
from recovery.models import ApprovalRequest, Decision, State
from recovery.rendering import json_tree
from recovery.views.asked import plain_of
from recovery.views.progress import progress_of
from recovery.views.refusals import PAST_TENSE


@dataclass(frozen=True, slots=True)
class GroupOf:
    """`others` are the requests beside this one; `is_cancelled_by_one`: with the first rejection all end."""

    name: str
    size: int
    others: Sequence[ApprovalRequest]
    is_cancelled_by_one: bool

    @property
    def open_others(self) -> int:
        return sum(one.is_open for one in self.others)


def group_of(request: ApprovalRequest) -> GroupOf | None:
    members = queries.group_of(request)
    if len(members) < 2:
        return None
    others = [one for one in members if one.pk != request.pk]
    return GroupOf(request.group, len(members), others, request.group_policy == "first_reject_cancels")


def instructions_of(state: State) -> list[dict[str, Any]]:
    """What people wrote when they sent the run back that this one is a fork of, the newest last."""
    if state.parent_id is None or '"instructions"' not in state.custom_data:
        return []
    kept = plain_of(state.custom_data)
    written = kept.get("instructions") if isinstance(kept, dict) else None
    return [one for one in written if isinstance(one, dict)] if isinstance(written, list) else []


def settling(decisions: list[Decision]) -> Decision | None:
    """The one that its request came to."""
    for decision in decisions:
        resolution = getattr(decision, "resolution", None)
        if resolution is not None and resolution.undone_at is None:
            return decision
    return None


def outcome_of(
    approval: ApprovalRequest, viewer: Any, decision: Decision, *, with_step: bool = False
) -> dict[str, Any]:
    payload = plain_of(decision.payload) if decision.kind in ("respond", "request_changes") else None
    place = payload if decision.kind == "request_changes" and isinstance(payload, dict) else {}
    cause_id = decision.resolution.caused_by_id
    return {
        "approval": approval,
        "decision": decision,
        "did": PAST_TENSE.get(approval.outcome, gettext("decided this")),
        "response": json_tree.tree(payload) if decision.kind == "respond" else None,
        "sent_to": place.get("address", ""),
        "sent_inputs": json_tree.tree(place["inputs"]) if place.get("inputs") is not None else None,
        "cause": Decision.objects.select_related("request", "actor").filter(pk=cause_id).first() if cause_id else None,
        "progress": progress_of(approval, decision, viewer, with_step=with_step),
    }
