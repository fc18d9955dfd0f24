"""A state is one run: what lists and filters read. Its log lives in `checkpoint`, its values in `artifact`."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from recovery.models.texts import PlainlyRefused
from rh_agents.core.state_recovery import CURRENT_SCHEMA_VERSION, StateStatus


class StateQuerySet(models.QuerySet["State"]):
    def with_status(self, status: str) -> Self:
        return self.filter(status=status)

    def of_pipeline(self, name: str) -> Self:
        return self.filter(pipeline=name)

    def tagged(self, tags: Sequence[str]) -> Self:
        """Those that carry all of `tags`."""
        states = self
        for tag in tags:
            states = states.filter(models.Exists(Tag.objects.filter(state=models.OuterRef("pk"), tag=tag)))
        return states

    def matching(self, text: str) -> Self:
        """Those whose description, pipeline or tag contains `text`."""
        return self.filter(
            Q(description__icontains=text)
            | Q(pipeline__icontains=text)
            # Looked up once, not again for each state.
            | Q(pk__in=Tag.objects.filter(tag__icontains=text).values("state"))
        )

    def held(self) -> Self:
        """Those that a worker holds now, by the clock of the database."""
        return self.filter(lease_until__gt=Now(), lease_until__lte=_no_lease_is_longer())

    def unheld(self) -> Self:
        """Those that any worker may take."""
        return self.filter(
            Q(lease_until__isnull=True) | Q(lease_until__lte=Now()) | Q(lease_until__gt=_no_lease_is_longer())
        )

    def newest_first(self) -> Self:
        return self.order_by("-updated_at", "-id")

    def after(self, updated_at: datetime, state_id: uuid.UUID) -> Self:
        """The next page of `newest_first`: what comes behind that row."""
        return self.filter(Q(updated_at__lt=updated_at) | Q(updated_at=updated_at, id__lt=state_id))

    def for_lists(self) -> Self:
        """Without the texts that no list shows."""
        return self.defer("input", "output", "custom_data", "resolution_text", "generations").prefetch_related("tags")


def _no_lease_is_longer() -> Combinable:
    """A later end was written before the clock was set back, and its holder, had it lived, would have moved it.

    Far off, because workers that were started with a longer lease are no such case.
    """
    return Now() + timedelta(seconds=10 * settings.RECOVERY["LEASE_S"])


class State(PlainlyRefused):
    """One run. `head` is the number of its newest checkpoint; `fence` counts the leases ever taken on it.

    `input`, `output` and `custom_data` are encoded by the engine; `error` is what a failed run failed with.
    `updated_at` is when it was last saved; while it runs it may lag a second behind its newest checkpoint.
    Whoever holds the lease (`lease_owner`, until `lease_until`) is the only one that may run the pipeline.
    `superseded_by` is the fork that goes on in its place.
    """

    class Status(models.TextChoices):
        RUNNING = StateStatus.RUNNING.value, "Running"
        PAUSED = StateStatus.PAUSED.value, "Paused"
        AWAITING = StateStatus.AWAITING.value, "Awaiting"
        COMPLETED = StateStatus.COMPLETED.value, "Completed"
        FAILED = StateStatus.FAILED.value, "Failed"
        CANCELLED = StateStatus.CANCELLED.value, "Cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pipeline = models.CharField(max_length=200, blank=True)
    pipeline_version = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.PAUSED)
    description = models.TextField(blank=True)
    input = models.TextField(blank=True)
    output = models.TextField(blank=True)
    error = models.TextField(blank=True)
    custom_data = models.TextField(blank=True)
    # Not enforced: an imported or remote state may name a parent that this database never held.
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="children",
        db_constraint=False,
        db_index=False,
    )
    forked_from_address = models.CharField(max_length=1000, blank=True)
    superseded_by = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="supersedes",
        db_constraint=False,
        db_index=False,
    )
    schema_version = models.CharField(max_length=32, default=CURRENT_SCHEMA_VERSION)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )

    head = models.PositiveIntegerField(default=0)
    clock = models.PositiveBigIntegerField(default=0)
    generations = models.TextField(blank=True)
    resolution_text = models.TextField(blank=True)

    fence = models.PositiveBigIntegerField(default=0)
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    objects = StateQuerySet.as_manager()

    class Meta:
        permissions = [("start_state", "Can start runs")]
        indexes = [
            models.Index(fields=["-updated_at", "-id"], name="state_newest"),
            models.Index(fields=["status", "-updated_at", "-id"], name="state_by_status"),
            models.Index(fields=["pipeline", "-updated_at", "-id"], name="state_by_pipeline"),
            models.Index(fields=["lease_until"], name="state_leased", condition=Q(lease_until__isnull=False)),
            models.Index(fields=["parent"], name="state_children", condition=Q(parent__isnull=False)),
            models.Index(fields=["superseded_by"], name="state_superseded", condition=Q(superseded_by__isnull=False)),
            models.Index(fields=["started_by"], name="state_starters", condition=Q(started_by__isnull=False)),
        ]
        constraints = [
            models.CheckConstraint(
                name="state_status_known", condition=Q(status__in=[status.value for status in StateStatus])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pipeline or 'state'} {self.short_id}"

    @property
    def short_id(self) -> str:
        return str(self.id)[:8]

    @property
    def is_finished(self) -> bool:
        return self.status in (self.Status.COMPLETED, self.Status.FAILED, self.Status.CANCELLED)


class Tag(models.Model):
    """One tag of one state. `awaiting_at` is the state's `updated_at` while it is awaiting, so that the newest
    awaiting states of a rare tag are one short index scan."""

    state = models.ForeignKey(State, on_delete=models.CASCADE, related_name="tags", db_index=False)
    tag = models.CharField(max_length=100)
    awaiting_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["state", "tag"], name="tag_once_a_state")]
        indexes = [
            models.Index(fields=["tag", "state"], name="tag_states"),
            models.Index(
                fields=["tag", "-awaiting_at", "-state"], name="tag_awaiting", condition=Q(awaiting_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.tag
