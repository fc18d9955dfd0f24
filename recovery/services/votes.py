"""Counting votes: what stands, what fell, what is still missing until a request is settled."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import Q

from recovery.models import ApprovalRequest, Decision
from recovery.permissions import policy_of
from recovery.services.deciders import deciders_of
from rh_agents.core.policy import Policy

FOR_PROPOSAL = ("approve", "edit")
VOTES = (*FOR_PROPOSAL, "respond", "reject")
# What takes the actor's own vote back.
TAKEN_BACK = ("withdraw", "undo")


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that the policy asks for: `have` of `needed` people, of a `group` or of all who may decide."""

    needed: int
    have: int
    group: str = ""

    @property
    def is_met(self) -> bool:
        return self.have >= self.needed


@dataclass(frozen=True, slots=True)
class Standing:
    """How the votes stand. `counted` are those about the proposal as it is now, one a person; `fallen` were about an
    earlier version."""

    policy: Policy
    counted: Sequence[Decision]
    fallen: Sequence[Decision]
    rules: Sequence[Rule]

    @property
    def needed(self) -> int:
        return self.policy.total_needed

    @property
    def approvals(self) -> list[Decision]:
        return [vote for vote in self.counted if vote.kind in FOR_PROPOSAL]

    @property
    def rejections(self) -> list[Decision]:
        return [vote for vote in self.counted if vote.kind == "reject"]

    def supporters(self, vote: Decision) -> list[Decision]:
        """All who want what `vote` wants, the earliest first."""
        if vote.kind in FOR_PROPOSAL:
            return self.approvals
        same = [one for one in self.counted if one.kind == vote.kind]
        return [one for one in same if one.payload == vote.payload] if vote.kind == "respond" else same

    def is_settled_by(self, vote: Decision) -> bool:
        supporters = self.supporters(vote)
        if vote.kind == "reject":
            return len(supporters) >= self.policy.rejections_needed
        return is_met(self.policy, supporters)


def standing_of(request: ApprovalRequest, acts: Iterable[Decision] | None = None) -> Standing:
    """`acts` are its accepted decisions in the order they came, if they are read already."""
    policy = policy_of(request)
    counted, fallen = votes_of(request, accepted_acts(request) if acts is None else acts)
    counted = _of_deciders(request, counted)
    approvals = [vote for vote in counted if vote.kind in FOR_PROPOSAL or vote.kind == "respond"]
    return Standing(policy, counted, fallen, rules_of(policy, approvals))


def accepted_acts(request: ApprovalRequest, also_of: Any = None, key: str = "") -> list[Decision]:
    """Votes and what took one back, in the order they came; with a `key`, also whatever `also_of` did under it."""
    wanted = Q(kind__in=(*VOTES, *TAKEN_BACK))
    if key and also_of is not None:
        wanted |= Q(actor=also_of, idempotency_key=key)
    return list(request.decisions.filter(wanted, refusal="").select_related("actor", "rule").order_by("pk"))


def votes_of(request: ApprovalRequest, acts: Iterable[Decision]) -> tuple[list[Decision], list[Decision]]:
    """(those that count, those that fell): the last vote of each person, unless it was taken back; of those who used
    the same say, their own or that of whoever they stand in for, only the last."""
    last: dict[Any, Decision] = {}
    for act in acts:
        voter = _voter(act)
        if act.kind in (*VOTES, *TAKEN_BACK):
            last.pop(voter, None)
        if act.kind in VOTES:
            last[voter] = act
    # What was decided is the proposal: whoever approved the same one under another number has approved this one.
    counted = {_say(vote): vote for vote in last.values() if vote.digest == request.digest}
    return list(counted.values()), [vote for vote in last.values() if vote.digest != request.digest]


def _say(vote: Decision) -> tuple[str, Any]:
    return vote.actor_kind, vote.on_behalf_of_id or vote.actor_id or vote.rule_id or vote.actor_name


def _of_deciders(request: ApprovalRequest, votes: list[Decision]) -> list[Decision]:
    """Without those of people who may not decide any more: the policy may have been tightened since they voted."""
    if not request.self_approval and request.requested_by_id is not None:
        own = (str(Decision.ActorKind.USER), request.requested_by_id)
        votes = [vote for vote in votes if _say(vote) != own]
    if request.open_to_all or len(votes) < 2:
        return votes
    people = {_say(vote)[1] for vote in votes if vote.actor_kind == Decision.ActorKind.USER}
    deciding = set(deciders_of(request).filter(pk__in=people).values_list("pk", flat=True))
    return [vote for vote in votes if vote.actor_kind != Decision.ActorKind.USER or _say(vote)[1] in deciding]


def _voter(act: Decision) -> tuple[str, Any]:
    """Whose vote it is. That of a rule is its author's, who has one, whether by the rule or in person."""
    if act.rule is not None and act.rule.created_by_id is not None:
        return Decision.ActorKind.USER, act.rule.created_by_id
    return act.actor_kind, act.actor_id or act.rule_id or act.actor_name


def is_met(policy: Policy, votes: Sequence[Decision]) -> bool:
    """Whether these are enough people, and enough of each group, each person counted for one group."""
    if len(votes) < policy.total_needed:
        return False
    return not policy.from_groups or _filled(policy, votes) == policy.from_groups


def rules_of(policy: Policy, votes: Sequence[Decision]) -> list[Rule]:
    """What the policy asks for, rule by rule."""
    filled = _filled(policy, votes) if policy.from_groups else {}
    rules = [Rule(needed, filled[name], name) for name, needed in policy.from_groups.items()]
    if not rules or policy.needed > sum(policy.from_groups.values()):
        rules.append(Rule(policy.needed, min(len(votes), policy.needed)))
    return rules


def _filled(policy: Policy, votes: Sequence[Decision]) -> dict[str, int]:
    """How many of the places of each group can be taken at once."""
    groups = _groups_of(votes, set(policy.from_groups))
    places = [name for name, needed in policy.from_groups.items() for _ in range(needed)]
    taken: dict[int, int] = {}

    def find_place(voter: int, seen: set[int]) -> bool:
        for place, name in enumerate(places):
            if name not in groups[voter] or place in seen:
                continue
            seen.add(place)
            # Whoever sits there moves on, if there is another place for them.
            if place not in taken or find_place(taken[place], seen):
                taken[place] = voter
                return True
        return False

    for voter in range(len(votes)):
        find_place(voter, set())
    filled = dict.fromkeys(policy.from_groups, 0)
    for place in taken:
        filled[places[place]] += 1
    return filled


def _groups_of(votes: Sequence[Decision], names: set[str]) -> list[set[str]]:
    """For each vote, those of the groups `names` that its person belongs to, or whoever they decided for."""
    people = {pk for vote in votes for pk in (vote.actor_id, vote.on_behalf_of_id) if pk is not None}
    members: dict[int, set[str]] = {}
    for name, person in Group.objects.filter(name__in=names, user__in=people).values_list("name", "user"):
        members.setdefault(person, set()).add(name)
    return [
        members.get(vote.actor_id or 0, set()) | members.get(vote.on_behalf_of_id or 0, set())
        if vote.actor_kind == Decision.ActorKind.USER
        else set()
        for vote in votes
    ]
