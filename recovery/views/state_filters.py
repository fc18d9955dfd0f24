"""The filters of the list of states: read from the address, never trusted, written back into it."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Self
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext

from recovery.models import State
from recovery.models.state import StateQuerySet
from recovery.rendering.marks import STATE_MARKS
from recovery.views.filters import LONGEST_VALUE, Chip

TAGS_AT_MOST = 10

_FILTERS = ("text", "status", "pipeline", "tags", "from", "to")
_SEPARATOR = "~"


@dataclass(frozen=True, slots=True)
class StateFilters:
    """What the list is narrowed to. `after` or `before` is the place in it, `left` the first side of a comparison that
    somebody is choosing. Values that mean nothing are left out; `notices` says which."""

    values: dict[str, str] = field(default_factory=dict)
    after: str = ""
    before: str = ""
    left: str = ""
    notices: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> Self:
        given = {name: str(query.get(name, "")).strip() for name in (*_FILTERS, "after", "before", "left")}
        notices = []
        for name, value in given.items():
            if reason := _why_not(name, value):
                notices.append(reason)
                given[name] = ""
        given["tags"] = ", ".join(_words(given["tags"]))
        given |= {name: day.isoformat() for name in ("from", "to") if (day := _day(given[name]))}
        if given["from"] and given["to"] and given["from"] > given["to"]:
            notices.append(
                gettext("%(given)s is later than %(given_2)s: nothing was updated in between.")
                % {"given": given["from"], "given_2": given["to"]}
            )
        values = {name: given[name] for name in _FILTERS if given[name]}
        return cls(values, given["after"], given["before"], given["left"], tuple(notices))

    @property
    def is_active(self) -> bool:
        return bool(self.values)

    @property
    def text(self) -> str:
        return self.values.get("text", "")

    @property
    def status(self) -> str:
        return self.values.get("status", "")

    @property
    def pipeline(self) -> str:
        return self.values.get("pipeline", "")

    @property
    def tags(self) -> str:
        return self.values.get("tags", "")

    @property
    def first_day(self) -> str:
        return self.values.get("from", "")

    @property
    def last_day(self) -> str:
        return self.values.get("to", "")

    def narrow(self, states: StateQuerySet) -> StateQuerySet:
        if self.status:
            states = states.with_status(self.status)
        if self.pipeline:
            states = states.of_pipeline(self.pipeline)
        if self.tags:
            states = states.tagged(_words(self.tags))
        if self.text:
            states = states.matching(self.text)
        if self.first_day:
            states = states.filter(updated_at__gte=_start_of(self.first_day))
        if self.last_day:
            states = states.filter(updated_at__lt=_start_of(self.last_day, days_later=1))
        return states

    def url(self, **more: str) -> str:
        """The list with these filters, at its top unless `more` names a place."""
        query = {**self.values, "left": self.left, **more}
        given = {name: value for name, value in query.items() if value}
        return reverse("recovery:states") + (f"?{urlencode(given)}" if given else "")

    @property
    def url_unfiltered(self) -> str:
        return replace(self, values={}).url()

    @property
    def url_without_left(self) -> str:
        return replace(self, left="").url()

    @property
    def chips(self) -> list[Chip]:
        return list(self._chips())

    def _chips(self) -> Iterator[Chip]:
        for name, value in self.values.items():
            if name == "tags":
                words = _words(value)
                for word in words:
                    rest = ", ".join(other for other in words if other != word)
                    yield Chip(gettext("tag: %(word)s") % {"word": word}, self._with(tags=rest))
            else:
                shown = STATE_MARKS[value].word.lower() if name == "status" else value
                label = {"from": gettext("updated from"), "to": gettext("updated until")}.get(name, name)
                yield Chip(f"{label}: {shown}", self._with(**{name: ""}))

    def _with(self, **changed: str) -> str:
        values = {name: value for name, value in {**self.values, **changed}.items() if value}
        return replace(self, values=values).url()


def page_of(states: StateQuerySet, filters: StateFilters, size: int) -> tuple[list[State], str, str, str]:
    """One page of rows, newest first; the places `before` and `after` it, "" where there is nothing; and a notice."""
    notice = ""
    place = None
    if asked := filters.before or filters.after:
        place = _place(asked)
        if place is None:
            notice = gettext("That place in the list is unknown; this is its top.")
    if place and filters.before and not filters.after:
        rows = list(_before(states, *place)[: size + 1])
        has_newer, rows = len(rows) > size, rows[:size][::-1]
        has_older = True
    else:
        rows = list((states.after(*place) if place else states).newest_first()[: size + 1])
        has_older, rows = len(rows) > size, rows[:size]
        has_newer = place is not None
    newer = _place_of(rows[0]) if rows and has_newer else ""
    older = _place_of(rows[-1]) if rows and has_older else ""
    return rows, newer, older, notice


def _before(states: StateQuerySet, updated_at: datetime, state_id: uuid.UUID) -> StateQuerySet:
    """The page before that row, oldest first: what is nearest to it comes first."""
    newer = states.filter(Q(updated_at__gt=updated_at) | Q(updated_at=updated_at, id__gt=state_id))
    return newer.order_by("updated_at", "id")


def _place_of(state: State) -> str:
    return f"{state.updated_at.isoformat()}{_SEPARATOR}{state.pk}"


def _place(text: str) -> tuple[datetime, uuid.UUID] | None:
    try:
        when, pk = text.split(_SEPARATOR)
        moment = parse_datetime(when)
        if moment is None or timezone.is_naive(moment):
            return None
        return moment.astimezone(UTC), uuid.UUID(pk)
    except (ValueError, OverflowError):
        return None


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
    if not value:
        return ""
    if name == "status" and value not in State.Status.values:
        return gettext("“%(value)s” is no status; there are: %(values)s. It was left out.") % {
            "value": value,
            "values": ", ".join(State.Status.values),
        }
    if name in ("from", "to") and _day(value) is None:
        return gettext("“%(value)s” is no date like 2026-11-23; it was left out.") % {"value": value}
    if name == "tags" and len(_words(value)) > TAGS_AT_MOST:
        return gettext("At most %(tags_at_most)s tags can be asked for at once; they were left out.") % {
            "tags_at_most": TAGS_AT_MOST
        }
    if name == "left" and not _is_uuid(value):
        return gettext("“%(value)s” is no id of a state to compare with; it was left out.") % {"value": value}
    return ""


def _words(tags: str) -> list[str]:
    return list(dict.fromkeys(word for part in tags.split(",") if (word := part.strip())))


def _day(text: str) -> date | None:
    try:
        return parse_date(text)
    except ValueError:
        return None


def _start_of(text: str, days_later: int = 0) -> datetime:
    day = min(_day(text) or date.min, date.max - timedelta(days=1))
    return timezone.make_aware(datetime.combine(day + timedelta(days=days_later), time.min))


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
