"""Opening requests: what a run asks becomes something that waits in the inbox, in the transaction of its checkpoint.
What it does not ask any more goes from there."""

import hashlib
import json
from typing import Any
from uuid import UUID

from django.utils import timezone
from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema

from recovery.errors import InvalidInput
from recovery.models import ApprovalRequest, Event, ProposalVersion, Risk, State
from recovery.models.prepared import Prepared
from recovery.services import audit
from recovery.services.policies import apply_policy, as_json, effective_policy, save_deciders
from recovery.services.questions import is_ours, pause_by_hand
from recovery.services.supersede import supersede, supersede_left_behind
from rh_agents.core.approvals import Question
from rh_agents.core.policy import Policy
from rh_agents.core.serialization import encode
from rh_agents.core.state_recovery import Changes, EventRecord, StateStatus
from rh_agents.core.types import ExecutionStatus

LONGEST_ACTION = 300
_NAMED_AT_MOST = 20
RISKS = {"low": Risk.LOW, "medium": Risk.MEDIUM, "high": Risk.HIGH, "critical": Risk.CRITICAL}


def match_requests(state_id: str, changes: Changes, number: int, digest: bytes) -> list[ApprovalRequest]:
    """Open a request for each question that this checkpoint adds, or a plain one for a pause made by hand.

    The backend calls it inside of the transaction of each checkpoint that is `awaiting`, follows one that is, or ends
    the run: see `DjangoStateBackend`.

    Raises:
        InvalidInput: a question offers what cannot be carried out.
    """
    state: State | None = _STATE.first(pk=UUID(state_id))
    if state is None:
        raise State.DoesNotExist(f"There is no state {state_id}.")
    if not is_ours(state):
        # Of those that a worker runs, the worker says when they are left behind.
        supersede_left_behind(state)
    if changes.status is not StateStatus.AWAITING:
        return []
    asked = [event for event in changes.events if event.status is ExecutionStatus.AWAITING]
    if asked:
        return [_open(state, event, number, digest) for event in asked]
    if Event.objects.current().filter(state=state, status=ExecutionStatus.AWAITING.value).exists():
        return []
    pause = pause_by_hand(state.pk)
    if pause is not None and not _went_past(pause):
        return []
    if pause is not None and pause.is_open:
        supersede([pause])
    return [_open_by_hand(state, number, digest)]


_STATE = Prepared(
    lambda given: State.objects.filter(pk=given.pk).defer("input", "output", "error", "custom_data", "generations"),
    pk=UUID,
)


def _went_past(pause: ApprovalRequest) -> bool:
    """Whether the run made a step after that pause, so that this is another one. A run that comes to the same pause
    again, after a crash, only skips steps."""
    steps = Event.objects.current().filter(state_id=pause.state_id, status=ExecutionStatus.COMPLETED.value)
    return steps.filter(added_in__gt=pause.checkpoint).exclude(event_type=Event.Kind.DECISION).exists()


def _open(state: State, event: EventRecord, number: int, digest: bytes) -> ApprovalRequest:
    question: Question = event.result
    _check(state, question)
    request = ApprovalRequest(
        state=state,
        checkpoint=number,
        checkpoint_digest=digest.hex(),
        address=event.address,
        generation=event.generation,
        question=event.result_text or "",
        reason=question.reason or _reason(question),
        title=question.title,
        message=question.message,
        action=question.action or _action(question.proposal)[:LONGEST_ACTION],
        effect=question.effect,
        args_schema=_schema(type(question.proposal)) if isinstance(question.proposal, BaseModel) else "",
        response_schema=_schema(question.response_model) if question.response_model else "",
        risk=RISKS[question.risk],
        priority=question.priority,
        due_at=question.due_at,
        expires_at=question.expires_at,
        on_reject=question.on_reject,
        group=question.group,
        group_policy=question.group_policy,
        **_provenance(state),
    )
    return _opened(request, question, question.proposal)


