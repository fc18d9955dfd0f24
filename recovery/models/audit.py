"""The audit: who did what, hash-chained, append-only. It outlives the states it speaks of."""

from django.db import models

from recovery.models.texts import PlainlyRefused


class AuditEntry(PlainlyRefused):
    """One act. `hash` is that of this entry's content and of the entry before; no foreign keys, so that deleting
    a state or a user changes nothing here. `detail` is JSON."""

    number = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField()
    action = models.CharField(max_length=50)
    actor = models.CharField(max_length=200, blank=True)
    actor_kind = models.CharField(max_length=16)
    channel = models.CharField(max_length=20, blank=True)
    state_id = models.UUIDField(null=True, blank=True, db_index=True)
    request_id = models.UUIDField(null=True, blank=True, db_index=True)
    detail = models.TextField(blank=True)
    previous_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64)

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"{self.number} {self.action}"


class AuditTail(models.Model):
    """The end of the chain, one row. Locked last in a transaction, so that writers queue for a moment only."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"after {self.number}"
