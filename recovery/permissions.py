"""Who may do what. Each predicate gives the reason why not, or "" for yes."""

from typing import Any

from recovery.models import ApprovalRequest


def why_not_decide(user: Any, request: ApprovalRequest) -> str:
    if not user.is_active:
        return "Your account is not active."
    if not user.has_perm("recovery.decide_approvalrequest"):
        return "You are not among those who decide requests."
    if request.requested_by_id == user.pk and not request.self_approval:
        return "You started this run, and the requester may not decide."
    return ""


def why_not_start(user: Any) -> str:
    """Starting runs, and trying failed ones again."""
    return "" if user.has_perm("recovery.start_state") else "You are not among those who start runs."
