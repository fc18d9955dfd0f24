"""Asking a person: the question a run asks, the answer it gets back, and the pause in between."""

import json
from collections.abc import Collection, Sequence
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from rh_agents.core.addressing import check_part
from rh_agents.core.errors import CorruptStateError
from rh_agents.core.policy import OnExpire, Policy, Risk
from rh_agents.core.texts import Text

OfferedKind = Literal["approve", "edit", "respond", "reject", "request_changes"]
# The last three are made by the system: nobody is offered them.
DecisionKind = OfferedKind | Literal["expire", "cancel", "supersede"]
Effect = Literal["read", "write", "irreversible"]
OnReject = Literal["feedback", "skip", "fail"]
GroupPolicy = Literal["all", "first_reject_cancels"]

Model = TypeVar("Model", bound=BaseModel)


class Choice(BaseModel):
    """One kind of decision that a reviewer is offered, with canned reasons."""

    kind: OfferedKind
    label: Text = ""
    reasons: list[Text] = Field(default_factory=list)
    comment_required: bool = False


class ChangeTarget(BaseModel):
    """A step that a reviewer may send the run back to: it and what came after it run again, in a fork of the run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Text = Field(min_length=1, max_length=1000)
    label: Text = Field(default="", max_length=200)


class Question(BaseModel):
    """What a run asks a person.

    `key` names the step: its address is `<path>::<key>::decision`. `proposal` is what will run when it is
    approved, best a pydantic model: the form is made from it and it comes back as the same type. `editable`
    names the fields a reviewer may change (`True`: all, `False`: none). `response_model` asks for a typed value
    instead. `evidence` names artifact keys and step addresses to show beside the question, `compare_to` a state
    (or `<state id>@<checkpoint>`) to compare with. `change_targets` are steps that a reviewer may send the run back to
    (an address, or a `ChangeTarget` with a label). `on_reject`: the run gets the reason (`feedback`), goes on without
    it (`skip`), or fails with `RejectedError` (`fail`). Questions of one `group` are open together; with
    `first_reject_cancels` one rejection cancels the others. `policy` says who decides; `on_expire` counts as if it
    said so, and goes before what it says.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    key: str
    title: Text = Field(min_length=1, max_length=500)
    message: Text = ""
    reason: Text = Field(default="", max_length=100)
    proposal: Any = None
    action: Text = Field(default="", max_length=300)
    editable: Collection[str] | bool = True
    effect: Effect = "write"
    response_model: type[BaseModel] | None = None
    choices: list[Choice] = Field(default_factory=list)
    evidence: list[Text] = Field(default_factory=list)
    compare_to: Text = ""
    change_targets: list[ChangeTarget] = Field(default_factory=list)
    risk: Risk = "medium"
    priority: int = Field(default=0, ge=-100, le=100)
    due_at: datetime | None = None
    expires_at: datetime | None = None
    on_expire: OnExpire | None = None
    on_reject: OnReject = "feedback"
    group: Text = Field(default="", max_length=200)
    group_policy: GroupPolicy = "all"
    policy: Policy | None = None

    @field_validator("change_targets", mode="before")
    @classmethod
    def _an_address_is_a_target(cls, targets: Any) -> Any:
        if not isinstance(targets, list | tuple):
            return targets
        return [{"address": target} if isinstance(target, str) else target for target in targets]

    @field_validator("editable", mode="plain")
    @classmethod
    def _editable_is_a_set_of_names(cls, editable: Any) -> frozenset[str] | bool:
        if isinstance(editable, bool):
            return editable
        if isinstance(editable, str) or not isinstance(editable, Collection):
            raise ValueError(f"editable is a set of names, True or False, not {editable!r:.80}")
        if unnamed := [name for name in editable if not isinstance(name, str)]:
            raise ValueError(f"editable names fields, which {unnamed[0]!r:.80} is not")
        return frozenset(editable)

    @field_validator("key")
    @classmethod
    def _key_is_an_address_part(cls, key: str) -> str:
        return check_part(key, "key")

    @field_validator("due_at", "expires_at")
    @classmethod
    def _is_a_moment(cls, moment: datetime | None) -> datetime | None:
        if moment is None:
            return None
        if moment.utcoffset() is None:
            raise ValueError("it has no time zone")
        # In the first and the last year another time zone's clock may show one that Python cannot write.
        if not MINYEAR < moment.year < MAXYEAR:
            raise ValueError(f"it lies in the year {moment.year}, which not every clock can show")
        return moment

    @model_validator(mode="after")
    def _what_goes_together(self) -> "Question":
        if self.group_policy != "all" and not self.group:
            raise ValueError("group_policy needs a group")
        kinds = {choice.kind for choice in self.choices}
        if "request_changes" in kinds and not self.change_targets:
            raise ValueError("request_changes needs change_targets: the steps that the run may be sent back to")
        if self.change_targets and kinds and "request_changes" not in kinds:
            raise ValueError("change_targets need the choice request_changes")
        addresses = [target.address for target in self.change_targets]
        if len(set(addresses)) != len(addresses):
            raise ValueError("change_targets names an address twice")
        if self.on_expire == "approve" and self.effect == "irreversible":
            raise ValueError("what is irreversible is never approved by nobody: on_expire cannot be 'approve'")
        return self

    @model_validator(mode="after")
    def _editable_fields_exist(self) -> "Question":
        if not isinstance(self.editable, bool):
            known = proposal_fields(self.proposal)
            unknown = sorted(set(self.editable) - known)
            if unknown:
                has = ", ".join(sorted(known)) or "no fields"
                raise ValueError(f"editable names {', '.join(unknown)}, but the proposal has {has}")
        return self

    @property
    def allowed_kinds(self) -> list[OfferedKind]:
        """The kinds of decision that make sense here, the main one first."""
        if self.choices:
            return [choice.kind for choice in self.choices]
        back: list[OfferedKind] = ["request_changes"] if self.change_targets else []
        if self.response_model is not None:
            return ["respond", "reject", *back]
        if self.proposal is not None and self.editable:
            return ["approve", "edit", "reject", *back]
        return ["approve", "reject", *back]


