"""Reads over several models: what the inbox lists, what stands beside a question, how far a run has come."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Case, OuterRef, Q, QuerySet, Subquery, When

from recovery.models import (
    ApprovalRequest,
    Decision,
    Event,
    RequestDecider,
    Resolution,
    Resumption,
    Tag,
)
from recovery.models.approval import ApprovalRequestQuerySet
from recovery.models.lists import CountOf, EitherOf, ListOf, different, fetch, written
from recovery.models.prepared import PreparedList
from recovery.models.voices import DECIDE as DECIDE
from recovery.models.voices import Voice, voices_of

# Nobody counts further, and the database need not either.
COUNT_AT_MOST = 99
OPTIONS_AT_MOST = 200
DECISIONS_AT_MOST = 100

_UNUSED_OF_STATE = ("description", "input", "output", "error", "custom_data", "generations", "resolution_text")


# ---- The inbox ----


def waiting_count(user: Any) -> int:
    """How many requests `user` may decide now, counted up to one more than `COUNT_AT_MOST`."""
    return desk_counts(user, voices_at_desk(user))[0][0]


def voices_at_desk(user: Any) -> Sequence[Voice]:
    """In whose name `user` decides; nobody's, where they do not."""
    return voices_of(user) if user.is_active and user.has_perm(DECIDE) else ()


def desk_counts(
    user: Any,
    voices: Sequence[Voice],
    stuck: Callable[[], QuerySet[Any]] | None = None,
    more: Sequence[Any] = (),
) -> tuple[tuple[int, int, int], Sequence[Any]]:
    """How many wait for `user`, are open and are `stuck`, and what `more` asks for: in one query.

    Parts are counted in the order that they have: it keeps the database on the index that has it, instead of reading
    the table until it has seen enough.
    """
    key = desk_key(user, voices)
    if key is not None:
        key = ("desk", stuck is not None, *key)

    def counts() -> list[Any]:
        visible = ApprovalRequest.objects.visible_to(user)
        waiting = visible.decidable_parts(user, voices) if voices else ()
        lists = [waiting, [visible.open()]]
        found = [_count(*(part.most_urgent_first() for part in parts)) for parts in lists]
        return [*found, _count(*([stuck()] if stuck else []))]

    found = fetch(written(counts, key), written(lambda: more))
    return (found[0], found[1], found[2]), found[3:]


def desk_key(user: Any, voices: Sequence[Voice]) -> tuple[Any, ...] | None:
    """All that lists and counts of `user` are made of, unless they stand in for somebody: that may end at any time."""
    if not voices or not all(voice.is_own for voice in voices):
        return None
    named = ((*voice.groups, None, *(voice.permissions or ("*",))) for voice in voices)
    return (user.pk, user.get_username(), *named)


def counts_of(lists: Sequence[Sequence[QuerySet[Any]]]) -> list[int]:
    """How many rows each of `lists` has, of which each is given in parts."""
    return fetch(written(lambda: [_count(*parts) for parts in lists]))


def _count(*parts: QuerySet[Any]) -> CountOf:
    return CountOf(*parts, at_most=COUNT_AT_MOST + 1)


def first_of(parts: Sequence[ApprovalRequestQuerySet], at_most: int) -> ApprovalRequestQuerySet:
    """The most urgent requests of all `parts`."""
    ids = EitherOf(*(part.most_urgent_first()[:at_most] for part in parts))
    return ApprovalRequest.objects.filter(pk__in=ids).most_urgent_first()[:at_most]


def newest_decided_of(parts: Sequence[ApprovalRequestQuerySet], at_most: int) -> ApprovalRequestQuerySet:
    # Whole rows are read of those alone that are shown: what is put in order before is narrow.
    ids = EitherOf(*(part.newest_decided_first()[:at_most] for part in parts))
    return ApprovalRequest.objects.filter(pk__in=ids).newest_decided_first()[:at_most]


def rows_of(build: Callable[[], ApprovalRequestQuerySet], key: Hashable = None) -> list[ApprovalRequest]:
    """What `build` gives, with what the rows of the inbox show and nothing else, in one query: `tag_names` and the
    holder too. `is_wider`: more people may decide it than its policy says. Under a `key`, which says all that it is
    made of, it is built once: that takes longer than to ask."""
    if key is None:
        return list(_shown(build()))
    known = _lists.get(key)
    if known is None:
        if len(_lists) >= _LISTS_AT_MOST:
            _lists.clear()
        known = _lists[key] = PreparedList(lambda _given: _shown(build()))
    return known.all()


# Each takes some 100 KB.
_LISTS_AT_MOST = 200
_lists: dict[Hashable, PreparedList] = {}


def _shown(requests: ApprovalRequestQuerySet) -> QuerySet[ApprovalRequest]:
    tags = Tag.objects.filter(state=OuterRef("state_id")).order_by("pk").values("tag")
    wider = RequestDecider.objects.filter(request=OuterRef("pk")).exclude(why=RequestDecider.Why.POLICY)
    # One value of each, and not whether there is one: for that PostgreSQL would read all of them first.
    is_wider = Case(When(open_to_all=False, then=Subquery(wider.values("pk")[:1])))
    rows = requests.select_related("holder").only(*_OF_A_ROW, *(f"holder__{name}" for name in _OF_A_PERSON))
    return rows.annotate(tag_names=ListOf(tags), is_wider=is_wider)


