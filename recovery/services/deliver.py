"""Carrying an answer to a run: into its history, or as the resolution of a pause made by hand."""

from django.db.models import QuerySet

from recovery.backends import DjangoArtifactBackend, DjangoStateBackend
from recovery.errors import DigestMismatch
from recovery.models import ApprovalRequest, Resolution, Resumption
from recovery.services.open_request import digest_of
from recovery.services.questions import CARRIED_OUT, pause_by_hand, proposal_of
from rh_agents.core.approvals import Answer
from rh_agents.core.execution import ExecutionState
from rh_agents.core.serialization import decode, encode
from rh_agents.core.state_recovery import StateStatus


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


def apply_decisions(state: ExecutionState) -> int:
    """Write every decision that is made and not yet in the history into it; how many there were.

    What is there already is left alone, so applying twice changes nothing.

    Raises:
        DigestMismatch: one of them is not what was decided any more.
    """
    applied = 0
    if state.history.open:
        asked = _taken_up().filter(request__address__in=list(state.history.open), request__is_manual=False)
        for resolution in asked.filter(request__state_id=state.state_id, request__outcome__in=CARRIED_OUT):
            request = resolution.request
            if request.generation == state.history.open[request.address].generation:
                state.answer(request.address, _answer_of(resolution))
                applied += 1
    by_hand = pause_by_hand(state.state_id)
    if by_hand is not None and (taken_up := _taken_up().filter(request=by_hand).first()):
        # Whatever the status is: the run may have failed since, or a worker have died that wrote `running`.
        state.resolution = _answer_of(taken_up)
        applied += 1
    return applied


def _taken_up() -> QuerySet[Resolution]:
    """What a worker has taken up: until then it may be undone."""
    waiting = (Resumption.Status.PENDING, Resumption.Status.UNDONE)
    taken = [status for status in Resumption.Status if status not in waiting]
    standing = Resolution.objects.filter(undone_at__isnull=True, resumption__status__in=taken)
    heavy = ("question", "message", "args_schema", "response_schema")
    return standing.select_related("request").defer(*(f"request__{name}" for name in heavy))


def why_cancelled(state: ExecutionState) -> str:
    """Why the run is to be cancelled instead of going on, "" if it is not: what nobody decided in time may say so."""
    expired = ApprovalRequest.objects.decided().filter(state_id=state.state_id, outcome="expire", on_expire="cancel")
    request = expired.filter(resolutions__undone_at__isnull=True).first()
    return f"nobody decided {request.title!r} in time" if request is not None else ""


def waits_by_hand(state: ExecutionState) -> bool:
    """Whether the run is saved at a pause made by hand that nobody has decided: it must not be called again yet, as it
    takes being called for a decision."""
    is_paused = state.status is StateStatus.AWAITING and not state.history.open
    return is_paused and pause_by_hand(state.state_id) is not None


def _answer_of(resolution: Resolution) -> Answer:
    answer: Answer = decode(resolution.answer, load_artifact=DjangoArtifactBackend().load_artifact)
    if answer.kind == "expire" and answer.approved and answer.proposal is None and not resolution.request.is_manual:
        # It expired where the question could not be read.
        version = resolution.request.versions.get(number=resolution.version)
        answer = answer.model_copy(update={"proposal": proposal_of(version)})
    _check(resolution.request, resolution, answer)
    return answer


def _check(request: ApprovalRequest, resolution: Resolution, answer: Answer) -> None:
    """A run goes on with what was decided or not at all."""
    which = f"the decision about {request.title!r} (request {request.pk})"
    # To approve a later version is an edit for the run.
    kinds = ("approve", "edit") if resolution.outcome == "approve" else (resolution.outcome,)
    runs = answer.kind in ("approve", "edit") or (answer.kind == "expire" and answer.approved)
    if answer.kind not in kinds:
        raise DigestMismatch(f"{which} was {resolution.outcome!r}, but its answer says {answer.kind!r}; nothing runs")
    version = request.versions.get(number=resolution.version)
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
