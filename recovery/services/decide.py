"""Accepting a decision: one function, one transaction. Web, API, expiry, rules and everything else go through it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from recovery.errors import (
    InvalidInput,
    PipelineGone,
)
from recovery.models import ApprovalRequest, Decision, Resolution, Resumption
from recovery.models.prepared import Prepared, insert
from recovery.permissions import Say, say_of
from recovery.services import audit, minor_acts
from recovery.services.actors import Actor
from recovery.services.answers import (
    WHAT,
    Act,
    answer_of,
    check_act,
    expired_answer,
    payload_of,
    sent_back,
)
from recovery.services.deliver import deliver
from recovery.services.open_request import digest_of, put_up
from recovery.services.questions import question_of, why_cannot_go_on
from recovery.services.refuse import ABOUT_A_VERSION, SYSTEM_KINDS, record_refusal, who, why_refused
from recovery.services.settle import close, rest_of_group, settle, undo_window_s
from recovery.services.votes import accepted_acts, standing_of
from rh_agents.core.approvals import Answer, Question
from rh_agents.core.serialization import encode


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decision came to. `resolution` is `None` where it did not settle the request (a vote that is not enough,
    a comment), `resumption` for a run that its own program takes on."""

    request: ApprovalRequest
    decision: Decision
    resolution: Resolution | None = None
    resumption: Resumption | None = None


def decide(
    request_id: uuid.UUID,
    *,
    by: Any,
    kind: str,
    proposal: Any = None,
    response: Any = None,
    comment: str = "",
    to: str = "",
    inputs: Any = None,
    delegate_to: Any = None,
    seen_version: int | None = None,
    seen_digest: str = "",
    channel: str = "web",
    idempotency_key: str = "",
    together: bool = False,
) -> Outcome:
    """Act on a request. `by` is a user, or the actor that a rule or the system is.

    `approve`, `edit` (with `proposal`), `respond` (with `response`) and `reject` are votes, which settle it when its
    policy is met. `request_changes` (with the address `to`, `comment` as instructions and maybe the `inputs` of the
    run) settles it at once: the run goes back there, in a fork. `comment`, `claim`, `release`, `delegate` (with
    `delegate_to`, a user), `escalate` and `withdraw` (one's own vote) settle nothing. `expire` and `cancel` are the
    system's. `proposal`, `response` and `inputs` are model instances or dicts. `seen_version` and `seen_digest` say
    which proposal they looked at. The same act by the same person under the same `idempotency_key` gives the first
    outcome again. `together`: it is one of several that are decided with one act.

    Raises:
        InvalidInput: what came with it does not validate; nothing was written and the request stays open.
        NotAllowed, AlreadyResolved, NotWaiting, Held, OneByOne, StaleProposal: it was refused, and that is recorded.
        PipelineGone: the run could not go on with it as things are; nothing was written.
        ApprovalRequest.DoesNotExist: there is no such request.
    """
    actor = Actor.of(by)
    act = Act(kind, proposal, response, comment, to, inputs, delegate_to, channel, idempotency_key, together)
    act.check_texts()
    with transaction.atomic():
        request = lock(request_id)
        acts = _acts_before(request, actor, act)
        earlier = _earlier(request, actor, act, acts)
        if earlier is not None:
            return earlier
        say = say_of(actor.user, request) if actor.is_person else Say()
        refusal = why_refused(request, actor, act, say, seen_version, seen_digest)
        if refusal is None:
            return _accept(request, actor, act, say, acts)
        record_refusal(refusal, actor, act)
    # After the commit: a refusal is part of the record.
    raise refusal


def lock(request_id: uuid.UUID) -> ApprovalRequest:
    """The request, locked; before it its state, always in that order.

    Raises:
        ApprovalRequest.DoesNotExist: there is no such request.
    """
    request: ApprovalRequest | None = _LOCKED.first(pk=request_id)
    if request is None:
        raise ApprovalRequest.DoesNotExist(f"There is no request {request_id}.")
    return request


