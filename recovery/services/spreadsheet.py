"""What a spreadsheet makes of a cell: text that begins like a formula would run."""

from typing import Any

# The wide forms are typed on Asian keyboards, and taken for the others.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# What some programs drop before they look.
_DROPPED = " \u00a0\u200b\ufeff\x00"


def harmless(value: Any) -> Any:
    """`value`, with an apostrophe before a text that a spreadsheet would take for a formula."""
    return f"'{value}" if isinstance(value, str) and value.lstrip(_DROPPED).startswith(FORMULA_STARTS) else value
