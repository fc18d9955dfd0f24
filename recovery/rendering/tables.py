"""Rows of text as a table: read from CSV or from the columns of a data frame, sorted, and only as many as are shown."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from typing import Any

from django.utils.translation import gettext

from recovery.rendering.plain import shortened, visible
from recovery.rendering.window import Window

MOST_ROWS = 2_000
_COLUMNS = 40
_CELL_CHARACTERS = 200
_DELIMITERS = ",;\t|"
_NUMBER = re.compile(r"[-+]?[\d.,' ]*\d(?:[eE][-+]?\d+)?\s?[%€$£]?", re.ASCII)
_GROUPED = re.compile(r"[-+]?\d{1,3}(,\d{3})+\s?[%€$£]?", re.ASCII)
_NOT_OF_NUMBER = re.compile(r"[^\deE+-]")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text, all as long as `columns`; `numeric` holds the places of columns in which only numbers stand.
    `sort` is the place that they are sorted by; `next_rows`, where there are more rows at hand, how many to ask for."""

    columns: list[str]
    rows: list[list[str]]
    numeric: frozenset[int] = frozenset()
    sort: int | None = None
    descending: bool = False
    next_rows: int = 0


def table_of_csv(text: str, is_whole: bool, window: Window, delimiter: str = "") -> tuple[Table | None, str]:
    """The table, and what is shown of how much; no table where there is nothing in it.

    Raises:
        csv.Error: it is not CSV.
    """
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter or delimiter_of(text))
    # All of them are needed to sort; else one more than is shown says whether the last was cut in two.
    is_sorted = window.sort is not None
    rows = [row for row in (reader if is_sorted else islice(reader, window.rows + 2)) if row]
    is_read_whole = is_sorted or len(rows) < window.rows + 2
    rest = 0 if is_read_whole else sum(1 for row in reader if row)
    if not rows:
        return None, "empty"
    if not is_whole and len(rows) > 1 and is_read_whole:
        rows.pop()  # The head may end in the middle of it.
    has_header = len(rows) > 1 and not any(_NUMBER.fullmatch(cell) for cell in rows[0])
    header = rows.pop(0) if has_header else []
    count = len(rows) + rest
    width = max(map(len, [header, *rows]))
    columns = [*header, *(str(number) for number in range(len(header) + 1, width + 1))]
    return _shown(columns, rows, count, is_whole, window)


def table_of_frame(columns: dict[str, list[Any]], window: Window) -> tuple[Table | None, str]:
    """`columns` are those of a data frame as the engine saves it."""
    count = max(map(len, columns.values()), default=0)
    at_most = count if window.sort is not None else window.rows
    rows = [[_cell_text(value) for value in row] for row in islice(zip(*columns.values(), strict=True), at_most)]
    return _shown([*columns], rows, count, True, window)


def _shown(columns: list[str], rows: list[list[str]], count: int, is_whole: bool, window: Window) -> tuple[Table, str]:
    sort = window.sort if window.sort is not None and window.sort < min(len(columns), _COLUMNS) else None
    if sort is not None:
        rows = _sorted(rows, sort, window.descending)
    rows = rows[: window.rows]
    notes = [_shown_of(len(rows), count, is_whole)]
    if len(columns) > _COLUMNS:
        notes.append(gettext("%(columns)s of %(count)s columns") % {"columns": _COLUMNS, "count": f"{len(columns):,}"})
    columns = [_cell(column) for column in columns[:_COLUMNS]]
    rows = [[_cell(cell) for cell in row[:_COLUMNS]] + [""] * (len(columns) - len(row)) for row in rows]
    numeric = {
        place
        for place in range(len(columns))
        if any(row[place] for row in rows) and all(_NUMBER.fullmatch(row[place]) for row in rows if row[place])
    }
    more = min(window.rows * 4, MOST_ROWS) if count > len(rows) and len(rows) < MOST_ROWS else 0
    return Table(columns, rows, frozenset(numeric), sort, window.descending, more), ", ".join(notes)


def _shown_of(shown: int, count: int, is_whole: bool) -> str:
    if shown < count:
        return (
            gettext("%(shown)s of %(count)s rows") % {"shown": shown, "count": f"{count:,}"}
            if is_whole
            else gettext("%(shown)s of the first %(count)s rows") % {"shown": shown, "count": f"{count:,}"}
        )
    if not is_whole:
        return gettext("the first row") if shown == 1 else gettext("the first %(shown)s rows") % {"shown": shown}
    return gettext("1 row") if count == 1 else gettext("%(count)s rows") % {"count": count}


def _sorted(rows: Iterable[list[str]], place: int, descending: bool) -> list[list[str]]:
    """Numbers by size, everything else by its letters, and what is empty at the end in both directions."""
    filled = [row for row in rows if len(row) > place and row[place].strip()]
    numbers = [_number(row[place]) for row in filled]
    words = [row[place].strip().casefold() for row in filled]
    keys: list[Any] = [*words] if None in numbers else [*numbers]
    order = sorted(range(len(filled)), key=keys.__getitem__, reverse=descending)
    empty = [row for row in rows if len(row) <= place or not row[place].strip()]
    return [filled[at] for at in order] + empty


def _number(text: str) -> float | None:
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return None
    # Of points and commas the last one stands before the fraction, unless it only groups thousands.
    mark = max(text.rfind("."), text.rfind(","))
    if mark >= 0 and text.count(text[mark]) == 1 and not _GROUPED.fullmatch(text):
        text = f"{_NOT_OF_NUMBER.sub('', text[:mark])}.{_NOT_OF_NUMBER.sub('', text[mark:])}"
    try:
        return float(text if "." in text and not _GROUPED.fullmatch(text) else _NOT_OF_NUMBER.sub("", text))
    except ValueError:
        return None


def _cell(text: str) -> str:
    return visible(shortened(text.strip(), _CELL_CHARACTERS))


def _cell_text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def delimiter_of(text: str) -> str:
    """The delimiter that cuts the first lines into the most equal rows.

    csv.Sniffer guesses letters, and takes quadratic time over quotes.
    """
    sample = text[:8_192]

    def evenness(delimiter: str) -> tuple[float, int]:
        lines = islice(csv.reader(StringIO(sample, newline=""), delimiter=delimiter), 20)
        widths = Counter(len(row) for row in lines if row)
        width, rows = widths.most_common(1)[0] if widths else (0, 0)
        return (rows / widths.total(), width) if width > 1 else (0, 0)

    return max(_DELIMITERS, key=evenness)
