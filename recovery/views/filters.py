"""The filters of the inbox: read from the address, never trusted, written back into it."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext

from recovery.languages import lazy as _
from recovery.models import ApprovalRequest, Risk
from recovery.models.approval import ApprovalRequestQuerySet
from recovery.models.words import words_of

LONGEST_VALUE = 200

RISKS = {risk.label.lower(): risk for risk in reversed(Risk)}
AGES = {"1h": (_("1 h"), timedelta(hours=1)), "1d": (_("1 d"), timedelta(days=1)), "1w": (_("1 w"), timedelta(weeks=1))}
TABS = {"mine": _("For me"), "open": _("All open"), "decided": _("Decided")}

# Name of the filter, words for it, and what is due by then; overdue is due by now.
DUES = {
    "over": (_("Overdue"), timedelta(0)),
    "1h": (_("Due within 1 h"), timedelta(hours=1)),
    "1d": (_("Due within 1 d"), timedelta(days=1)),
    "1w": (_("Due within 1 w"), timedelta(weeks=1)),
    "none": (_("Without a due date"), None),
}
# Anything else is the name of somebody who holds it.
HOLDERS = {"me": _("Held by me"), "nobody": _("Held by nobody"), "others": _("Held by others")}

_FILTERS = ("text", "pipeline", "risk", "tag", "age", "due", "held")
_SEPARATOR = "~"


@dataclass(frozen=True, slots=True)
class Chip:
    """One active filter in words, and where the list is without it."""

    words: str
    url_without: str


@dataclass(frozen=True, slots=True)
class InboxFilters:
    """What the list is narrowed to. Values that mean nothing are left out; `notices` says which."""

    tab: str = "mine"
    text: str = ""
    pipeline: str = ""
    risk: str = ""
    tag: str = ""
    age: str = ""
    due: str = ""
    held: str = ""
    after: str = ""
    notices: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> Self:
        given = {name: str(query.get(name, "")).strip() for name in ("tab", *_FILTERS, "after")}
        notices = []
        for name, value in given.items():
            if reason := _why_not(name, value):
                notices.append(reason)
                given[name] = ""
        return cls(**given | {"tab": given["tab"] or "mine"}, notices=tuple(notices))

    @property
    def is_active(self) -> bool:
        return any(getattr(self, name) for name in _FILTERS)

    def narrow(self, requests: ApprovalRequestQuerySet, user: Any) -> ApprovalRequestQuerySet:
        if self.text:
            requests = requests.matching(self.text)
        if self.pipeline:
            requests = requests.filter(pipeline=self.pipeline)
        if self.risk:
            requests = requests.filter(risk=RISKS[self.risk])
        if self.tag:
            requests = requests.tagged(self.tag)
        if self.age:
            requests = requests.filter(opened_at__lte=timezone.now() - AGES[self.age][1])
        if self.due:
            requests = self._due(requests)
        return self._held(requests, user) if self.held else requests

    def _due(self, requests: ApprovalRequestQuerySet) -> ApprovalRequestQuerySet:
        within = DUES[self.due][1]
        if within is None:
            return requests.filter(due_at__isnull=True)
        return requests.filter(due_at__isnull=False, due_at__lte=timezone.now() + within)

    def _held(self, requests: ApprovalRequestQuerySet, user: Any) -> ApprovalRequestQuerySet:
        match self.held:
            case "me":
                return requests.filter(holder=user)
            case "nobody":
                return requests.filter(holder__isnull=True)
            case "others":
                return requests.filter(holder__isnull=False).exclude(holder=user)
            case name:
                return requests.filter(holder__isnull=False, holder__username=name)

    def query(self) -> dict[str, str]:
        """As it stands in the address, without the place in the list."""
        values = {"tab": "" if self.tab == "mine" else self.tab} | {name: getattr(self, name) for name in _FILTERS}
        return {name: value for name, value in values.items() if value}

    def url(self, **more: str) -> str:
        query = {name: value for name, value in (self.query() | more).items() if value}
        return reverse("recovery:inbox") + (f"?{urlencode(query)}" if query else "")

    @property
    def suffix(self) -> str:
        """What an address ends with that carries them."""
        query = self.query()
        return f"?{urlencode(query)}" if query else ""

    @property
    def url_unfiltered(self) -> str:
        return InboxFilters(tab=self.tab).url()

    @property
    def chips(self) -> list[Chip]:
        return list(self._chips())

    def _chips(self) -> Iterator[Chip]:
        for name in _FILTERS:
            if value := getattr(self, name):
                yield Chip(_in_words(name, value), self.url(**{name: ""}))


def _in_words(name: str, value: str) -> str:
    match name:
        case "age":
            return gettext("over %(age)s old") % {"age": AGES[value][0]}
        case "due":
            return DUES[value][0].lower()
        case "held":
            return HOLDERS[value].lower() if value in HOLDERS else gettext("held by %(value)s") % {"value": value}
        case _:
            return f"{name}: {value}"


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter with a few fixed values: what its field offers, and which of it is chosen."""

    name: str
    label: str
    values: Sequence[tuple[str, str, bool]]