class Answer(BaseModel):
    """What the person decided. `proposal` and `response` are typed as the question's."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    kind: DecisionKind
    approved: bool = False
    proposal: Any = None
    response: Any = None
    comment: str = ""
    by: list[str] = Field(default_factory=list)
    decided_at: datetime | None = None
    edited: bool = False

    @model_validator(mode="before")
    @classmethod
    def _approved_follows_kind(cls, data: Any) -> Any:
        if isinstance(data, dict) and "approved" not in data:
            return {**data, "approved": data.get("kind") in ("approve", "edit", "respond")}
        return data

    @field_validator("by", mode="before")
    @classmethod
    def _one_name_is_a_list_of_one(cls, by: Any) -> Any:
        return [by] if isinstance(by, str) else by


class Instruction(BaseModel):
    """What a person wrote when they sent a run back to the step at `address`."""

    address: str
    text: str = ""
    by: list[str] = Field(default_factory=list)
    given_at: datetime | None = None


class AwaitingDecision(BaseException):
    """The run waits for a person. Not an error: `except Exception` must not swallow it.

    `addresses` are the open questions, in the order they were asked.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = tuple(addresses)
        super().__init__(f"waiting for a decision at {', '.join(self.addresses)}")


def proposal_fields(proposal: Any) -> set[str]:
    """The names of a proposal's fields: a model's, those that it lets come with them too, a dict's keys, else none."""
    if isinstance(proposal, BaseModel):
        return {*type(proposal).model_fields, *(proposal.model_extra or ())}
    if isinstance(proposal, dict):
        return {str(key) for key in proposal}
    return set()


def complete_answer(question: Any, answer: Answer, where: str = "the state") -> Answer:
    """`answer` with what follows from its kind and from the question, typed as the question says.

    Raises:
        CorruptStateError: `question`, which was kept `where`, is none.
        ValueError: the question does not offer that kind, or a field was changed that is not editable
            (`pydantic.ValidationError` where a model refuses the value).
    """
    if not isinstance(question, Question):
        raise CorruptStateError(f"{where} is damaged: what waits there is a {type(question).__name__} and no question")
    if answer.kind in ("approve", "edit", "respond", "reject") and answer.kind not in question.allowed_kinds:
        raise ValueError(f"{answer.kind!r} is not offered here; there are: {', '.join(question.allowed_kinds)}")
    proposal, response, edited = question.proposal, None, False
    if answer.kind == "edit" or (answer.kind == "expire" and answer.approved and answer.proposal is not None):
        proposal = _edited_proposal(question, answer.proposal)
        edited = proposal != question.proposal
    if answer.kind == "respond":
        if question.response_model is None:
            raise ValueError("nothing was asked for that a response could answer")
        response = as_model(question.response_model, answer.response)
    return answer.model_copy(update={"proposal": proposal, "response": response, "edited": edited})


def as_model(model: type[Model], value: Any) -> Model:
    """`value` as an instance of `model`: it is one, or it is validated into one as Python values or as JSON.

    Raises:
        pydantic.ValidationError: it is neither.
    """
    if isinstance(value, model):
        return value
    try:
        return model.model_validate(value)
    except ValidationError as error:
        # A strict model takes a date as text from JSON, which has no other way to write one, and from nowhere else.
        text = _json_of(value)
        if text is None:
            raise
        try:
            return model.model_validate_json(text)
        except ValidationError as as_json:
            raise min(error, as_json, key=ValidationError.error_count) from None


def _json_of(value: Any) -> str | None:
    """The JSON text of a value that could have come out of one, else `None`."""
    try:
        text = json.dumps(value)
        return text if json.loads(text) == value else None
    except (TypeError, ValueError, RecursionError):
        return None


def _edited_proposal(question: Question, edited: Any) -> Any:
    before = question.proposal
    if edited is None:
        raise ValueError("an edit brings the edited proposal")
    if isinstance(before, BaseModel):
        edited = as_model(type(before), edited)
    for kind, name in ((dict, "mapping"), (list, "list")):
        if isinstance(before, kind) and not isinstance(edited, kind):
            raise ValueError(f"the proposal is a {name}, which {edited!r:.80} is not")
    if question.editable is True or edited == before:
        return edited
    changed = {
        name
        for name in proposal_fields(before) | proposal_fields(edited)
        if _field(before, name) != _field(edited, name)
    }
    fixed = sorted(changed - set(question.editable or ()))
    if fixed or not changed:
        raise ValueError(f"not editable: {', '.join(fixed) or 'the proposal'}")
    return edited


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)
