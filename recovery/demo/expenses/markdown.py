"""Markdown made of texts that people typed: none of them becomes a heading, a link or a cell of its own."""

import re
from collections.abc import Iterable, Sequence

_MARKS = re.compile(r"[\\`*_\[\]<>|]|&(?=#?\w+;)|^[#+=~-]")


def escaped(text: str) -> str:
    return _MARKS.sub(r"\\\g<0>", " ".join(text.split()))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are put in as they are: escape what people typed."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
