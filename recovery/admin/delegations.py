"""Delegations for a time: to look at, and to end."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet

from recovery.admin.filters import PipelineFilter
from recovery.admin.reading import ReadOnlyAdmin
from recovery.models import Delegation
from recovery.services.delegations import REVOKE_ALL, NotRevocable, revoke


@admin.register(Delegation)
class DelegationAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "pipeline", "starts_at", "ends_at", "reason", "revoked_at")
    list_select_related = ("giver", "taker")
    list_filter = (PipelineFilter, "starts_at", "ends_at")
    ordering = ("-starts_at", "-pk")
    search_columns = ("giver__username", "taker__username", "reason")
    search_help_text = "A part of a user name or reason."
    fields = ("giver", "taker", "pipeline", "starts_at", "ends_at", "reason", "created_at", "created_by", "revoked_at")
    actions = ("revoke",)

    def has_revoke_permission(self, request: Any) -> bool:
        return bool(request.user.has_perm(REVOKE_ALL))

    @admin.action(description="Revoke the chosen delegations", permissions=["revoke"])
    def revoke(self, request: Any, queryset: QuerySet[Delegation]) -> None:
        """Those that are over are passed over."""
        revoked = 0
        for delegation in queryset:
            try:
                revoke(delegation.pk, by=request.user, channel="admin")
            except NotRevocable:
                continue
            revoked += 1
        noun = "delegation" if revoked == 1 else "delegations"
        self.message_user(request, f"{revoked} {noun} revoked.", messages.SUCCESS)
