"""The rows of differences, and the few words that stand beside each step that is compared."""

from collections.abc import Iterable

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, ngettext

from recovery.languages import lazy as _
from recovery.rendering import quantities
from recovery.rendering.plain import visible
from recovery.services.compare.comparison import Kind
from recovery.services.compare.rows import Line, Row, Segment
from recovery.services.compare.step_order import Step
from rh_agents.core.types import ExecutionStatus

register = template.Library()

# Of what is longer, the middle is left out: a page is no place for a megabyte on one line.
LONGEST_SAME = 400
LONGEST_MARKED = 3_000

# What continues the line above stands this much further in.
_GOES_ON = "    "

_MARKS: dict[Kind, tuple[str, str, str]] = {
    "changed": (" mark-mod", "~", _("Changed")),
    "removed": (" mark-del", "\N{MINUS SIGN}", _("Only left")),
    "added": (" mark-add", "+", _("Only right")),
    "moved": ("", "↕", _("Moved")),
    "same": ("", "=", _("Same")),
}
_TAGS = {"left": ("del", "is-old"), "right": ("ins", "is-new")}


@register.simple_tag
def diff_table(rows: Iterable[Row], caption: str, left: str = _("Left"), right: str = _("Right")) -> SafeString:
    """Rows with both sides next to each other. Written here, not in a template, because there may be thousands."""
    return format_html(
        '<table class="json-diff"><caption class="visually-hidden">{}</caption><thead class="visually-hidden">'
        '<tr><th scope="col">{}</th><th scope="col">{}</th></tr></thead><tbody>{}</tbody></table>',
        visible(caption),
        left,
        right,
        mark_safe("".join(_row(row) for row in rows)),  # noqa: S308  every text in it is escaped
    )


@register.simple_tag
def mark(kind: Kind, place: str) -> SafeString:
    """The sign between both sides, which is also the link to this very pair."""
    tone, sign, word = _MARKS[kind]
    words = gettext("%(word)s, link to this") % {"word": word}
    return format_html(
        '<a class="mark{}" href="#{}" title="{}"><b aria-hidden="true">{}</b>'
        '<span class="visually-hidden">{}</span></a>',
        tone,
        place,
        words,
        sign,
        words,
    )


@register.filter
def step_words(step: Step) -> str:
    """`19.8 s`, `failed after 3 tries`: how one side of a step went."""
    took = quantities.duration(step.record.execution_time)
    tries = ngettext("%(count)s try", "%(count)s tries", step.attempts) % {"count": step.attempts}
    match step.record.status:
        case ExecutionStatus.COMPLETED:
            return f"{took}, {tries}" if step.attempts > 1 else took
        case ExecutionStatus.FAILED | ExecutionStatus.CANCELLED as status:
            words = (
                gettext("failed after %(took)s")
                if status is ExecutionStatus.FAILED
                else gettext("cancelled after %(took)s")
            )
            return words % {"took": tries if step.attempts > 1 else took}
        case ExecutionStatus.AWAITING:
            return gettext("waits for a decision")
    return gettext("unfinished")


@register.filter
def text_size(text: str) -> str:
    return quantities.size(len(text.encode("utf-8", "surrogatepass")))


def _row(row: Row) -> str:
    if row.kind == "same":
        return f"<tr><td>{_line(row.left, 'left')}</td><td>{_line(row.right, 'right')}</td></tr>"
    return f'<tr class="is-changed">{_cell(row.left, "left")}{_cell(row.right, "right")}</tr>'


def _cell(line: Line | None, side: str) -> str:
    if line is None:
        return '<td class="is-gap"></td>'
    return f'<td class="{_TAGS[side][1]}">{_line(line, side)}</td>'


def _line(line: Line | None, side: str) -> str:
    if line is None:
        return ""
    tag = _TAGS[side][0]
    texts = [_GOES_ON if line.goes_on else ""]
    for segment in line.segments:
        text = escape(visible(_shortened(segment)))
        texts.append(f"<{tag}>{text}</{tag}>" if segment.marked else text)
    if line.type:
        texts.append(f' <span class="json-type">{escape(visible(line.type))}</span>')
    return "".join(texts)


def _shortened(segment: Segment) -> str:
    """The text, without its middle if it is long."""
    at_most = LONGEST_MARKED if segment.marked else LONGEST_SAME
    text = segment.text
    if len(text) <= at_most:
        return text
    half = at_most // 2
    return gettext("%(text)s⟨%(count)s characters⟩%(text_2)s") % {
        "text": text[:half],
        "count": f"{len(text) - 2 * half:,}",
        "text_2": text[-half:],
    }
