"""What a person enters on the page of a request, and the decision that it amounts to."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext

from recovery.errors import InvalidInput
from recovery.forms import Change, ModelForm, form_for
from recovery.forms.fields import Node
from recovery.rendering.call import CallLine, call_lines
from recovery.services import minor_acts
from recovery.views.asked import Asked
from recovery.views.send_back import INPUTS, SendBack

PROPOSAL = "proposal"
RESPONSE = "response"
# Each form of the page has a comment of its own.
COMMENT_FIELDS = {
    "approve": "comment",
    "edit": "comment",
    "respond": "answer-comment",
    "reject": "reject-comment",
    "request_changes": "instructions",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to correct: `target` is the id of the field, empty where none is to blame."""

    words: str
    target: str = ""


@dataclass
class Entered:
    """The forms of a request, blank or with what was sent. `problems` are what the service found beside them."""

    asked: Asked
    data: Mapping[str, Any] | None = None
    is_read_only: bool = False
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        data, asked = self.data, self.asked
        self.key = str(uuid.uuid4())
        self.seen_version = _number(data.get("seen_version")) if data else asked.current.number
        self.seen_digest = _text(data, "seen_digest") if data else asked.current.digest
        self.button = _text(data, "kind")
        self.needs_json = False
        # Each form is bound by what it sends: a rejection brings the proposal along, so that no edit is lost.
        self.proposal = self._proposal_form(_if_sent(data, PROPOSAL))
        self.response = self._response_form(_if_sent(data, RESPONSE))
        self.back = SendBack(asked, data, inputs_data=_if_sent(data, INPUTS))
        self.comment = _text(data, "comment")
        self.reason = _text(data, "reason")
        self.reject_comment = _text(data, "reject_comment")
        self.reject_reason = _text(data, "reject_reason")

    def _proposal_form(self, data: Mapping[str, Any] | None) -> ModelForm[Any] | None:
        asked = self.asked
        if asked.unreadable or not asked.has_proposal or asked.is_large:
            return None
        # Against the version that they saw: what they did not touch is no edit.
        initial = asked.proposal(self.seen_version)
        editable = False if self.is_read_only else asked.editable
        data = data if editable else None
        form = form_for(initial, prefix=PROPOSAL, editable=editable, data=data)
        if form.is_as_json:
            # As fields it stands again where nothing that was typed would be lost by it.
            fields = form_for(initial, prefix=PROPOSAL, editable=editable)
            self.needs_json = fields.is_too_large
            is_wanted = form.action == "view fields" and not form.changes and not self.needs_json
            fields.action = form.action
            return fields if is_wanted else form
        self.needs_json = form.is_too_large
        if form.action == "view json":
            return form.entered_as_json()
        if not self.needs_json:
            return form
        # What has more values than a page has room for fields is edited as text.
        return form_for(initial, prefix=PROPOSAL, editable=editable, data=data, as_json=True)

    def _response_form(self, data: Mapping[str, Any] | None) -> ModelForm[Any] | None:
        model = self.asked.response_model
        # An answer without any field is an answer in which all of them are missing.
        data = self.data if self.button == "respond" else data
        return ModelForm(model, prefix=RESPONSE, data=data) if model else None

    # ---- What it amounts to ----

    @property
    def form(self) -> ModelForm[Any] | None:
        """The form that the pressed button belongs to."""
        if self.button == "respond":
            return self.response
        if self.button == "request_changes":
            return self.back.inputs if self.back.inputs is not None and self.back.inputs.is_bound else None
        if self.button in ("approve", "edit") and self.proposal is not None and self.proposal.is_bound:
            return self.proposal
        return None

    @property
    def is_act(self) -> bool:
        """Whether rows were added or something was checked, and nothing is to be decided."""
        return not self.button or any(form.action for form in self._forms)

    @property
    def is_about_going_back(self) -> bool:
        """Whether what was pressed stands in the panel that sends the run back."""
        inputs = self.back.inputs
        return self.button == "request_changes" or (inputs is not None and bool(inputs.action))

    @property
    def _forms(self) -> list[ModelForm[Any]]:
        return [form for form in (self.proposal, self.response, self.back.inputs) if form is not None]

    def is_valid(self) -> bool:
        return self.form is None or self.form.is_valid()

    @property
    def kind(self) -> str:
        """One button approves: with edits it is `edit`."""
        if self.button not in ("approve", "edit"):
            return self.button
        wanted = "edit" if self.form is not None and self.form.is_edited else "approve"
        return wanted if wanted in self.asked.kinds else self.button

    def act(self) -> dict[str, Any]:
        """The arguments of `services.decide`. Only for what is valid.

        Raises:
            InvalidInput: it is something that no form of a decision sends.
        """
        kind = self.kind
        if kind in minor_acts.KINDS:
            raise InvalidInput(
                {
                    "kind": [
                        gettext("%(kind)s is not offered here; there are: %(kinds)s")
                        % {"kind": f"{kind!r}", "kinds": ", ".join(self.asked.kinds)}
                    ]
                }
            )
        is_back = kind == "request_changes"
        value = self.form.value if self.form is not None and not is_back else None
        if kind == "edit" and value is None:
            value = self.asked.proposal(self.seen_version)
        return {
            "kind": kind,
            "proposal": value if kind == "edit" else None,
            "response": value if kind == "respond" else None,
            "comment": self.whole_comment,
            "to": self.back.to if is_back else "",
            "inputs": self.back.changed_inputs if is_back else None,
            "seen_version": self.seen_version,
            "seen_digest": self.seen_digest[:64],
            "idempotency_key": key_of(self.button, self.data),
        }

    @property
    def whole_comment(self) -> str:
        """The canned reason that was chosen, then what was written."""
        said = {
            "reject": (self.reject_reason, self.reject_comment),
            "request_changes": (self.back.reason, self.back.instructions),
        }.get(self.button, (self.reason, self.comment))
        return "\n".join(part.strip() for part in said if part.strip())

    @property
    def changes(self) -> list[Change]:
        return self.proposal.changes if self.proposal is not None else []

    @property
    def answer(self) -> list[Change]:
        """What was entered as an answer."""
        return self.response.changes if self.response is not None else []

    # ---- What the page shows of it ----

    def refuse(self, errors: Mapping[str, list[str]]) -> None:
        """Put what the service found at the fields it names, and the rest into `problems`."""
        for path, messages in errors.items():
            head, _, inner = path.partition(".")
            form = {PROPOSAL: self.proposal, RESPONSE: self.response, INPUTS: self.back.inputs}.get(head)
            try:
                if form is None or not inner:
                    raise KeyError(path)
                form[inner].errors.extend(messages)
            except KeyError:
                target = {"comment": self.comment_field, "to": "send-back-to"}.get(head, "")
                if self.button == "request_changes":
                    self.back.errors.setdefault(target, []).extend(messages)
                self.problems.extend(Problem(message.removesuffix("."), target) for message in messages)

    @property
    def comment_field(self) -> str:
        """The id of the field that `comment` stands in."""
        has_response_alone = not self.button and self.response is not None and self.response.is_bound
        return COMMENT_FIELDS.get("respond" if has_response_alone else self.button, "comment")

    @property
    def to_correct(self) -> list[Problem]:
        """Everything that stands in the way, each with the field it is at."""
        if self.button:
            forms = [self.form] if self.form is not None else []
        else:
            forms = [form for form in self._forms if form.is_bound]
        nodes = [node for form in forms for node in form.invalid_fields if node.is_editable]
        fields = [Problem(node.full_label, node.id) for node in nodes]
        whole = [Problem(message.removesuffix(".")) for form in forms for message in form.non_field_errors]
        return [*fields, *whole, *self.problems]

    @property
    def first_field_id(self) -> str:
        """Where somebody begins who wants to edit; empty where nothing can be."""
        nodes = self.proposal.nodes if self.proposal is not None else ()
        return next((node.id for node in nodes if node.is_editable and node.control), "")

    @property
    def focus_id(self) -> str:
        """Where the focus goes on after a row came or went or a field was put back: what was pressed is gone."""
        form = next((form for form in self._forms if form.action), None)
        if form is None:
            return ""
        verb, _, path = form.action.partition(" ")
        if verb == "view":
            return self.first_field_id
        parent, _, key = path.rpartition(".")
        try:
            node = form[parent if verb in ("remove", "up", "down") else path]
        except KeyError:
            return ""
        rows = _rows_in(node)
        if not rows or verb not in ("add", "remove", "up", "down"):
            return node.id
        place = int(key) if verb != "add" and key.isdecimal() else len(rows)
        place += {"up": -1, "down": 1}.get(verb, 0)
        return rows[max(0, min(place, len(rows) - 1))].id

    def call(self) -> list[CallLine]:
        """What would run with what is entered, what differs from the run's own proposal marked."""
        asked = self.asked
        if asked.is_large:
            return []
        if self.proposal is None:
            value, errors = asked.proposal(), {}
        else:
            value, errors = self.proposal.draft, self.proposal.errors
        return call_lines(asked.request.action, value, initial=asked.first_proposal, errors=errors)


def key_of(kind: str, data: Mapping[str, Any] | None) -> str:
    """What makes sending a form twice the same as once. Its buttons are acts of their own."""
    key = _text(data, "idempotency_key")
    return f"{kind}:{key}"[:200] if key else ""


def _rows_in(node: Node) -> list[Node]:
    """Those of the list that it is or holds, if there are any."""
    return next((rows for one in node.walk() if (rows := getattr(one, "rows", None))), [])


def _if_sent(data: Mapping[str, Any] | None, prefix: str) -> Mapping[str, Any] | None:
    is_sent = data is not None and any(name.startswith((f"{prefix}.", f"{prefix}:")) or name == prefix for name in data)
    return data if is_sent else None


def _text(data: Mapping[str, Any] | None, name: str) -> str:
    return str(data.get(name, "")) if data else ""


def _number(text: Any) -> int:
    """0 for what is no version at all, which no proposal has."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 9 else 0
