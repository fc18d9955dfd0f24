"""Addresses: where in a run a step stands, and nothing about its input.

`planner#2::search::tool_call` is the step `search`, a tool, called inside the second call of `planner`.
"""

import re
from typing import NamedTuple

from rh_agents.core.errors import AddressError

MAX_ADDRESS_LENGTH = 1000
SEPARATOR = "::"

_BRANCHES_AND_NUMBER = re.compile(r"(\[[0-9]+\])*(#[0-9]+)?")


class Address(NamedTuple):
    """A step's address, the path that the steps inside of it begin with, the address of its first namesake, and the
    lane of the task that calls it (see `lanes`)."""

    text: str
    path: tuple[str, ...]
    base: str
    lane: str = ""


def check_part(part: str, what: str = "name") -> str:
    """Give `part` back if it can stand in an address.

    Raises:
        AddressError: it is empty, holds `::`, `#` or a control character.
    """
    if not part or not part.strip():
        raise AddressError(f"a {what} must not be empty")
    if SEPARATOR in part or "#" in part:
        raise AddressError(f"the {what} {part!r} holds '::' or '#', which separate the parts of an address")
    if part.startswith(":") or part.endswith(":"):
        raise AddressError(f"the {what} {part!r} begins or ends with ':', which would blur the parts of an address")
    if not part.isprintable():
        raise AddressError(f"the {what} {part!r} holds a character that cannot be shown")
    return part


def join(path: tuple[str, ...], event_type: str, number: int = 1) -> str:
    """The address of the `number`-th call, of at most 1 000 characters."""
    address = SEPARATOR.join((*path, event_type))
    if number > 1:
        address = f"{address}#{number}"
    if len(address) > MAX_ADDRESS_LENGTH:
        raise AddressError(
            f"an address has at most {MAX_ADDRESS_LENGTH} characters; this has {len(address)}: {address[:80]}…"
        )
    return address


def path_of(address: str) -> tuple[str, ...]:
    """The parts of the path, as a child would carry them: the occurrence moves from the type to the last name.

    >>> path_of("planner::agent_call#2")
    ('planner#2',)
    """
    *parts, event_type = address.split(SEPARATOR)
    _, mark, number = event_type.partition("#")
    if mark and parts:
        parts[-1] = f"{parts[-1]}#{number}"
    return tuple(parts)


def caller_path(address: str, actor: str) -> tuple[str, ...]:
    """The path of the step that called the step at `address`, whose actor (or question) is named `actor`.

    >>> caller_path("planner#2::search::tool_call", "search")
    ('planner#2',)
    >>> caller_path("search::weather::tool_call", "search")  # `weather` is the tag
    ()
    """
    path = path_of(address)
    last = path[-1] if path else ""
    is_tagged = not (last.startswith(actor) and _BRANCHES_AND_NUMBER.fullmatch(last, len(actor)))
    return path[:-2] if is_tagged else path[:-1]


def is_within(address: str, ancestor: str) -> bool:
    """Whether the path of `address` begins with that of `ancestor`: it ran inside of it, or is a tagged call of it."""
    inner, outer = path_of(address), path_of(ancestor)
    return len(inner) > len(outer) and inner[: len(outer)] == outer
