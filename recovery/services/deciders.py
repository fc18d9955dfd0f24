"""The people who may decide a request, and those whom it can be handed to."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q

from recovery.models import ApprovalRequest, RequestDecider
from recovery.permissions import DECIDE, holders_of, policy_of
from recovery.services.policies import eligible


def deciders_of(request: ApprovalRequest) -> Any:
    """Who may decide it now, but for those who only stand in for somebody."""
    people = eligible(policy_of(request))
    if not request.open_to_all:
        added = request.deciders.exclude(why=RequestDecider.Why.POLICY)
        named = Q(username__in=added.exclude(username="").values("username"))
        named |= Q(groups__name__in=added.exclude(group="").values("group"))
        ids = get_user_model()._default_manager.filter(named).values("pk")
        people = people | holders_of(DECIDE).filter(pk__in=ids)
    return _but_the_requester(people, request)


def takers_of(request: ApprovalRequest, giver: Any) -> Any:
    """Whom `giver` can hand it to: everybody who decides requests, whom that names if the policy does not."""
    return _but_the_requester(holders_of(DECIDE), request).exclude(pk=giver.pk)


def _but_the_requester(people: Any, request: ApprovalRequest) -> Any:
    if request.requested_by_id is not None and not request.self_approval:
        people = people.exclude(pk=request.requested_by_id)
    return people.distinct().order_by("first_name", "username")
