"""How a request stands: what its policy asks for, who voted for what, and what else people did about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group
from django.utils.translation import gettext, ngettext

from recovery.models import ApprovalRequest, Decision
from recovery.permissions import Say
from recovery.rendering.plain import visible
from recovery.request_reads import ACTS_AT_MOST
from recovery.services.actors import Actor
from recovery.services.policies import why_stuck
from recovery.services.votes import TAKEN_BACK, VOTES, Rule, Standing, standing_of
from recovery.views.asked import Asked
from recovery.views.policy_words import all_of, count, deciders_in_words, policy_words

NAMES_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One thing that the policy asks for: `words` and `who`, and in `note` how many of them there are."""

    words: str
    who: str
    note: str
    is_met: bool
    is_group: bool


@dataclass(frozen=True, slots=True)
class ActRow:
    """One act: `about` says to whom it was or what became of it; `is_gone` for a vote that does not count."""

    decision: Decision
    about: str = ""
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Ballot:
    """`head` is the state of the votes in a few words, `words` the rest of the policy, `stuck` why nobody can settle
    it; `falling` names those whose votes an edit would bring down; `has_vote`: whoever looks has one to take back."""

    head: str
    rules: Sequence[RuleRow]
    acts: Sequence[ActRow]
    words: str
    stuck: str = ""
    falling: str = ""
    falls_many: bool = False
    needs_several: bool = False
    has_vote: bool = False
    stands_in_for: Any = None


def ballot_of(asked: Asked, viewer: Any, decisions: list[Decision], say: Say, *, is_blocked: bool) -> Ballot:
    request = asked.request
    standing = _standing(request, decisions)
    if not request.is_open:
        acts = [ActRow(one, _about(one), _is_undone(one)) for one in decisions]
        return Ballot(gettext("settled"), (), acts, policy_words(asked, standing.policy))
    voted = {vote.actor_id for vote in (*standing.counted, *standing.fallen)} - {None}
    counted, fallen = ({vote.pk for vote in votes} for votes in (standing.counted, standing.fallen))

    def row(one: Decision) -> ActRow:
        is_gone = one.kind in VOTES and not one.refusal and one.pk not in counted
        return ActRow(one, gettext("fell") if one.pk in fallen else _about(one), is_gone)

    others = [vote for vote in standing.counted if vote.actor_id != viewer.pk]
    may_vote = not say.why_not and not is_blocked
    return Ballot(
        head=progress_in_words(standing, _leading(standing)),
        rules=_rule_rows(standing, viewer, say, may_vote=may_vote, is_blocked=is_blocked),
        acts=[row(one) for one in decisions],
        words=policy_words(asked, standing.policy),
        # Whoever may vote and is enough is the answer.
        stuck="" if may_vote and standing.needed == 1 else why_stuck(request),
        falling=all_of([f"{vote.actor_name}’s" for vote in others]),
        falls_many=len(others) > 1,
        needs_several=standing.needed > 1,
        has_vote=may_vote and viewer.pk in voted,
        stands_in_for=say.on_behalf_of,
    )


def _standing(request: ApprovalRequest, decisions: list[Decision]) -> Standing:
    # Of very many only the newest were read, and each vote counts.
    if len(decisions) >= ACTS_AT_MOST:
        return standing_of(request)
    return standing_of(request, [one for one in decisions if not one.refusal and one.kind in (*VOTES, *TAKEN_BACK)])


def _leading(standing: Standing) -> list[Decision]:
    """The votes of the side that has most of them; rejections stand beside it."""
    sides = [standing.supporters(vote) for vote in standing.counted if vote.kind != "reject"]
    return max(sides, key=len, default=[])


def _about(decision: Decision) -> str:
    if _is_undone(decision):
        return gettext("taken back")
    return gettext("to %(name)s") % {"name": Actor.of(decision.target).name} if decision.target is not None else ""


def _is_undone(decision: Decision) -> bool:
    resolution = getattr(decision, "resolution", None)
    return resolution is not None and resolution.undone_at is not None


