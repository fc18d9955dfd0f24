"""Reads over several models: what the inbox lists, what stands beside a question, how far a run has come."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, F, Prefetch, Q, QuerySet, Value, When

from recovery.models import ApprovalRequest, Artifact, ArtifactRef, Decision, Event, Resolution, Resumption
from recovery.models.approval import ApprovalRequestQuerySet
from rh_agents.core.types import ExecutionStatus

# Nobody counts further, and the database need not either.
COUNT_AT_MOST = 99
OPTIONS_AT_MOST = 200
DECISIONS_AT_MOST = 100
DECIDE = "recovery.decide_approvalrequest"

_UNUSED_OF_STATE = ("description", "input", "output", "error", "custom_data", "generations", "resolution_text")


# ---- The inbox ----


def waiting_count(user: Any) -> int:
    """How many requests `user` may decide now, counted up to one more than `COUNT_AT_MOST`."""
    return capped_count(ApprovalRequest.objects.decidable_by(user))


def capped_count(requests: ApprovalRequestQuerySet) -> int:
    return requests.order_by()[: COUNT_AT_MOST + 1].count()


def inbox_rows(requests: ApprovalRequestQuerySet, at_most: int, *, decided: bool = False) -> list[ApprovalRequest]:
    """The first of `requests` with what their rows show: holder, tags, and in `standing` what they came to."""
    # The state comes along for its tags alone; without it they would cost one query more.
    rows = requests.for_inbox().select_related("state").defer(*(f"state__{name}" for name in _UNUSED_OF_STATE))
    if decided:
        rows = rows.prefetch_related(
            Prefetch(
                "resolutions",
                Resolution.objects.filter(undone_at__isnull=True).select_related("decision__actor").defer("answer"),
                to_attr="standing",
            )
        )
    return list(rows[:at_most])


def filter_options() -> tuple[list[str], list[str]]:
    """The pipelines and the tags of open requests, each in order."""
    opened = ApprovalRequest.objects.open().order_by()
    names = _named(opened, "pipeline", F("pipeline"))
    tags = _named(opened.filter(state__tags__tag__isnull=False), "tag", F("state__tags__tag"))
    by_kind: dict[str, list[str]] = {"pipeline": [], "tag": []}
    for kind, name in names.union(tags).order_by("kind", "name")[:OPTIONS_AT_MOST]:
        if name:
            by_kind[kind].append(name)
    return by_kind["pipeline"], by_kind["tag"]


def _named(requests: ApprovalRequestQuerySet, kind: str, name: F) -> QuerySet[Any, tuple[str, str]]:
    return requests.annotate(kind=Value(kind), name=name).values_list("kind", "name").distinct()


def next_of(waiting: ApprovalRequestQuerySet, after: ApprovalRequest | None = None) -> ApprovalRequest | None:
    """The most urgent of `waiting` behind `after`; from the top again where nothing is behind it, but never itself."""
    ordered = waiting.most_urgent_first().only("id")
    if after is None:
        return ordered.first()
    behind = ordered.after(after.risk, after.due_order, after.opened_at, after.pk).first()
    return behind or ordered.exclude(pk=after.pk).first()


def open_titles(state_ids: Iterable[Any]) -> dict[Any, str]:
    """State to the title of what it asks, the most urgent one first where it asks several things."""
    asked = (
        ApprovalRequest.objects.open().filter(state_id__in=[*state_ids]).order_by("risk", "-due_order", "-opened_at")
    )
    return dict(asked.values_list("state_id", "title"))


# ---- One request ----


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing to show beside a question. `artifact`: it is one, or a step's result that is kept as one. `event`: it
    is a step. Neither: nothing of that name is there. `media_type` is the one that the run gave."""

    name: str
    artifact: Artifact | None = None
    media_type: str = ""
    event: Event | None = None
    artifact_id: str = ""


def evidence_of(request: ApprovalRequest, names: Sequence[str]) -> list[Evidence]:
    """What `names` stood for when the question was asked: artifact keys, or addresses of steps."""
    names = list(dict.fromkeys(names))
    if not names:
        return []
    artifacts = _artifacts_when_asked(request)
    if missing := [name for name in names if name not in artifacts]:
        artifacts |= _artifacts_now(request, missing)
    addresses = [name for name in names if name not in artifacts]
    events = _events_when_asked(request, addresses) if addresses else {}
    ids = {key: artifacts[key][0] for key in names if key in artifacts}
    ids |= {address: event.result_artifact for address, event in events.items() if event.result_artifact}
    rows = Artifact.objects.in_bulk(set(ids.values())) if ids else {}
    return [
        Evidence(
            name=name,
            artifact=rows.get(ids.get(name, "")),
            media_type=artifacts.get(name, ("", ""))[1],
            event=events.get(name),
            artifact_id=ids.get(name, ""),
        )
        for name in names
    ]


def _artifacts_when_asked(request: ApprovalRequest) -> dict[str, tuple[str, str]]:
    """Key to (artifact id, media type), as the record of the question keeps them: later steps may write anew."""
    asked = (
        Event.objects.filter(
            state_id=request.state_id,
            address=request.address,
            generation=request.generation,
            status=ExecutionStatus.AWAITING.value,
        )
        .order_by("-added_in")
        .values_list("wrote", flat=True)
        .first()
    )
    # Each is [sequence number, artifact id, media type, size], the last two where they are known.
    writes = json.loads(asked).get("artifacts", {}) if asked else {}
    return {key: (write[1], write[2] if len(write) > 2 else "") for key, write in writes.items() if write[1]}


def _artifacts_now(request: ApprovalRequest, keys: Sequence[str]) -> dict[str, tuple[str, str]]:
    refs = ArtifactRef.objects.current().filter(state_id=request.state_id, key__in=keys)
    return {key: (artifact, media) for key, artifact, media in refs.values_list("key", "artifact_id", "media_type")}


def _events_when_asked(request: ApprovalRequest, addresses: Sequence[str]) -> dict[str, Event]:
    events = Event.objects.at_checkpoint(request.checkpoint).filter(state_id=request.state_id, address__in=addresses)
    return {event.address: event for event in events.defer("traceback", "wrote").order_by("attempt")}


def decisions_of(request: ApprovalRequest, *, with_comments: bool = False) -> list[Decision]:
    """What people did, but for what they only said: in the order it came, refused acts too, each with its people and
    what it settled; of very many refused ones the newest."""
    decisions = request.decisions.all() if with_comments else request.decisions.exclude(kind="comment", refusal="")
    decisions = decisions.select_related("actor", "resolution", "target", "on_behalf_of")
    # Accepted ones sort first: their `refusal` is empty.
    kept = decisions.defer("resolution__answer").order_by("refusal", "-created_at", "-pk")[:DECISIONS_AT_MOST]
    return sorted(kept, key=lambda decision: (decision.created_at, decision.pk))


def comments_of(request: ApprovalRequest) -> list[Decision]:
    """What people said about it, in the order they said it; of very many the newest."""
    said = request.decisions.filter(kind="comment", refusal="").select_related("actor")
    return list(said.order_by("-pk")[:DECISIONS_AT_MOST])[::-1]


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
