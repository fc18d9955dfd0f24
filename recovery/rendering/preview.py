"""What the page shows of an artifact, by its media type; only the head of a large one is ever decoded."""

import codecs
import csv
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from typing import Any, Literal

from django.utils.safestring import SafeString

from recovery.rendering import json_tree, markdown
from recovery.rendering.plain import shortened, visible
from recovery.rendering.quantities import size as size_text
from rh_agents.core.errors import SerializationError
from rh_agents.core.serialization import to_plain, type_name

# A view reads this much of an artifact and no more. It is also the longest field that Python's csv accepts.
HEAD_BYTES = 131_072

_TEXT_CHARACTERS = 20_000
_ROWS = 50
_COLUMNS = 40
_CELL_CHARACTERS = 200
_DELIMITERS = ",;\t|"

_JSON_TYPES = {"application/json", "text/json"}
_CSV_TYPES = {"text/csv", "text/tab-separated-values", "application/csv"}
_MARKDOWN_TYPES = {"text/markdown", "text/x-markdown"}
_TEXT_TYPES = {
    "application/javascript", "application/sql", "application/toml", "application/x-sh", "application/xml",
    "application/x-ndjson", "application/x-yaml", "application/yaml",
}  # fmt: skip

# Python's codecs also turn bytes into bytes, and some take quadratic time: only real character sets are let in.
_CHARSETS = {
    codecs.lookup(name).name
    for name in (
        "utf-8", "utf-8-sig", "utf-16", "utf-32", "ascii", "latin-1", "iso-8859-2", "iso-8859-15", "cp1250", "cp1251",
        "cp1252", "koi8-r", "shift_jis", "euc_jp", "euc_kr", "gb18030", "big5",
    )
}  # fmt: skip
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?[\d.,' ]*\d(?:[eE][-+]?\d+)?\s?[%€$£]?", re.ASCII)


_NO_HTML = SafeString()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text, all as long as `columns`; `numeric` holds the places of columns in which only numbers stand."""

    columns: list[str]
    rows: list[list[str]]
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Preview:
    """`kind` says which of the others is filled: `text`, `tree`, `table`, `html`, or for `broken` the `reason`.

    `broken` may have a `text` too: what stands there instead. `note` says what is shown of how much.
    `html` is sanitised. Of a `download` there is nothing to show.
    """

    kind: Literal["text", "json", "table", "markdown", "download", "broken"]
    note: str = ""
    text: str = ""
    tree: json_tree.Node | None = None
    table: Table | None = None
    html: SafeString = _NO_HTML
    reason: str = ""


class _UndecodableError(Exception):
    """The bytes are not text in their charset; the message says where."""


# The text of the head, whether that is all of it, and the size of the whole in words.
_Show = Callable[[str, bool, str], Preview]


def preview(payload: bytes, media_type: str, size: int | None = None, codec: str = "") -> Preview:
    """What can be shown of an artifact that begins with `payload` and has `size` bytes (default: no more than these).

    The codec is the engine's: a value that it wrote as `json` is shown as the value, not as its notation.

    Never raises for what the bytes are: what its media type promises and its bytes do not keep is `broken`.
    """
    whole_size = len(payload) if size is None else size
    head = payload[:HEAD_BYTES]
    is_whole = len(head) == whole_size
    essence, charset = _parsed(media_type)
    show = _show_value if codec == "json" else _shower(essence)
    if show is None:
        return Preview("download", note=size_text(whole_size))
    try:
        text = _decoded(head, charset, is_whole)
    except _UndecodableError as error:
        return Preview("broken", note=size_text(whole_size), reason=str(error))
    return show(text, is_whole, size_text(whole_size))


def _shower(essence: str) -> _Show | None:
    if essence in _JSON_TYPES or essence.endswith("+json"):
        return _show_json
    if essence in _CSV_TYPES:
        return _show_table if essence != "text/tab-separated-values" else _show_tabbed
    if essence in _MARKDOWN_TYPES:
        return _show_markdown
    if essence.startswith("text/") or essence in _TEXT_TYPES or essence.endswith(("+xml", "+yaml")):
        return _show_text
    return None


def _parsed(media_type: str) -> tuple[str, str]:
    """Type and charset of a media type; UTF-8 where none is named."""
    essence, _, parameters = media_type.partition(";")
    found = _CHARSET.search(parameters)
    return essence.strip().lower(), found[1] if found else "utf-8"


def _decoded(head: bytes, charset: str, is_whole: bool) -> str:
    encoding = next((name for bom, name in _BOMS if head.startswith(bom)), charset)
    try:
        encoding = codecs.lookup(encoding).name
    except LookupError:
        raise _UndecodableError(f"its charset {charset} is unknown") from None
    if encoding not in _CHARSETS:
        raise _UndecodableError(f"its charset {charset} is not one of text")
    try:
        # Not final: the head may end in the middle of a character.
        return codecs.getincrementaldecoder(encoding)().decode(head, final=is_whole)
    except UnicodeDecodeError as error:
        raise _UndecodableError(f"it is not {encoding} text: {error.reason} at byte {error.start:,}") from None


def _show_text(text: str, is_whole: bool, size: str) -> Preview:
    if not text:
        return Preview("text", note="empty")
    shown = text[:_TEXT_CHARACTERS]
    is_all = is_whole and len(shown) == len(text)
    note = size if is_all else f"the first {len(shown):,} characters of {size}"
    return Preview("text", note=note, text=visible(shown))


def _show_json(text: str, is_whole: bool, size: str) -> Preview:
    if not is_whole:
        # Half a document cannot be parsed, and a whole one of this size is not for looking at.
        return _show_text(text, is_whole, size)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        return _broken(f"it is not JSON: {error.msg} at line {error.lineno}, column {error.colno}", text, size)
    except RecursionError:
        return _broken("it is nested too deeply", text, size)
    except ValueError:
        return _broken("it holds a number that is too long", text, size)
    return Preview("json", note=size, tree=json_tree.tree(value))


def _show_value(text: str, is_whole: bool, size: str) -> Preview:
    if not is_whole:
        return _show_text(text, is_whole, size)
    try:
        value, kind = to_plain(text), type_name(text)
    except SerializationError as error:
        return _broken(str(error), text, size)
    if kind == "pandas:DataFrame" and isinstance(value["columns"], dict):
        return _show_frame(value["columns"], size)
    return Preview("json", note=size, tree=json_tree.tree(value))


def _show_frame(columns: dict[str, list[Any]], size: str) -> Preview:
    rows = [[_cell_text(value) for value in row] for row in islice(zip(*columns.values(), strict=True), _ROWS)]
    count = max(map(len, columns.values()), default=0)
    return _table_preview([*columns], rows, count, size)


def _broken(reason: str, text: str, size: str) -> Preview:
    return Preview("broken", note=size, reason=reason, text=visible(text[:_TEXT_CHARACTERS]))


def _show_markdown(text: str, is_whole: bool, size: str) -> Preview:
    note = size if is_whole else f"the beginning of {size}"
    return Preview("markdown", note=note, html=markdown.render(text))


def _show_tabbed(text: str, is_whole: bool, size: str) -> Preview:
    return _show_table(text, is_whole, size, delimiter="\t")


def _show_table(text: str, is_whole: bool, size: str, delimiter: str = "") -> Preview:
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter or _delimiter(text))
    try:
        rows = [row for row in islice(reader, _ROWS + 2) if row]
        rest = sum(1 for row in reader if row) if is_whole else 0
    except csv.Error as error:
        return _broken(f"it is not CSV: {error}", text, size)
    if not rows:
        return Preview("text", note="empty")
    if not is_whole and 1 < len(rows) < _ROWS + 2:
        rows.pop()  # The head may end in the middle of it.
    has_header = len(rows) > 1 and not any(_NUMBER.fullmatch(cell) for cell in rows[0])
    header = rows.pop(0) if has_header else []
    count = len(rows) + rest
    rows = rows[:_ROWS]
    width = max(map(len, [header, *rows]))
    columns = [*header, *(str(number) for number in range(len(header) + 1, width + 1))]
    return _table_preview(columns, rows, count if is_whole else None, size)


def _table_preview(columns: list[str], rows: list[list[str]], count: int | None, size: str) -> Preview:
    notes = [_shown(len(rows), count), size]
    if len(columns) > _COLUMNS:
        notes.insert(1, f"{_COLUMNS} of {len(columns):,} columns")
    return Preview("table", note=", ".join(notes), table=_table(columns, rows))


def _shown(shown: int, count: int | None) -> str:
    if count is None:
        return "the first row" if shown == 1 else f"the first {shown} rows"
    if shown < count:
        return f"{shown} of {count:,} rows"
    return "1 row" if count == 1 else f"{count} rows"


def _table(columns: list[str], rows: list[list[str]]) -> Table:
    columns = [_cell(column) for column in columns[:_COLUMNS]]
    rows = [[_cell(cell) for cell in row[:_COLUMNS]] + [""] * (len(columns) - len(row)) for row in rows]
    numeric = {
        place
        for place in range(len(columns))
        if any(row[place] for row in rows) and all(_NUMBER.fullmatch(row[place]) for row in rows if row[place])
    }
    return Table(columns, rows, frozenset(numeric))


def _cell(text: str) -> str:
    return visible(shortened(text.strip(), _CELL_CHARACTERS))


def _cell_text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _delimiter(text: str) -> str:
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
