"""Carrying an answer to a run: into its history, or as the resolution of a pause made by hand."""

from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from recovery.backends import DjangoArtifactBackend, DjangoStateBackend
from recovery.errors import DigestMismatch
from recovery.models import ApprovalRequest, Event, ProposalVersion, Resolution, Resumption
from recovery.models.prepared import Prepared
from recovery.services.open_request import digest_of
from recovery.services.questions import CARRIED_OUT, pause_by_hand, proposal_of
from rh_agents.core.approvals import Answer
from rh_agents.core.execution import ExecutionState
from rh_agents.core.serialization import decode, encode
from rh_agents.core.state_recovery import StateStatus
from rh_agents.core.types import ExecutionStatus


def deliver(request: ApprovalRequest, answer: Answer) -> None:
    """Write `answer` into a state that its own program runs. That program finds it when it loads the state.

    It must be waiting for just that answer: see `why_not_waiting`.
    """
    state = ExecutionState.load_from_state_id(
        str(request.state_id), DjangoStateBackend(author=", ".join(answer.by)), DjangoArtifactBackend()
    )
    if request.is_manual:
        state.resolution = answer
    else:
        state.answer(request.address, answer)
    still_asks = bool(state.history.open)
    state.save_if_possible(StateStatus.AWAITING if still_asks else StateStatus.PAUSED)


class Decided(NamedTuple):
    """What became of a run's decisions: how many were written into the history, and why it is cancelled instead of
    going on, "" if it is not: what nobody decided in time may say so."""

    applied: int
    why_cancelled: str


def apply_decisions(state: ExecutionState) -> Decided:
    """Write every decision that is made and not yet in the history into it.

    What is there already is left alone, so applying twice changes nothing.

    Raises:
        DigestMismatch: one of them is not what was decided any more.
    """
    standing: list[Resolution] = _STANDING.all(state=UUID(state.state_id))
    taken_up = [one for one in standing if _is_taken_up(one)]
    applied = 0
    for resolution in taken_up:
        request = resolution.request
        asked = None if request.is_manual else state.history.open.get(request.address)
        if asked is not None and asked.generation == request.generation:
            state.answer(request.address, _answer_of(resolution))
            applied += 1
    if any(one.request.is_manual for one in taken_up):
        by_hand = pause_by_hand(state.state_id)
        for resolution in taken_up:
            if resolution.request == by_hand:
                # Whatever the status is: the run may have failed since, or a worker have died that wrote `running`.
                state.resolution = _answer_of(resolution)
                applied += 1
    expired = next(
        (one.request for one in standing if one.request.outcome == "expire" and one.request.on_expire == "cancel"), None
    )
    return Decided(applied, f"nobody decided {expired.title!r} in time" if expired is not None else "")


def _is_taken_up(resolution: Resolution) -> bool:
    """Whether a worker has taken it up: until then it may be undone."""
    job = getattr(resolution, "resumption", None)
    return job is not None and job.status not in (Resumption.Status.PENDING, Resumption.Status.UNDONE)


def _standing(given: Any) -> QuerySet[Resolution]:
    """What was decided about questions that the run stands at, about pauses by hand, and what cancels it."""
    is_asked = Exists(
        Event.objects.current().filter(
            state_id=given.state,
            address=OuterRef("request__address"),
            generation=OuterRef("request__generation"),
            status=ExecutionStatus.AWAITING.value,
        )
    )
    heavy = ("question", "message", "args_schema", "response_schema", "words")
    decided = ProposalVersion.objects.filter(request=OuterRef("request_id"), number=OuterRef("version"))
    return (
        Resolution.objects.filter(
            Q(request__is_manual=True) | Q(request__outcome="expire", request__on_expire="cancel") | is_asked,
            undone_at__isnull=True,
            request__state_id=given.state,
            request__outcome__in=CARRIED_OUT,
        )
        .select_related("request", "resumption")
        .defer(*(f"request__{name}" for name in heavy))
        .annotate(decided_args=Subquery(decided.values("args")[:1]))
    )


_STANDING = Prepared(_standing, state=UUID)


def waits_by_hand(state: ExecutionState) -> bool:
    """Whether the run is saved at a pause made by hand that nobody has decided: it must not be called again yet, as it
    takes being called for a decision."""
    is_paused = state.status is StateStatus.AWAITING and not state.history.open
    return is_paused and pause_by_hand(state.state_id) is not None


def _answer_of(resolution: Resolution) -> Answer:
    answer: Answer = decode(resolution.answer, load_artifact=DjangoArtifactBackend().load_artifact)
    if answer.kind == "expire" and answer.approved and answer.proposal is None and not resolution.request.is_manual:
        # It expired where the question could not be read.
        version = _version_of(resolution)
        answer = answer.model_copy(update={"proposal": proposal_of(version)})
    _check(resolution.request, resolution, answer)
    return answer


def _version_of(resolution: Any) -> ProposalVersion:
    """The version that was decided, of a resolution that was read with its arguments."""
    if resolution.decided_args is None:
        raise DigestMismatch(f"version {resolution.version} of request {resolution.request_id} is gone; nothing runs")
    return ProposalVersion(number=resolution.version, args=resolution.decided_args)


def _check(request: ApprovalRequest, resolution: Resolution, answer: Answer) -> None:
    """A run goes on with what was decided or not at all."""
    which = f"the decision about {request.title!r} (request {request.pk})"
    # To approve a later version is an edit for the run.
    kinds = ("approve", "edit") if resolution.outcome == "approve" else (resolution.outcome,)
    runs = answer.kind in ("approve", "edit") or (answer.kind == "expire" and answer.approved)
    if answer.kind not in kinds:
        raise DigestMismatch(f"{which} was {resolution.outcome!r}, but its answer says {answer.kind!r}; nothing runs")
    version = _version_of(resolution)
    digest = digest_of(request.action, version.args)
    if digest == resolution.digest and runs and not request.is_manual:
        # As both are read here and now: a class may have got a field since.
        proposed = encode(answer.proposal, where="the answer")
        if proposed != encode(proposal_of(version), where="the proposal"):
            digest = digest_of(request.action, proposed)
    if digest != resolution.digest:
        raise DigestMismatch(
            f"{which} was made on version {version.number} with the digest {resolution.digest}, "
            f"but what would run has the digest {digest}; nothing runs"
        )
