"""Artifacts and the audit: to look at."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from recovery.admin.filters import ActionFilter, ActorFilter
from recovery.admin.reading import ReadOnlyAdmin, link, preformatted
from recovery.models import Artifact, ArtifactRef, AuditEntry, Event, StorageEntry

USERS_AT_MOST = 20


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "media_type", "codec", "size", "created_at", "last_saved_at")
    list_filter = ("codec", "created_at")
    # By the primary key: no other order is quick here.
    ordering = ("id",)
    search_columns = ("id",)
    search_help_text = "How the id begins."
    fields = ("id", "used_by", "media_type", "codec", "size", "sha256", "file_name", "created_at", "last_saved_at")

    def get_queryset(self, request: Any) -> QuerySet[Artifact]:
        return super().get_queryset(request).defer("inline")

    def search(self, text: str) -> Q:
        return Q(id__startswith=text)

    @admin.display(description="used by")
    def used_by(self, obj: Artifact) -> SafeString:
        """Some of the states that refer to it."""
        rows = (
            ArtifactRef.objects.filter(artifact_id=obj.pk),
            StorageEntry.objects.filter(artifact=obj.pk),
            Event.objects.filter(result_artifact=obj.pk),
        )
        ids = [pk for found in rows for pk in found.values_list("state_id", flat=True).distinct()[:USERS_AT_MOST]]
        links = [(link(pk, "admin:recovery_state_change", pk),) for pk in dict.fromkeys(ids)]
        return format_html_join(", ", "{}", links[:USERS_AT_MOST]) or SafeString("no state")


@admin.register(AuditEntry)
class AuditAdmin(ReadOnlyAdmin):
    list_display = ("number", "at", "action", "actor", "channel", "state_id", "request_id")
    list_filter = (ActionFilter, ActorFilter, "at")
    ordering = ("-number",)
    id_columns = ("state_id", "request_id")
    search_columns = ("action", "actor", "detail")
    search_help_text = "The id of a state or request (or its first eight digits), or a part of what the entry says."
    fields = (
        "number",
        "at",
        "action",
        "actor",
        "actor_kind",
        "channel",
        "state_id",
        "request_id",
        "says",
        "previous_hash",
        "hash",
    )

    @admin.display(description="detail")
    def says(self, obj: AuditEntry) -> SafeString:
        return preformatted(json.dumps(json.loads(obj.detail or "{}"), indent=2, ensure_ascii=False))
