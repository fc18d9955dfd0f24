"""States in the admin: filtered, searched, looked at and deleted. Nobody sets a status by hand."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected as confirm_and_delete
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recovery.admin.filters import CreatedFilter, PipelineFilter, TagFilter
from recovery.admin.reading import ReadOnlyAdmin, link, preformatted, rows_of
from recovery.errors import StateHeld
from recovery.models import AuditEntry, Checkpoint, State, Tag
from recovery.rendering.plain import shortened
from recovery.services.delete_states import PREVIEW_AT_MOST, delete_states, held_states, preview

_WORDS_AT_MOST = 80


@admin.register(State)
class StateAdmin(ReadOnlyAdmin):
    # A page is what can be deleted at once.
    list_per_page = PREVIEW_AT_MOST
    list_max_show_all = PREVIEW_AT_MOST
    # So many fit beside the filters at 1280 pixels; the rest stands on the page of a state.
    list_display = ("about", "status", "pipeline", "all_tags", "updated_at")
    list_filter = ("status", PipelineFilter, TagFilter, "updated_at", ("created_at", CreatedFilter))
    ordering = ("-updated_at", "-id")
    sortable_by = ("updated_at",)
    id_columns = ("id",)
    search_columns = ("description",)
    search_help_text = "An id (or its first eight digits), or a part of a description or tag."
    actions = ("delete_selected",)
    fieldsets = (
        (None, {"fields": ("id", "page", "status", "pipeline", "pipeline_version", "description", "all_tags")}),
        ("Time", {"fields": ("created_at", "updated_at", "started_by", "held_by")}),
        ("Lineage", {"fields": ("parent", "forked_from_address", "schema_version")}),
        ("Holds", {"fields": ("steps", "checkpoints", "storage", "artifacts", "requests", "jobs", "audit")}),
        ("Failure", {"fields": ("failure",)}),
    )

    def get_queryset(self, request: Any) -> QuerySet[State]:
        return cast(Any, super().get_queryset(request)).for_lists().defer("error")

    def search(self, text: str) -> Q:
        return super().search(text) | Q(pk__in=Tag.objects.filter(tag__icontains=text).values("state"))

    def view_on_site(self, obj: State) -> str:
        return reverse("recovery:state", args=[obj.pk])

    # ---- Columns ----

    @admin.display(description="state")
    def about(self, state: State) -> SafeString:
        words = shortened(state.description.strip().split("\n")[0], _WORDS_AT_MOST)
        return format_html("{} {}", state.short_id, words)

    @admin.display(description="tags", empty_value="")
    def all_tags(self, state: State) -> str:
        return ", ".join(tag.tag for tag in sorted(state.tags.all(), key=lambda tag: tag.pk))

    @admin.display(description="page")
    def page(self, state: State) -> SafeString:
        return link("Open in the dashboard", "recovery:state", state.pk)

    # ---- One state ----

    @admin.display(description="held by a worker")
    def held_by(self, state: State) -> str:
        return f"{state.lease_owner}, until {state.lease_until:%H:%M:%S}" if state.lease_until else "no"

    @admin.display(description="steps")
    def steps(self, state: State) -> SafeString:
        return self._of_newest(state, "event_count", "timeline")

    @admin.display(description="checkpoints")
    def checkpoints(self, state: State) -> SafeString:
        return link(f"{state.head:,}", "recovery:state", state.pk, tab="checkpoints")

    @admin.display(description="storage keys")
    def storage(self, state: State) -> SafeString:
        return self._of_newest(state, "storage_count", "storage")

    @admin.display(description="artifacts")
    def artifacts(self, state: State) -> SafeString:
        return self._of_newest(state, "artifact_count", "artifacts")

    @admin.display(description="requests")
    def requests(self, state: State) -> SafeString:
        return rows_of(state.requests.count(), "approvalrequest", state__id__exact=state.pk)

    @admin.display(description="jobs")
    def jobs(self, state: State) -> SafeString:
        return rows_of(state.resumptions.count(), "resumption", state__id__exact=state.pk)

    @admin.display(description="audit entries")
    def audit(self, state: State) -> SafeString:
        count = AuditEntry.objects.filter(state_id=state.pk).count()
        return rows_of(count, "auditentry", state_id__exact=state.pk)

    @admin.display(description="error")
    def failure(self, state: State) -> SafeString:
        return preformatted(state.error)

    def _of_newest(self, state: State, column: str, tab: str) -> SafeString:
        """The newest checkpoint has counted them."""
        newest = Checkpoint.objects.filter(state=state, number=state.head)
        count = newest.values_list(column, flat=True).first() or 0
        return link(f"{count:,}", "recovery:state", state.pk, tab=tab)

    # ---- Deleting ----

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return bool(request.user.has_perm("recovery.delete_state"))

    @admin.action(description="Delete the chosen states", permissions=["delete"])
    def delete_selected(self, request: Any, queryset: QuerySet[State]) -> Any:
        """Shows what goes; deletes when that is confirmed."""
        if len(_ids(queryset[: PREVIEW_AT_MOST + 1])) > PREVIEW_AT_MOST:
            words = f"At most {PREVIEW_AT_MOST} states are deleted at once, a page of them; nothing was deleted."
            self.message_user(request, words, messages.ERROR)
            return None
        try:
            return confirm_and_delete(self, request, queryset)
        except StateHeld as held:
            self.message_user(request, str(held), messages.ERROR)
            return None

    def delete_view(self, request: Any, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except StateHeld as held:
            self.message_user(request, str(held), messages.ERROR)
            return self.response_post_save_change(request, held.states[0])

    def get_deleted_objects(self, objs: Any, request: Any) -> tuple[list[Any], dict[str, int], set[Any], list[Any]]:
        """The states, and counts of what goes with them: a single one may have ten thousand steps."""
        states: Sequence[State] = list(objs)
        ids = [state.pk for state in states]
        going = preview(ids)
        links = [link(self.about(state), "admin:recovery_state_change", state.pk) for state in states]
        counts = {name.replace("_", " "): count for name, count in going._asdict().items()}
        lacking = set() if self.has_delete_permission(request) else {self.opts.verbose_name}
        return links, counts, lacking, [str(state) for state in held_states(ids)]

    def response_delete(self, request: Any, obj_display: str, obj_id: Any) -> Any:
        super().response_delete(request, obj_display, obj_id)  # Says it; but it leads to the list only who may change.
        return self.response_post_save_change(request, None)

    def log_deletions(self, request: Any, queryset: Any) -> list[Any]:
        """Nothing: the audit says it, and only when it has happened."""
        return []

    def delete_model(self, request: Any, obj: State) -> None:
        delete_states([obj.pk], by=request.user)

    def delete_queryset(self, request: Any, queryset: QuerySet[State]) -> None:
        delete_states(_ids(queryset), by=request.user)


def _ids(states: QuerySet[State]) -> list[UUID]:
    return list(states.values_list("pk", flat=True))
