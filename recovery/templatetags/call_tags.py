"""The call that will run: its lines, and which of them are folded."""

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from recovery.rendering.call import CallBlock, CallLine, blocks
from recovery.rendering.plain import reading_units

register = template.Library()


@register.filter
def in_blocks(call: list[CallLine]) -> list[CallBlock]:
    return blocks(call)


@register.filter
def code_line(text: str) -> SafeString:
    """A line of code in the order in which it runs: letters that are read from right to left turn themselves alone."""
    return format_html_join("", "{}", ((_unit(part, is_own),) for part, is_own in reading_units(text)))


def _unit(text: str, is_own: bool) -> str:
    return format_html('<bdi dir="ltr">{}</bdi>', text) if is_own else text
