"""Addresses: where in a run a step stands, and nothing about its input.

`planner#2::search::tool_call` is the step `search`, a tool, called inside the second call of `planner`.
"""

from rh_agents.core.errors import AddressError

MAX_ADDRESS_LENGTH = 1000
SEPARATOR = "::"


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


def join(path: tuple[str, ...], event_type: str) -> str:
    """The address of a step, of at most 1 000 characters."""
    address = SEPARATOR.join((*path, event_type))
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


def is_within(address: str, ancestor: str) -> bool:
    """Whether `address` is a step that ran inside of the step `ancestor`."""
    inner, outer = path_of(address), path_of(ancestor)
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def parent_path(address: str) -> tuple[str, ...]:
    return path_of(address)[:-1]
