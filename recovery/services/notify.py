"""Telling people by e-mail that something waits for them. A mail decides nothing: its link opens the page."""

import logging
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import mail
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext

from recovery import dispatch, pipelines
from recovery.languages import lazy as _
from recovery.models import ApprovalRequest, Delegation, Reader, RequestDecider
from recovery.permissions import DECIDE, holders_of, why_not_decide
from recovery.rendering.plain import shortened, visible
from recovery.services.votes import standing_of

logger = logging.getLogger(__name__)

PEOPLE_AT_MOST = 48
LONGEST_SUBJECT = 150
_NO_MAIL = "django.core.mail.backends.dummy.EmailBackend"
# Marks of direction that no page has to show, but that may turn a line of a mail around.
_MARKS = {0x200E: None, 0x200F: None, 0x061C: None}

REMINDER, ESCALATION, HANDED_ON, HANDED_OVER = "reminder", "escalation", "handed_on", "handed_over"
_SUBJECTS = {
    REMINDER: _("Still waits for a decision"),
    ESCALATION: _("Escalated to you"),
    HANDED_ON: _("Handed on to you"),
}
_OPENINGS = {
    REMINDER: _("this still waits for a decision, and you are one of those who may make it."),
    ESCALATION: _("nobody has decided this in time, and now you may as well."),
    HANDED_ON: _("somebody has handed this on to you, so that you decide it."),
}
_ON_EXPIRE = {"reject": _("counts as rejected"), "approve": _("counts as approved"), "cancel": _("is cancelled")}


def is_on() -> bool:
    return bool(settings.EMAIL_BACKEND != _NO_MAIL)


# ---- Who is told what, after the commit ----


def remind(request: ApprovalRequest) -> None:
    """Everybody who may decide it and has not."""
    _tell(REMINDER, request.pk)


def tell_of_escalation(request: ApprovalRequest) -> None:
    """Those who may decide it since it was escalated."""
    _tell(ESCALATION, request.pk)


def tell_of_handing_on(request: ApprovalRequest, person: Any) -> None:
    """Whoever one request was handed on to."""
    _tell(HANDED_ON, request.pk, [person.pk])


def tell_of_handing_over(delegation: Delegation) -> None:
    """Whoever decides for somebody else for a time."""
    _tell(HANDED_OVER, delegation.pk, [delegation.taker_id])


def _tell(about: str, pk: Any, people: Sequence[Any] = ()) -> None:
    if is_on():
        dispatch.tell(about, pk, people)


# ---- Sending, in a worker ----


def send(about: str, pk: str, people: Sequence[Any] = ()) -> list[Any]:
    """Send the mails: to `people`, or to all whom it concerns. The ids of those who could not be reached now.

    What is decided or over by now is told to nobody.
    """
    mails = list(_of_delegation(int(pk)) if about == HANDED_OVER else _of_request(about, uuid.UUID(pk), people))
    if not mails:
        return []
    connection = mail.get_connection()
    try:
        connection.open()
    except OSError as error:
        logger.warning("the mail server cannot be reached: %s", error)
        return [person.pk for person, _ in mails]
    try:
        return [person.pk for person, message in mails if not _is_taken(connection, person, message)]
    finally:
        connection.close()


def _is_taken(connection: Any, person: Any, message: mail.EmailMessage) -> bool:
    """Whether the matter is over: the server took the mail, or nobody ever could send it."""
    message.connection = connection
    try:
        message.send()
    except OSError as error:
        logger.warning("the mail server did not take a mail to %s: %s", person, error)
        return False
    except ValueError as error:
        logger.warning("no mail can be sent to %s: %s", person, error)
    return True


def _of_request(about: str, pk: uuid.UUID, people: Sequence[Any]) -> Iterator[tuple[Any, mail.EmailMessage]]:
    request = ApprovalRequest.objects.open().filter(pk=pk).first()
    if request is None:
        return
    for person in _told(request, about, people):
        with _as_read_by(person):
            lines = [str(_OPENINGS[about]), "", f"    {_line(request.title)}", "", *_facts(request)]
            subject = f"{_SUBJECTS[about]}: {_line(request.title)}"
            message = _mail(person, subject, lines, reverse("recovery:request", args=[request.pk]))
        yield person, message


def _of_delegation(pk: int) -> Iterator[tuple[Any, mail.EmailMessage]]:
    given = Delegation.objects.filter(pk=pk, revoked_at__isnull=True).select_related("giver", "taker__reader").first()
    if given is None or not given.taker.email or not _wants(given.taker, HANDED_OVER, given.pipeline):
        return
    with _as_read_by(given.taker):
        message = _mail(given.taker, *_handed_over(given), reverse("recovery:delegations"))
    yield given.taker, message


