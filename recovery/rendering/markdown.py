"""Markdown of runs and of people as HTML that can do nothing but be read."""

from collections.abc import Sequence

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from recovery.rendering.code import CLASSES, coloured
from recovery.rendering.plain import visible

# A message is read by a person; what is longer than this is an artifact, not a message.
AT_MOST_CHARACTERS = 32_768

# The page has its own h1 and h2.
_HEADING_SHIFT = 2

_TAGS = {
    "a", "blockquote", "br", "code", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "strong",
    "span", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_ALIGNMENT = {"text-align:right": "number", "text-align:center": "centred"}

# A wide table scrolls inside its own box, which the keyboard has to reach.
_TABLE_OPEN = '<div class="table-scroll" tabindex="0" role="region" aria-label="Table"><table class="data-table">'
_TABLE_CLOSE = "</table></div>"


class _Renderer(RendererHTML):
    def heading_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        tokens[idx].tag = f"h{min(int(tokens[idx].tag[1]) + _HEADING_SHIFT, 6)}"
        return self.renderToken(tokens, idx, options, env)

    heading_close = heading_open

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        # Loading it would tell its server who is looking, and when.
        alt = self.renderInlineAsText(tokens[idx].children or [], options, env)
        return f"<em>[image{': ' if alt else ''}{nh3.clean_text(alt)}]</em>"

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        style = str(tokens[idx].attrs.pop("style", ""))
        if style in _ALIGNMENT:
            tokens[idx].attrs["class"] = _ALIGNMENT[style]
        return self.renderToken(tokens, idx, options, env)

    td_open = th_open


def _highlighted(text: str, language: str, _attributes: str) -> str:
    """Code that names its language; anything else is left to the renderer."""
    return coloured(text, language.casefold()) or ""


_markdown = MarkdownIt("commonmark", {"html": False, "highlight": _highlighted}, renderer_cls=_Renderer).enable("table")
_cleaner = nh3.Cleaner(
    tags=_TAGS,
    attributes=_ATTRIBUTES,
    allowed_classes={"td": {"number", "centred"}, "th": {"number", "centred"}, "span": CLASSES},
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
)


def render(text: str) -> SafeString:
    """HTML of CommonMark and tables: no raw HTML, no images, links only to other sites without a referrer."""
    html = _cleaner.clean(_markdown.render(visible(text[:AT_MOST_CHARACTERS])))
    if len(text) > AT_MOST_CHARACTERS:
        html += f"<p><em>The text is longer; its first {AT_MOST_CHARACTERS:,} characters are shown.</em></p>"
    # Only after the cleaning, so that no text can bring a box of its own.
    html = html.replace("<table>", _TABLE_OPEN).replace("</table>", _TABLE_CLOSE)
    return mark_safe(html)  # noqa: S308  cleaned two lines above
