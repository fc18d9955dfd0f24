"""Where in the lines of both sides a value stands."""

from typing import NamedTuple

from recovery.services.compare.rows import Segment


class Place(NamedTuple):
    """What is before a value in its line, and whether a comma follows it on either side."""

    indent: str
    head: str
    path: str
    comma_left: bool
    comma_right: bool
    is_root: bool = False


def comma_if(has_comma: bool) -> Segment:
    return Segment("," if has_comma else "")
