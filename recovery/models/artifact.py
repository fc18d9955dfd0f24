"""Artifacts: large or binary values, kept once by content, and what refers to them."""

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.core.files.storage import storages
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from recovery.models.checkpoint import LogQuerySet
from recovery.models.state import State


class ArtifactQuerySet(models.QuerySet["Artifact"]):
    def at_rest(self) -> Self:
        """Those that nobody is about to refer to, if somebody ever did: saved once only, or not within the grace.

        Whoever refers to an artifact has saved it a moment before, in a transaction of its own.
        """
        since = timezone.now() - timedelta(seconds=settings.RECOVERY["ARTIFACT_GRACE_S"])
        return self.filter(Q(last_saved_at__lte=F("created_at")) | Q(last_saved_at__lte=since))


class Artifact(models.Model):
    """One value by its content: `codec` says how `payload` is read back, `sha256` is that of the payload.

    Small payloads stand in `inline`; larger ones are the file `file_name` of `STORAGES["artifacts"]`. Saving the same
    content again moves `last_saved_at` alone, which is then later than `created_at` whatever the clocks say: see
    `at_rest`.
    """

    id = models.CharField(primary_key=True, max_length=200)
    sha256 = models.CharField(max_length=64)
    media_type = models.CharField(max_length=200, blank=True)
    codec = models.CharField(max_length=16)
    size = models.PositiveBigIntegerField()
    inline = models.BinaryField(null=True, blank=True)
    file_name = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_saved_at = models.DateTimeField(default=timezone.now)

    objects = ArtifactQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="artifact_stored_once",
                condition=(Q(inline__isnull=False) & Q(file_name="")) | (Q(inline__isnull=True) & ~Q(file_name="")),
            ),
        ]

    def __str__(self) -> str:
        return self.id[:12]

    def read(self, at_most: int | None = None) -> bytes:
        """The payload, or its first `at_most` bytes.

        Raises:
            FileNotFoundError: the file is gone from the storage.
        """
        if self.inline is not None:
            payload = bytes(self.inline)
            return payload if at_most is None else payload[:at_most]
        with storages["artifacts"].open(self.file_name, "rb") as file:
            return file.read() if at_most is None else file.read(at_most)


class ArtifactRef(models.Model):
    """An artifact key of a state over some checkpoints. The artifact may live in another store, so it is no
    enforced foreign key."""

    state = models.ForeignKey(State, on_delete=models.CASCADE, related_name="artifact_refs", db_index=False)
    key = models.TextField()
    artifact = models.ForeignKey(Artifact, on_delete=models.DO_NOTHING, db_constraint=False, related_name="refs")
    media_type = models.CharField(max_length=200, blank=True)
    size = models.PositiveBigIntegerField(default=0)
    seq = models.PositiveBigIntegerField()
    owner = models.CharField(max_length=1000, blank=True)
    added_in = models.PositiveIntegerField()
    removed_in = models.PositiveIntegerField(null=True, blank=True)

    objects = LogQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["state", "added_in"], name="artifact_history")]
        constraints = [
            models.UniqueConstraint(
                fields=["state", "key"], name="artifact_key_once", condition=Q(removed_in__isnull=True)
            ),
            models.CheckConstraint(
                name="artifact_removed_later", condition=Q(removed_in__isnull=True) | Q(removed_in__gt=F("added_in"))
            ),
        ]

    def __str__(self) -> str:
        return self.key
