"""What the page shows of an artifact, by its media type; only the head of a large one is ever decoded."""

import codecs
import csv
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from django.utils.safestring import SafeString
from django.utils.translation import gettext

from recovery.rendering import json_tree, markdown, pictures
from recovery.rendering.code import coloured, language_of
from recovery.rendering.json_search import search
from recovery.rendering.plain import visible
from recovery.rendering.quantities import size as size_text
from recovery.rendering.tables import Table, table_of_csv, table_of_frame
from recovery.rendering.window import HEAD, Window
from rh_agents.core.errors import SerializationError
from rh_agents.core.serialization import to_plain, type_name

_JSON_TYPES = {"application/json", "text/json"}
_CSV_TYPES = {"text/csv", "text/tab-separated-values", "application/csv"}
_MARKDOWN_TYPES = {"text/markdown", "text/x-markdown"}
# What a browser draws and nothing else: an SVG is a document, so it is shown as its source.
PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
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

_NO_HTML = SafeString()


@dataclass(frozen=True, slots=True)
class Preview:
    """`kind` says which of the others is filled: `text`, `tree`, `table`, `picture`, `html` (of `markdown` and
    `code`), or for `broken` the `reason`.

    `broken` may have a `text` too: what stands there instead. `note` says what is shown of how much, `is_cut` that
    there is more to be seen than this; `later` is looked into when somebody opens it. `html` is sanitised. Of a
    `download` there is nothing to show; it may have a `reason`. `found` is how many places of a tree hold what was
    looked for.
    """

    kind: Literal["text", "json", "table", "markdown", "code", "picture", "later", "download", "broken"]
    note: str = ""
    text: str = ""
    tree: json_tree.Node | None = None
    table: Table | None = None
    html: SafeString = _NO_HTML
    reason: str = ""
    picture: pictures.Size | None = None
    is_cut: bool = False
    found: int | None = None


