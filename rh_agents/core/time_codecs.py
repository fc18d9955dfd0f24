"""How dates, times, durations and time zones are written and read."""

from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from pydantic_core import TzInfo

from rh_agents.core.coding import (
    TAG,
    Load,
    Node,
    Refused,
    read,
    reads,
    refuse_shape,
    text_of,
    type_label,
    writers,
)
from rh_agents.core.scalar_codecs import all_of, write_str


def _write_date(value: date, depth: int) -> Node:
    return {TAG: "date", "v": value.isoformat()}


@reads("date", "v")
def _read_date(node: Node, load: Load) -> date:
    return date.fromisoformat(text_of(node))


def _write_time(value: datetime | time, depth: int) -> Node:
    zone = value.tzinfo
    # An offset without a name stands in the text already. TzInfo is what pydantic reads one from JSON as.
    is_in_text = type(zone) is TzInfo or (type(zone) is timezone and not _has_name(zone))
    tz = {} if zone is None or is_in_text else {"tz": write_zone(zone, depth + 1)}
    fold = {"fold": 1} if value.fold else {}
    return {TAG: "datetime" if type(value) is datetime else "time", "v": value.isoformat(), **fold, **tz}


@reads("datetime", "v", optional=("fold", "tz"))
def _read_datetime(node: Node, load: Load) -> datetime:
    return _in_zone(datetime.fromisoformat(text_of(node)), node, load)  # type: ignore[no-any-return]


@reads("time", "v", optional=("fold", "tz"))
def _read_time(node: Node, load: Load) -> time:
    return _in_zone(time.fromisoformat(text_of(node)), node, load)  # type: ignore[no-any-return]


def _in_zone(value: Any, node: Node, load: Load) -> Any:
    # The clock on the wall is kept, not the instant: a zone's rules may have changed since.
    zone = read(node["tz"], load) if "tz" in node else value.tzinfo
    return value.replace(tzinfo=zone, fold=1 if node.get("fold") == 1 else 0)


def _write_timedelta(value: timedelta, depth: int) -> Node:
    return {TAG: "timedelta", "v": [value.days, value.seconds, value.microseconds]}


@reads("timedelta", "v")
def _read_timedelta(node: Node, load: Load) -> timedelta:
    return _duration(node["v"])


def _duration(parts: Any) -> timedelta:
    if type(parts) is not list:
        refuse_shape("days, seconds and microseconds", parts)
    return timedelta(*all_of(int, parts, 3))


def _has_name(zone: timezone) -> bool:
    return zone.tzname(None) != timezone(zone.utcoffset(None)).tzname(None)


def write_zone(zone: tzinfo, depth: int) -> Node:
    """The node of a time zone.

    Raises:
        Refused: it is of another library, or was read from a file and has no name.
    """
    if type(zone) is ZoneInfo and zone.key:
        return {TAG: "zoneinfo", "v": zone.key}
    if type(zone) is TzInfo:
        zone = timezone(zone.utcoffset(None) or timedelta())
    if type(zone) is not timezone:
        raise Refused(f"a time zone of type {type_label(type(zone))} ({zone!r:.80}) cannot be written")
    offset = zone.utcoffset(None)
    node: Node = {TAG: "timezone", "v": [offset.days, offset.seconds, offset.microseconds]}
    return {**node, "name": write_str(zone.tzname(None))} if _has_name(zone) else node


@reads("timezone", "v", optional=("name",))
def _read_timezone(node: Node, load: Load) -> timezone:
    offset = _duration(node["v"])
    return timezone(offset, read(node["name"], load)) if "name" in node else timezone(offset)


@reads("zoneinfo", "v")
def _read_zoneinfo(node: Node, load: Load) -> ZoneInfo:
    return ZoneInfo(text_of(node))


writers.update(
    {
        date: _write_date,
        datetime: _write_time,
        time: _write_time,
        timedelta: _write_timedelta,
        timezone: write_zone,
        ZoneInfo: write_zone,
        TzInfo: write_zone,
    }
)
