"""Telling people in the page what happened that concerns them. Written after the fact from the audit, so that deciding
pays nothing for it; its entries are numbered in the order of their commits, so none is passed over or told twice."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from recovery.models import (
    ApprovalRequest,
    AuditEntry,
    AuditTail,
    Decision,
    Delegation,
    Notice,
    NoticeTail,
    Reader,
    Resumption,
)
from recovery.rendering.plain import shortened
from recovery.services import notify
from recovery.services.votes import VOTES

AT_MOST = 200
FAILED_AT_MOST = 1000
PEOPLE_AT_MOST = notify.PEOPLE_AT_MOST
LONGEST_WORDS = 300
KEPT = timedelta(days=90)
# A job's end is written a moment before it is committed.
_COMMITTED_WITHIN = timedelta(minutes=1)
_MENTION = re.compile(r"(?<![\w@])@([\w.@+-]{1,150})")
# Of these many are told; the others are about what somebody did, or holds, or is named in.
_OF_MANY = (Notice.Kind.ASKED, Notice.Kind.ESCALATED)


@dataclass(frozen=True, slots=True)
class _News:
    """Something to tell `people` (accounts); what is the same for each of them."""

    kind: str
    people: tuple[Any, ...]
    source: str
    at: Any
    request: ApprovalRequest | None = None
    by_name: str = ""
    words: str = ""


def post_notices() -> int:
    """Tell what was committed since the last time; how many notices that made. Safe to call twice at once."""
    with transaction.atomic():
        tail = NoticeTail.objects.select_for_update(skip_locked=_can_skip()).filter(pk=1).first()
        if tail is None:
            # Nobody is told of what happened before there were notices; or another is at it.
            _begin()
            return 0
        entries = list(AuditEntry.objects.filter(number__gt=tail.number).order_by("number")[:AT_MOST])
        jobs = _failed_since(tail)
        if not entries and not jobs:
            return 0
        made = _write([*_of_entries(entries), *_of_jobs(jobs)])
        if entries:
            tail.number = entries[-1].number
        if jobs:
            tail.failed_until = max(tail.failed_until, jobs[-1].finished_at or tail.failed_until)
        tail.save()
    return made


def _can_skip() -> bool:
    return transaction.get_connection().features.has_select_for_update_skip_locked


def _begin() -> None:
    number = AuditTail.objects.filter(pk=1).values_list("number", flat=True).first() or 0
    NoticeTail.objects.bulk_create(
        [NoticeTail(pk=1, number=number, failed_until=timezone.now())], ignore_conflicts=True
    )


def _write(news: Iterable[_News]) -> int:
    rows = [row for one in news for row in _rows(one)]
    if not rows:
        return 0
    people = {row.person_id for row in rows}
    Reader.objects.bulk_create([Reader(user_id=pk) for pk in sorted(people)], ignore_conflicts=True)
    known = set(Notice.objects.filter(source__in={row.source for row in rows}).values_list("person_id", "source"))
    new = list({(row.person_id, row.source): row for row in rows if (row.person_id, row.source) not in known}.values())
    Notice.objects.bulk_create(new)
    for pk in sorted(people):
        if count := sum(row.person_id == pk for row in new):
            Reader.objects.filter(pk=pk).update(unread=F("unread") + count)
    _forget()
    return len(new)


def _rows(news: _News) -> Iterator[Notice]:
    pipeline = news.request.pipeline if news.request is not None else ""
    for person in news.people[:PEOPLE_AT_MOST]:
        if not person.is_active or (news.kind in _OF_MANY and not Reader.of(person).hears_of(pipeline)):
            continue
        yield Notice(
            person=person,
            kind=news.kind,
            request=news.request,
            by_name=news.by_name,
            words=shortened(news.words, LONGEST_WORDS),
            source=news.source,
            created_at=news.at,
        )


def _forget() -> None:
    oldest = Notice.objects.filter(created_at__lt=timezone.now() - KEPT).order_by("pk")
    Notice.objects.filter(pk__in=list(oldest.values_list("pk", flat=True)[:AT_MOST])).delete()


# ---- What the audit says ----


def _of_entries(entries: list[AuditEntry]) -> Iterator[_News]:
    told = [entry for entry in entries if entry.action in _TOLD or _mentioned(entry)]
    requests = ApprovalRequest.objects.select_related("holder", "state").in_bulk(
        {entry.request_id for entry in told if entry.request_id}
    )
    for entry in told:
        request = requests.get(entry.request_id)
        if request is None and entry.action != "delegation_given":
            continue  # It was deleted since.
        news: list[_News] = []
        if names := _mentioned(entry):
            news += _by(entry, request, _mention(entry, names))
        if entry.action in _TOLD:
            news += _by(entry, request, _TOLD[entry.action](entry, request))
        # Whoever is both mentioned and told otherwise is told once, by name.
        seen: set[Any] = set()
        for one in news:
            people = tuple(person for person in one.people if person.pk not in seen)
            seen.update(person.pk for person in people)
            yield replace(one, people=people)


def _by(entry: AuditEntry, request: ApprovalRequest | None, news: _News | None) -> list[_News]:
    """`news` with who did it, for all but them."""
    if news is None:
        return []
    found = _people([entry.actor]) if entry.actor_kind == Decision.ActorKind.USER else []
    actor = found[0] if found else None
    people = tuple(person for person in news.people if actor is None or person.pk != actor.pk)
    name = (actor.get_full_name() or actor.get_username()) if actor is not None else entry.actor
    return [replace(news, people=people, request=request, by_name=name[:200])]


def _news(entry: AuditEntry, kind: str, people: Iterable[Any], words: str = "") -> _News:
    unique = {person.pk: person for person in people if person is not None}
    return _News(kind, tuple(unique.values()), f"audit:{entry.number}", entry.at, words=words)


def _people(names: Iterable[str]) -> list[Any]:
    model: Any = get_user_model()
    field = f"{model.USERNAME_FIELD}__in"
    return list(model._default_manager.filter(**{field: list(names)}).select_related("reader")[:PEOPLE_AT_MOST])


def _opened(entry: AuditEntry, request: ApprovalRequest) -> _News | None:
    """Asked of some by name; or once more of whoever sent the run back. What is asked of all, the inbox counts."""
    if request.state.parent_id is not None:
        back = Decision.objects.filter(
            request__state=request.state.parent_id, kind="request_changes", refusal="", resolution__undone_at=None
        ).select_related("actor__reader", "resolution")
        who = [decision.actor for decision in back if getattr(decision, "resolution", None) is not None]
        if who:
            return _news(entry, Notice.Kind.ASKED_AGAIN, who)
    if request.open_to_all:
        return None
    return _news(entry, Notice.Kind.ASKED, _candidates(request, ""))


def _candidates(request: ApprovalRequest, about: str) -> list[Any]:
    found = notify.candidates(request, about).distinct().order_by("pk").select_related("reader")
    return [person for person in found[:PEOPLE_AT_MOST] if person.pk != request.requested_by_id]


def _delegated(entry: AuditEntry, request: ApprovalRequest) -> _News | None:
    handed = Decision.objects.filter(request=request, kind="delegate", refusal="", created_at__lte=entry.at)
    decision = handed.select_related("target__reader").order_by("-created_at", "-pk").first()
    if decision is None:
        return None
    return _news(entry, Notice.Kind.HANDED_ON, [decision.target], decision.comment)


def _handed_over(entry: AuditEntry, request: Any) -> _News | None:
    named = int(_detail(entry).get("delegation", 0))
    delegation = Delegation.objects.filter(pk=named).select_related("taker__reader").first()
    if delegation is None:
        return None
    return _news(entry, Notice.Kind.HANDED_OVER, [delegation.taker], delegation.reason)


def _escalated(entry: AuditEntry, request: ApprovalRequest) -> _News | None:
    return _news(entry, Notice.Kind.ESCALATED, _candidates(request, notify.ESCALATION), _comment(entry))


def _commented(entry: AuditEntry, request: ApprovalRequest) -> _News | None:
    return _news(entry, Notice.Kind.COMMENTED, [request.holder, *_decided(request)], _comment(entry))


def _undone(entry: AuditEntry, request: ApprovalRequest) -> _News | None:
    return _news(entry, Notice.Kind.UNDONE, [request.holder, *_decided(request)])


def _expired(entry: AuditEntry, request: ApprovalRequest) -> _News | None:
    return _news(entry, Notice.Kind.EXPIRED, [request.holder, *_decided(request)])


def _mention(entry: AuditEntry, names: list[str]) -> _News | None:
    return _news(entry, Notice.Kind.MENTIONED, _people(names), _comment(entry))


def _decided(request: ApprovalRequest) -> list[Any]:
    """Whoever voted on it, or sent it back."""
    said = Decision.objects.filter(request=request, kind__in=[*VOTES, "request_changes"], refusal="")
    people = said.filter(actor__isnull=False).select_related("actor__reader").order_by("pk")[:PEOPLE_AT_MOST]
    return [decision.actor for decision in people]


def _mentioned(entry: AuditEntry) -> list[str]:
    """Those named as `@name` in what was said; a full stop at the end is the sentence's."""
    if entry.request_id is None or entry.action == "refused" or "@" not in entry.detail:
        return []
    return [name.rstrip(".") for name in _MENTION.findall(_comment(entry))][:PEOPLE_AT_MOST]