class _UndecodableError(Exception):
    """The bytes are not text in their charset; the message says where."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """The size of the whole in words, what of it somebody looks at, and what it may be written in."""

    size: str
    window: Window
    language: str = ""


# The text of the head, whether that is all of it, and what is asked for.
_Show = Callable[[str, bool, _Asked], Preview]


def preview(
    payload: bytes,
    media_type: str,
    size: int | None = None,
    codec: str = "",
    *,
    name: str = "",
    window: Window = HEAD,
) -> Preview:
    """What can be shown of an artifact that begins with `payload` and has `size` bytes (default: no more than these).

    The codec is the engine's: a value that it wrote as `json` is shown as the value, not as its notation. `name` may
    tell what a text is written in.

    Never raises for what the bytes are: what its media type promises and its bytes do not keep is `broken`.
    """
    whole_size = len(payload) if size is None else size
    head = payload[: window.bytes]
    is_whole = len(head) == whole_size
    essence, charset = _parsed(media_type)
    asked = _Asked(size_text(whole_size), window, language_of(essence, name))
    if essence in PICTURES and codec != "json":
        return _show_picture(head, asked, whole_size)
    show = _show_value if codec == "json" else _shower(essence)
    if show is None:
        return Preview("download", note=asked.size)
    try:
        text = _decoded(head, charset, is_whole)
    except _UndecodableError as error:
        return Preview("broken", note=asked.size, reason=str(error))
    return show(text, is_whole, asked)


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
        raise _UndecodableError(gettext("its charset %(charset)s is unknown") % {"charset": charset}) from None
    if encoding not in _CHARSETS:
        raise _UndecodableError(gettext("its charset %(charset)s is not one of text") % {"charset": charset})
    try:
        # Not final: the head may end in the middle of a character.
        return codecs.getincrementaldecoder(encoding)().decode(head, final=is_whole)
    except UnicodeDecodeError as error:
        raise _UndecodableError(
            gettext("it is not %(encoding)s text: %(reason)s at byte %(start)s")
            % {"encoding": encoding, "reason": error.reason, "start": f"{error.start:,}"}
        ) from None


def _show_text(text: str, is_whole: bool, asked: _Asked) -> Preview:
    if not text:
        return Preview("text", note=gettext("empty"))
    shown = text[: asked.window.characters]
    is_all = is_whole and len(shown) == len(text)
    note = (
        asked.size
        if is_all
        else gettext("the first %(count)s characters of %(size)s") % {"count": f"{len(shown):,}", "size": asked.size}
    )
    html = coloured(visible(shown), asked.language) if asked.language else None
    if html is not None:
        return Preview("code", note=note, html=html, is_cut=not is_all)
    return Preview("text", note=note, text=visible(shown), is_cut=not is_all)


def _show_json(text: str, is_whole: bool, asked: _Asked) -> Preview:
    if not is_whole:
        # Half a document cannot be parsed, and a whole one of this size is not for looking at.
        return _show_text(text, is_whole, asked)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        return _broken(
            gettext("it is not JSON: %(msg)s at line %(lineno)s, column %(colno)s")
            % {"msg": error.msg, "lineno": error.lineno, "colno": error.colno},
            text,
            asked,
        )
    except RecursionError:
        return _broken(gettext("it is nested too deeply"), text, asked)
    except ValueError:
        return _broken(gettext("it holds a number that is too long"), text, asked)
    return _of_tree(value, text, asked)


def _show_value(text: str, is_whole: bool, asked: _Asked) -> Preview:
    if not is_whole:
        return _show_text(text, is_whole, asked)
    try:
        value, kind = to_plain(text), type_name(text)
    except SerializationError as error:
        return _broken(str(error), text, asked)
    except RecursionError:
        return _broken(gettext("it is nested too deeply"), text, asked)
    if kind == "pandas:DataFrame" and isinstance(value["columns"], dict):
        return _of_table(*table_of_frame(value["columns"], asked.window), asked)
    return _of_tree(value, text, asked)


def _of_tree(value: Any, text: str, asked: _Asked) -> Preview:
    window = asked.window
    if window.find:
        found = search(value, window.find)
        return Preview("json", note=asked.size, tree=found.tree, is_cut=found.is_cut, found=found.count)
    try:
        return Preview("json", note=asked.size, tree=json_tree.tree(value, window.at, window.start))
    except LookupError as error:
        return _broken(str(error), text, asked)


def _broken(reason: str, text: str, asked: _Asked) -> Preview:
    return Preview("broken", note=asked.size, reason=reason, text=visible(text[: asked.window.characters]))


def _show_markdown(text: str, is_whole: bool, asked: _Asked) -> Preview:
    note = asked.size if is_whole else gettext("the beginning of %(size)s") % {"size": asked.size}
    return Preview("markdown", note=note, html=markdown.render(text), is_cut=not is_whole)


def _show_tabbed(text: str, is_whole: bool, asked: _Asked) -> Preview:
    return _show_table(text, is_whole, asked, delimiter="\t")


def _show_table(text: str, is_whole: bool, asked: _Asked, delimiter: str = "") -> Preview:
    try:
        table, note = table_of_csv(text, is_whole, asked.window, delimiter)
    except csv.Error as error:
        return _broken(gettext("it is not CSV: %(error)s") % {"error": error}, text, asked)
    return _of_table(table, note, asked, is_cut=not is_whole)


def _of_table(table: Table | None, note: str, asked: _Asked, *, is_cut: bool = False) -> Preview:
    if table is None:
        return Preview("text", note=note)
    return Preview("table", note=f"{note}, {asked.size}", table=table, is_cut=is_cut)


def _show_picture(head: bytes, asked: _Asked, size: int) -> Preview:
    found = pictures.size_of(head)
    if found is None:
        return Preview("broken", note=asked.size, reason=gettext("it is not a picture of the type that it says it is"))
    points = f"{found.width:,} × {found.height:,}"
    if size > pictures.LARGEST_BYTES or found.width * found.height > pictures.MOST_POINTS:
        return Preview(
            "download", note=f"{points}, {asked.size}", reason=gettext("The picture is too large to be shown here.")
        )
    return Preview("picture", note=f"{points}, {asked.size}", picture=found)
