"""Text from a browser into exact values, and values into the text that gives them back."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from django.utils.translation import gettext
from pydantic import TypeAdapter, ValidationError

from recovery.forms.shapes import Kind
from recovery.rendering.literals import scalar_text

LONGEST_TEXT: Final = 1_000_000
# int() refuses more, and takes quadratic time for less.
LONGEST_INTEGER: Final = 4_300

_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_HEX: Final = re.compile(r"[+-]?0x[0-9a-f]+", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_NO_NUMBER: Final = re.compile(r"[+-]?(s?nan|inf|infinity)", re.IGNORECASE)
_CLOCK: Final = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,6})?)?"
_ZONE: Final = r"Z|[+-][0-9]{2}:?[0-9]{2}(?::?[0-9]{2}(?:\.[0-9]{1,6})?)?"
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATETIME: Final = re.compile(rf"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]{_CLOCK}) ?({_ZONE})?", re.IGNORECASE)
_TIME: Final = re.compile(rf"({_CLOCK}) ?({_ZONE})?", re.IGNORECASE)
_OFFSET: Final = re.compile(_ZONE, re.IGNORECASE)
_DURATION: Final = re.compile(
    r"(?P<sign>[+-]?)(?:(?P<days>[0-9]{1,9}) ?d(?:ays?)?,? ?)?"
    r"(?:(?P<hours>[0-9]{1,9}):(?P<minutes>[0-9]{2})(?::(?P<seconds>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,6}))?)?)?",
    re.IGNORECASE,
)
_ISO_DURATION: Final = TypeAdapter(timedelta)

# Browsers and HTML parsers cannot carry these: they are replaced on the way.
_LOST: Final = re.compile("[\0\ud800-\udfff]")


class TextError(ValueError):
    """A text that is not a value of its kind; the message is for the person who wrote it."""


def unix_newlines(text: str) -> str:
    """As the text is compared: a browser sends every line end as CR LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_lost_in_html(text: str) -> bool:
    """Whether a page could not show the text, or a browser would not send it back as it was."""
    return _LOST.search(text) is not None


def text_of(value: Any) -> str:
    """What stands in the text field of a value; `""` for `None`."""
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    return scalar_text(value) or str(value)


def parse(kind: Kind, text: str) -> Any:
    """The exact value of a text of this kind; `str`, `text` and `path` stay text.

    Raises:
        TextError: it is not one.
    """
    if len(text) > LONGEST_TEXT:
        raise TextError(
            gettext("This is longer than %(longest_text)s characters.") % {"longest_text": f"{LONGEST_TEXT:,}"}
        )
    if is_lost_in_html(text):
        raise TextError(
            gettext("This holds a character that cannot be sent or stored (U+0000 or half a surrogate pair).")
        )
    reader = _READERS.get(kind)
    return reader(text.strip()) if reader else text


def _integer(text: str) -> int:
    if len(text) > LONGEST_INTEGER and not _HEX.fullmatch(text):
        raise TextError(
            gettext("This has more than %(longest_integer)s digits; write it as 0x and hexadecimal digits.")
            % {"longest_integer": f"{LONGEST_INTEGER:,}"}
        )
    if _INTEGER.fullmatch(text):
        return int(text)
    if _HEX.fullmatch(text):
        return int(text, 16)
    raise TextError(gettext("Enter a whole number, such as 42."))


def _float(text: str) -> float:
    if _NO_NUMBER.fullmatch(text) and "s" not in text.lower():
        return float(text)
    if not _NUMBER.fullmatch(text):
        raise TextError(gettext("Enter a number, with a point before the fraction, such as 0.5."))
    value = float(text)
    if value - value != 0:
        raise TextError(gettext("This number is too large."))
    return value


def _decimal(text: str) -> Decimal:
    if not (_NUMBER.fullmatch(text) or _NO_NUMBER.fullmatch(text)):
        raise TextError(gettext("Enter a number, with a point before the fraction, such as 1180.00."))
    try:
        return Decimal(text)
    except InvalidOperation:
        raise TextError(gettext("This number is too large.")) from None


def _date(text: str) -> date:
    if _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise TextError(gettext("There is no such day.")) from None
    raise TextError(gettext("Enter a date as year-month-day, such as 2026-11-23."))


def parse_datetime(text: str, zone: tzinfo | None) -> datetime:
    """A date and time; an offset written behind it goes before `zone`."""
    match = _DATETIME.fullmatch(text.strip())
    if match is None:
        raise TextError(gettext("Enter a date and time, such as 2026-11-23 16:01:12."))
    try:
        moment = datetime.fromisoformat(match[1].replace(",", "."))
    except ValueError:
        raise TextError(gettext("There is no such day or time.")) from None
    return moment.replace(tzinfo=parse_zone(match[2]) if match[2] else zone)


def parse_time(text: str, zone: tzinfo | None) -> time:
    """A time of day; an offset written behind it goes before `zone`."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise TextError(gettext("Enter a time, such as 16:01 or 16:01:12."))
    try:
        moment = time.fromisoformat(match[1].replace(",", "."))
    except ValueError:
        raise TextError(gettext("There is no such time.")) from None
    return moment.replace(tzinfo=parse_zone(match[2]) if match[2] else zone)


def zone_text(value: datetime | time) -> str:
    """`UTC`, `+02:00` or `Europe/Berlin`; `""` for a time without a zone."""
    if value.tzinfo is None:
        return ""
    name = getattr(value.tzinfo, "key", None)
    if isinstance(name, str):
        return name
    offset = value.utcoffset()
    if offset is None:
        return str(value.tzinfo)
    # The offset as Python writes it behind a time: +HH:MM, with seconds where there are any.
    return "UTC" if not offset else time(tzinfo=timezone(offset)).isoformat()[8:]


def parse_zone(text: str) -> tzinfo | None:
    """The inverse of `zone_text`."""
    text = text.strip()
    if not text:
        return None
    if text.upper() in ("UTC", "Z"):
        return UTC
    if _OFFSET.fullmatch(text):
        try:
            offset = datetime.fromisoformat(f"2000-01-01T00:00:00{text}").utcoffset()
        except ValueError:
            offset = None
        if offset is not None:
            return timezone(offset)
    elif text in _zone_names():
        return ZoneInfo(text)
    raise TextError(gettext("Enter a time zone as UTC, +02:00 or Europe/Berlin."))


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    try:
        if match and (match["days"] or match["hours"]):
            size = timedelta(
                days=int(match["days"] or 0),
                hours=int(match["hours"] or 0),
                minutes=int(match["minutes"] or 0),
                seconds=int(match["seconds"] or 0),
                microseconds=int((match["fraction"] or "0").ljust(6, "0")),
            )
            return -size if match["sign"] == "-" else size
        if text.lstrip("+-").upper().startswith("P"):
            return _ISO_DURATION.validate_python(text)
    except (OverflowError, ValidationError):
        raise TextError(gettext("This duration is too long, or not one.")) from None
    raise TextError(gettext("Enter a duration as hours and minutes, such as 1:30, 02:00:05 or 2 days 04:00."))


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise TextError(gettext("Enter a UUID, such as 7c1e4b0a-0c5f-4c1e-9a53-0f2d5b7a9e10.")) from None


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "int": _integer,
    "float": _float,
    "decimal": _decimal,
    "date": _date,
    "timedelta": _duration,
    "uuid": _uuid,
}
