"""Who decides: the policies of pipelines, who may decide one request, dated delegations, and rules that decide."""

from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from pydantic import ValidationError as Invalid

from recovery.models.approval import ApprovalRequest, Risk
from recovery.models.texts import PlainlyRefused
from rh_agents.core.policy import Policy


class RequestDeciderQuerySet(models.QuerySet["RequestDecider"]):
    def naming(self, user: Any) -> Self:
        """Those that let `user` decide themselves."""
        named = Q(username=user.get_username()) | Q(group__in=user.groups.values("name"))
        if user.is_superuser:
            return self.filter(named | ~Q(permission=""))
        return self.filter(named | Q(permission__in=user.get_all_permissions()))


class RequestDecider(PlainlyRefused):
    """One entry of who may decide a request that is not open to all: a person, the members of a group, or whoever has
    a permission; by name, because a group that a policy names may be made, or made anew, later. `why`: the policy says
    so, it was escalated to them, or somebody delegated it."""

    class Why(models.TextChoices):
        POLICY = "policy", "By policy"
        ESCALATED = "escalated", "Escalated"
        DELEGATED = "delegated", "Delegated"

    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="deciders")
    username = models.CharField(max_length=150, blank=True)
    group = models.CharField(max_length=150, blank=True)
    permission = models.CharField(max_length=200, blank=True)
    why = models.CharField(max_length=12, choices=Why, default=Why.POLICY)

    objects = RequestDeciderQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["group", "username", "permission", "request"], name="decider_named")]
        constraints = [
            models.CheckConstraint(
                name="decider_is_one_thing",
                condition=(~Q(username="") & Q(group="", permission=""))
                | (~Q(group="") & Q(username="", permission=""))
                | (~Q(permission="") & Q(username="", group="")),
            ),
        ]

    def __str__(self) -> str:
        return self.username or self.group or self.permission


def check_rules(rules: Any) -> None:
    """Raises ValidationError unless `rules` are those of a `Policy`; the message names each field."""
    try:
        Policy.model_validate(rules)
    except Invalid as error:
        raise ValidationError(
            [f"{'.'.join(str(part) for part in one['loc']) or 'policy'}: {one['msg']}" for one in error.errors()]
        ) from error


class PipelinePolicy(PlainlyRefused):
    """What an admin says about the decisions of one pipeline (of all, where `pipeline` is empty). `rules` are the
    fields of the engine's `Policy` that are given, by name; they go before what the code says. Groups and people are
    named, so that a policy does not open up when one of them is deleted."""

    pipeline = models.CharField(max_length=200, blank=True, unique=True)
    rules = models.JSONField(default=dict, blank=True, validators=[check_rules])
    note = models.TextField(blank=True)
    changed_at = models.DateTimeField(auto_now=True)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        verbose_name_plural = "pipeline policies"
        ordering = ["pipeline"]

    def __str__(self) -> str:
        return self.pipeline or "all pipelines"

    @property
    def policy(self) -> Policy:
        return Policy.model_validate(self.rules)


class DelegationQuerySet(models.QuerySet["Delegation"]):
    def active(self) -> Self:
        """Those that hold now, by the clock of the database."""
        return self.filter(revoked_at__isnull=True, starts_at__lte=Now(), ends_at__gt=Now())

    def for_pipeline(self, name: str) -> Self:
        return self.filter(pipeline__in=("", name))


class Delegation(PlainlyRefused):
    """For a time, `taker` may decide what `giver` may decide (of one pipeline, or of all)."""

    giver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="delegations_given")
    taker = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="delegations_taken")
    pipeline = models.CharField(max_length=200, blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = DelegationQuerySet.as_manager()

    class Meta:
        ordering = ["-starts_at"]
        constraints = [
            models.CheckConstraint(name="delegation_ends_later", condition=Q(ends_at__gt=F("starts_at"))),
            models.CheckConstraint(name="delegation_to_another", condition=~Q(giver=F("taker"))),
        ]

    def __str__(self) -> str:
        return f"{self.giver} to {self.taker}"


class AutoRuleQuerySet(models.QuerySet["AutoRule"]):
    def active(self) -> Self:
        """Those that may decide now, by the clock of the database."""
        return self.filter(revoked_at__isnull=True, starts_at__lte=Now(), ends_at__gt=Now(), uses__lt=F("max_uses"))


class AutoRule(PlainlyRefused):
    """A standing decision: requests that match it are decided as it says, at most `max_uses` times and for a time.

    `conditions` are checked on the arguments of the proposal, all of them: a list of `{"path", "is", "value"}` with a
    dotted path and one of `equals`, `not_equals`, `below`, `at_most`, `above`, `at_least`, `one_of`, `matches`.
    """

    class Kind(models.TextChoices):
        APPROVE = "approve", "Approve"
        REJECT = "reject", "Reject"

    name = models.CharField(max_length=200)
    pipeline = models.CharField(max_length=200)
    action = models.CharField(max_length=300, blank=True)
    conditions = models.JSONField(default=list, blank=True)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.APPROVE)
    comment = models.TextField(blank=True)
    max_risk = models.PositiveSmallIntegerField(choices=Risk, default=Risk.LOW)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    max_uses = models.PositiveIntegerField()
    uses = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    objects = AutoRuleQuerySet.as_manager()

    class Meta:
        ordering = ["pipeline", "name"]
        indexes = [models.Index(fields=["pipeline"], name="rule_active", condition=Q(revoked_at__isnull=True))]
        constraints = [
            models.CheckConstraint(name="rule_ends_later", condition=Q(ends_at__gt=F("starts_at"))),
            models.CheckConstraint(name="rule_used_at_most", condition=Q(uses__lte=F("max_uses"))),
        ]

    def __str__(self) -> str:
        return self.name
