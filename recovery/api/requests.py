"""Requests: listed, read and decided."""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from django.contrib.auth import get_user_model
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from recovery import queries
from recovery.api.pages import Place, Text, Word, cursor_of, page_of, place_of
from recovery.api.refusals import said_of
from recovery.api.rows import RISKS, act_of, job_of, plain, request_row, resolution_of
from recovery.api.shapes import Decided, DecidedMany, Refusal, RequestDetail, RequestPage
from recovery.errors import InvalidInput, PipelineGone
from recovery.models import ApprovalRequest
from recovery.models.approval import ApprovalRequestQuerySet
from recovery.permissions import why_not_decide
from recovery.services.decide import Outcome, decide
from recovery.services.decide_many import AT_MOST, Chosen, decide_many
from recovery.services.policies import as_json, why_stuck
from recovery.services.questions import allowed_kinds, current_version, question_of, why_cannot_go_on, why_not_waiting
from recovery.services.undo import may_undo, undo
from recovery.services.votes import standing_of
from rh_agents.core.approvals import ChangeTarget, Question

router = Router(tags=["requests"])

_NUMBERS = {name: number for number, name in RISKS.items()}
_LARGEST_VERSION = 2**31 - 1
Version = Annotated[int, Field(ge=1, le=_LARGEST_VERSION)]
Digest = Annotated[Text, Field(max_length=64)]


class RequestFilters(Place):
    which: Literal["open", "decided", "for_me"] = "open"
    pipeline: Word = ""
    risk: Literal["low", "medium", "high", "critical"] | None = None
    tag: Word = ""
    text: Word = Field("", description="Each word begins a word of title, message, tags or the description of the run.")


class Act(Schema):
    """`proposal` goes with `edit`: the whole edited proposal. `response` goes with `respond`. `to` (an address of
    `change_targets`), the instructions as `comment` and maybe the whole changed `inputs` of the run go with
    `request_changes`, a username `delegate_to` with `delegate`. `version` and `digest` are those that were looked at;
    name one, and a proposal that is another by now is refused with 412. The same act under the same `idempotency_key`
    gives the first outcome again."""

    kind: Annotated[Text, Field(max_length=20)]
    proposal: Any = None
    response: Any = None
    comment: Text = ""
    to: Annotated[Text, Field(max_length=1000)] = ""
    inputs: Any = None
    delegate_to: Word = ""
    version: Version | None = None
    digest: Digest = ""
    idempotency_key: Word = ""


class SeenRequest(Schema):
    id: uuid.UUID
    version: Version | None = None
    digest: Digest = ""


class ActOnMany(Schema):
    """One act on several requests: `approve`, `reject`, `claim` or `release`."""

    kind: Annotated[Text, Field(max_length=20)]
    requests: Annotated[list[SeenRequest], Field(min_length=1, max_length=AT_MOST)]
    comment: Text = ""
    idempotency_key: Word = ""


@router.get("", response=RequestPage)
def list_requests(request: HttpRequest, filters: Query[RequestFilters]) -> dict[str, Any]:
    """Most urgent first: by risk, due date and age; decided ones newest first. `for_me`: those that you may decide."""
    is_decided = filters.which == "decided"
    asked = _in_order(_narrowed(_those(request.user, filters.which), filters), is_decided, filters.cursor)
    found = queries.inbox_rows(asked.select_related("requested_by"), filters.limit + 1)
    rows, last = page_of(found, filters.limit)
    return {"items": [request_row(row) for row in rows], "next_cursor": _cursor(last, is_decided) if last else None}


