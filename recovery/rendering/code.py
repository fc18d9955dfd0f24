"""Source text with its words classed, so that a stylesheet can colour them."""

import re
from functools import cache

from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

PREFIX = "hl-"
# Every class that a word may have.
CLASSES = {PREFIX + name for name in STANDARD_TYPES.values() if name}
# Beyond this it is data and not a line that somebody wrote; some lexers take quadratic time over it.
LONGEST_LINE = 2_000
LONGEST_CODE = 50_000

# By name, and never guessed: guessing runs every lexer over a text of unknown origin.
_BY_TYPE = {
    "application/javascript": "javascript", "text/javascript": "javascript", "application/typescript": "typescript",
    "application/sql": "sql", "text/x-sql": "sql", "application/toml": "toml", "application/x-sh": "bash",
    "text/x-shellscript": "bash", "application/xml": "xml", "text/xml": "xml", "image/svg+xml": "xml",
    "text/html": "html", "text/css": "css", "application/x-yaml": "yaml", "application/yaml": "yaml",
    "text/yaml": "yaml", "text/x-python": "python", "application/x-python": "python", "text/x-diff": "diff",
    "text/x-patch": "diff", "text/x-java": "java", "text/x-c": "c", "text/x-c++": "cpp", "text/x-go": "go",
    "text/x-rust": "rust", "application/json": "json",
}  # fmt: skip
_BY_EXTENSION = {
    "py": "python", "js": "javascript", "mjs": "javascript", "ts": "typescript", "sql": "sql", "toml": "toml",
    "sh": "bash", "bash": "bash", "xml": "xml", "svg": "xml", "html": "html", "css": "css", "yaml": "yaml",
    "yml": "yaml", "diff": "diff", "patch": "diff", "java": "java", "c": "c", "h": "c", "cpp": "cpp", "go": "go",
    "rs": "rust", "ini": "ini", "cfg": "ini", "rb": "ruby", "php": "php", "kt": "kotlin", "tf": "terraform",
    "dockerfile": "docker", "json": "json",
}  # fmt: skip
_LANGUAGES = frozenset({*_BY_TYPE.values(), *_BY_EXTENSION.values()})
_ALIASES = {"sh": "bash", "shell": "bash", "py": "python", "js": "javascript", "ts": "typescript", "yml": "yaml"}
_EXTENSION = re.compile(r"(?:.*[./])?([a-z0-9]+)", re.IGNORECASE)

_formatter: HtmlFormatter[str] = HtmlFormatter(nowrap=True, classprefix=PREFIX)


def language_of(media_type: str, name: str = "") -> str:
    """What a text is written in, by its type or else by how its name ends; "" where that is not known."""
    if media_type in _BY_TYPE:
        return _BY_TYPE[media_type]
    found = _EXTENSION.fullmatch(name[-200:])
    return _BY_EXTENSION.get(found[1].lower(), "") if found else ""


def coloured(text: str, language: str) -> SafeString | None:
    """The text as HTML, escaped and with classes; `None` where it is better left plain."""
    language = _ALIASES.get(language, language)
    if language not in _LANGUAGES or len(text) > LONGEST_CODE:
        return None
    if any(len(line) > LONGEST_LINE for line in text.split("\n")):
        return None
    lexer = _lexer(language)
    return None if lexer is None else mark_safe(highlight(text, lexer, _formatter))  # noqa: S308  Pygments escapes it


@cache
def _lexer(language: str) -> Lexer | None:
    try:
        # Nothing added and nothing taken away: what is shown is what stands there.
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
