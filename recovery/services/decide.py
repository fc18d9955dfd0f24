"""Accepting a decision: one function, one transaction. Web, API and everything else go through it."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from pydantic import ValidationError

from recovery import dispatch
from recovery.errors import AlreadyResolved, InvalidInput, NotAllowed, NotWaiting, PipelineGone, Refused, StaleProposal
from recovery.models import ApprovalRequest, Decision, ProposalVersion, Resolution, Resumption, State
from recovery.permissions import why_not_decide
from recovery.services import audit
from recovery.services.deliver import deliver
from recovery.services.open_request import add_version
from recovery.services.questions import (
    allowed_kinds,
    current_version,
    is_ours,
    proposal_of,
    question_of,
    why_cannot_go_on,
    why_not_waiting,
)
from rh_agents.core.approvals import Answer, Question, complete_answer
from rh_agents.core.serialization import encode, to_plain

LONGEST_KEY = 200
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decision came to. `resumption` is `None` for a run that its own program takes on."""

    request: ApprovalRequest
    decision: Decision
    resolution: Resolution
    resumption: Resumption | None


def decide(
    request_id: uuid.UUID,
    *,
    by: Any,
    kind: str,
    proposal: Any = None,
    response: Any = None,
    comment: str = "",
    seen_version: int | None = None,
    channel: str = "web",
    idempotency_key: str = "",
) -> Outcome:
    """Decide a request: `approve`, `edit` (with `proposal`), `respond` (with `response`) or `reject`.

    `proposal` and `response` are model instances or dicts. `seen_version` is the version of the proposal that the
    person looked at. The same act by the same person under the same `idempotency_key` gives the first outcome again.

    Raises:
        InvalidInput: the payload does not validate; nothing was written and the request stays open.
        NotAllowed, AlreadyResolved, NotWaiting, StaleProposal: it was refused, and that is recorded.
        PipelineGone: the run could not go on with it as things are; nothing was written.
        ApprovalRequest.DoesNotExist: there is no such request.
    """
    _check_texts(kind=kind, comment=comment, channel=channel, idempotency_key=idempotency_key)
    with transaction.atomic():
        request = _lock(request_id)
        version = current_version(request)
        earlier = _earlier(request, by, idempotency_key)
        if earlier and _says_the_same(earlier, kind, proposal, response):
            return earlier
        refusal = _why_refused(request, version, by, seen_version)
        if refusal is None:
            return _accept(request, version, by, kind, proposal, response, comment, channel, idempotency_key)
        _record_refusal(refusal, by, kind, version, comment, channel)
    # After the commit: a refusal is part of the record.
    raise refusal


def _check_texts(**texts: str) -> None:
    """A refusal is recorded too, so what no database holds must not get as far as that."""
    errors = {}
    for name, text in texts.items():
        if "\x00" in text:
            errors[name] = ["It holds a NUL character."]
        elif any("\ud800" <= letter <= "\udfff" for letter in text):
            errors[name] = ["It holds half of a character (a lone surrogate)."]
    if len(texts["idempotency_key"]) > LONGEST_KEY:
        errors["idempotency_key"] = [f"It is longer than {LONGEST_KEY} characters."]
    if errors:
        raise InvalidInput(errors, "the decision")


def _lock(request_id: uuid.UUID) -> ApprovalRequest:
    """The state, then the request: always in that order."""
    state_id = ApprovalRequest.objects.values_list("state_id", flat=True).get(pk=request_id)
    state = State.objects.select_for_update(no_key=True).get(pk=state_id)
    request = ApprovalRequest.objects.select_for_update().get(pk=request_id)
    request.state = state
    return request


def _earlier(request: ApprovalRequest, by: Any, idempotency_key: str) -> Outcome | None:
    if not idempotency_key:
        return None
    decision = (
        request.decisions.filter(actor=by, idempotency_key=idempotency_key, refusal="")
        .select_related("resolution__resumption")
        .first()
    )
    if decision is None:
        return None
    resolution = decision.resolution
    return Outcome(request, decision, resolution, getattr(resolution, "resumption", None))


def _says_the_same(earlier: Outcome, kind: str, proposal: Any, response: Any) -> bool:
    """Whether it is the earlier act once more, and not another one under its key."""
    request, decision = earlier.request, earlier.decision
    if kind != decision.kind or kind not in ("edit", "respond"):
        return bool(kind == decision.kind)
    try:
        answer = _answer(question_of(request), current_version(request), kind, proposal, response, decision.comment)
    except (InvalidInput, PipelineGone):
        return False
    return _payload(answer) == decision.payload


def _why_refused(
    request: ApprovalRequest, version: ProposalVersion, by: Any, seen_version: int | None
) -> Refused | None:
    if reason := why_not_decide(by, request):
        return NotAllowed(request, reason)
    if not request.is_open:
        resolution = request.resolutions.select_related("decision").get(undone_at__isnull=True)
        return AlreadyResolved(request, resolution)
    if reason := why_not_waiting(request):
        return NotWaiting(request, reason)
    if seen_version is not None and seen_version != version.number:
        seen = request.versions.filter(number=seen_version).first()
        return StaleProposal(request, seen, version, _changes(seen, version))
    return None


