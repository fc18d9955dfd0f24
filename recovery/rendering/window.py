"""How much of an artifact a page looks at, which part of it, and in which order."""

from dataclasses import dataclass

# Beside a question this much is read of an artifact and no more. It is also the longest field that Python's csv takes.
HEAD_BYTES = 131_072
# On its own page, and where somebody asks for more.
LARGE_BYTES = 2_097_152

_ROWS = 50
_TEXT_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Window:
    """`sort` is the place of a column; `at` leads to a node of a JSON tree by the places of its children, `start` is
    the first of them; `find` is what is looked for in it."""

    bytes: int = HEAD_BYTES
    characters: int = _TEXT_CHARACTERS
    rows: int = _ROWS
    sort: int | None = None
    descending: bool = False
    at: tuple[int, ...] = ()
    start: int = 0
    find: str = ""


HEAD = Window()
LARGE = Window(LARGE_BYTES, characters=200_000, rows=200)
