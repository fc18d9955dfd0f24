"""Times, durations and sizes in the few words that a row has room for."""

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext

MINUTE_S = 60
HOUR_S = 60 * MINUTE_S
DAY_S = 24 * HOUR_S

# From here on a date says more than a number of days.
DATE_AFTER_S = 60 * DAY_S


def duration(seconds: float) -> str:
    """`12 ms`, `0.8 s`, `24.2 s`, `4 min 5 s`, `1 h 12 min`, `3 d 2 h`; a dash for what is not a time."""
    if seconds != seconds or seconds < 0 or seconds == float("inf"):
        return "–"
    if seconds < 0.0005:
        return "0 ms"
    if seconds < 0.0995:
        return f"{round(seconds * 1000)} ms"
    if round(seconds, 1) < MINUTE_S:
        return f"{_one_place(seconds)} s"
    whole = round(seconds)
    if whole < HOUR_S:
        return _two_units(whole, MINUTE_S, "min", 1, "s")
    if whole < DAY_S:
        return _two_units(whole, HOUR_S, "h", MINUTE_S, "min")
    return _two_units(whole, DAY_S, "d", HOUR_S, "h")


def span(seconds: float) -> str:
    """One unit, rounded down: `45 s`, `34 min`, `2 h`, `9 d`."""
    whole = int(max(seconds, 0))
    for unit_s, unit in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if whole >= unit_s:
            return f"{whole // unit_s} {unit}"
    return f"{whole} s"


def ago(when: datetime, now: datetime) -> str:
    """`34 min ago`, `in 2 h`, `just now`; a date for what is further away than two months."""
    seconds = (now - when).total_seconds()
    if abs(seconds) >= DATE_AFTER_S:
        return date_format(timezone.localtime(when), "j M Y")
    if abs(seconds) < 1:
        return gettext("just now")
    return (
        gettext("%(span)s ago") % {"span": span(seconds)}
        if seconds > 0
        else gettext("in %(span)s") % {"span": span(-seconds)}
    )


def size(count: int) -> str:
    """Bytes as `84 B`, `3.1 KB`, `12 MB`; a kilobyte has 1 024."""
    if count < 1024:
        return f"{count} B"
    amount = float(count)
    for unit in ("KB", "MB", "GB", "TB"):
        amount /= 1024
        # 999.5 and above would round up to a fourth digit.
        if amount < 999.5 or unit == "TB":
            break
    return f"{_one_place(amount)} {unit}" if amount < 9.95 else f"{round(amount)} {unit}"


def _one_place(amount: float) -> str:
    """With the point or comma of the reader's language."""
    return number_format(round(amount, 1), 1)


def _two_units(whole: int, big_s: int, big: str, small_s: int, small: str) -> str:
    amount, rest = divmod(whole, big_s)
    rest //= small_s
    return f"{amount} {big} {rest} {small}" if rest else f"{amount} {big}"
