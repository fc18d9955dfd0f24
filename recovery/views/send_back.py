"""Sending a run back, as a person enters it: to which step, what should be different, and maybe with another input."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext

from recovery.forms import ModelForm, form_for
from recovery.views.asked import Asked

INPUTS = "inputs"


class SendBack:
    """The panel, blank or with what was sent. `inputs` is the typed form of what the run was started with; what is
    not changed there is not sent along."""

    def __init__(self, asked: Asked, data: Mapping[str, Any] | None, *, inputs_data: Mapping[str, Any] | None) -> None:
        self.targets = asked.targets
        self.is_required = "request_changes" in asked.comment_required
        choice = asked.choice("request_changes")
        self.label = (choice.label if choice else "") or gettext("Request changes")
        self.reasons = choice.reasons if choice else []
        self.to = str(data.get("to", "")) if data else ""
        self.reason = str(data.get("back_reason", "")) if data else ""
        self.instructions = str(data.get("instructions", "")) if data else ""
        self.errors: dict[str, list[str]] = {}
        given = asked.run_input if self.targets else None
        self.inputs: ModelForm[Any] | None = None
        if given is not None:
            self.inputs = form_for(given, prefix=INPUTS, data=inputs_data)

    @property
    def changed_inputs(self) -> Any:
        """The other input for the run, `None` where it keeps its own. Only for what is valid."""
        return self.inputs.value if self.inputs is not None and self.inputs.is_edited else None

    @property
    def has_touched_inputs(self) -> bool:
        """Whether something was done to the input: then it is shown."""
        form = self.inputs
        return form is not None and (bool(form.action) or form.is_edited or bool(form.errors))