def _open_by_hand(state: State, number: int, digest: bytes) -> ApprovalRequest:
    title = state.description.splitlines()[0][:500] if state.description.strip() else ""
    request = ApprovalRequest(
        state=state,
        checkpoint=number,
        checkpoint_digest=digest.hex(),
        generation=number,
        is_manual=True,
        reason="confirmation",
        title=title or f"{state.pipeline or 'A program'} waits for a decision",
        message=state.description if "\n" in state.description else "",
        **_provenance(state),
    )
    return _opened(request, None, None)


def _opened(request: ApprovalRequest, question: Question | None, proposal: Any) -> ApprovalRequest:
    """`request` with its first version and its policy, saved."""
    args = encode(proposal, where="the proposal")
    request.digest = digest_of(request.action, args)
    policy = effective_policy(request.pipeline, question)
    apply_policy(request, policy)
    if request.effect == ApprovalRequest.Effect.IRREVERSIBLE and request.on_expire == "approve":
        # What cannot be undone is never approved by nobody, whatever a policy for all pipelines says.
        request.on_expire = "reject"
    request.save(force_insert=True)
    save_deciders(request, policy)
    _add_version(request, 1, args, by=None, by_name=request.pipeline or "the run")
    given: dict[str, Any] = {} if policy == Policy() else {"policy": as_json(policy)}
    audit.record(
        "opened",
        state_id=request.state_id,
        request_id=request.pk,
        title=request.title,
        **({"address": request.address} if request.address else {}),
        **given,
    )
    return request


def _provenance(state: State) -> dict[str, Any]:
    return {
        "pipeline": state.pipeline,
        "pipeline_version": state.pipeline_version,
        "requested_by_id": state.started_by_id,
        "opened_at": timezone.now(),
    }


def add_version(request: ApprovalRequest, number: int, proposal: Any, *, by: Any, by_name: str) -> ProposalVersion:
    """Put up another proposal: it is what would run from now on."""
    version = put_up(request, number, encode(proposal, where="the proposal"), by=by, by_name=by_name)
    ApprovalRequest.objects.filter(pk=request.pk).update(version=version.number, digest=version.digest)
    return version


def put_up(request: ApprovalRequest, number: int, args: str, *, by: Any, by_name: str) -> ProposalVersion:
    """The same of encoded arguments, for a caller who saves `version` and `digest` of the request."""
    version = _add_version(request, number, args, by=by, by_name=by_name)
    request.version, request.digest = version.number, version.digest
    return version


def _add_version(request: ApprovalRequest, number: int, args: str, *, by: Any, by_name: str) -> ProposalVersion:
    return ProposalVersion.objects.create(
        request=request,
        number=number,
        args=args,
        digest=digest_of(request.action, args),
        by=by,
        by_name=by_name,
        created_at=timezone.now(),
    )


def digest_of(action: str, args: str) -> str:
    """What a decision names: SHA-256 of the action and its encoded arguments."""
    return hashlib.sha256(json.dumps([action, args]).encode()).hexdigest()


def _check(state: State, question: Question) -> None:
    """The author of the pipeline is told, and not the person who has decided by then."""
    what = f"the question {question.key!r}"
    wanted = [target.address for target in question.change_targets]
    if not wanted:
        return
    completed = Event.objects.current().filter(state=state, status=ExecutionStatus.COMPLETED.value)
    known = set(completed.filter(address__in=wanted).values_list("address", flat=True))
    if missing := [address for address in wanted if address not in known]:
        ran = list(completed.order_by("position").values_list("address", flat=True)[:_NAMED_AT_MOST])
        message = f"No step {', '.join(missing)} has completed in this run; there are: {', '.join(ran) or 'none'}"
        raise InvalidInput({"change_targets": [message]}, what)


def _reason(question: Question) -> str:
    if question.response_model is not None:
        return "input_required"
    return "confirmation" if question.proposal is None else "tool_call"


def _action(proposal: Any) -> str:
    return type(proposal).__name__ if isinstance(proposal, BaseModel) else ""


def _schema(model: type[BaseModel]) -> str:
    """Empty where a field's type has no JSON Schema: the form needs none, and the question waits all the same."""
    try:
        return json.dumps(model.model_json_schema())
    except PydanticInvalidForJsonSchema:
        return ""
