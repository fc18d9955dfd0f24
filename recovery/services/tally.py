"""How many votes the requests of a list have, all of them read at once."""

from collections.abc import Iterable, Mapping
from typing import Any

from recovery.models import ApprovalRequest, Decision
from recovery.services.votes import TAKEN_BACK, VOTES, votes_of


def tally(requests: Iterable[ApprovalRequest]) -> Mapping[Any, tuple[int, int]]:
    """Id to (how many people are for it, how many it takes), of the open ones that take several."""
    needed = {one: _needed(one) for one in requests if one.is_open and _takes_several(one)}
    if not needed:
        return {}
    acts: dict[Any, list[Decision]] = {one.pk: [] for one in needed}
    accepted = Decision.objects.filter(request__in=acts, refusal="", kind__in=(*VOTES, *TAKEN_BACK))
    for act in accepted.defer("comment", "payload").order_by("pk"):
        acts[act.request_id].append(act)
    return {one.pk: (min(_supporters(one, acts[one.pk]), number), number) for one, number in needed.items()}


def _takes_several(request: ApprovalRequest) -> bool:
    # The row itself says so: most need one, and their policy need not be read.
    return bool(request.policy.get("from_groups")) or request.policy.get("needed", 1) > 1


def _needed(request: ApprovalRequest) -> int:
    # As `Policy.total_needed`, of the policy as it was kept.
    return max(request.policy.get("needed", 1), sum((request.policy.get("from_groups") or {}).values()))


def _supporters(request: ApprovalRequest, acts: list[Decision]) -> int:
    counted, _ = votes_of(request, acts)
    return sum(vote.kind != "reject" for vote in counted)
