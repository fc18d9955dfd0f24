"""Open requests that nobody can settle: those whom their policy names are too few, or are not there any more."""

import json
from dataclasses import dataclass

from recovery.models import ApprovalRequest, RequestDecider
from recovery.permissions import policy_of
from recovery.services.policies import eligible, why_stuck

# Of so many open requests, the most urgent, each is looked at.
LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Undecidable:
    request: ApprovalRequest
    why: str


def undecidable_requests(*, pipeline: str = "") -> list[Undecidable]:
    """The most urgent first. Requests of one policy are looked at once, and not each by itself."""
    opened = ApprovalRequest.objects.open()
    if pipeline:
        opened = opened.filter(pipeline=pipeline)
    requests = list(opened.for_inbox().most_urgent_first()[:LOOKED_AT])
    more = RequestDecider.objects.filter(request__in=requests).exclude(why=RequestDecider.Why.POLICY)
    wider = set(more.values_list("request_id", flat=True))
    starters = {request.requested_by_id for request in requests if request.requested_by_id is not None}
    deciding: dict[str, set[int]] = {}
    known: dict[tuple[object, ...], str] = {}
    found = []
    for request in requests:
        policy = json.dumps(request.policy, sort_keys=True)
        if policy not in deciding:
            people = eligible(policy_of(request)).filter(pk__in=starters)
            deciding[policy] = set(people.values_list("pk", flat=True))
        # Whoever started it makes a difference only if they could decide it otherwise.
        starter = request.requested_by_id if request.requested_by_id in deciding[policy] else None
        is_alone = request.pk in wider or request.escalated_at is not None
        alike = (policy, starter, request.pk if is_alone else None)
        if alike not in known:
            known[alike] = why_stuck(request)
        if known[alike]:
            found.append(Undecidable(request, known[alike]))
    return found
