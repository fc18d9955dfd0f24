"""Policies of pipelines: written by a form, with what applies in the end and whether anybody can meet it."""

import logging
from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from recovery.admin.policy_form import HOW, WHEN, WHO, PolicyForm
from recovery.admin.reading import WrittenAdmin
from recovery.models import PipelinePolicy
from recovery.rendering.policy import LABELS, words_of
from recovery.services.policies import why_cannot_be_met
from recovery.services.write_policy import delete_policy, layers_of, merge, save_policy, tighten_open
from rh_agents.core.policy import Policy

logger = logging.getLogger(__name__)


@admin.register(PipelinePolicy)
class PolicyAdmin(WrittenAdmin):
    form = PolicyForm
    list_display = ("__str__", "says", "changed_by", "changed_at")
    list_select_related = ("changed_by",)
    ordering = ("pipeline",)
    readonly_fields = ("says", "applies", "changed_by", "changed_at")

    def get_fieldsets(self, request: Any, obj: Any = None) -> list[Any]:
        if obj is not None and not self.has_change_permission(request, obj):
            return [(None, {"fields": ("pipeline", "says", "applies", "note", "changed_by", "changed_at")})]
        written = [
            (None, {"fields": ("pipeline", "note")}),
            ("Who decides", {"fields": WHO}),
            ("How many, and how", {"fields": HOW}),
            ("When nobody decides", {"fields": WHEN}),
        ]
        if obj is None:
            return written
        return [("What applies", {"fields": ("applies", "changed_by", "changed_at")}), *written]

    @admin.display(description="says")
    def says(self, obj: PipelinePolicy) -> str:
        return "; ".join(f"{LABELS[name]}: {words_of(name, value)}" for name, value in obj.policy.given().items())

    @admin.display(description="in the end")
    def applies(self, obj: PipelinePolicy) -> SafeString:
        """Every rule, and who says it."""
        layers = layers_of(obj.pipeline)
        merged = merge(layers)
        rows = ((LABELS[name], words_of(name, getattr(merged, name)), who) for name, who in _who_says(layers))
        table = format_html_join("", "<tr><th scope=row>{}</th><td>{}</td><td>{}</td></tr>", rows)
        return format_html("{}<table class=applies><tbody>{}</tbody></table>", _warning(merged), table)

    def save_model(self, request: Any, obj: PipelinePolicy, form: Any, change: bool) -> None:
        save_policy(obj, by=request.user)
        # After the commit, so that no locks of many requests are held at once.
        transaction.on_commit(lambda: self._tighten(request, obj))

    def delete_model(self, request: Any, obj: PipelinePolicy) -> None:
        delete_policy(obj, by=request.user)

    def _tighten(self, request: Any, obj: PipelinePolicy) -> None:
        try:
            changed = tighten_open(obj.pipeline, by=request.user)
        except Exception:  # it is saved; what is open can be made stricter again by saving it once more
            logger.exception("open requests were not tightened by the policy of %s", obj)
            words = "The policy holds for new requests. Not all open ones could be made stricter: save it once more."
            self.message_user(request, words, messages.ERROR)
            return
        if changed:
            noun = "request" if changed == 1 else "requests"
            self.message_user(request, f"{changed} open {noun} became stricter.", messages.INFO)
        if words := _why_not_met(merge(layers_of(obj.pipeline))):
            self.message_user(request, words, messages.WARNING)


def _who_says(layers: list[tuple[str, Policy]]) -> Iterator[tuple[str, str]]:
    for name in Policy.model_fields:
        yield name, next((who for who, policy in layers if name in policy.given()), "default")


def _why_not_met(policy: Policy) -> str:
    """What is wrong with it as things are: nobody can meet it, or it names what is not there."""
    groups = {*policy.groups, *policy.from_groups, *policy.escalate_to}
    missing = sorted(groups.difference(Group.objects.filter(name__in=groups).values_list("name", flat=True)))
    reason = why_cannot_be_met(policy)
    return " ".join(
        [
            *([f"Nobody can satisfy this policy now: {reason}"] if reason else []),
            *(f"There is no group {name}." for name in missing),
        ]
    )


def _warning(policy: Policy) -> SafeString:
    words = _why_not_met(policy)
    return format_html('<p class="warning">{}</p>', words) if words else SafeString("")
