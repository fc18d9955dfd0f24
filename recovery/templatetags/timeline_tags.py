"""The waterfall of a timeline as SVG: lengths are attributes in percent, so that no style is needed."""

import re
from collections.abc import Iterable

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from recovery.rendering import quantities
from recovery.rendering.plain import visible
from recovery.rendering.timeline import Bar, Timeline

register = template.Library()

_WHICH = re.compile(r"(\[[^\]]{1,12}\]|#\d+)+$")

# In percent: a label at the end of the work that is nearer to its beginning would lie on that of the beginning.
_ROOM_FOR_END = 12

# Class, and where it stands in the height of a row.
_SHAPES = {
    "work": 'class="bar" y="11" height="8" rx="2"',
    "failed": 'class="bar bar-failed" y="11" height="8" rx="2"',
    "stopped": 'class="bar" y="14" height="2"',
    "wait": 'class="bar-wait" y="9" height="12" rx="2" fill="url(#wait-hatch)"',
}


@register.simple_tag
def timeline_scale(timeline: Timeline) -> SafeString:
    """The head of the waterfall: where work stands still, and round times of work."""
    axis = timeline.axis
    return format_html(
        '<svg class="waterfall" role="img" aria-label="{}">{}<text x="0" y="19">0 s</text>{}{}'
        '<text x="{}" y="19" text-anchor="end">{}</text></svg>',
        _in_words(timeline),
        _bands(timeline),
        _labels((tick.x, tick.label) for tick in timeline.ticks),
        _labels((band.middle, band.label) for band in timeline.bands if band.label),
        f"{axis.work_end_x:.2f}%",
        quantities.duration(axis.work_s) if axis.work_end_x > _ROOM_FOR_END else "",
    )


@register.simple_tag
def timeline_patterns(timeline: Timeline) -> SafeString:
    """What the rows refer to: the hatch of waiting, and what stands behind the bars of each of them."""
    line = '<line class="gridline" x1="{0}" x2="{0}" y1="0" y2="100%"/>'
    lines = format_html_join("", line, ((tick.x,) for tick in timeline.ticks))
    return format_html(
        '<svg class="visually-hidden" aria-hidden="true"><defs><pattern id="wait-hatch" width="6" height="6"'
        ' patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="hatch" d="M0 0v6"/></pattern>'
        '<g id="timeline-grid">{}{}</g></defs></svg>',
        _bands(timeline),
        lines,
    )


@register.filter
def clipped(name: str) -> SafeString:
    """A name that is cut before its `#2` or `[3]` where there is no room: those tell it from its siblings."""
    name = visible(name)
    end = _WHICH.search(name)
    head, tail = (name[: end.start()], end[0]) if end else (name, "")
    return format_html('<span class="clipped">{}</span>{}', head, tail)


@register.simple_tag
def waterfall(bars: Iterable[Bar]) -> SafeString:
    drawn = "".join(f'<rect {_SHAPES[bar.kind]} x="{bar.x}" width="{bar.width}"/>' for bar in bars)
    return mark_safe(f'<svg class="waterfall" aria-hidden="true"><use href="#timeline-grid"/>{drawn}</svg>')  # noqa: S308  numbers only


def _bands(timeline: Timeline) -> SafeString:
    return format_html_join(
        "",
        '<rect class="{}" x="{}" width="{}" height="100%"/>',
        (("wait-band" if band.is_waiting else "stop-band", band.x, band.width) for band in timeline.bands),
    )


def _labels(places: Iterable[tuple[str, str]]) -> SafeString:
    return format_html_join("", '<text x="{}" y="19" text-anchor="middle">{}</text>', places)


def _in_words(timeline: Timeline) -> str:
    waiting, stopped = gettext("%(duration)s waiting for people"), gettext("%(duration)s not running")
    stops = [
        (waiting if band.is_waiting else stopped) % {"duration": quantities.duration(band.duration_s)}
        for band in timeline.axis.bands
    ]
    work = gettext("%(duration)s of work") % {"duration": quantities.duration(timeline.axis.work_s)}
    return (
        gettext("%(work)s, and not to scale: %(stops)s") % {"work": work, "stops": ", ".join(stops[:10])}
        if stops
        else work
    )