_OF_A_ROW = (
    "title",
    "pipeline",
    "risk",
    "opened_at",
    "due_at",
    "due_order",
    "expires_at",
    "escalated_at",
    "resolved_at",
    "outcome",
    "version",
    "digest",
    "policy",
    "self_approval",
    "open_to_all",
    "requested_by",
)
_OF_A_PERSON = ("username", "first_name", "last_name")


def outcomes_of(requests: Iterable[ApprovalRequest]) -> dict[Any, Decision]:
    """Id of a decided request to the decision that counts, with whoever made it."""
    people = (f"decision__actor__{name}" for name in _OF_A_PERSON)
    standing = Resolution.objects.filter(request__in=[one.pk for one in requests], undone_at__isnull=True)
    decided = standing.select_related("decision__actor").only("request", "decision__actor_name", *people)
    return {resolution.request_id: resolution.decision for resolution in decided}


def inbox_rows(requests: ApprovalRequestQuerySet, at_most: int) -> list[ApprovalRequest]:
    """The first of `requests` with holder and tags."""
    # The state comes along for its tags alone; without it they would cost one query more.
    rows = requests.for_inbox().select_related("state").defer(*(f"state__{name}" for name in _UNUSED_OF_STATE))
    return list(rows[:at_most])


@dataclass(frozen=True, slots=True)
class Options:
    """What the open requests can be narrowed to, each in order; of very many the first."""

    pipelines: Sequence[str]
    tags: Sequence[str]
    holders: Sequence[Any]


def filter_options() -> Options:
    opened = ApprovalRequest.objects.open()
    held = opened.filter(holder__isnull=False).order_by().values("holder")
    holders = get_user_model()._default_manager.filter(pk__in=held).order_by("first_name", "username")
    return Options(
        pipelines=[name for name in different(opened, "pipeline", OPTIONS_AT_MOST) if name],
        tags=different(Tag.objects.filter(awaiting_at__isnull=False), "tag", OPTIONS_AT_MOST),
        holders=list(holders.only(*_OF_A_PERSON)[:OPTIONS_AT_MOST]),
    )


def next_of(parts: Sequence[ApprovalRequestQuerySet], after: ApprovalRequest | None = None) -> ApprovalRequest | None:
    """The most urgent of `parts` behind `after`; from the top again where nothing is behind it, but never itself."""
    if after is not None:
        place = (after.risk, after.due_order, after.opened_at, after.pk)
        behind = first_of([later for part in parts for later in part.behind(*place)], 1).first()
        if behind is not None:
            return behind
    first = first_of(parts, 2)
    return next((one for one in first if after is None or one.pk != after.pk), None)


def open_titles(state_ids: Iterable[Any]) -> dict[Any, str]:
    """State to the title of what it asks, the most urgent one first where it asks several things."""
    asked = (
        ApprovalRequest.objects.open().filter(state_id__in=[*state_ids]).order_by("risk", "-due_order", "-opened_at")
    )
    return dict(asked.values_list("state_id", "title"))


# ---- One request ----


def decisions_of(request: ApprovalRequest) -> list[Decision]:
    """What people did and said: in the order it came, refused acts too, each with its people and what it settled; of
    very many refused ones the newest."""
    decisions = request.decisions.select_related("actor", "resolution", "target", "on_behalf_of")
    # Accepted ones sort first: their `refusal` is empty.
    kept = decisions.defer("resolution__answer").order_by("refusal", "-created_at", "-pk")[:DECISIONS_AT_MOST]
    return sorted(kept, key=lambda decision: (decision.created_at, decision.pk))


def group_of(request: ApprovalRequest) -> list[ApprovalRequest]:
    """The requests of its group, itself too, in the order they were asked; empty where it has none."""
    if not request.group:
        return []
    members = ApprovalRequest.objects.filter(state_id=request.state_id, group=request.group)
    return list(members.only("id", "title", "outcome", "resolved_at").order_by("opened_at", "address", "pk"))


def job_of(request: ApprovalRequest) -> Resumption | None:
    """What carries the decision to the run, or once that is over what last moved it; with the state as it stood at
    that very moment. What was taken back never moved it."""
    is_own = Q(resolution__request=request, status__in=Resumption.UNFINISHED)
    jobs = _jobs(request.state_id).alias(place=Case(When(is_own, then=0), default=1))
    return jobs.order_by("place", "-pk").first()


def newest_job(state_id: Any) -> Resumption | None:
    """What last moved a run, or is about to; with the state, as above."""
    return _jobs(state_id).order_by("-pk").first()


def _jobs(state_id: Any) -> QuerySet[Resumption]:
    jobs = Resumption.objects.filter(state_id=state_id).exclude(status=Resumption.Status.UNDONE)
    return jobs.select_related("state")


def last_step(state_id: Any) -> Event | None:
    """The step that ended last in a run."""
    return (
        Event.objects.current()
        .filter(state_id=state_id)
        .only("address", "status", "position")
        .order_by("-position")
        .first()
    )


def asked_next(state_id: Any) -> ApprovalRequest | None:
    """What a run waits for now."""
    asked = ApprovalRequest.objects.open().filter(state_id=state_id)
    return asked.most_urgent_first().only("id", "title").first()
