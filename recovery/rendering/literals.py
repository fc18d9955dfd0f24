"""Single values as text: exact, and with nothing in it that cannot be seen."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from pydantic import SecretBytes, SecretStr

# Python refuses to write longer integers in decimal (sys.get_int_max_str_digits), and to read them.
LONGEST_DECIMAL_BITS: Final = 14_000

_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def scalar_text(value: Any) -> str | None:
    """The exact text of a number, date, duration, id or path, without its type; `None` for every other type."""
    if isinstance(value, bool | Enum):
        return None
    if isinstance(value, int):
        return str(int(value)) if value.bit_length() < LONGEST_DECIMAL_BITS else hex(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, datetime | time):
        zone = getattr(value.tzinfo, "key", None)
        text = value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
        return f"{text}[{zone}]" if zone else text
    if isinstance(value, timedelta):
        return _duration_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal | UUID | PurePath):
        return str(value)
    return None


def _duration_text(value: timedelta) -> str:
    """`1 day 02:00:00.000004`; a minus in front negates the whole (Python's own text negates the days alone)."""
    sign, size = ("-", -value) if value < timedelta(0) else ("", value)
    minutes, seconds = divmod(size.seconds, 60)
    clock = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    fraction = f".{size.microseconds:06}" if size.microseconds else ""
    days = f"{size.days} day{'' if size.days == 1 else 's'} " if size.days else ""
    return f"{sign}{days}{clock}{fraction}"


def quoted(text: str) -> str:
    """In double quotes. What cannot be seen, or turns the direction of reading, is escaped."""
    return '"' + "".join(_ESCAPES.get(char) or (char if char.isprintable() else _escaped(char)) for char in text) + '"'


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def scalar_literal(value: Any) -> str:
    """The literal of what has no parts."""
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}" if value.name else f"{type(value).__name__}({value.value!r})"
    if isinstance(value, SecretStr | SecretBytes):
        return f'{type(value).__name__}("**********")'
    if isinstance(value, str):
        return quoted(value) if type(value) is str else f"{type(value).__name__}({quoted(value)})"
    text = scalar_text(value)
    if text is None:
        # A repr may span lines, and may hide something as well as a text may.
        return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in repr(value))
    if type(value) is int:
        return text
    if type(value) is float:
        return text if value - value == 0 else f'float("{text}")'
    name = (
        "Path" if isinstance(value, PurePath) and not type(value).__name__.startswith("Pure") else type(value).__name__
    )
    return f"{name}({quoted(text)})"
