"""The form of a policy: a field for each rule, each of which may be left open."""

from typing import Any

from django import forms
from django.contrib.auth.models import Group, Permission
from pydantic import ValidationError as Invalid

from recovery import pipelines
from recovery.admin.rows import Duration, GroupCounts
from recovery.models import PipelinePolicy
from recovery.permissions import DECIDE, holders_of
from recovery.rendering.policy import KINDS, LABELS, ON_EXPIRE, REJECT_BY
from recovery.services.write_policy import clashes
from rh_agents.core.policy import RISK_ORDER, Policy

NONE = "none"
_OPEN = ("", "left open")
_YES_NO = [_OPEN, ("yes", "yes"), ("no", "no")]

WHO = ("users", "groups", "permission", "self_approval")
HOW = ("needed", "from_groups", "reject_by", "comment_required", "bulk_up_to", "undo_window_s")
WHEN = ("expires_after_s", "on_expire", "remind_every_s", "escalate_after_s", "escalate_to")


def _choice(name: str, choices: list[tuple[str, str]], help_text: str = "") -> forms.ChoiceField:
    return forms.ChoiceField(label=LABELS[name], required=False, choices=choices, help_text=help_text)


def _several(name: str, help_text: str = "") -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=LABELS[name], required=False, widget=forms.CheckboxSelectMultiple, help_text=help_text
    )


def _duration(name: str, help_text: str = "") -> Duration:
    return Duration(label=LABELS[name], required=False, help_text=help_text or "As 90 s, 15 min, 2 h, 3 d.")


class PolicyForm(forms.ModelForm):
    """What is left open is left to the others who have a say: all pipelines, the pipeline's code, the defaults."""

    pipeline = forms.ChoiceField(required=False)
    users = _several("users", "Any of people, groups and permission makes a decider.")
    groups = _several("groups")
    permission = _choice("permission", [_OPEN])
    self_approval = _choice("self_approval", _YES_NO)
    needed = forms.IntegerField(
        label=LABELS["needed"], required=False, min_value=1, max_value=1000, help_text="So many different people."
    )
    from_groups = GroupCounts(
        label=LABELS["from_groups"],
        help_text="Each person is counted for one of them. Save and go on editing for more rows.",
    )
    reject_by = _choice("reject_by", [_OPEN, *REJECT_BY.items()])
    comment_required = forms.MultipleChoiceField(
        label=LABELS["comment_required"],
        required=False,
        choices=[*KINDS.items(), (NONE, "nothing does")],
        widget=forms.CheckboxSelectMultiple,
    )
    bulk_up_to = _choice("bulk_up_to", [_OPEN, *((risk, f"{risk} risk") for risk in RISK_ORDER)])
    undo_window_s = _duration("undo_window_s", "As 10 s or 5 min, at most an hour; 0 s is not at all.")
    expires_after_s = _duration("expires_after_s")
    on_expire = _choice("on_expire", [_OPEN, *ON_EXPIRE.items()])
    remind_every_s = _duration("remind_every_s", "From a minute on.")
    escalate_after_s = _duration("escalate_after_s")
    escalate_to = _several("escalate_to", "The groups that may decide from then on as well.")

    class Meta:
        model = PipelinePolicy
        fields = ("pipeline", "note")
        widgets = {"note": forms.Textarea(attrs={"rows": 3})}
        help_texts = {"note": "Why it is so, for those who come after you."}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        policy = self.instance.policy if self.instance.pk else Policy()
        self.initial.update({name: _initial(name, value) for name, value in policy.given().items()})
        fields: dict[str, Any] = self.fields
        names = [(one.name, one.title) for one in pipelines.all_pipelines()]
        fields["pipeline"].choices = [("", "All pipelines"), *_with_gone(names, [self.instance.pipeline])]
        people = holders_of(DECIDE).order_by("username").distinct()
        fields["users"].choices = _with_gone([(one.get_username(), _label(one)) for one in people], policy.users)
        groups = list(Group.objects.order_by("name").values_list("name", flat=True))
        for name, chosen in (("groups", policy.groups), ("escalate_to", policy.escalate_to)):
            fields[name].choices = _with_gone([(group, group) for group in groups], chosen)
        fields["from_groups"].choose_from([*groups, *sorted(set(policy.from_groups) - set(groups))])
        permissions = Permission.objects.select_related("content_type").order_by("content_type__app_label", "codename")
        named = [(f"{one.content_type.app_label}.{one.codename}", one.name) for one in permissions]
        fields["permission"].choices = [
            ("", "left open"),
            *_with_gone([(name, f"{words} ({name})") for name, words in named], [policy.permission]),
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if NONE in cleaned.get("comment_required", []) and len(cleaned["comment_required"]) > 1:
            self.add_error("comment_required", "Either some of them or nothing.")
        if self.errors:
            return cleaned
        rules = {name: _rule(name, value) for name in Policy.model_fields if _is_said(value := cleaned.get(name))}
        try:
            policy = Policy.model_validate(rules)
        except Invalid as error:
            for one in error.errors():
                name = str(one["loc"][0]) if one["loc"] else None
                self.add_error(name, one["msg"].removeprefix("Value error, "))
            return cleaned
        for clash in clashes(cleaned.get("pipeline", ""), policy):
            self.add_error(None, clash)
        self.instance.rules = rules
        return cleaned


def _is_said(value: Any) -> bool:
    return value is not None and value not in ("", [], {})


def _rule(name: str, value: Any) -> Any:
    """As it is stored, as JSON."""
    if name == "self_approval":
        return value == "yes"
    if name == "comment_required":
        return sorted(set(value) - {NONE})
    return sorted(value) if isinstance(value, list) else value


def _initial(name: str, value: Any) -> Any:
    if name == "self_approval":
        return "yes" if value else "no"
    if name == "comment_required":
        return sorted(value) or [NONE]
    return sorted(value) if isinstance(value, frozenset) else value


def _with_gone(choices: list[tuple[str, str]], chosen: Any) -> list[tuple[str, str]]:
    """Those, and what was chosen and is not there any more: to look at a policy must not change it."""
    known = {value for value, _ in choices}
    return [*choices, *((one, f"{one} (gone)") for one in sorted(chosen) if one and one not in known)]


def _label(person: Any) -> str:
    full = person.get_full_name()
    return f"{full} ({person.get_username()})" if full else person.get_username()