@router.post("/decide", response={200: DecidedMany, 422: Refusal})
def decide_requests(request: HttpRequest, sent: ActOnMany) -> dict[str, Any]:
    """Decide several, each by itself: one that is refused leaves the others as they are. 409 `one_by_one` for one whose
    risk is above what its policy lets be decided together. What is not there is left out."""
    results = decide_many(
        [Chosen(one.id, one.version, one.digest) for one in sent.requests],
        by=request.user,
        kind=sent.kind,
        comment=sent.comment,
        channel="api",
        idempotency_key=sent.idempotency_key,
    )
    return {
        "items": [
            {
                "request_id": result.request_id,
                "decided": _decided(result.outcome) if result.outcome else None,
                "refusal": said_of(result.error) if result.error else None,
            }
            for result in results
        ]
    }


@router.get("/{request_id}", response={200: RequestDetail, 404: Refusal})
def read_request(request: HttpRequest, request_id: uuid.UUID) -> dict[str, Any]:
    """One request, with everything that is needed to decide it."""
    people = ("state", "requested_by", "holder")
    visible = ApprovalRequest.objects.visible_to(request.user).select_related(*people).prefetch_related("state__tags")
    return _detail(visible.get(pk=request_id), request.user)


@router.post(
    "/{request_id}/decide",
    response={200: Decided, 403: Refusal, 404: Refusal, 409: Refusal, 412: Refusal, 422: Refusal},
)
def decide_request(request: HttpRequest, request_id: uuid.UUID, sent: Act) -> dict[str, Any]:
    """Decide it, or vote where it takes several; when it is settled, the run goes on by itself. `comment`, `claim`,
    `release`, `delegate`, `escalate` and `withdraw` (your own vote) settle nothing.

    403 `not_allowed` · 409 `already_resolved` with `resolution` (who, what and when), `pipeline_gone` if the run could
    not go on with it, `not_waiting` if the program that runs it does not wait now, `held` to a claim ·
    412 `stale` with `seen`, `current` and `changes` · 422 `invalid_input` with `errors` by path.
    After any of them nothing was decided.
    """
    outcome = decide(
        request_id,
        by=request.user,
        kind=sent.kind,
        proposal=sent.proposal,
        response=sent.response,
        comment=sent.comment,
        to=sent.to,
        inputs=sent.inputs,
        delegate_to=_person(sent.delegate_to),
        seen_version=sent.version,
        seen_digest=sent.digest,
        channel="api",
        idempotency_key=sent.idempotency_key,
    )
    return _decided(outcome)


@router.post("/{request_id}/undo", response={200: RequestDetail, 404: Refusal, 409: Refusal})
def undo_decision(request: HttpRequest, request_id: uuid.UUID) -> dict[str, Any]:
    """Take your own decision back, as long as the run has not gone on with it: 409 `not_undoable` after that."""
    undo(request_id, by=request.user, channel="api")
    return read_request(request, request_id)


def _decided(outcome: Outcome) -> dict[str, Any]:
    return {
        "request": request_row(outcome.request),
        "resolution": resolution_of(outcome.resolution) if outcome.resolution else None,
        "job": job_of(outcome.resumption),
    }


def _person(username: str) -> Any:
    if not username:
        return None
    person = get_user_model()._default_manager.filter(username=username).first()
    if person is None:
        raise InvalidInput({"delegate_to": [f"Nobody is called {username!r}."]}, "the decision")
    return person


# ---- The list ----


def _those(user: Any, which: str) -> ApprovalRequestQuerySet:
    visible = ApprovalRequest.objects.visible_to(user)
    if which == "decided":
        return visible.decided()
    return visible.decidable_by(user) if which == "for_me" else visible.open()


def _narrowed(asked: ApprovalRequestQuerySet, filters: RequestFilters) -> ApprovalRequestQuerySet:
    if filters.pipeline:
        asked = asked.filter(pipeline=filters.pipeline)
    if filters.risk:
        asked = asked.filter(risk=_NUMBERS[filters.risk])
    if filters.tag:
        asked = asked.tagged(filters.tag)
    return asked.matching(filters.text) if filters.text else asked


