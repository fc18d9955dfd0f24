"""Which requests of a list nobody can settle, asked for all of them at once: what a list of them has time for.

`services.undecidable` looks at each by itself, and says why; here it is only who there is."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from recovery.models import ApprovalRequest, RequestDecider
from recovery.models.lists import ListOf
from recovery.permissions import DECIDE, holders_of, policy_of
from recovery.services.policies import eligible

# So many different sets of people are looked up for one list. Requests under one policy share theirs.
SETS_AT_MOST = 30

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Need:
    """So many people of one set, of whom one does not count. `key` names the set, and `request` says who is in it."""

    key: Key
    request: ApprovalRequest
    group: str
    needed: int
    without: int | None


class Shortage:
    """Ask the database for `sets`, then `found` says which of the requests are short of people."""

    def __init__(self, requests: Sequence[ApprovalRequest], viewer: Any) -> None:
        may_decide = viewer.is_active and viewer.has_perm(DECIDE)
        self.needs = {
            one.pk: list(_needs(one))
            for one in requests
            if one.resolved_at is None and not (may_decide and _is_enough(one, viewer))
        }
        by_key: dict[Key, _Need] = {}
        at_least: dict[Key, int] = {}
        for need in (need for needs in self.needs.values() for need in needs):
            by_key.setdefault(need.key, need)
            at_least[need.key] = max(at_least.get(need.key, 0), need.needed + 1)
        self.keys = list(by_key)[:SETS_AT_MOST]
        self._of_key, self._at_least = by_key, at_least

    def sets(self) -> list[Any]:
        """The people of each set, so many of them as could be needed: to be asked for."""
        return [
            ListOf(_people(self._of_key[key]).order_by().values("pk").distinct()[: self._at_least[key]])
            for key in self.keys
        ]

    def found(self, values: Sequence[Any]) -> set[Any]:
        """`values` in the order of `sets`."""
        people: Mapping[Key, set[int]] = {
            key: set(json.loads(value)) if value else set() for key, value in zip(self.keys, values, strict=True)
        }
        return {
            pk
            for pk, needs in self.needs.items()
            if any(need.key in people and len(people[need.key] - {need.without}) < need.needed for need in needs)
        }


def _is_enough(request: ApprovalRequest, viewer: Any) -> bool:
    """Whether whoever looks is enough by themselves, as they mostly are."""
    rules = request.policy
    if not request.open_to_all or rules.get("from_groups") or rules.get("needed", 1) > 1:
        return False
    return request.self_approval or request.requested_by_id != viewer.pk


def _needs(request: ApprovalRequest) -> Iterator[_Need]:
    # As its policy was kept: reading it anew as one takes longer than all the rest of a row.
    rules = request.policy
    by_group = rules.get("from_groups") or {}
    key: Key = (*(str(rules.get(name) or "") for name in ("users", "groups", "permission", "from_groups")),)
    # Escalated or handed on: then others may decide it, too.
    key = (*key, request.pk) if getattr(request, "is_wider", False) else key
    without = None if request.self_approval else request.requested_by_id
    needed = max(rules.get("needed", 1), sum(by_group.values()))
    yield _Need((*key, ""), request, "", needed, without)
    for name, number in by_group.items():
        yield _Need((*key, name), request, name, number, without)


def _people(need: _Need) -> Any:
    request = need.request
    people = eligible(policy_of(request))
    if getattr(request, "is_wider", False):
        more = request.deciders.exclude(why=RequestDecider.Why.POLICY)
        added = Q(username__in=more.exclude(username="").values("username"))
        added |= Q(groups__name__in=more.exclude(group="").values("group"))
        ids = Q(pk__in=people.values("pk")) | Q(pk__in=holders_of(DECIDE).filter(added).values("pk"))
        people = people.model._default_manager.filter(ids)
    return people.filter(groups__name=need.group) if need.group else people