def _handed_over(delegation: Delegation) -> tuple[str, list[str]]:
    giver = _name(delegation.giver)
    lines = [
        gettext("%(giver)s has handed over to you: you may decide what %(giver)s may decide") % {"giver": giver},
        gettext("of %(pipeline)s,") % {"pipeline": _pipeline(delegation.pipeline) or gettext("all pipelines")},
        gettext("from %(starts_at)s to %(ends_at)s.")
        % {"starts_at": _moment(delegation.starts_at), "ends_at": _moment(delegation.ends_at)},
    ]
    if delegation.reason:
        lines += ["", f"    {_line(delegation.reason)}"]
    return gettext("%(giver)s has handed over to you") % {"giver": giver}, lines


def _wants(person: Any, about: str, pipeline: str) -> bool:
    """Whether `person` wants to be told: not of a kind they do not want, nor, where many are, of what they are not
    interested in."""
    reader = Reader.of(person)
    return about not in reader.unwanted_mails and (about not in (REMINDER, ESCALATION) or reader.hears_of(pipeline))


@contextmanager
def _as_read_by(person: Any) -> Iterator[None]:
    """In their language, and by their clock."""
    reader = Reader.of(person)
    with translation.override(reader.language or settings.LANGUAGE_CODE), timezone.override(reader.zone):
        yield


def _told(request: ApprovalRequest, about: str, people: Sequence[Any]) -> list[Any]:
    """Those of them who have an address, want it and may decide, never the one who started the run."""
    found = get_user_model()._default_manager.filter(pk__in=people) if people else candidates(request, about)
    found = found.exclude(email="")
    if about == REMINDER:
        found = found.exclude(pk__in=[vote.actor_id for vote in standing_of(request).counted if vote.actor_id])
    # A few more than are told: of some only the people themselves say that they may not.
    some = found.distinct().order_by("pk").select_related("reader")[: 2 * PEOPLE_AT_MOST]
    wanting = (one for one in some if _wants(one, about, request.pipeline))
    may = (one for one in wanting if one.pk != request.requested_by_id and not why_not_decide(one, request))
    return list(may)[:PEOPLE_AT_MOST]


def candidates(request: ApprovalRequest, about: str) -> QuerySet[Any]:
    """Those who may decide it as far as the database tells, some twice; since an `ESCALATION`, those it went to."""
    people = holders_of(DECIDE)
    deciders = RequestDecider.objects.filter(request=request)
    if about == ESCALATION:
        deciders = deciders.filter(why=RequestDecider.Why.ESCALATED)
    elif request.open_to_all:
        return people
    named = Q(username__in=deciders.values("username")) | Q(groups__name__in=deciders.values("group"))
    for permission in deciders.exclude(permission="").values_list("permission", flat=True):
        named |= Q(pk__in=holders_of(permission).values("pk"))
    givers = get_user_model()._default_manager.filter(named).values("pk")
    takers = Delegation.objects.active().for_pipeline(request.pipeline).filter(giver__in=givers).values("taker")
    return people.filter(Q(pk__in=givers) | Q(pk__in=takers))


# ---- What a mail says ----


def _mail(person: Any, subject: str, lines: Sequence[str], path: str) -> mail.EmailMessage:
    body = [
        gettext("Hello %(person)s,") % {"person": _name(person)},
        "",
        *lines,
        "",
        f"{settings.SITE_URL.rstrip('/')}{path}",
        "",
        gettext("The link opens the page, and you are asked to sign in. Nothing in this mail decides anything."),
        "",
    ]
    return mail.EmailMessage(
        shortened(subject, LONGEST_SUBJECT),
        "\n".join(body),
        to=[person.email],
        headers={"Auto-Submitted": "auto-generated"},
    )


def _facts(request: ApprovalRequest) -> Iterator[str]:
    if request.pipeline:
        yield gettext("Pipeline: %(pipeline)s") % {"pipeline": _pipeline(request.pipeline)}
    yield gettext("Risk: %(risk)s") % {"risk": request.get_risk_display().lower()}
    yield gettext("Waits since: %(opened_at)s") % {"opened_at": _moment(request.opened_at)}
    if request.due_at:
        yield gettext("Due: %(due_at)s") % {"due_at": _moment(request.due_at)}
    if request.expires_at:
        yield gettext("Expires: %(expires_at)s; if nobody decides, it %(on_expire)s") % {
            "expires_at": _moment(request.expires_at),
            "on_expire": _ON_EXPIRE[request.on_expire],
        }


def _pipeline(name: str) -> str:
    known = pipelines.find(name)
    return _line(known.title if known else name)


def _name(person: Any) -> str:
    return _line(person.get_full_name() or person.get_username())


def _line(text: str) -> str:
    """Text of unknown origin in one line, with nothing in it that hides or turns around what stands beside it."""
    return visible(" ".join(text.translate(_MARKS).split()))


def _moment(when: Any) -> str:
    return f"{timezone.localtime(when):%Y-%m-%d %H:%M %Z}"