def _comment(entry: AuditEntry) -> str:
    return str(_detail(entry).get("comment", ""))


def _detail(entry: AuditEntry) -> dict[str, Any]:
    detail = json.loads(entry.detail) if entry.detail else {}
    return detail if isinstance(detail, dict) else {}


_TOLD: dict[str, Callable[[AuditEntry, Any], _News | None]] = {
    "opened": _opened,
    "delegated": _delegated,
    "delegation_given": _handed_over,
    "escalated": _escalated,
    "commented": _commented,
    "undone": _undone,
    "expired": _expired,
}


# ---- Runs that failed ----


def _failed_since(tail: NoticeTail) -> list[Resumption]:
    since = tail.failed_until - _COMMITTED_WITHIN
    failed = Resumption.objects.filter(status__in=Resumption.STUCK, dismissed_at__isnull=True, finished_at__gte=since)
    related = ("state__started_by__reader", "resolution__request", "resolution__decision__actor__reader")
    return list(failed.select_related(*related).order_by("finished_at", "pk")[:FAILED_AT_MOST])


def _of_jobs(jobs: list[Resumption]) -> Iterator[_News]:
    """For whoever decided what the run went on with, or else started it."""
    for job in jobs:
        decision = job.resolution.decision if job.resolution is not None else None
        person = decision.actor if decision is not None and decision.actor is not None else job.state.started_by
        request = job.resolution.request if job.resolution is not None else None
        if request is None:
            request = ApprovalRequest.objects.filter(state=job.state_id).order_by("-opened_at").first()
        if person is not None and request is not None:
            words = job.last_error.strip().splitlines()
            yield _News(
                Notice.Kind.FAILED,
                (person,),
                f"job:{job.pk}",
                job.finished_at,
                request=request,
                words=words[0] if words else "",
            )


# ---- Reading them ----


def mark_read(person: Any, pk: int | None = None) -> None:
    """Mark one notice of theirs as read, or all of them."""
    with transaction.atomic():
        # Locked first: one that is written meanwhile is counted after this, not lost.
        reader = Reader.objects.select_for_update().filter(user=person).first()
        if reader is None:
            return
        unread = Notice.objects.filter(person=person, read_at__isnull=True)
        (unread.filter(pk=pk) if pk is not None else unread).update(read_at=timezone.now())
        reader.unread = unread.count()
        reader.save(update_fields=["unread"])
    person.reader = reader