def _rule_rows(standing: Standing, viewer: Any, say: Say, *, may_vote: bool, is_blocked: bool) -> list[RuleRow]:
    groups: set[str] = set()
    if may_vote and any(rule.group for rule in standing.rules):
        people = [viewer.pk, *([say.on_behalf_of.pk] if say.on_behalf_of is not None else [])]
        groups = set(Group.objects.filter(user__in=people).values_list("name", flat=True))
    has_voted = any(vote.actor_id == viewer.pk for vote in standing.counted)

    def you(rule: Rule) -> str:
        if is_blocked:
            return gettext("nobody now")
        if not may_vote or (rule.group and rule.group not in groups):
            return "" if standing.needed > 1 else gettext("not you")
        return gettext("you did") if has_voted else gettext("you can")

    rows = []
    for rule in _in_order(standing.rules):
        who = rule.group or deciders_in_words(standing.policy)
        needed = count(rule.needed).capitalize()
        words = gettext("%(needed)s of") % {"needed": needed} if rule.group or not standing.policy.from_groups else ""
        if not words:
            words, who = gettext("%(needed)s in all") % {"needed": needed}, ""
        counted = gettext("%(have)s of %(needed)s") % {"have": rule.have, "needed": rule.needed}
        have = counted if standing.needed > 1 else ""
        note = ", ".join(part for part in (have, you(rule)) if part)
        rows.append(RuleRow(words, who, note, rule.is_met, bool(rule.group)))
    return rows


def _in_order(rules: Sequence[Rule]) -> list[Rule]:
    """Groups by name, then the rest: PostgreSQL keeps the keys of a policy in an order of its own."""
    return sorted(rules, key=lambda rule: (not rule.group, rule.group))


# ---- Votes in words ----


def have_and_needed(standing: Standing, supporters: Sequence[Decision]) -> tuple[int, int]:
    """How many of the votes that it takes there are. People of a group that has enough do not fill another's place."""
    unfilled = sum(rule.needed - rule.have for rule in standing.rules if rule.group)
    missing = max(unfilled, standing.needed - len(supporters))
    return standing.needed - max(missing, 0), standing.needed


def progress_in_words(standing: Standing, supporters: Sequence[Decision]) -> str:
    have, needed = have_and_needed(standing, supporters)
    words = (
        ngettext("%(have)s of %(needed)s answer", "%(have)s of %(needed)s answers", needed)
        if any(vote.kind == "respond" for vote in standing.counted)
        else ngettext("%(have)s of %(needed)s approval", "%(have)s of %(needed)s approvals", needed)
    )
    return words % {"have": have, "needed": needed}


def vote_in_words(request: ApprovalRequest, vote: Decision) -> str:
    """What somebody is told whose vote did not settle it."""
    standing = standing_of(request)
    supporters = standing.supporters(vote)
    if vote.kind == "reject":
        have, needed = len(supporters), standing.policy.rejections_needed
    else:
        have, needed = have_and_needed(standing, supporters)
    missing = needed - have
    more = _missing_in_words(vote.kind, missing)
    unmet = [rule for rule in _in_order(standing.rules) if rule.group and not rule.is_met and vote.kind != "reject"]
    of_group = gettext("%(count)s of %(group)s")
    short = all_of([of_group % {"count": count(one.needed - one.have), "group": visible(one.group)} for one in unmet])
    counts = gettext("Your vote counts: %(have)s of %(needed)s.") % {"have": have, "needed": needed}
    return f"{counts} {more}{f': {short}' if short else ''}."


def _missing_in_words(kind: str, missing: int) -> str:
    if kind == "reject":
        words = ngettext("%(count)s more rejection is needed", "%(count)s more rejections are needed", missing)
    elif kind == "respond":
        words = ngettext("%(count)s more equal answer is needed", "%(count)s more equal answers are needed", missing)
    else:
        words = ngettext("%(count)s more approval is needed", "%(count)s more approvals are needed", missing)
    return words % {"count": count(missing).capitalize()}
