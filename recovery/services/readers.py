"""What people say about how they read: saving their settings, and the time zones there are."""

import zoneinfo
from collections.abc import Mapping
from functools import cache
from typing import Any

from recovery.models import Reader

FIELDS = ("time_zone", "language", "density", "theme", "pipelines", "has_shortcuts", "unwanted_mails")
# Names that are kept for old systems only, and the parts of the world that cities stand under.
_AREAS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


@cache
def zone_names() -> dict[str, list[str]]:
    """Area to the names of its zones, all in order; `UTC` stands by itself."""
    names: dict[str, list[str]] = {area: [] for area in _AREAS}
    for name in sorted(zoneinfo.available_timezones()):
        if (area := name.partition("/")[0]) in names:
            names[area].append(name)
    return {"": ["UTC"], **names}


def is_zone(name: str) -> bool:
    return any(name in names for names in zone_names().values())


def save(user: Any, said: Mapping[str, Any]) -> Reader:
    """Save what `user` said of `FIELDS`; what they did not speak of stays as it is."""
    given = {name: said[name] for name in FIELDS if name in said}
    reader, _ = Reader.objects.update_or_create(user=user, defaults=given)
    user.reader = reader
    return reader