# The order of `of` is the order in which PostgreSQL locks them.
_LOCKED = Prepared(
    lambda given: (
        ApprovalRequest.objects.select_for_update(no_key=True, of=("state", "self"))
        .select_related("state")
        .defer("words", "state__output", "state__error", "state__custom_data", "state__generations")
        .filter(pk=given.pk)
    ),
    pk=UUID,
)


# ---- The same act once more ----


def _acts_before(request: ApprovalRequest, actor: Actor, act: Act) -> list[Decision]:
    """The accepted acts that matter to this one; not read where one vote is enough and nothing can come twice."""
    rules = request.policy
    is_one_enough = rules.get("needed", 1) == 1 and not rules.get("from_groups")
    if is_one_enough and not act.idempotency_key and act.kind != "withdraw":
        return []
    return accepted_acts(request, actor.user, act.idempotency_key)


def _earlier(request: ApprovalRequest, actor: Actor, act: Act, acts: Sequence[Decision]) -> Outcome | None:
    """The first outcome of the same act."""
    decision = _under_key(actor, act, acts)
    if decision is None or not _says_the_same(request, decision, act):
        return None
    resolution = Resolution.objects.filter(decision=decision).select_related("resumption").first()
    if resolution is not None and resolution.undone_at is not None:
        # Neither decided once more by a message that comes late, nor said to be decided.
        raise InvalidInput(
            {"idempotency_key": [gettext("This was taken back since. Look again, and decide anew.")]}, WHAT
        )
    return Outcome(request, decision, resolution, getattr(resolution, "resumption", None))


def _under_key(actor: Actor, act: Act, acts: Sequence[Decision]) -> Decision | None:
    if not act.idempotency_key or not actor.is_person:
        return None
    same = (one for one in acts if (one.idempotency_key, one.actor_id) == (act.idempotency_key, actor.user.pk))
    return next(same, None)


def _says_the_same(request: ApprovalRequest, decision: Decision, act: Act) -> bool:
    if act.kind != decision.kind or act.kind not in ("edit", "respond", "request_changes"):
        return act.kind == decision.kind
    try:
        question = question_of(request)
        if act.kind == "request_changes":
            return encode(sent_back(request, question, act), where=WHAT) == decision.payload
        return payload_of(answer_of(request, question, act)) == decision.payload
    except (InvalidInput, PipelineGone):
        return False


# ---- What is accepted ----


def _accept(request: ApprovalRequest, actor: Actor, act: Act, say: Say, acts: Sequence[Decision]) -> Outcome:
    # To anybody else these are kinds that no request offers.
    if act.kind in SYSTEM_KINDS and actor.kind == Decision.ActorKind.SYSTEM:
        return _by_system(request, actor, act)
    if _under_key(actor, act, acts) is not None:
        raise InvalidInput({"idempotency_key": [gettext("It was given with another act on this request.")]}, WHAT)
    if act.kind in minor_acts.KINDS:
        act.check_parts()
        decision = _decision(request, actor, act, say)
        minor_acts.carry_out(request, actor, act, decision)
        _audit(decision, actor, minor_acts.PAST[act.kind])
        return Outcome(request, decision)
    if reason := why_cannot_go_on(request.state):
        raise PipelineGone(reason)
    question = question_of(request)
    if act.kind == "request_changes":
        return _send_back(request, question, actor, act, say)
    return _vote(request, question, actor, act, say, acts)


