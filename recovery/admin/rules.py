"""Rules that decide by themselves: written, looked at before they are saved, and revoked."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.safestring import SafeString

from recovery.admin.reading import WrittenAdmin, rows_of
from recovery.admin.rule_form import RuleForm
from recovery.errors import InvalidInput
from recovery.models import AutoRule
from recovery.services.rules import PREVIEW_AT_MOST, delete_unused_rule, preview, revoke_rule, save_rule


@admin.register(AutoRule)
class RuleAdmin(WrittenAdmin):
    form = RuleForm
    list_display = ("name", "pipeline", "kind", "standing", "used", "ends_at", "created_by")
    list_select_related = ("created_by",)
    list_filter = ("kind", "revoked_at")
    ordering = ("pipeline", "name", "pk")
    search_columns = ("name", "pipeline", "action")
    search_help_text = "A part of a name, pipeline or action."
    actions = ("revoke",)
    _state = ("standing", "used", "matches_now", "decisions", "created_by", "created_at", "revoked_at", "revoked_by")
    readonly_fields = _state

    def get_fieldsets(self, request: Any, obj: AutoRule | None = None) -> list[Any]:
        written = [
            (None, {"fields": ("name", "kind", "comment")}),
            ("What it decides", {"fields": ("pipeline", "action", "max_risk", "conditions")}),
            ("For how long", {"fields": ("starts_at", "ends_at", "max_uses")}),
        ]
        return written if obj is None else [*written, ("How it stands", {"fields": self._state})]

    def has_change_permission(self, request: Any, obj: AutoRule | None = None) -> bool:
        # What is over stays as it was.
        is_over = obj is not None and obj.revoked_at is not None
        return not is_over and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: Any, obj: AutoRule | None = None) -> bool:
        has_decided = obj is not None and obj.uses > 0
        return not has_decided and super().has_delete_permission(request, obj)

    # ---- How it stands ----

    @admin.display(description="standing")
    def standing(self, rule: AutoRule) -> str:
        now = timezone.now()
        if rule.revoked_at is not None:
            return "revoked"
        if rule.ends_at <= now:
            return "over"
        if rule.uses >= rule.max_uses:
            return "used up"
        return "active" if rule.starts_at <= now else "to come"

    @admin.display(description="uses")
    def used(self, rule: AutoRule) -> str:
        return f"{rule.uses:,} of {rule.max_uses:,}"

    @admin.display(description="decisions")
    def decisions(self, rule: AutoRule) -> SafeString:
        return rows_of(rule.decisions.count(), "decision", rule__id__exact=rule.pk)

    @admin.display(description="would match now")
    def matches_now(self, rule: AutoRule) -> str:
        return _preview_words(rule)

    # ---- Writing ----

    def changeform_view(
        self, request: Any, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """Before it is saved, a rule can be looked at: how many of the open requests it would match."""
        if request.method == "POST" and "_preview" in request.POST:
            return self._previewed(request, object_id, form_url)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _previewed(self, request: Any, object_id: str | None, form_url: str) -> Any:
        rule = self.get_object(request, object_id) if object_id else None
        may = self.has_change_permission(request, rule) if rule else self.has_add_permission(request)
        if not may or (object_id and rule is None):
            # As if it had been saved: refused in the same words.
            return super().changeform_view(request, object_id, form_url)
        form = self.get_form(request, rule, change=rule is not None)(request.POST, instance=rule)
        if form.is_valid():
            form.instance.created_by = request.user
            self.message_user(request, f"Nothing is saved yet. {_preview_words(form.instance)}", messages.INFO)
        fieldsets = self.get_fieldsets(request, rule)
        drawn = helpers.AdminForm(form, fieldsets, {}, self.get_readonly_fields(request, rule), model_admin=self)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Change {self.opts.verbose_name}" if rule else f"Add {self.opts.verbose_name}",
            "subtitle": str(rule) if rule else None,
            "adminform": drawn,
            "object_id": object_id,
            "original": rule,
            "is_popup": False,
            "to_field": None,
            "media": self.media + drawn.media,
            "inline_admin_formsets": [],
            "errors": helpers.AdminErrorList(form, []),
            "preserved_filters": self.get_preserved_filters(request),
        }
        return self.render_change_form(
            request, context, add=rule is None, change=rule is not None, obj=rule, form_url=form_url
        )

    def save_model(self, request: Any, obj: AutoRule, form: Any, change: bool) -> None:
        try:
            save_rule(obj, by=request.user)
        except InvalidInput as invalid:  # It was used while the form was open.
            self.message_user(request, f"Nothing was changed. {invalid}", messages.ERROR)

    # ---- Ending ----

    def has_revoke_permission(self, request: Any) -> bool:
        return bool(request.user.has_perm("recovery.change_autorule"))

    @admin.action(description="Revoke the chosen rules", permissions=["revoke"])
    def revoke(self, request: Any, queryset: QuerySet[AutoRule]) -> None:
        revoked = sum(revoke_rule(rule, by=request.user) for rule in queryset)
        self.message_user(request, f"{revoked} {'rule' if revoked == 1 else 'rules'} revoked.", messages.SUCCESS)

    def delete_model(self, request: Any, obj: AutoRule) -> None:
        if not delete_unused_rule(obj, by=request.user):
            self.message_user(request, "It has decided something meanwhile, and stays.", messages.ERROR)


def _preview_words(rule: AutoRule) -> str:
    try:
        matched, looked_at = preview(rule)
    except InvalidInput as invalid:
        return str(invalid)
    of_all = f"the newest {looked_at}" if looked_at == PREVIEW_AT_MOST else str(looked_at)
    words = f"It would match {matched} of {of_all} open requests of its pipeline now"
    return f"{words}; it decides only those that are opened from now on."