def _record_refusal(refusal: Refused, by: Any, kind: str, version: ProposalVersion, comment: str, channel: str) -> None:
    request = refusal.request
    Decision.objects.create(
        request=request,
        kind=kind[:20],
        actor=by,
        actor_name=_name(by),
        channel=channel,
        version=version.number,
        comment=comment,
        refusal=refusal.code,
        created_at=timezone.now(),
    )
    audit.record(
        "refused",
        by=by,
        channel=channel,
        state_id=request.state_id,
        request_id=request.pk,
        kind=kind,
        reason=refusal.code,
        message=str(refusal),
    )


def _accept(
    request: ApprovalRequest,
    version: ProposalVersion,
    by: Any,
    kind: str,
    proposal: Any,
    response: Any,
    comment: str,
    channel: str,
    idempotency_key: str,
) -> Outcome:
    if reason := why_cannot_go_on(request.state):
        raise PipelineGone(reason)
    now = timezone.now()
    question = question_of(request)
    answer = _answer(question, version, kind, proposal, response, comment).model_copy(
        update={"by": [by.get_username()], "decided_at": now}
    )
    if kind == "edit" and encode(answer.proposal, where="the proposal") != version.args:
        version = add_version(request, version.number + 1, answer.proposal, by=by, by_name=_name(by))
    decision = Decision.objects.create(
        request=request,
        kind=kind,
        actor=by,
        actor_name=_name(by),
        channel=channel,
        version=version.number,
        payload=_payload(answer),
        comment=comment,
        idempotency_key=idempotency_key,
        created_at=now,
    )
    resolution = Resolution.objects.create(
        request=request,
        decision=decision,
        outcome=kind,
        version=version.number,
        digest=version.digest,
        answer=encode(answer, where="the answer"),
        created_at=now,
    )
    request.outcome, request.resolved_at = kind, now
    request.save(update_fields=["outcome", "resolved_at"])
    resumption = _resumption(request, resolution) if is_ours(request.state) else None
    if resumption is None:
        deliver(request, answer)
    else:
        dispatch.hand_over(request.state_id)
    audit.record(
        "decided",
        by=by,
        channel=channel,
        state_id=request.state_id,
        request_id=request.pk,
        kind=kind,
        version=version.number,
        digest=version.digest,
        comment=comment,
    )
    return Outcome(request, decision, resolution, resumption)


def _answer(
    question: Question | None, version: ProposalVersion, kind: str, proposal: Any, response: Any, comment: str
) -> Answer:
    """The completed answer. Approving a later version answers the run with that version: for the run it is an edit.

    Raises:
        InvalidInput: the request does not offer `kind`, or what came with it does not validate.
    """
    offered = allowed_kinds(version.request, question)
    if kind not in offered:
        raise InvalidInput({"kind": [f"{kind!r} is not offered here; there are: {', '.join(offered)}"]}, "the decision")
    for name, value, its_kind in (("proposal", proposal, "edit"), ("response", response, "respond")):
        if value is not None and kind != its_kind:
            raise InvalidInput({name: [f"A {name} goes with {its_kind!r}, not with {kind!r}."]}, "the decision")
    if question is not None and not comment.strip():
        needs_comment = {choice.kind for choice in question.choices if choice.comment_required}
        if kind in needs_comment:
            raise InvalidInput({"comment": ["Say why: this decision needs a comment."]}, "the decision")
    raw = Answer(kind=kind, comment=comment, proposal=proposal, response=response)
    if question is None:
        return raw
    if kind == "approve" and version.number > 1:
        raw = raw.model_copy(update={"kind": "edit", "proposal": proposal_of(version)})
    prefix = {"edit": "proposal", "respond": "response"}.get(kind, "")
    try:
        return complete_answer(question, raw)
    except ValidationError as error:
        raise InvalidInput(_field_errors(error, prefix), "the decision") from error
    except ValueError as error:
        raise InvalidInput({prefix: [str(error)]}, "the decision") from error


def _field_errors(error: ValidationError, prefix: str) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    for one in error.errors(include_url=False):
        path = ".".join(str(part) for part in (prefix, *one["loc"]) if part != "")
        errors.setdefault(path, []).append(one["msg"])
    return errors


def _resumption(request: ApprovalRequest, resolution: Resolution) -> Resumption:
    now = timezone.now()
    return Resumption.objects.create(
        state=request.state,
        resolution=resolution,
        kind=Resumption.Kind.RESUME,
        not_before=now + timedelta(seconds=settings.RECOVERY["UNDO_WINDOW_S"]),
        created_at=now,
    )


def _payload(answer: Answer) -> str:
    if answer.kind == "edit":
        return encode(answer.proposal, where="the proposal")
    return encode(answer.response, where="the response") if answer.kind == "respond" else ""


def _changes(seen: ProposalVersion | None, current: ProposalVersion) -> list[tuple[str, str, str]]:
    """(field, what they saw, what it is now) in words, for proposals that are mappings; else one line for all."""
    before = to_plain(seen.args) if seen else None
    after = to_plain(current.args)
    if not isinstance(before, dict) or not isinstance(after, dict):
        return [("proposal", str(before), str(after))]
    return [
        (str(name), str(before.get(name, "")), str(after.get(name, "")))
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]


def _name(user: Any) -> str:
    # First and last name may have 150 characters each.
    return (user.get_full_name() or user.get_username())[:LONGEST_NAME]
