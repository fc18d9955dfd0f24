"""The form of a rule that decides: its conditions row by row."""

import json
import re
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone

from recovery import pipelines
from recovery.admin.rows import Rows
from recovery.errors import InvalidInput
from recovery.models import AutoRule
from recovery.services.conditions import WORDS, read_conditions
from recovery.services.rules import TERMS

_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})", re.ASCII)
_LITERALS = {"true": True, "false": False, "null": None}
LASTS = timedelta(days=30)


class Conditions(forms.Field):
    """Rows of a path, how to compare, and a value: a text or number as it stands, `true`, `false`, `null`, a text in
    quotes; for "is one of" several with commas between."""

    def __init__(self, **options: Any) -> None:
        columns = {
            "path": forms.TextInput(attrs={"placeholder": "amount", "aria-label": "Argument", "class": "vTextField"}),
            "is": forms.Select(choices=list(WORDS.items()), attrs={"aria-label": "Comparison"}),
            "value": forms.TextInput(attrs={"placeholder": "100", "aria-label": "Value", "class": "vTextField"}),
        }
        super().__init__(widget=Rows(columns), required=False, **options)

    def to_python(self, value: Any) -> list[dict[str, Any]]:
        rows = [
            {"path": row["path"].strip(), "is": row["is"], "value": _read(row["is"], row["value"].strip())}
            for row in value or []
        ]
        try:
            read_conditions(rows)
        except InvalidInput as invalid:
            raise forms.ValidationError(invalid.errors["conditions"]) from invalid
        return rows


class RuleForm(forms.ModelForm):
    pipeline = forms.ChoiceField()
    conditions = Conditions(
        help_text="All of them have to hold of the arguments of the proposal. A dot leads into a value, a number to a "
        "place in a list: items.0.price. “matches” takes a regular expression for the whole text. "
        "Save and go on editing for more rows."
    )

    class Meta:
        model = AutoRule
        fields = TERMS
        labels = {"max_risk": "Up to risk", "max_uses": "Decides at most"}
        help_texts = {
            "action": "Empty: every action of the pipeline.",
            "max_risk": "Requests of a higher risk are left to people.",
            "comment": "Kept with each decision.",
            "max_uses": "So many decisions, then it is over.",
        }
        widgets = {"comment": forms.Textarea(attrs={"rows": 3})}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "max_uses" not in self.fields:
            return  # To somebody who may only look, nothing of it is a field.
        names = [(one.name, one.title) for one in pipelines.all_pipelines()]
        if self.instance.pipeline and self.instance.pipeline not in dict(names):
            names.append((self.instance.pipeline, f"{self.instance.pipeline} (gone)"))
        fields: dict[str, Any] = self.fields
        fields["pipeline"].choices = [("", "–"), *names]
        fields["max_uses"].min_value = 1
        for name in ("starts_at", "ends_at"):
            # Django writes "Date:" and "Time:" beside them, but not as their labels.
            for part, word in zip(getattr(fields[name].widget, "widgets", ()), ("date", "time"), strict=False):
                part.attrs["aria-label"] = f"{fields[name].label}, {word}"
        if isinstance(self.instance.conditions, list):
            self.initial["conditions"] = [
                {**row, "value": _written(row.get("is", ""), row.get("value"))}
                for row in self.instance.conditions
                if isinstance(row, dict)
            ]
        if not self.instance.pk:
            now = timezone.localtime().replace(second=0, microsecond=0)
            self.initial = {"starts_at": now, "ends_at": now + LASTS, **self.initial}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        starts_at, ends_at = cleaned.get("starts_at"), cleaned.get("ends_at")
        if starts_at and ends_at and ends_at <= starts_at:
            self.add_error("ends_at", "It ends before it begins.")
        max_uses = cleaned.get("max_uses")
        if max_uses is not None and max_uses < max(self.instance.uses, 1):
            words = f"It was used {self.instance.uses}× already." if self.instance.uses else "At least 1."
            self.add_error("max_uses", words)
        return cleaned


def _read(operator: str, text: str) -> Any:
    """What somebody wrote."""
    if operator == "matches":
        return text
    if operator != "one_of":
        return _literal(text)
    if text.startswith("["):
        with suppress(ValueError):
            return json.loads(text)
    return [_literal(part.strip()) for part in text.split(",") if part.strip()]


def _literal(text: str) -> Any:
    if text in _LITERALS:
        return _LITERALS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if text.startswith('"'):
        with suppress(ValueError):
            return json.loads(text)
    return text


def _written(operator: str, value: Any) -> str:
    """What somebody would write for it."""
    if operator == "one_of" and isinstance(value, list):
        if any("," in one for one in value if isinstance(one, str)):
            return json.dumps(value, ensure_ascii=False)
        return ", ".join(_written("", one) for one in value)
    if isinstance(value, str) and (operator == "matches" or _read("", value) == value):
        return value
    return json.dumps(value, ensure_ascii=False)