def _vote(
    request: ApprovalRequest,
    question: Question | None,
    actor: Actor,
    act: Act,
    say: Say,
    acts: Sequence[Decision],
) -> Outcome:
    answer = answer_of(request, question, act)
    if act.kind == "edit":
        _put_up(request, answer.proposal, actor)
    vote = _decision(request, actor, act, say, payload_of(answer))
    standing = standing_of(request, [*acts, vote])
    if not standing.is_settled_by(vote):
        if act.kind == "edit":
            request.save(update_fields=["version", "digest"])
        _audit(vote, actor, "voted", missing=standing.needed - len(standing.supporters(vote)))
        return Outcome(request, vote)
    people = [one.actor.get_username() if one.actor else one.actor_name for one in standing.supporters(vote)]
    answer = answer.model_copy(update={"by": people, "decided_at": vote.created_at})
    wait_s = undo_window_s(request) if actor.is_person else 0.0
    resolution, resumption = settle(request, vote, answer, wait_s=wait_s)
    if resumption is None:
        deliver(request, answer)
    rest = rest_of_group(request) if act.kind == "reject" else []
    _audit(vote, actor, "decided")
    words = f"“{request.title}” was rejected."
    close(rest, "cancel", comment=words, carry=deliver, wait_s=wait_s, caused_by=vote)
    return Outcome(request, vote, resolution, resumption)


def _put_up(request: ApprovalRequest, proposal: Any, actor: Actor) -> None:
    """Make `proposal` the newest version, unless it is what stands there already. The caller saves the request."""
    args = encode(proposal, where="the proposal")
    if digest_of(request.action, args) == request.digest:
        return
    put_up(request, request.version + 1, args, by=actor.user, by_name=actor.name)


def _send_back(request: ApprovalRequest, question: Question | None, actor: Actor, act: Act, say: Say) -> Outcome:
    check_act(request, question, act, gettext("Say what should be different: the step is told."))
    place = sent_back(request, question, act)
    decision = _decision(request, actor, act, say, encode(place, where=WHAT))
    answer = Answer(
        kind="request_changes", comment=act.comment, by=[actor.get_username()], decided_at=decision.created_at
    )
    wait_s = undo_window_s(request)
    resolution, resumption = settle(request, decision, answer, job=Resumption.Kind.FORK, wait_s=wait_s)
    _audit(decision, actor, "sent_back", to=place.address)
    return Outcome(request, decision, resolution, resumption)


def _by_system(request: ApprovalRequest, actor: Actor, act: Act) -> Outcome:
    """What nobody decided. The run need not be able to go on with it now: its job then says why it does not."""
    decision = _decision(request, actor, act, Say())
    if act.kind == "expire":
        answer = expired_answer(request, _readable(request))
    else:
        answer = Answer(kind="cancel", comment=act.comment)
    answer = answer.model_copy(update={"decided_at": decision.created_at})
    resolution, resumption = settle(request, decision, answer)
    if resumption is None:
        deliver(request, answer)
    _audit(decision, actor, {"expire": "expired", "cancel": "cancelled"}[act.kind], on_expire=request.on_expire)
    return Outcome(request, decision, resolution, resumption)


def _readable(request: ApprovalRequest) -> Question | None:
    """Time is up even where nobody here knows what was asked: the run's own process completes the answer."""
    try:
        return question_of(request)
    except PipelineGone:
        return None


def _decision(request: ApprovalRequest, actor: Actor, act: Act, say: Say, payload: str = "") -> Decision:
    decision = Decision(
        request=request,
        kind=act.kind,
        **who(actor),
        target=act.delegate_to,
        on_behalf_of=say.on_behalf_of if act.kind in ABOUT_A_VERSION else None,
        channel=act.channel,
        version=request.version,
        digest=request.digest,
        payload=payload,
        comment=act.comment,
        idempotency_key=act.idempotency_key,
        created_at=timezone.now(),
    )
    insert(decision)
    return decision


def _audit(decision: Decision, actor: Actor, action: str, **more: Any) -> None:
    request = decision.request
    if decision.on_behalf_of is not None:
        more["on_behalf_of"] = decision.on_behalf_of.get_username()
    if actor.rule is not None:
        more["rule"] = actor.rule.pk
    audit.record(
        action,
        by=actor,
        channel=decision.channel,
        state_id=request.state_id,
        request_id=request.pk,
        kind=decision.kind,
        version=decision.version,
        digest=decision.digest,
        comment=decision.comment,
        **more,
    )
