"""What comes with a decision, and the answer that the run gets of it."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext
from pydantic import BaseModel, ValidationError

from recovery import pipelines
from recovery.errors import InvalidInput
from recovery.models import ApprovalRequest, ProposalVersion
from recovery.permissions import policy_of
from recovery.services.questions import allowed_kinds, current_version, proposal_of
from rh_agents.core.approvals import Answer, Question, as_model, complete_answer
from rh_agents.core.serialization import encode, to_plain
from rh_agents.core.texts import check_text

LONGEST_KEY = 200
LONGEST_KIND = 20
WHAT = "the decision"
GOES_WITH = {
    "proposal": ("edit",),
    "response": ("respond",),
    "to": ("request_changes",),
    "inputs": ("request_changes",),
    "delegate_to": ("delegate",),
}


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody does to a request, before anybody has looked at whether they may."""

    kind: str
    proposal: Any = None
    response: Any = None
    comment: str = ""
    to: str = ""
    inputs: Any = None
    delegate_to: Any = None
    channel: str = "web"
    idempotency_key: str = ""
    together: bool = False

    def check_texts(self) -> None:
        """A refusal is recorded too, so what no database holds must not get as far as that.

        Raises:
            InvalidInput: naming each.
        """
        texts = {"kind": None, "comment": None, "to": 1000, "channel": 20, "idempotency_key": LONGEST_KEY}
        errors = {}
        for name, longest in texts.items():
            try:
                check_text(getattr(self, name), "It", longest)
            except ValueError as error:
                errors[name] = [f"{error}."]
        if errors:
            raise InvalidInput(errors, WHAT)

    def check_parts(self) -> None:
        """Raises InvalidInput for what does not go with this kind."""
        for name, kinds in GOES_WITH.items():
            if getattr(self, name) not in (None, "") and self.kind not in kinds:
                goes = " or ".join(repr(kind) for kind in kinds)
                raise InvalidInput(
                    {
                        name: [
                            gettext("A %(name)s goes with %(goes)s, not with %(kind)s.")
                            % {"name": name, "goes": goes, "kind": f"{self.kind!r}"}
                        ]
                    },
                    WHAT,
                )


@dataclass(frozen=True, slots=True)
class SentBack:
    """Where a run is sent back to: `address`, with `inputs` of the run where the reviewer changed them."""

    address: str
    inputs: BaseModel | None = None


def check_act(request: ApprovalRequest, question: Question | None, act: Act, say_why: str) -> None:
    """Raises InvalidInput unless `request` offers that kind, with what came with it, and has the words that it needs;
    `say_why` is what somebody is told who gave none."""
    offered = allowed_kinds(request, question)
    if act.kind not in offered:
        raise InvalidInput(
            {
                "kind": [
                    gettext("%(kind)s is not offered here; there are: %(offered)s")
                    % {"kind": f"{act.kind!r}", "offered": ", ".join(offered)}
                ]
            },
            WHAT,
        )
    act.check_parts()
    if not act.comment.strip() and act.kind in comment_required(request, question):
        raise InvalidInput({"comment": [say_why]}, WHAT)


def answer_of(request: ApprovalRequest, question: Question | None, act: Act) -> Answer:
    """The completed answer. Approving a later version answers the run with that version: for the run it is an edit.

    Raises:
        InvalidInput: the request does not offer that kind, or what came with it does not validate.
    """
    check_act(request, question, act, gettext("Say why: this decision needs a comment."))
    raw = Answer(kind=act.kind, comment=act.comment, proposal=act.proposal, response=act.response)
    if question is None:
        return raw
    if act.kind == "approve" and request.version > 1:
        raw = raw.model_copy(update={"kind": "edit", "proposal": proposal_of(current_version(request))})
    prefix = {"edit": "proposal", "respond": "response"}.get(act.kind, "")
    try:
        return complete_answer(question, raw)
    except ValidationError as error:
        raise InvalidInput(field_errors(error, prefix), WHAT) from error
    except ValueError as error:
        raise InvalidInput({prefix: [str(error)]}, WHAT) from error


def comment_required(request: ApprovalRequest, question: Question | None) -> set[str]:
    """The kinds of decision that need words here: the policy or the question says so."""
    by_policy: set[str] = set(policy_of(request).comment_required)
    choices = question.choices if question is not None else []
    return by_policy | {choice.kind for choice in choices if choice.comment_required}


def expired_answer(request: ApprovalRequest, question: Question | None) -> Answer:
    """What a run gets when nobody decided in time."""
    # An edit that not enough people agreed on is approved by nobody: only what the run itself proposed is.
    is_as_proposed = request.version == 1 or request.versions.filter(number=1, digest=request.digest).exists()
    approved = request.on_expire == "approve" and is_as_proposed
    raw = Answer(kind="expire", approved=approved, comment="Nobody decided in time.")
    if question is None:
        return raw
    if approved and request.version > 1:
        raw = raw.model_copy(update={"proposal": proposal_of(current_version(request))})
    return complete_answer(question, raw)


def sent_back(request: ApprovalRequest, question: Question | None, act: Act) -> SentBack:
    """Where the run goes back to.

    Raises:
        InvalidInput: it is none of the steps that the question names, or the inputs do not validate.
    """
    targets = [target.address for target in question.change_targets] if question is not None else []
    if act.to not in targets:
        raise InvalidInput(
            {
                "to": [
                    gettext("%(to)s is no step to go back to; there are: %(targets)s")
                    % {"to": f"{act.to!r}", "targets": ", ".join(targets)}
                ]
            },
            WHAT,
        )
    if act.inputs is None:
        return SentBack(act.to)
    try:
        return SentBack(act.to, as_model(pipelines.get(request.pipeline).input_model, act.inputs))
    except ValidationError as error:
        raise InvalidInput(field_errors(error, "inputs"), WHAT) from error


def payload_of(answer: Answer) -> str:
    """What is kept with the decision."""
    if answer.kind == "edit":
        return encode(answer.proposal, where="the proposal")
    return encode(answer.response, where="the response") if answer.kind == "respond" else ""


def field_errors(error: ValidationError, prefix: str) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    for one in error.errors(include_url=False):
        path = ".".join(str(part) for part in (prefix, *one["loc"]) if part != "")
        errors.setdefault(path, []).append(one["msg"])
    return errors


def changes_between(seen: ProposalVersion | None, current: ProposalVersion) -> list[tuple[str, str, str]]:
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
