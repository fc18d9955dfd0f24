"""Requests, what was decided about them, and the jobs that carry it on: to look at. Only services write them."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils.safestring import SafeString

from recovery.admin.filters import OpenFilter, PipelineFilter
from recovery.admin.reading import ReadOnlyAdmin, link, plain_text, preformatted, rows_of
from recovery.models import ApprovalRequest, Decision, ProposalVersion, Resolution, Resumption

_HEAVY = ("question", "message", "args_schema", "response_schema", "policy")


@admin.register(ApprovalRequest)
class RequestAdmin(ReadOnlyAdmin):
    list_display = ("title", "pipeline", "risk", "outcome", "opened_at", "due_at")
    list_filter = (OpenFilter, "risk", PipelineFilter, "effect", "opened_at", "resolved_at")
    ordering = ("-opened_at", "-id")
    id_columns = ("id", "state_id")
    search_columns = ("title", "action")
    search_help_text = "An id of a request or state (or its first eight digits), or a part of a title or action."
    fieldsets = (
        (None, {"fields": ("id", "page", "run", "title", "message", "reason", "action", "effect", "risk", "priority")}),
        ("Where", {"fields": ("address", "generation", "checkpoint", "checkpoint_digest", "is_manual")}),
        ("Time", {"fields": ("opened_at", "due_at", "expires_at", "resolved_at", "outcome")}),
        ("People", {"fields": ("requested_by", "self_approval", "holder", "held_since")}),
        ("Run", {"fields": ("pipeline", "pipeline_version", "on_reject", "on_expire", "group", "group_policy")}),
        ("Schemas", {"fields": ("arguments", "response"), "classes": ("collapse",)}),
        ("Record", {"fields": ("versions", "decisions", "resolutions")}),
    )

    def get_queryset(self, request: Any) -> QuerySet[ApprovalRequest]:
        return super().get_queryset(request).defer(*_HEAVY)

    def view_on_site(self, obj: ApprovalRequest) -> str:
        return reverse("recovery:request", args=[obj.pk])

    @admin.display(description="page")
    def page(self, obj: ApprovalRequest) -> SafeString:
        return link("Open in the dashboard", "recovery:request", obj.pk)

    @admin.display(description="state")
    def run(self, obj: ApprovalRequest) -> SafeString:
        return link(obj.state_id, "admin:recovery_state_change", obj.state_id)

    @admin.display(description="schema of the proposal")
    def arguments(self, obj: ApprovalRequest) -> SafeString:
        return _indented(obj.args_schema)

    @admin.display(description="schema of the response")
    def response(self, obj: ApprovalRequest) -> SafeString:
        return _indented(obj.response_schema)

    @admin.display(description="versions of the proposal")
    def versions(self, obj: ApprovalRequest) -> SafeString:
        return rows_of(obj.versions.count(), "proposalversion", request__id__exact=obj.pk)

    @admin.display(description="decisions")
    def decisions(self, obj: ApprovalRequest) -> SafeString:
        return rows_of(obj.decisions.count(), "decision", request__id__exact=obj.pk)

    @admin.display(description="resolutions")
    def resolutions(self, obj: ApprovalRequest) -> SafeString:
        return rows_of(obj.resolutions.count(), "resolution", request__id__exact=obj.pk)


class OfRequestAdmin(ReadOnlyAdmin):
    """Rows that belong to a request, with its title and a link to it."""

    list_select_related = ("request",)
    ordering = ("-id",)
    id_columns = ("request_id",)
    heavy: tuple[str, ...] = ()

    def get_queryset(self, request: Any) -> QuerySet:
        return super().get_queryset(request).defer(*self.heavy, *(f"request__{name}" for name in _HEAVY))

    @admin.display(description="request")
    def asked(self, obj: Any) -> SafeString:
        return link(obj.request.title, "admin:recovery_approvalrequest_change", obj.request_id)

    @admin.display(description="value")
    def value(self, obj: Model) -> SafeString:
        return plain_text(getattr(obj, self.heavy[0]))


@admin.register(ProposalVersion)
class ProposalVersionAdmin(OfRequestAdmin):
    list_display = ("__str__", "asked", "by_name", "created_at")
    list_filter = ("created_at",)
    search_columns = ("digest", "by_name", "request__title")
    search_help_text = "The id or a part of the title of a request, a digest, or who wrote the version."
    fields = ("asked", "number", "value", "digest", "by", "by_name", "created_at")
    heavy = ("args",)


@admin.register(Decision)
class DecisionAdmin(OfRequestAdmin):
    list_display = ("kind", "asked", "actor_name", "channel", "refusal", "version", "created_at")
    list_filter = ("created_at",)
    search_columns = ("actor_name", "kind", "refusal", "request__title")
    search_help_text = "The id or a part of the title of a request, a person, a kind, or the reason of a refusal."
    fields = (
        "asked",
        "kind",
        "actor",
        "actor_name",
        "actor_kind",
        "channel",
        "version",
        "value",
        "comment",
        "refusal",
        "idempotency_key",
        "created_at",
    )
    heavy = ("payload",)


@admin.register(Resolution)
class ResolutionAdmin(OfRequestAdmin):
    list_display = ("outcome", "asked", "version", "created_at", "undone_at")
    list_filter = ("created_at",)
    search_columns = ("outcome", "digest", "request__title")
    search_help_text = "The id or a part of the title of a request, an outcome, or a digest."
    fields = ("asked", "outcome", "decision", "version", "digest", "value", "created_at", "undone_at")
    heavy = ("answer",)


@admin.register(Resumption)
class ResumptionAdmin(ReadOnlyAdmin):
    list_display = ("kind", "status", "run", "attempts", "not_before", "started_at", "finished_at", "created_at")
    list_filter = ("status", "kind", "created_at")
    ordering = ("-id",)
    id_columns = ("state_id",)
    search_columns = ("last_error",)
    search_help_text = "The id of a state, or a part of an error."
    fields = (
        "kind",
        "status",
        "run",
        "resolution",
        "not_before",
        "created_at",
        "started_at",
        "finished_at",
        "fence",
        "attempts",
        "error",
        "dismissed_at",
    )

    def get_queryset(self, request: Any) -> QuerySet[Resumption]:
        return super().get_queryset(request).defer("last_error")

    def view_on_site(self, obj: Resumption) -> str:
        return reverse("recovery:state", args=[obj.state_id])

    @admin.display(description="state")
    def run(self, obj: Resumption) -> SafeString:
        return link(obj.state_id, "admin:recovery_state_change", obj.state_id)

    @admin.display(description="last error")
    def error(self, obj: Resumption) -> SafeString:
        return preformatted(obj.last_error)


def _indented(schema: str) -> SafeString:
    return preformatted(json.dumps(json.loads(schema), indent=2)) if schema else SafeString("")