def choices_of(filters: InboxFilters, holders: Mapping[str, str] | None = None) -> list[Choice]:
    """`holders`: the words for each person who holds something, by username."""
    risks = {name: risk.label for name, risk in RISKS.items()}
    ages = {name: gettext("Over %(words)s old") % {"words": words} for name, (words, _) in AGES.items()}
    dues = {name: words for name, (words, _) in DUES.items()}
    chosen = (
        {filters.held: gettext("Held by %(held)s") % {"held": filters.held}}
        if filters.held not in ("", *HOLDERS)
        else {}
    )
    held = {**HOLDERS, **chosen, **(holders or {})}
    return [
        Choice("risk", gettext("Risk"), _offered(gettext("Any risk"), risks, filters.risk)),
        Choice("due", gettext("Due"), _offered(gettext("Any due date"), dues, filters.due)),
        Choice("age", gettext("Age"), _offered(gettext("Any age"), ages, filters.age)),
        Choice("held", gettext("Held by"), _offered(gettext("Held or not"), held, filters.held)),
    ]


def _offered(empty: str, named: Mapping[str, str], chosen: str) -> list[tuple[str, str, bool]]:
    return [(name, words, name == chosen) for name, words in {"": empty, **named}.items()]


@dataclass(frozen=True, slots=True)
class Way:
    """The addresses around a request; each carries the list that somebody came from."""

    pk: uuid.UUID
    filters: InboxFilters

    @property
    def inbox_url(self) -> str:
        return self.filters.url()

    @property
    def request_url(self) -> str:
        return self._url("recovery:request", self.pk)

    @property
    def more(self) -> str:
        """What goes between `request_url` and something to add to it."""
        return "&" if "?" in self.request_url else "?"

    @property
    def hand_on_url(self) -> str:
        return f"{self.request_url}{self.more}hand-on="

    @property
    def proposal_url(self) -> str:
        """To be followed by what is looked for in it."""
        return reverse("recovery:proposal", args=[self.pk], query={"of": "now"})

    @property
    def decide_url(self) -> str:
        return self._url("recovery:decide", self.pk)

    @property
    def undo_url(self) -> str:
        return self._url("recovery:undo", self.pk)

    @property
    def act_url(self) -> str:
        return self._url("recovery:act", self.pk)

    @property
    def comment_url(self) -> str:
        return self._url("recovery:comment", self.pk)

    @property
    def changes_url(self) -> str:
        """To be followed by what was seen."""
        url = self._url("recovery:request_changes", self.pk)
        return f"{url}{'&' if '?' in url else '?'}"

    @property
    def progress_url(self) -> str:
        """To be followed by what was seen."""
        url = self._url("recovery:progress", self.pk)
        return f"{url}{'&' if '?' in url else '?'}seen="

    @property
    def next_url(self) -> str:
        return self._url("recovery:next", after=str(self.pk))

    def _url(self, name: str, *args: Any, **more: str) -> str:
        query = self.filters.query() | more
        return reverse(name, args=args) + (f"?{urlencode(query)}" if query else "")


def _why_not(name: str, value: str) -> str:
    if "\x00" in value:
        return gettext("The filter %(name)s holds a character that cannot be searched for; it was left out.") % {
            "name": name
        }
    if len(value) > LONGEST_VALUE:
        return gettext("The filter %(name)s is longer than %(longest_value)s characters; it was left out.") % {
            "name": name,
            "longest_value": LONGEST_VALUE,
        }
    known = {"risk": tuple(RISKS), "age": tuple(AGES), "due": tuple(DUES), "tab": tuple(TABS)}.get(name)
    if name == "text" and value and not words_of(value):
        return gettext("There is no word in “%(value)s” to look for; it was left out.") % {"value": value}
    if value and known is not None and value not in known:
        return gettext("“%(value)s” is no %(name)s; there are: %(known)s. It was left out.") % {
            "value": value,
            "name": name,
            "known": ", ".join(known),
        }
    return ""


# ---- The place in the list: the last row that was shown ----


def place_of(tab: str, row: ApprovalRequest) -> str:
    if tab == "decided":
        return _SEPARATOR.join((_moment(row.resolved_at), str(row.pk)))
    return _SEPARATOR.join((str(row.risk), _moment(row.due_order), _moment(row.opened_at), str(row.pk)))


Parts = Sequence[ApprovalRequestQuerySet]


def parts_after(filters: InboxFilters, parts: Parts) -> tuple[Parts, str]:
    """`parts`, which are in no order yet, from the place on that the address names, and a notice if it names none."""
    if not filters.after:
        return parts, ""
    try:
        place = filters.after.split(_SEPARATOR)
        if filters.tab == "decided":
            when, pk = place
            return [part.decided_before(moment_of(when), uuid.UUID(pk)) for part in parts], ""
        risk, due, opened, pk = place
        behind = (RISKS_BY_NUMBER[risk], moment_of(due), moment_of(opened), uuid.UUID(pk))
        return [later for part in parts for later in part.behind(*behind)], ""
    except (ValueError, KeyError):
        return parts, gettext("That place in the list is unknown; it starts at the top.")


RISKS_BY_NUMBER = {str(int(risk)): int(risk) for risk in Risk}


def _moment(when: datetime | None) -> str:
    return when.isoformat() if when else ""


def moment_of(text: str) -> datetime:
    """Raises ValueError for anything but a point in time."""
    when = parse_datetime(text)
    if when is None or timezone.is_naive(when):
        raise ValueError(f"{text!r} is no point in time")
    try:
        return when.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is before or after all time") from error
