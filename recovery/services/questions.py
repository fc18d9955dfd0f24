"""Reading what a request asks: the engine's question, and the versions of its proposal."""

import json
import uuid
from typing import Any

from django.utils.translation import gettext

from recovery import pipelines
from recovery.backends import DjangoArtifactBackend
from recovery.errors import PipelineGone
from recovery.models import ApprovalRequest, Artifact, Checkpoint, Event, ProposalVersion, State
from rh_agents.core.approvals import Question
from rh_agents.core.errors import RhAgentsError
from rh_agents.core.serialization import decode, referenced_artifact
from rh_agents.core.types import ExecutionStatus

MANUAL_KINDS = ["approve", "reject"]
# What people decide and a run gets as an answer; to these the system adds what nobody decided.
ANSWERS = ("approve", "edit", "respond", "reject")
CARRIED_OUT = (*ANSWERS, "expire", "cancel")


def question_of(request: ApprovalRequest) -> Question | None:
    """The typed question, `None` for a pause made by hand.

    Raises:
        PipelineGone: its types are not known in this process, because the pipeline is not installed any more.
    """
    if request.is_manual:
        return None
    try:
        question: Question = decode(request.question, load_artifact=DjangoArtifactBackend().load_artifact)
    except RhAgentsError as error:
        raise PipelineGone(gettext("The question cannot be read here: %(error)s") % {"error": error}) from error
    return question


def large_question_of(request: ApprovalRequest) -> Question | None:
    """As `question_of`, but without the proposal, which makes most of a large one and has versions of its own.

    Raises:
        PipelineGone: as `question_of`.
    """
    if request.is_manual:
        return None
    try:
        artifact_id = referenced_artifact(request.question)
        text = request.question if artifact_id is None else _artifact_text(artifact_id)
        saved = json.loads(text)
        saved["v"]["proposal"] = None
        question: Question = decode(json.dumps(saved), load_artifact=DjangoArtifactBackend().load_artifact)
    except (RhAgentsError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise PipelineGone(gettext("The question cannot be read here: %(error)s") % {"error": error}) from error
    return question


def _artifact_text(artifact_id: str) -> str:
    artifact = Artifact.objects.filter(pk=artifact_id).first()
    try:
        return artifact.read().decode() if artifact is not None else ""
    except FileNotFoundError:
        return ""


def current_version(request: ApprovalRequest) -> ProposalVersion:
    """What would run now."""
    version = request.versions.order_by("-number").first()
    assert version is not None  # noqa: S101  a request is opened with its first version
    return version


def proposal_of(version: ProposalVersion) -> Any:
    """The typed proposal of one version.

    Raises:
        PipelineGone: as `question_of`.
    """
    try:
        return decode(version.args, load_artifact=DjangoArtifactBackend().load_artifact)
    except RhAgentsError as error:
        raise PipelineGone(gettext("The proposal cannot be read here: %(error)s") % {"error": error}) from error


def allowed_kinds(request: ApprovalRequest, question: Question | None) -> list[str]:
    """A run that its own program runs is not sent back: nobody here could fork and run it."""
    offered = question.allowed_kinds if question else MANUAL_KINDS
    known = (*ANSWERS, "request_changes") if request.pipeline_version else ANSWERS
    return [str(kind) for kind in offered if kind in known]


def pause_by_hand(state_id: uuid.UUID | str) -> ApprovalRequest | None:
    """The request of the pause by hand that the run stands at: open, or decided and not carried to the run yet.

    It was carried to the run when a later checkpoint holds a resolution.
    """
    by_hand = ApprovalRequest.objects.filter(state_id=state_id, is_manual=True)
    newest = by_hand.filter(outcome__in=("", *CARRIED_OUT)).order_by("-generation").first()
    if newest is None:
        return None
    later = Checkpoint.objects.filter(state_id=state_id, number__gt=newest.checkpoint)
    is_carried = not newest.is_open and later.filter(extra__contains='"resolution":').exists()
    return None if is_carried else newest


def is_ours(state: State) -> bool:
    """Whether a worker of this project runs it. Others are run by their own program, which loads the state."""
    return bool(state.pipeline_version)


def why_not_waiting(request: ApprovalRequest) -> str:
    """Why a program of its own would not find the decision, "" if it would: it may be at work, or asks other things."""
    state = request.state
    if is_ours(state):
        return ""
    if state.status != State.Status.AWAITING:
        return gettext(
            "A program of its own runs this, and it does not wait now: the run is %(status)s. "
            "It can be decided if the program waits again."
        ) % {"status": state.status}
    if request.is_manual:
        return ""
    asked = Event.objects.current().filter(state=state, address=request.address, generation=request.generation)
    if asked.filter(status=ExecutionStatus.AWAITING.value).exists():
        return ""
    return gettext("A program of its own runs this, and it does not ask this any more.")


def other_version(state: State) -> str:
    """The version that the run's pipeline has now, "" if that is the one which the run goes by, or if there is none."""
    pipeline = pipelines.find(state.pipeline) if is_ours(state) else None
    return pipeline.version if pipeline and pipeline.version != state.pipeline_version else ""


def why_cannot_go_on(state: State) -> str:
    """Why a worker could not take this run on as things are, "" if it could."""
    if is_ours(state) and pipelines.find(state.pipeline) is None:
        return gettext(
            "The pipeline %(pipeline)s is not installed any more. The run stays as it is until it is back."
        ) % {"pipeline": state.pipeline}
    if version := other_version(state):
        return gettext(
            "The pipeline %(pipeline)s is now version %(version)s, this run began with version %(pipeline_version)s. "
            "It stays as it is until somebody lets it go on with version %(version)s."
        ) % {"pipeline": state.pipeline, "version": version, "pipeline_version": state.pipeline_version}
    return ""
