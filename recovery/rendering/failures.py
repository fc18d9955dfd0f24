"""The traceback of a failure, with the frames of the reader's own code marked."""

import re
from typing import NamedTuple

from django.utils.translation import gettext

from recovery.rendering.plain import visible

# A deep recursion is cut in the middle: what was called first and what failed in the end are what counts.
_LINES_AT_MOST = 200

# Frames of Python, of what is installed and of the engine are not where the reader's mistake is.
_NOT_OWN = ("/site-packages/", "/dist-packages/", "/lib/python3", "/rh_agents/", "/recovery/services/", "<frozen")
_FRAME = re.compile(r'[\s|+-]*File "(?P<file>[^"]*)", line \d+')
# Groups of exceptions draw lines beside and between their parts.
_DRAWN = " |+-"
_NO_ERROR = re.compile(
    r"|\d+ -+|(Exception Group )?Traceback \(most recent.*|During handling of the above.*|The above exception was.*"
)


class TraceLine(NamedTuple):
    """`is_own`: of a frame of the reader's code. `is_error`: of what was raised."""

    text: str
    is_own: bool = False
    is_error: bool = False


def traceback_lines(traceback: str, base_dir: str = "") -> list[TraceLine]:
    """The lines of a formatted traceback. Files below `base_dir` are written from there."""
    shown = visible(traceback).rstrip("\n")
    lines = _lines(shown.split("\n"), base_dir.rstrip("/")) if shown else []
    if len(lines) <= _LINES_AT_MOST:
        return lines
    half = _LINES_AT_MOST // 2
    return [
        *lines[:half],
        TraceLine(gettext("  … %(count)s lines left out …") % {"count": f"{len(lines) - 2 * half:,}"}),
        *lines[-half:],
    ]


def _lines(texts: list[str], base_dir: str) -> list[TraceLine]:
    lines: list[TraceLine] = []
    is_own, frame_indent = False, -1
    for text in texts:
        words = text.lstrip(_DRAWN)
        indent = len(text) - len(words)
        if frame := _FRAME.match(text):
            is_own, frame_indent = not any(place in frame["file"] for place in _NOT_OWN), indent
            text = text.replace(f'"{base_dir}/', '"', 1) if base_dir else text
        elif indent <= frame_indent:
            is_own, frame_indent = False, -1
        lines.append(TraceLine(text, is_own, frame_indent < 0 and not _NO_ERROR.fullmatch(words)))
    return lines
