"""The log of a state: what each checkpoint added and closed, so that any of them can be rebuilt.

A row of `Event`, `StorageEntry` or `ArtifactRef` belongs to checkpoint n when `added_in <= n` and it was not
removed at or before n: `removed_in` is empty or greater than n.
"""

from datetime import UTC, datetime
from typing import Self

from django.db import models
from django.db.models import F, Q

from recovery.models.state import State
from rh_agents.core.types import EventType, ExecutionStatus


class LogQuerySet(models.QuerySet):
    def current(self) -> Self:
        """What stands at the newest checkpoint."""
        return self.filter(removed_in__isnull=True)

    def at_checkpoint(self, number: int) -> Self:
        return self.filter(Q(removed_in__isnull=True) | Q(removed_in__gt=number), added_in__lte=number)


class Event(models.Model):
    """One attempt of one step. The content never changes; only `removed_in` is filled, once.

    `result` is the encoded value, or a reference to the artifact `result_artifact` when it is large; `size` is in
    bytes. `started_at` is seconds since the epoch, `duration_s` seconds. `wrote` is the JSON of what the step put
    into storage and artifacts, so that it can be undone. `overlapped`: a sibling of the same name ran beside it;
    `lanes`: which task called it.
    """

    class Kind(models.TextChoices):
        AGENT = EventType.AGENT_CALL.value, "Agent"
        TOOL = EventType.TOOL_CALL.value, "Tool"
        LLM = EventType.LLM_CALL.value, "Model"
        DECISION = EventType.DECISION.value, "Decision"

    # The history is read by it, so a step writes two indexes instead of four.
    pk = models.CompositePrimaryKey("state_id", "position", "added_in")
    state = models.ForeignKey(State, on_delete=models.CASCADE, related_name="events", db_index=False)
    position = models.PositiveBigIntegerField()
    address = models.CharField(max_length=1000)
    generation = models.PositiveIntegerField(default=1)
    attempt = models.PositiveIntegerField(default=1)
    status = models.CharField(max_length=16)
    actor = models.CharField(max_length=1000, blank=True)
    event_type = models.CharField(max_length=16)
    started_at = models.FloatField(default=0)
    duration_s = models.FloatField(default=0)
    fingerprint = models.CharField(max_length=64, blank=True)
    result = models.TextField(null=True, blank=True)  # noqa: DJ001  no result is not an empty one
    result_artifact = models.CharField(max_length=200, blank=True)
    size = models.PositiveIntegerField(default=0)
    error_type = models.CharField(max_length=300, blank=True)
    error_message = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    wrote = models.TextField(blank=True)
    overlapped = models.BooleanField(default=False)
    lanes = models.TextField(blank=True)
    added_in = models.PositiveIntegerField()
    removed_in = models.PositiveIntegerField(null=True, blank=True)

    objects = LogQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["result_artifact"], name="event_artifact", condition=~Q(result_artifact="")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["state", "address", "attempt"], name="event_attempt_once", condition=Q(removed_in__isnull=True)
            ),
            models.CheckConstraint(
                name="event_removed_later", condition=Q(removed_in__isnull=True) | Q(removed_in__gt=F("added_in"))
            ),
        ]

    def __str__(self) -> str:
        return self.address

    @property
    def started(self) -> datetime:
        return datetime.fromtimestamp(self.started_at, UTC)

    @property
    def is_failed(self) -> bool:
        return self.status == ExecutionStatus.FAILED


class StorageEntry(models.Model):
    """A storage key's value over some checkpoints. `owner` is the address of the step that wrote it."""

    state = models.ForeignKey(State, on_delete=models.CASCADE, related_name="storage_entries", db_index=False)
    key = models.TextField()
    text = models.TextField()
    artifact = models.CharField(max_length=200, blank=True)
    seq = models.PositiveBigIntegerField()
    owner = models.CharField(max_length=1000, blank=True)
    added_in = models.PositiveIntegerField()
    removed_in = models.PositiveIntegerField(null=True, blank=True)

    objects = LogQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "storage entries"
        indexes = [
            models.Index(fields=["state", "added_in"], name="storage_history"),
            models.Index(fields=["artifact"], name="storage_artifact", condition=~Q(artifact="")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["state", "key"], name="storage_key_once", condition=Q(removed_in__isnull=True)
            ),
            models.CheckConstraint(
                name="storage_removed_later", condition=Q(removed_in__isnull=True) | Q(removed_in__gt=F("added_in"))
            ),
        ]

    def __str__(self) -> str:
        return self.key


class Checkpoint(models.Model):
    """One save. Immutable. `metadata` is JSON, empty where it is the same as in the checkpoint before.

    `digest` is H(digest of the one before, the changes): it names everything up to here. `extra` is JSON of
    what is rare: `generations` and the resolution of a manual pause. `author` is who or what saved it.
    """

    pk = models.CompositePrimaryKey("state_id", "number")
    state = models.ForeignKey(State, on_delete=models.CASCADE, related_name="checkpoints", db_index=False)
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=16, choices=State.Status)
    metadata = models.TextField(blank=True)
    extra = models.TextField(blank=True)
    author = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField()
    clock = models.PositiveBigIntegerField(default=0)
    event_count = models.PositiveIntegerField(default=0)
    storage_count = models.PositiveIntegerField(default=0)
    artifact_count = models.PositiveIntegerField(default=0)
    digest = models.BinaryField(max_length=32)

    def __str__(self) -> str:
        return f"checkpoint {self.number}"