def _in_order(asked: ApprovalRequestQuerySet, is_decided: bool, cursor: str) -> ApprovalRequestQuerySet:
    if is_decided:
        place = place_of(cursor, datetime, uuid.UUID)
        return (asked.decided_before(*place) if place else asked).newest_decided_first()
    place = place_of(cursor, int, datetime, datetime, uuid.UUID)
    return (asked.after(*place) if place else asked).most_urgent_first()


def _cursor(last: ApprovalRequest, is_decided: bool) -> str:
    if is_decided:
        return cursor_of(last.resolved_at, last.pk)
    return cursor_of(last.risk, last.due_order, last.opened_at, last.pk)


# ---- One request ----


@dataclass(frozen=True, slots=True)
class Said:
    """What the question says beyond the columns of the request; less of it where its types are not known here."""

    kinds: list[str]
    editable: bool | list[str] = False
    evidence: tuple[str, ...] = ()
    compare_to: str = ""
    change_targets: tuple[ChangeTarget, ...] = ()
    unreadable: str = ""

    @classmethod
    def by(cls, request: ApprovalRequest) -> "Said":
        try:
            question = question_of(request)
        except PipelineGone as gone:
            return cls._of_unreadable(request, str(gone))
        kinds = allowed_kinds(request, question)
        if question is None:
            return cls(kinds)
        return cls(
            kinds,
            _editable(question, kinds),
            tuple(question.evidence),
            question.compare_to,
            tuple(question.change_targets) if "request_changes" in kinds else (),
        )

    @classmethod
    def _of_unreadable(cls, request: ApprovalRequest, reason: str) -> "Said":
        fields = plain(request.question)
        evidence = fields.get("evidence") if isinstance(fields, dict) else None
        keys = tuple(str(key) for key in evidence) if isinstance(evidence, list) else ()
        return cls([], evidence=keys, unreadable=reason)


def _editable(question: Question, kinds: list[str]) -> bool | list[str]:
    if "edit" not in kinds:
        return False
    return question.editable if isinstance(question.editable, bool) else sorted(question.editable)


def _detail(asked: ApprovalRequest, user: Any) -> dict[str, Any]:
    said, version = Said.by(asked), current_version(asked)
    resolution = asked.resolutions.filter(undone_at=None).select_related("decision", "resumption").first()
    standing = standing_of(asked)
    return {
        **request_row(asked),
        "message": asked.message,
        "kinds": said.kinds,
        "is_manual": asked.is_manual,
        "address": asked.address,
        "generation": asked.generation,
        "checkpoint": asked.checkpoint,
        "checkpoint_digest": asked.checkpoint_digest,
        "proposal": plain(version.args),
        "args_schema": _schema(asked.args_schema),
        "editable": said.editable,
        "response_schema": _schema(asked.response_schema),
        "version": version.number,
        "digest": version.digest,
        "evidence": list(said.evidence),
        "compare_to": said.compare_to,
        "change_targets": [{"address": one.address, "label": one.label} for one in said.change_targets],
        "expires_at": asked.expires_at,
        "on_expire": asked.on_expire,
        "on_reject": asked.on_reject,
        "group": asked.group,
        "group_policy": asked.group_policy,
        "policy": as_json(standing.policy),
        "rules": [{"group": rule.group, "needed": rule.needed, "have": rule.have} for rule in standing.rules],
        "acts": [act_of(decision) for decision in queries.decisions_of(asked)],
        "why_not": why_not_decide(user, asked) if asked.is_open else "",
        "blocked": _why_blocked(asked) or said.unreadable if asked.is_open else "",
        "stuck": why_stuck(asked) if asked.is_open else "",
        "may_undo": not asked.is_open and may_undo(asked, user),
        "resolution": resolution_of(resolution) if resolution else None,
        "job": job_of(getattr(resolution, "resumption", None)),
    }


def _why_blocked(asked: ApprovalRequest) -> str:
    return why_cannot_go_on(asked.state) or why_not_waiting(asked)


def _schema(text: str) -> dict[str, Any] | None:
    return json.loads(text) if text else None
