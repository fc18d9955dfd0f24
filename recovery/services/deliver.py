"""Carrying an answer to a run: into its history, or as the resolution of a pause made by hand."""

from recovery.backends import DjangoArtifactBackend, DjangoStateBackend
from recovery.models import ApprovalRequest
from rh_agents.core.approvals import Answer
from rh_agents.core.execution import ExecutionState
from rh_agents.core.serialization import decode
from rh_agents.core.state_recovery import StateStatus


def deliver(request: ApprovalRequest, answer: Answer) -> None:
    """Write `answer` into a state that its own program runs. That program finds it when it loads the state."""
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
    """
    applied = 0
    decided = ApprovalRequest.objects.decided().filter(state_id=state.state_id, outcome__in=SETTLING)
    if state.history.open:
        for request in decided.filter(address__in=list(state.history.open), is_manual=False):
            if request.generation == state.history.open[request.address].generation:
                state.answer(request.address, _answer_of(request))
                applied += 1
    elif state.status is StateStatus.AWAITING:
        by_hand = decided.filter(is_manual=True).order_by("-generation").first()
        if by_hand is not None and state.resolution is None:
            state.resolution = _answer_of(by_hand)
            applied += 1
    return applied


SETTLING = ("approve", "edit", "respond", "reject")


def _answer_of(request: ApprovalRequest) -> Answer:
    answer: Answer = decode(
        request.resolutions.get(undone_at__isnull=True).answer, load_artifact=DjangoArtifactBackend().load_artifact
    )
    return answer
