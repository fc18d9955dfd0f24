"""What the page of one request reads: few queries, however much the run did and however many people said something."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, TextField, Value, When

from recovery.models import (
    ApprovalRequest,
    Artifact,
    ArtifactRef,
    Decision,
    Event,
    ProposalVersion,
    RequestDecider,
    Tag,
)
from recovery.models.lists import ListOf
from recovery.models.prepared import Prepared
from rh_agents.core.types import ExecutionStatus

ACTS_AT_MOST = 100
COMMENTS_AT_MOST = 20
STEPS_AT_MOST = 6

_UNUSED_OF_STATE = ("output", "error", "generations", "resolution_text")
_PLACES = ("respond", "request_changes")


def versions_with_request(pk: uuid.UUID, viewer: Any) -> list[ProposalVersion]:
    """The versions of the proposal in order, with the request that `viewer` sees: its state with its tags, its people.
    Empty where there is none that they may see."""
    deciders = RequestDecider.objects.filter(request=OuterRef("request"))
    tags = Tag.objects.filter(state=OuterRef("request__state")).order_by("pk")
    found: list[Any] = list(
        ProposalVersion.objects.filter(request=pk, request__in=ApprovalRequest.objects.visible_to(viewer))
        .select_related("by", "request__state", "request__requested_by", "request__holder")
        .defer("request__words", *(f"request__state__{name}" for name in _UNUSED_OF_STATE))
        .annotate(tags=ListOf(tags.values("tag")), names_viewer=Exists(deciders.naming(viewer)))
        .order_by("number")
    )
    for version in found:
        # One request, not a copy of it for each version.
        version.request = found[0].request
    if found:
        found[0].request.tags = found[0].tags or []
        found[0].request.named = {viewer.pk: found[0].names_viewer}
    return found


# ---- What people did and said ----


@dataclass(frozen=True, slots=True)
class Said:
    """`acts` as they came, refused ones too; `comments` the newest, or those before a place, in the order they were
    said; `has_earlier`: there are more before them."""

    acts: list[Decision] = field(default_factory=list)
    comments: list[Decision] = field(default_factory=list)
    has_earlier: bool = False


def said_about(request: ApprovalRequest, *, before: int | None = None, with_acts: bool = True) -> Said:
    said = Said()
    place = {} if before is None else {"before": before}
    for one in _said(with_acts, before is not None).all(request=request.pk, **place):
        # The payload of an edit is the whole proposal, and it is shown elsewhere.
        one.payload = one.needed_payload
        (said.comments if one.kind == "comment" and not one.refusal else said.acts).append(one)
    said.comments.sort(key=lambda one: one.pk)
    has_earlier = len(said.comments) > COMMENTS_AT_MOST
    return Said(said.acts, said.comments[-COMMENTS_AT_MOST:], has_earlier)


@cache
def _said(with_acts: bool, is_earlier: bool) -> Prepared:
    def build(given: Any) -> QuerySet[Any]:
        decisions = Decision.objects.filter(request=given.request)
        comments = decisions.filter(kind="comment", refusal="").order_by("-pk")
        if is_earlier:
            comments = comments.filter(pk__lt=given.before)
        wanted = Q(pk__in=comments.values("pk")[: COMMENTS_AT_MOST + 1])
        if with_acts:
            # Accepted ones sort first: their `refusal` is empty.
            acts = decisions.exclude(kind="comment", refusal="").order_by("refusal", "-created_at", "-pk")
            wanted |= Q(pk__in=acts.values("pk")[:ACTS_AT_MOST])
        rows = Decision.objects.filter(wanted).select_related("actor", "resolution", "target", "on_behalf_of")
        payload = Case(When(kind__in=_PLACES, then=F("payload")), default=Value(""), output_field=TextField())
        rows = rows.defer("resolution__answer", "payload").annotate(needed_payload=payload)
        return rows.order_by("created_at", "pk")

    return Prepared(build, request=uuid.UUID, **({"before": int} if is_earlier else {}))


# ---- What the run did ----


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing to show beside a question. `artifact`: it is one, or a step's result that is kept as one. `event`: it
    is a step. Neither: nothing of that name is there. `media_type` is the one that the run gave."""

    name: str
    artifact: Artifact | None = None
    media_type: str = ""
    event: Event | None = None
    artifact_id: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What the run had done when it asked: what `evidence` stood for then, and the steps that ended last."""

    evidence: Sequence[Evidence] = ()
    steps: Sequence[Event] = ()


def done_before(request: ApprovalRequest, names: Sequence[str]) -> Done:
    """`names` are artifact keys, or addresses of steps."""
    names = list(dict.fromkeys(names))
    events = _events_when_asked(request, names)
    asked = next((event for event in events if event.needed_wrote), None)
    # Each is [sequence number, artifact id, media type, size], the last two where they are known.
    writes = json.loads(asked.needed_wrote).get("artifacts", {}) if asked else {}
    artifacts = {key: (write[1], write[2] if len(write) > 2 else "") for key, write in writes.items() if write[1]}
    steps = {event.address: event for event in events if event.address in names and event.address not in artifacts}
    if missing := [name for name in names if name not in artifacts and name not in steps]:
        artifacts |= _artifacts_now(request, missing)
    ids = {key: artifacts[key][0] for key in names if key in artifacts}
    ids |= {address: event.result_artifact for address, event in steps.items() if event.result_artifact}
    rows = Artifact.objects.in_bulk(set(ids.values())) if ids else {}
    evidence = [
        Evidence(
            name=name,
            artifact=rows.get(ids.get(name, "")),
            media_type=artifacts.get(name, ("", ""))[1],
            event=steps.get(name),
            artifact_id=ids.get(name, ""),
        )
        for name in names
    ]
    ended = [event for event in events if event.is_last and event.status != ExecutionStatus.AWAITING.value]
    return Done(evidence, sorted(ended, key=lambda event: event.position)[-STEPS_AT_MOST:])


def _events_when_asked(request: ApprovalRequest, names: Sequence[str]) -> list[Any]:
    """The record of the question, the steps that `names` names, and those that ended last, in the order of their
    attempts; results come along for what is named alone."""
    events = _events(len(names)).all(
        state=request.state_id,
        address=request.address,
        generation=request.generation,
        checkpoint=request.checkpoint,
        **{f"name{place}": name for place, name in enumerate(names)},
    )
    for event in events:
        event.result = event.needed_result
    return events


@cache
def _events(count: int) -> Prepared:
    """With places for so many names."""
    names = [f"name{place}" for place in range(count)]

    def build(given: Any) -> QuerySet[Any]:
        of_run = Event.objects.filter(state_id=given.state)
        is_asked = Q(address=given.address, generation=given.generation, status=ExecutionStatus.AWAITING.value)
        is_named, is_then = Q(address__in=[getattr(given, name) for name in names]), _at(given.checkpoint)
        last = of_run.filter(is_then).exclude(status=ExecutionStatus.AWAITING.value).order_by("-position")
        is_last = Q(position__in=last.values("position")[:STEPS_AT_MOST]) & is_then
        nothing = Value("", output_field=TextField())
        return (
            of_run.filter(is_asked | (is_named & is_then) | is_last)
            .annotate(
                is_last=Case(When(is_last, then=Value(1)), default=Value(0)),
                needed_wrote=Case(When(is_asked, then=F("wrote")), default=nothing),
                needed_result=Case(When(is_named, then=F("result")), default=Value(None, output_field=TextField())),
            )
            .defer("result", "traceback", "wrote", "lanes")
            .order_by("attempt", "added_in")
        )

    kinds: dict[str, type] = {"state": uuid.UUID, "address": str, "generation": int, "checkpoint": int}
    return Prepared(build, **kinds, **dict.fromkeys(names, str))


def _at(number: int) -> Q:
    return (Q(removed_in__isnull=True) | Q(removed_in__gt=number)) & Q(added_in__lte=number)


def _artifacts_now(request: ApprovalRequest, keys: Sequence[str]) -> dict[str, tuple[str, str]]:
    refs = ArtifactRef.objects.current().filter(state_id=request.state_id, key__in=keys)
    return {key: (artifact, media) for key, artifact, media in refs.values_list("key", "artifact_id", "media_type")}
