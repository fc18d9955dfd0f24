"""Patterns that an admin writes: regular expressions, of which only those are taken that cannot run for ever."""

import re

LONGEST_PATTERN = 200
LONGEST_TEXT = 200
# So many ways to read one text are tried at most: some tenths of a second.
WAYS_AT_MOST = 10_000_000

_TOKEN = re.compile(
    r"""(?P<special>\(\?(?!:))|(?P<open>\((?:\?:)?)|(?P<close>\))|(?P<or>\|)
    |(?P<repeat>[*+?]|\{\d*,\d*\}|\{\d+\})[?+]?
    |(?P<back>\\[1-9])|(?P<letter>\[\^?\]?(?:\\.|[^\]\\])*\]|\\.|.)""",
    re.VERBOSE | re.DOTALL,
)


def why_refused(pattern: str) -> str:
    """Why a pattern is not taken, "" if it is."""
    if len(pattern) > LONGEST_PATTERN:
        return f"The pattern is longer than {LONGEST_PATTERN} characters."
    try:
        re.compile(pattern, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        return f"This is no regular expression: {error}."
    kinds = {found.lastgroup for found in _TOKEN.finditer(pattern)}
    if "special" in kinds:
        return "Groups of the form (?...) are not taken, except (?:...)."
    if "back" in kinds:
        return "References back to a group are not taken."
    if _ways(pattern) > WAYS_AT_MOST:
        return "It has too many open repeats (*, + and the like), or one inside of another: it could run for ever."
    return ""


def matches(pattern: str, text: str) -> bool:
    """Whether the whole of `text` is as `pattern` says; never for a text that is too long. `\\d`, `\\w` and `\\s` are
    those of ASCII.

    Raises:
        ValueError: the pattern is one that is refused.
    """
    if reason := why_refused(pattern):
        raise ValueError(reason)
    return len(text) <= LONGEST_TEXT and re.fullmatch(pattern, text, re.ASCII) is not None


def _ways(pattern: str) -> int:
    """In how many ways a text may be read by it, at most; what is far too many is not counted further."""
    groups: list[int] = []
    # `here`: of the group so far; `last`: of what a repeat that follows would repeat.
    here, last = 1, 1
    for found in _TOKEN.finditer(pattern):
        kind = found.lastgroup
        if kind == "repeat":
            least, most = _bounds(found["repeat"])
            here = here * (most - least + 1) * last ** (most - 1 if most else 0)
            last = 1
        elif kind == "open":
            groups.append(here)
            here = 1
        elif kind == "close":
            last, here = here, here * groups.pop()
        elif kind == "or":
            here, last = here * 2, 1
        else:
            last = 1
        here = min(here, WAYS_AT_MOST + 1)
    return here


def _bounds(repeat: str) -> tuple[int, int]:
    """No more often than a text has letters."""
    if repeat in ("*", "+", "?"):
        return {"*": (0, LONGEST_TEXT), "+": (1, LONGEST_TEXT), "?": (0, 1)}[repeat]
    least, comma, most = repeat[1:-1].partition(",")
    first = int(least or 0)
    last = first if not comma else int(most) if most else LONGEST_TEXT
    return min(first, LONGEST_TEXT), min(last, LONGEST_TEXT)
