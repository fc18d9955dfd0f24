"""Which ids of states and artifacts are taken: those that are safe as a file's name everywhere."""

import re

MAX_ID_LENGTH = 200
_SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def check_id(text: str, what: str = "id") -> str:
    """Give `text` back if it is a safe token: letters, digits, `.`, `_` and `-`, at most 200, not starting with a dot.

    Raises:
        ValueError: it is not; the message names it.
    """
    if not isinstance(text, str):
        raise ValueError(f"{what} {text!r} is not text")
    if len(text) > MAX_ID_LENGTH:
        raise ValueError(f"{what} {text[:40]!r}… has {len(text)} characters; at most {MAX_ID_LENGTH} fit")
    if not _SAFE.fullmatch(text):
        raise ValueError(
            f"{what} {text!r} is not safe: it takes letters, digits, '.', '_' and '-', and does not start with a dot"
        )
    return text
