"""What a request asks: typed where this process knows the types, as plain values where it does not."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from pydantic import BaseModel

from recovery.backends import DjangoArtifactBackend
from recovery.errors import PipelineGone
from recovery.models import ApprovalRequest, Artifact, ProposalVersion
from recovery.permissions import Say, say_of
from recovery.services.answers import comment_required
from recovery.services.questions import (
    allowed_kinds,
    large_question_of,
    proposal_of,
    question_of,
    why_cannot_go_on,
    why_not_waiting,
)
from rh_agents.core.approvals import ChangeTarget, Choice, Question
from rh_agents.core.errors import RhAgentsError, SerializationError
from rh_agents.core.serialization import decode, referenced_artifact, to_plain, type_name

# What is shown of a question that cannot be read: nobody can decide it here.
KINDS = ("approve", "edit", "respond", "reject")
# A proposal that is longer, as it is saved, is not read to show the page.
LARGE_CHARACTERS = 200_000


@dataclass(frozen=True)
class Asked:
    """A request with its question and its versions. `unreadable` says why its types are not known here; then
    `question` is empty and proposals are plain."""

    request: ApprovalRequest
    versions: dict[int, ProposalVersion]
    question: Question | None
    unreadable: str = ""
    plain: dict[str, Any] = field(default_factory=dict)
    # Proposals that were read already: a large one takes its time.
    _read: dict[int, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, found: Sequence[ProposalVersion]) -> Self:
        """`found` are the versions of its proposal, in order and with the request."""
        request = found[0].request
        versions = {version.number: version for version in found}
        try:
            if len(found[-1].args) > LARGE_CHARACTERS:
                return cls(request, versions, large_question_of(request))
            asked = cls(request, versions, question_of(request))
            asked.proposal()
            _ = asked.first_proposal
        except PipelineGone as error:
            plain = plain_of(_whole_text(request.question))
            return cls(request, versions, None, str(error), plain if isinstance(plain, dict) else {})
        return asked

    @property
    def current(self) -> ProposalVersion:
        return self.versions[max(self.versions)]

    def proposal(self, number: int | None = None) -> Any:
        """The proposal of a version, of the current one unless `number` names another that there is."""
        version = self.versions.get(number or 0, self.current)
        if version.number not in self._read:
            self._read[version.number] = plain_of(version.args) if self.unreadable else self._typed(version)
        return self._read[version.number]

    def _typed(self, version: ProposalVersion) -> Any:
        try:
            return proposal_of(version)
        except PipelineGone:
            # An old version that cannot be read is only compared with; the current one has to be.
            if version.number in (min(self.versions), max(self.versions)):
                raise
            return plain_of(version.args)

    @property
    def is_large(self) -> bool:
        """Whether the proposal is so long that a page shows it by parts, and that it is decided on as a whole."""
        return len(self.current.args) > LARGE_CHARACTERS

    @property
    def first_proposal(self) -> Any:
        return self.proposal(min(self.versions))

    @property
    def type_name(self) -> str:
        """The type of the proposal, as the run wrote it."""
        return type_name(self.current.args)

    @cached_property
    def kinds(self) -> list[str]:
        if self.unreadable:
            return list(KINDS)
        kinds = allowed_kinds(self.request, self.question)
        return [kind for kind in kinds if kind != "edit"] if self.is_large else kinds

    @cached_property
    def comment_required(self) -> set[str]:
        """The kinds that need words here."""
        return comment_required(self.request, self.question)

    @property
    def targets(self) -> list[ChangeTarget]:
        """The steps that the run can be sent back to."""
        return self.question.change_targets if self.question and "request_changes" in self.kinds else []

    @property
    def run_input(self) -> BaseModel | None:
        """What the run was started with, `None` where it has no type."""
        try:
            given = decode(self.request.state.input, load_artifact=DjangoArtifactBackend().load_artifact)
        except RhAgentsError:
            return None
        return given if isinstance(given, BaseModel) else None

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

    def say_of(self, user: Any) -> Say:
        return say_of(user, self.request) if self.request.is_open else Say()


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
