"""Reading what a request asks: the engine's question, and the versions of its proposal."""

from typing import Any

from pydantic import BaseModel

from recovery import pipelines
from recovery.backends import DjangoArtifactBackend
from recovery.errors import PipelineGone
from recovery.models import ApprovalRequest, ProposalVersion, State
from rh_agents.core.approvals import Question
from rh_agents.core.errors import RhAgentsError
from rh_agents.core.serialization import decode, type_name

MANUAL_KINDS = ["approve", "reject"]


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
        raise PipelineGone(f"The question cannot be read here: {error}") from error
    return question


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
        raise PipelineGone(f"The proposal cannot be read here: {error}") from error


def proposal_model(request: ApprovalRequest) -> type[BaseModel] | None:
    """The class of a proposal that is a pydantic model, else `None`."""
    proposal = proposal_of(current_version(request))
    return type(proposal) if isinstance(proposal, BaseModel) else None


def allowed_kinds(request: ApprovalRequest, question: Question | None) -> list[str]:
    return [str(kind) for kind in question.allowed_kinds] if question else list(MANUAL_KINDS)


def is_ours(state: State) -> bool:
    """Whether a worker of this project runs it. Others are run by their own program, which loads the state."""
    return bool(state.pipeline_version)


def why_cannot_go_on(state: State) -> str:
    """Why a worker could not take this run on as things are, "" if it could."""
    if not is_ours(state):
        return ""
    pipeline = pipelines.find(state.pipeline)
    if pipeline is None:
        return f"The pipeline {state.pipeline} is not installed any more. The run stays as it is until it is back."
    if pipeline.version != state.pipeline_version:
        return (
            f"The pipeline {state.pipeline} is now version {pipeline.version}, "
            f"this run needs {state.pipeline_version}. The run stays as it is."
        )
    return ""


def proposal_type(request: ApprovalRequest) -> str:
    return type_name(current_version(request).args)
