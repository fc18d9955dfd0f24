"""What is asked, what was decided, and the job that carries the outcome to the run."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from recovery.models.lists import beyond
from recovery.models.state import State, Tag
from recovery.models.texts import PlainlyRefused
from recovery.models.voices import DECIDE, Voice, voices_of
from recovery.models.words import SEARCHED_AT_MOST, WordsField, keep_words, words_of

NO_DUE_DATE = datetime(9999, 1, 1, tzinfo=UTC)
CLOCKS_DIFFER_AT_MOST = timedelta(minutes=1)


class Risk(models.IntegerChoices):
    LOW = 0, "Low"
    MEDIUM = 1, "Medium"
    HIGH = 2, "High"
    CRITICAL = 3, "Critical"


class ApprovalRequestQuerySet(models.QuerySet["ApprovalRequest"]):
    def open(self) -> Self:
        return self.filter(resolved_at__isnull=True)

    def decided(self) -> Self:
        return self.filter(resolved_at__isnull=False)

    def visible_to(self, user: Any) -> Self:
        """Everybody who is signed in sees every request."""
        return self if user.is_authenticated else self.none()

    def decidable_by(self, user: Any) -> Self:
        """Open ones that `user` may decide: not those of runs that they started themselves, and of those that a policy
        leaves to some, those that name them, a group of theirs, or somebody for whom they stand in."""
        to_all, to_some = self.decidable_parts(user)
        return to_all | to_some

    def decidable_parts(self, user: Any, voices: Sequence[Voice] | None = None) -> tuple[Self, Self]:
        """The same in two parts, which an index finds quicker than both at once: those that are open to everybody who
        decides, and those that a policy leaves to some. `voices`: those of `user`, where they are known."""
        if not user.is_active or not user.has_perm(DECIDE):
            return self.none(), self.none()
        mine = self.open().filter(Q(requested_by__isnull=True) | ~Q(requested_by=user) | Q(self_approval=True))
        lent = Q()
        for voice in voices_of(user) if voices is None else voices:
            lent |= voice.lends()
        # Written so that PostgreSQL does not take it for as rare as it is: somebody is named in exactly those. Else it
        # looks up all that are left to a large group, and sorts them.
        left_to_some = ~Q(Coalesce("open_to_all", False, output_field=models.BooleanField()))
        return mine.filter(open_to_all=True), mine.filter(left_to_some, lent)

    def tagged(self, tag: str) -> Self:
        # The words of a tag are among those of the request: the index of words finds those of a rare tag quickly, where
        # the tag of a run says nothing about whether its requests are open.
        words = words_of(tag)
        likely = self.filter(words__has_whole=words) if words else self
        return likely.filter(models.Exists(Tag.objects.filter(state=models.OuterRef("state_id"), tag=tag)))

    def matching(self, text: str) -> Self:
        """Those in whose title, message, description or tags each word of `text` begins a word."""
        words = words_of(text)[:SEARCHED_AT_MOST]
        return self.filter(words__has=words) if words else self.none()

    def renew_words(self) -> None:
        """After the description or the tags of their runs were changed."""
        for request in self.select_related("state"):
            request.words = request.words_now()
            request.save(update_fields=["words"])

    def most_urgent_first(self) -> Self:
        return self.order_by("-risk", "due_order", "opened_at", "id")

    def after(self, risk: int, due_order: datetime, opened_at: datetime, pk: uuid.UUID) -> Self:
        """The next page of `most_urgent_first`: what comes behind that row."""
        return self.filter(
            Q(risk__lt=risk)
            | Q(risk=risk, due_order__gt=due_order)
            | Q(risk=risk, due_order=due_order, opened_at__gt=opened_at)
            | Q(risk=risk, due_order=due_order, opened_at=opened_at, id__gt=pk)
        )

    def behind(self, risk: int, due_order: datetime, opened_at: datetime, pk: uuid.UUID) -> tuple[Self, Self]:
        """The same in two parts, each of which an index gives in order: of that risk, and of a lower one."""
        place = {"due_order": due_order, "opened_at": opened_at, "id": pk}
        return self.filter(beyond(place), risk=risk), self.filter(risk__lt=risk)

    def newest_decided_first(self) -> Self:
        return self.order_by("-resolved_at", "-id")

    def decided_before(self, resolved_at: datetime, pk: uuid.UUID) -> Self:
        return self.filter(beyond({"resolved_at": resolved_at, "id": pk}, is_falling=True))

    def for_inbox(self) -> Self:
        """What a row shows, and nothing heavier."""
        return (
            self.select_related("holder")
            .defer("question", "message", "args_schema", "response_schema", "words")
            .prefetch_related("state__tags")
        )


class ApprovalRequest(PlainlyRefused):
    """What is asked; immutable once open, but for who holds it and what it came to.

    `question` is the engine's encoded `Question`; the columns beside it are what lists, filters and the policy
    read. A pause made by hand (`save_checkpoint(status=AWAITING)`) has no question and no address: `is_manual`.
    `policy` is the engine's `Policy` as JSON, as it applied when this was opened, and tightened since; `open_to_all`:
    everybody who decides requests at all may decide it, else those in `deciders`. `version` and `digest` mirror the
    newest version of the proposal, `outcome` and `resolved_at` the resolution that counts. `attend_at` is when the
    beat has to look at it: it expires, is escalated or those who may decide are reminded.
    """

    class Effect(models.TextChoices):
        READ = "read", "Reads only"
        WRITE = "write", "Writes"
        IRREVERSIBLE = "irreversible", "Irreversible"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.ForeignKey(State, on_delete=models.CASCADE, related_name="requests", db_index=False)
    checkpoint = models.PositiveIntegerField()
    checkpoint_digest = models.CharField(max_length=64, blank=True)
    address = models.CharField(max_length=1000, blank=True)
    generation = models.PositiveIntegerField(default=1)
    is_manual = models.BooleanField(default=False)

    question = models.TextField(blank=True)
    reason = models.CharField(max_length=100, blank=True)
    title = models.CharField(max_length=500)
    message = models.TextField(blank=True)
    action = models.CharField(max_length=300, blank=True)
    effect = models.CharField(max_length=16, choices=Effect, default=Effect.WRITE)
    args_schema = models.TextField(blank=True)
    response_schema = models.TextField(blank=True)
    risk = models.PositiveSmallIntegerField(choices=Risk, default=Risk.MEDIUM)
    priority = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)
    due_order = models.DateTimeField(default=NO_DUE_DATE, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    on_expire = models.CharField(max_length=16, default="reject")
    on_reject = models.CharField(max_length=16, default="feedback")
    group = models.CharField(max_length=200, blank=True)
    group_policy = models.CharField(max_length=32, default="all")
    policy = models.JSONField(default=dict, blank=True)
    self_approval = models.BooleanField(default=False)
    open_to_all = models.BooleanField(default=True)
    escalate_at = models.DateTimeField(null=True, blank=True)
    escalated_at = models.DateTimeField(null=True, blank=True)
    remind_at = models.DateTimeField(null=True, blank=True)
    reminders = models.PositiveIntegerField(default=0)
    attend_at = models.DateTimeField(null=True, blank=True, editable=False)

    version = models.PositiveIntegerField(default=1)
    digest = models.CharField(max_length=64, blank=True)

    pipeline = models.CharField(max_length=200, blank=True)
    pipeline_version = models.CharField(max_length=64, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    opened_at = models.DateTimeField()

    holder = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    held_since = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=20, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    words = WordsField(default="", editable=False)

    # What a page brings along: the tags of the run, and whether the deciders name whoever looks, by their key.
    tags: list[str]
    named: dict[Any, bool]

    objects = ApprovalRequestQuerySet.as_manager()

    class Meta:
        permissions = [("decide_approvalrequest", "Can decide requests")]
        indexes = [
            models.Index(
                fields=["-risk", "due_order", "opened_at", "id"],
                name="request_inbox",
                condition=Q(resolved_at__isnull=True),
            ),
            models.Index(
                fields=["pipeline", "-risk", "due_order", "opened_at", "id"],
                name="request_inbox_pipeline",
                condition=Q(resolved_at__isnull=True),
            ),
            models.Index(
                fields=["-resolved_at", "-id"], name="request_decided", condition=Q(resolved_at__isnull=False)
            ),
            models.Index(
                fields=["pipeline", "-resolved_at", "-id"],
                name="request_decided_pipeline",
                condition=Q(resolved_at__isnull=False),
            ),
            models.Index(fields=["opened_at"], name="request_opened", condition=Q(resolved_at__isnull=True)),
            models.Index(
                fields=["due_at"], name="request_due", condition=Q(resolved_at__isnull=True, due_at__isnull=False)
            ),
            models.Index(
                fields=["holder"], name="request_held", condition=Q(resolved_at__isnull=True, holder__isnull=False)
            ),
            models.Index(
                fields=["attend_at"],
                name="request_attention",
                condition=Q(resolved_at__isnull=True, attend_at__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["state", "address", "generation"], name="request_once_a_question"),
            models.CheckConstraint(name="request_risk_known", condition=Q(risk__in=Risk.values)),
            models.CheckConstraint(
                name="request_resolved_with_outcome",
                condition=(Q(resolved_at__isnull=True) & Q(outcome=""))
                | (Q(resolved_at__isnull=False) & ~Q(outcome="")),
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.due_order = self.due_at or NO_DUE_DATE
        moments = [at for at in (self.expires_at, self.escalate_at, self.remind_at) if at is not None]
        self.attend_at = min(moments, default=None)
        if named := kwargs.get("update_fields"):
            kwargs["update_fields"] = {*named, "attend_at"}
        is_searched = self._state.adding or "words" in (named or ())
        if self._state.adding:
            self.check_texts()
            self.words = self.words_now()
        super().save(*args, **kwargs)
        if is_searched:
            keep_words([(self.pk, self.words)], self._state.db or "default")

    def words_now(self) -> str:
        """What it is found by, as its run is described now."""
        tags = Tag.objects.filter(state_id=self.state_id).values_list("tag", flat=True)
        return " ".join(words_of(self.title, *tags, self.state.description, self.message))

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None

    @property
    def short_id(self) -> str:
        return str(self.id)[:8]


class ProposalVersion(PlainlyRefused):
    """One version of what would run. Append-only; the newest is what runs. `args` is encoded by the engine;
    `digest` is the SHA-256 of action and args, which a decision names so that A approved never runs B."""

    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    args = models.TextField()
    digest = models.CharField(max_length=64)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    by_name = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["request", "number"], name="version_number_once")]

    def __str__(self) -> str:
        return f"version {self.number}"


class Decision(PlainlyRefused):
    """One act of one actor on a request: a vote, a comment, a delegation, a refusal too. Append-only.

    `actor_kind`: `user`, `rule` (then `rule` says which) or `system`. `version` and `digest` are those of the proposal
    that it is about. `payload` is the encoded value that came with it (the edited proposal, the response; for
    `request_changes` where the run is sent back to). `target` is whom it was delegated to, `on_behalf_of` whose say
    was used. `refusal` is empty where the act was accepted, else the reason it was not (`already_resolved`,
    `not_allowed`, `not_waiting`, `stale`, `held`, `not_undoable`).
    """

    class ActorKind(models.TextChoices):
        USER = "user", "Person"
        RULE = "rule", "Rule"
        SYSTEM = "system", "System"

    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="decisions")
    kind = models.CharField(max_length=20)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    actor_name = models.CharField(max_length=200, blank=True)
    actor_kind = models.CharField(max_length=16, choices=ActorKind, default=ActorKind.USER)
    rule = models.ForeignKey(
        "recovery.AutoRule", null=True, blank=True, on_delete=models.SET_NULL, related_name="decisions"
    )
    target = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    on_behalf_of = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    channel = models.CharField(max_length=20, default="web")
    version = models.PositiveIntegerField(default=1)
    digest = models.CharField(max_length=64, blank=True)
    payload = models.TextField(blank=True)
    comment = models.TextField(blank=True)
    refusal = models.CharField(max_length=40, blank=True)
    idempotency_key = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["request", "created_at"], name="decision_by_request")]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "actor", "idempotency_key"],
                name="decision_key_once",
                condition=~Q(idempotency_key="") & Q(refusal=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} by {self.actor_name}"


class Resolution(PlainlyRefused):
    """What a request came to. At most one that counts; `answer` is the engine's encoded `Answer`. `caused_by` is the
    decision about another request of the group that this one was cancelled with: undone together."""

    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="resolutions")
    decision = models.OneToOneField(Decision, on_delete=models.CASCADE, related_name="resolution")
    outcome = models.CharField(max_length=20)
    version = models.PositiveIntegerField(default=1)
    digest = models.CharField(max_length=64, blank=True)
    answer = models.TextField()
    created_at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True, blank=True)
    caused_by = models.ForeignKey(Decision, null=True, blank=True, on_delete=models.CASCADE, related_name="caused")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request"], name="resolution_once", condition=Q(undone_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.outcome


class ResumptionQuerySet(models.QuerySet["Resumption"]):
    def due(self) -> Self:
        """Committed, not finished, and allowed to start, by the clock of the database.

        One that should never wait does not wait for the clock of whoever wrote it either. One that was written in
        the future is due: the clock has been set back since, and it may be long until it is there again.
        """
        future = Now() + CLOCKS_DIFFER_AT_MOST
        may_start = Q(not_before__lte=Now()) | Q(not_before__lte=F("created_at"))
        return self.filter(
            may_start | Q(created_at__gt=future) | Q(started_at__gt=future), status__in=Resumption.UNFINISHED
        )


class Resumption(PlainlyRefused):
    """A job for a worker: start a run, carry a resolution to it, fork it as a resolution asks, or try again. An outbox
    row, written in the transaction of what caused it; the broker only makes it quick.

    `pending`: nobody works on it. `running`: the holder of the state's lease does. `done`, `failed`: over.
    `undone`: taken back before it started. `blocked`: it cannot go on as things are; `last_error` says why.
    `attempts`: tries that ended badly, be it with an error that was not the pipeline's, or with the worker; of the
    latter only those since the last step that was completed. `dismissed_at`: somebody has seen that it failed, and
    nothing is to be done about it.
    """

    class Kind(models.TextChoices):
        START = "start", "Start"
        RESUME = "resume", "Resume"
        FORK = "fork", "Fork"
        RETRY = "retry", "Retry"

    class Status(models.TextChoices):
        PENDING = "pending", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        BLOCKED = "blocked", "Blocked"
        UNDONE = "undone", "Undone"

    UNFINISHED = (Status.PENDING, Status.RUNNING)
    STUCK = (Status.FAILED, Status.BLOCKED)

    state = models.ForeignKey(State, on_delete=models.CASCADE, related_name="resumptions")
    resolution = models.OneToOneField(
        Resolution, null=True, blank=True, on_delete=models.CASCADE, related_name="resumption"
    )
    kind = models.CharField(max_length=10, choices=Kind)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    not_before = models.DateTimeField()
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveBigIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    dismissed_at = models.DateTimeField(null=True, blank=True)

    objects = ResumptionQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["not_before"], name="resumption_due", condition=Q(status__in=["pending", "running"])),
            models.Index(
                fields=["-finished_at", "-id"],
                name="resumption_dead",
                condition=Q(status__in=["failed", "blocked"], dismissed_at__isnull=True),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="resumption_of_resolution",
                condition=Q(resolution__isnull=False) | ~Q(kind__in=["resume", "fork"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.status}"
