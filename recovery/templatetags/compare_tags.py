"""The rows of differences, and the few words that stand beside each step that is compared."""

from collections.abc import Iterable

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

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
    "changed": (" mark-mod", "~", "Changed"),
    "removed": (" mark-del", "\N{MINUS SIGN}", "Only left"),
    "added": (" mark-add", "+", "Only right"),
    "moved": ("", "↕", "Moved"),
    "same": ("", "=", "Same"),
}
_TAGS = {"left": ("del", "is-old"), "right": ("ins", "is-new")}


@register.simple_tag
def diff_table(rows: Iterable[Row], caption: str, left: str = "Left", right: str = "Right") -> SafeString:
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
    return format_html(
        '<a class="mark{}" href="#{}" title="{}, link to this"><b aria-hidden="true">{}</b>'
        '<span class="visually-hidden">{}, link to this</span></a>',
        tone,
        place,
        word,
        sign,
        word,
    )


@register.filter
def step_words(step: Step) -> str:
    """`19.8 s`, `failed after 3 tries`: how one side of a step went."""
    took = quantities.duration(step.record.execution_time)
    tries = f"{step.attempts} tries"
    match step.record.status:
        case ExecutionStatus.COMPLETED:
            return f"{took}, {tries}" if step.attempts > 1 else took
        case ExecutionStatus.FAILED | ExecutionStatus.CANCELLED as status:
            return f"{status} after {tries if step.attempts > 1 else took}"
        case ExecutionStatus.AWAITING:
            return "waits for a decision"
    return "unfinished"


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
    return f"{text[:half]}⟨{len(text) - 2 * half:,} characters⟩{text[-half:]}"
