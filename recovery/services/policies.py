"""Which policy a request has: made of what the code says and what admins say, kept with the request, only ever
tightened afterwards."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from recovery import pipelines
from recovery.models import ApprovalRequest, PipelinePolicy, RequestDecider, State
from recovery.permissions import DECIDE, holders_of, policy_of
from recovery.services import audit
from rh_agents.core.approvals import Question
from rh_agents.core.policy import Policy

_WHO = ("users", "groups", "permission", "from_groups")


def effective_policy(pipeline_name: str, question: Question | None) -> Policy:
    """What applies to a question of that pipeline.

    What an admin says goes before what the pipeline's code says. What the question itself asks for goes before both
    where no admin said anything about it, and may only be stricter where one did.
    """
    pipeline = pipelines.find(pipeline_name)
    coded = pipeline.policy if pipeline is not None and pipeline.policy is not None else Policy()
    asked = question.policy if question is not None and question.policy is not None else Policy()
    if question is not None and question.on_expire is not None:
        asked = Policy(on_expire=question.on_expire).over(asked)
    said = admins_policy(pipeline_name)
    if said is None:
        return asked.over(coded)
    theirs = _touched(said)
    free = {name: value for name, value in asked.given().items() if name not in theirs}
    return tightened(Policy.combined({**said.over(coded).given(), **free}), asked)


def admins_policy(pipeline_name: str) -> Policy | None:
    """What admins say about that pipeline, over what they say about all; `None` if nothing."""
    rows = {row.pipeline: row.policy for row in PipelinePolicy.objects.filter(pipeline__in={"", pipeline_name})}
    own, general = rows.get(pipeline_name), rows.get("")
    return own.over(general) if own is not None else general


def _touched(policy: Policy) -> set[str]:
    given = set(policy.given())
    # Who may decide is one thing, whichever of its fields says it; and nobody else may from some moment on.
    return given | {*_WHO, "escalate_after_s", "escalate_to"} if given.intersection(_WHO) else given


def tightened(policy: Policy, by: Policy) -> Policy:
    """`policy`, never laxer than `by`. Where both name who may decide and nothing in common, it is the people who
    belong to both; where there are none, that part stays as `policy` says."""
    tighter = policy.tightened_by(by)
    if policy.is_for_all or by.is_for_all or _who(tighter) != _who(policy) or _who(policy) == _who(by):
        return tighter
    names = frozenset(eligible(policy).intersection(eligible(by)).values_list("username", flat=True))
    if len(names) < tighter.total_needed:
        return tighter
    return Policy.combined({**tighter.given(), "users": names, "groups": frozenset(), "permission": ""})


def _who(policy: Policy) -> tuple[Any, ...]:
    return policy.users, policy.groups, policy.permission


def tighten_open_requests(pipeline_name: str, policy: Policy, *, by: Any, channel: str = "admin") -> int:
    """Apply a policy that was changed to the open requests of that pipeline (where it is empty, of all that no policy
    of their own exists for): each becomes stricter where the new one is, and laxer nowhere. How many changed."""
    affected = ApprovalRequest.objects.open()
    if pipeline_name:
        affected = affected.filter(pipeline=pipeline_name)
    else:
        own = PipelinePolicy.objects.exclude(pipeline="").values("pipeline")
        affected = affected.exclude(pipeline__in=own)
    changed = 0
    for pk, state_id in list(affected.values_list("pk", "state_id")):
        with transaction.atomic():
            State.objects.select_for_update(no_key=True).filter(pk=state_id).values_list("pk").first()
            request = ApprovalRequest.objects.select_for_update().open().filter(pk=pk).first()
            if request is None:
                continue
            before = policy_of(request)
            after = tightened(before, policy)
            if as_json(after) == as_json(before):
                continue
            apply_policy(request, after, is_new=False)
            request.save()
            save_deciders(request, after, is_new=False)
            audit.record(
                "policy_tightened",
                by=by,
                channel=channel,
                state_id=state_id,
                request_id=pk,
                before=as_json(before),
                after=as_json(after),
            )
            changed += 1
    return changed


def as_json(policy: Policy) -> dict[str, Any]:
    """The whole of it, in one order."""
    plain: dict[str, Any] = policy.model_dump(mode="json")
    return {name: sorted(value) if isinstance(value, list) else value for name, value in plain.items()}


def apply_policy(request: ApprovalRequest, policy: Policy, *, is_new: bool = True) -> None:
    """Write `policy` into the columns of `request`, which is not saved."""
    from_opening = {
        "expires_at": policy.expires_after_s,
        "escalate_at": policy.escalate_after_s,
        "remind_at": policy.remind_every_s,
    }
    # A policy that comes later gives everybody its whole time.
    since = request.opened_at if is_new else timezone.now()
    for name, after_s in from_opening.items():
        moment = since + timedelta(seconds=after_s) if after_s is not None else None
        known = getattr(request, name)
        is_past = name == "escalate_at" and request.escalated_at is not None
        if moment is not None and not is_past and (known is None or moment < known):
            setattr(request, name, moment)
    if is_new or request.on_expire == "approve":
        request.on_expire = policy.on_expire
    request.policy = as_json(policy)
    request.self_approval = policy.self_approval
    request.open_to_all = policy.is_for_all


def save_deciders(request: ApprovalRequest, policy: Policy, *, is_new: bool = True) -> None:
    """Write down who may decide `request`, which is saved, by `policy`."""
    if not is_new:
        request.deciders.filter(why=RequestDecider.Why.POLICY).delete()
    RequestDecider.objects.bulk_create(_entries(request, policy))


def _entries(request: ApprovalRequest, policy: Policy) -> Iterable[RequestDecider]:
    return [
        *(RequestDecider(request=request, username=name) for name in sorted(policy.users)),
        *(RequestDecider(request=request, group=name) for name in sorted({*policy.groups, *policy.from_groups})),
        *([RequestDecider(request=request, permission=policy.permission)] if policy.permission else []),
    ]


# ---- Whether it can be met ----


def eligible(policy: Policy) -> Any:
    """The active people who decide at all and whom `policy` lets decide."""
    people = holders_of(DECIDE)
    if policy.is_for_all:
        return people
    named = Q(username__in=policy.users) | Q(groups__name__in={*policy.groups, *policy.from_groups})
    if policy.permission:
        named |= Q(pk__in=holders_of(policy.permission).values("pk"))
    return people.filter(pk__in=get_user_model()._default_manager.filter(named).values("pk"))


def why_stuck(request: ApprovalRequest) -> str:
    """Why nobody can settle this open request as things are, "" if somebody can. Some queries: not for lists."""
    policy = policy_of(request)
    without = None if policy.self_approval else request.requested_by_id
    people = eligible(policy)
    if not request.open_to_all:
        more = request.deciders.exclude(why=RequestDecider.Why.POLICY)
        people = people | holders_of(DECIDE).filter(
            Q(username__in=more.values("username")) | Q(groups__name__in=more.values("group"))
        )
    return why_cannot_be_met(policy, people.exclude(pk=without) if without is not None else people)


def why_cannot_be_met(policy: Policy, people: Any = None) -> str:
    """The same of a policy alone; `people` are those who may decide, by default all that it names."""
    people = eligible(policy) if people is None else people
    for name, needed in policy.from_groups.items():
        members = people.filter(groups__name=name).distinct().count()
        if members < needed:
            return gettext("It needs %(needed)s of %(name)s, where %(members)s may decide.") % {
                "needed": needed,
                "name": name,
                "members": _count(members),
            }
    needed = policy.total_needed
    count = len(people.distinct().values_list("pk", flat=True)[:needed])
    if count < needed:
        words = ngettext(
            "It needs %(needed)s person, and %(count)s may decide.",
            "It needs %(needed)s people, and %(count)s may decide.",
            needed,
        )
        return words % {"needed": needed, "count": _count(count)}
    return ""


def _count(number: int) -> str:
    return {0: gettext("nobody"), 1: gettext("only one")}.get(number, gettext("only %(number)s") % {"number": number})
