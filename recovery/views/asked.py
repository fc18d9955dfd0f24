"""What a request asks: typed where this process knows the types, as plain values where it does not."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from pydantic import BaseModel

from recovery.errors import PipelineGone
from recovery.models import ApprovalRequest, Artifact, ProposalVersion
from recovery.permissions import why_not_decide
from recovery.services.questions import MANUAL_KINDS, proposal_of, question_of, why_cannot_go_on, why_not_waiting
from rh_agents.core.approvals import Choice, Question
from rh_agents.core.errors import SerializationError
from rh_agents.core.serialization import referenced_artifact, to_plain, type_name

# The kinds that people make in this page, in the order of their buttons when the question names none.
KINDS = ("approve", "edit", "respond", "reject")


@dataclass(frozen=True)
class Asked:
    """A request with its question and its versions. `unreadable` says why its types are not known here; then
    `question` is empty and proposals are plain."""

    request: ApprovalRequest
    versions: dict[int, ProposalVersion]
    question: Question | None
    unreadable: str = ""
    plain: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, request: ApprovalRequest) -> Self:
        versions = {version.number: version for version in request.versions.select_related("by").order_by("number")}
        try:
            question = question_of(request)
            for version in versions.values():
                proposal_of(version)
        except PipelineGone as error:
            plain = plain_of(_whole_text(request.question))
            return cls(request, versions, None, str(error), plain if isinstance(plain, dict) else {})
        return cls(request, versions, question)

    @property
    def current(self) -> ProposalVersion:
        return self.versions[max(self.versions)]

    def proposal(self, number: int | None = None) -> Any:
        """The proposal of a version, of the current one unless `number` names another that there is."""
        version = self.versions.get(number or 0, self.current)
        return plain_of(version.args) if self.unreadable else proposal_of(version)

    @property
    def first_proposal(self) -> Any:
        return self.proposal(min(self.versions))

    @property
    def type_name(self) -> str:
        """The type of the proposal, as the run wrote it."""
        return type_name(self.current.args)

    @cached_property
    def kinds(self) -> list[str]:
        if self.request.is_manual:
            return list(MANUAL_KINDS)
        offered = [str(kind) for kind in self.question.allowed_kinds] if self.question else list(KINDS)
        return [kind for kind in offered if kind in KINDS]

    def choice(self, kind: str) -> Choice | None:
        choices = self.question.choices if self.question else []
        return next((choice for choice in choices if choice.kind == kind), None)

    @property
    def has_proposal(self) -> bool:
        return not self.request.is_manual and self.current.args != "null"

    @property
    def editable(self) -> bool | frozenset[str]:
        if self.question is None or "edit" not in self.kinds:
            return False
        named = self.question.editable
        return named if isinstance(named, bool) else frozenset(named)

    @property
    def response_model(self) -> type[BaseModel] | None:
        return self.question.response_model if self.question and "respond" in self.kinds else None

    @property
    def evidence(self) -> list[str]:
        if self.question is not None:
            return self.question.evidence
        named = self.plain.get("evidence")
        return [str(name) for name in named] if isinstance(named, list) else []

    @property
    def compare_to(self) -> str:
        return self.question.compare_to if self.question is not None else str(self.plain.get("compare_to") or "")

    def why_blocked(self) -> str:
        """Why nobody can decide it as things are, "" if somebody could."""
        if not self.request.is_open:
            return ""
        return why_cannot_go_on(self.request.state) or why_not_waiting(self.request) or self.unreadable

    def why_not_by(self, user: Any) -> str:
        return why_not_decide(user, self.request) if self.request.is_open else ""


def plain_of(text: str) -> Any:
    """The saved value as plain JSON; the text itself where even that cannot be read."""
    try:
        return to_plain(text)
    except SerializationError:
        return text


def _whole_text(text: str) -> str:
    """A large question stands in an artifact."""
    artifact_id = referenced_artifact(text)
    if artifact_id is None:
        return text
    artifact = Artifact.objects.filter(pk=artifact_id).first()
    try:
        return artifact.read().decode() if artifact else text
    except (FileNotFoundError, UnicodeDecodeError):
        return text
