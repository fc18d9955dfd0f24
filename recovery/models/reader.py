"""The reader: how one person wants to read the dashboard, and what they are told in it."""

import zoneinfo
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.db.models import Q

from recovery.languages import lazy as _
from recovery.models.approval import ApprovalRequest
from recovery.models.texts import PlainlyRefused


class Reader(PlainlyRefused):
    """One person's settings; without a row, or where a field is empty, the server's own apply.

    `pipelines`: of what many are asked, they want to hear about these only; empty for all. `unwanted_mails`: the kinds
    of mail (see `services.notify`) that they do not want. `unread` counts their notices without `read_at`: it comes
    along with the account, so that the bell costs no page a query.
    """

    class Density(models.TextChoices):
        COMFORTABLE = "comfortable", _("Comfortable")
        COMPACT = "compact", _("Compact")

    class Theme(models.TextChoices):
        SYSTEM = "system", _("As the system")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="reader"
    )
    time_zone = models.CharField(max_length=64, blank=True)
    language = models.CharField(max_length=16, blank=True)
    density = models.CharField(max_length=12, choices=Density, default=Density.COMFORTABLE)
    theme = models.CharField(max_length=8, choices=Theme, default=Theme.SYSTEM)
    pipelines = models.JSONField(default=list, blank=True)
    has_shortcuts = models.BooleanField(default=True)
    unwanted_mails = models.JSONField(default=list, blank=True)
    unread = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"settings of {self.user}"

    @classmethod
    def of(cls, user: Any) -> "Reader":
        """The settings of `user`; for somebody without any, and for nobody, those that apply then, unsaved."""
        if not user.is_authenticated:
            return cls()
        try:
            reader: Reader = user.reader
        except ObjectDoesNotExist:
            return cls(user=user)
        return reader

    @property
    def zone(self) -> zoneinfo.ZoneInfo | None:
        """None where they have not said, or where this machine does not know it any more."""
        if not self.time_zone:
            return None
        try:
            return zoneinfo.ZoneInfo(self.time_zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            return None

    def hears_of(self, pipeline: str) -> bool:
        return not self.pipelines or pipeline in self.pipelines


class Notice(PlainlyRefused):
    """Something that happened and concerns one person, written after it was committed; see `services.notices`.

    `source` is what it was read from (an entry of the audit, a job), so that nobody is told of it twice. Without a
    `request` it is about a delegation.
    """

    class Kind(models.TextChoices):
        ASKED = "asked", "Asked of you"
        ASKED_AGAIN = "asked_again", "Asks again"
        HANDED_ON = "handed_on", "Handed on to you"
        HANDED_OVER = "handed_over", "Handed over to you"
        ESCALATED = "escalated", "Escalated to you"
        COMMENTED = "commented", "Commented"
        MENTIONED = "mentioned", "Mentioned you"
        UNDONE = "undone", "Decision taken back"
        EXPIRED = "expired", "Expired"
        FAILED = "failed", "Run failed"

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notices", db_index=False
    )
    kind = models.CharField(max_length=12, choices=Kind)
    request = models.ForeignKey(ApprovalRequest, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    by_name = models.CharField(max_length=200, blank=True)
    words = models.CharField(max_length=300, blank=True)
    source = models.CharField(max_length=30)
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["person", "-id"], name="notice_newest"),
            models.Index(fields=["person"], name="notice_unread", condition=Q(read_at__isnull=True)),
        ]
        constraints = [models.UniqueConstraint(fields=["person", "source"], name="notice_once")]

    def __str__(self) -> str:
        return f"{self.kind} for {self.person}"


class NoticeTail(models.Model):
    """How far people have been told, one row: the number of the last entry of the audit, and when the last job that
    failed had ended."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.PositiveBigIntegerField(default=0)
    failed_until = models.DateTimeField()

    def __str__(self) -> str:
        return f"told up to {self.number}"
