"""How single values of the standard library are written and read: text, numbers, bytes, paths, addresses."""

import base64
import decimal
import ipaddress
import math
import pathlib
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any
from uuid import UUID

from rh_agents.core.coding import TAG, Load, Node, Refused, read, read_items, reads, refuse_shape, text_of, writers

_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_EXACT = decimal.Context(traps=[decimal.InvalidOperation])
_UNSAFE_IN_TEXT = re.compile("[\x00\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(\\|u0000|ud[89a-f][0-9a-f]{2})|\\")
_BIG_INT = re.compile(r"-?(0x[0-9a-f]+|[0-9]{1,4000})")


def _itself(value: Any, depth: int) -> Any:
    return value


def is_clean(text: str) -> bool:
    """Whether JSON and every database hold the text as it is: no NUL, no lone surrogate."""
    if text.isascii():
        return "\x00" not in text
    return _UNSAFE_IN_TEXT.search(text) is None


def write_str(text: str, depth: int = 0) -> Any:
    """The text itself, or escaped and tagged where it holds what JSON or a database cannot."""
    if is_clean(text):
        return text
    escaped = _UNSAFE_IN_TEXT.sub(lambda match: f"\\u{ord(match.group()):04x}", text.replace("\\", "\\\\"))
    return {TAG: "str", "v": escaped}


@reads("str", "v")
def _read_str(node: Node, load: Load) -> str:
    return _ESCAPE.sub(_unescape, text_of(node))


def _unescape(match: re.Match[str]) -> str:
    code = match.group(1)
    if code is None:
        raise Refused("a backslash that escapes nothing")
    return "\\" if code == "\\" else chr(int(code[1:], 16))


def write_int(value: int, depth: int = 0) -> Any:
    if _MIN_INT <= value <= _MAX_INT:
        return value
    # Python refuses to turn very long ints into decimal digits, never into hexadecimal ones.
    return {TAG: "int", "v": str(value) if value.bit_length() < 4000 else hex(value)}


@reads("int", "v")
def _read_int(node: Node, load: Load) -> int:
    text = text_of(node)
    if not _BIG_INT.fullmatch(text):
        refuse_shape("an int", text)
    return int(text, 16 if "x" in text else 10)


def write_float(value: float, depth: int = 0) -> Any:
    return value if math.isfinite(value) else {TAG: "float", "v": repr(value)}


@reads("float", "v")
def _read_float(node: Node, load: Load) -> float:
    return _FLOATS[text_of(node)]


def _write_complex(value: complex, depth: int) -> Node:
    return {TAG: "complex", "v": [write_float(value.real), write_float(value.imag)]}


@reads("complex", "v")
def _read_complex(node: Node, load: Load) -> complex:
    return complex(*all_of(float, read_items(node["v"], load), 2))


def _write_range(value: range, depth: int) -> Node:
    return {TAG: "range", "v": [write_int(part) for part in (value.start, value.stop, value.step)]}


@reads("range", "v")
def _read_range(node: Node, load: Load) -> range:
    return range(*all_of(int, read_items(node["v"], load), 3))


def _write_fraction(value: Fraction, depth: int) -> Node:
    return {TAG: "fraction", "v": [write_int(value.numerator), write_int(value.denominator)]}


@reads("fraction", "v")
def _read_fraction(node: Node, load: Load) -> Fraction:
    return Fraction(*all_of(int, read_items(node["v"], load), 2))


def all_of(cls: type, parts: list[Any], count: int) -> list[Any]:
    """`parts`, which must be that many values of exactly that type."""
    if len(parts) != count or any(type(part) is not cls for part in parts):
        refuse_shape(f"{count} of type {cls.__name__}", parts)
    return parts


def bytes_text(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode()


def text_bytes(text: str) -> bytes:
    """The inverse of `bytes_text`: base64 and nothing but."""
    return base64.b64decode(text, validate=True)


def _by_text(cls: type, tag: str, from_text: Callable[[str], Any], to_text: Callable[[Any], str] = str) -> None:
    writers[cls] = lambda value, depth: {TAG: tag, "v": to_text(value)}
    reads(tag, "v")(lambda node, load: from_text(text_of(node)))


def _path_codec(tag: str, cls: type[pathlib.PurePath], *classes: type) -> None:
    for concrete in (cls, *classes):
        # The name of a file may hold surrogates, where its bytes are no UTF-8.
        writers[concrete] = lambda value, depth: {TAG: tag, "v": write_str(str(value))}
    reads(tag, "v")(lambda node, load: cls(text_of({"v": read(node["v"], load)})))


_by_text(bytes, "bytes", text_bytes, bytes_text)
_by_text(bytearray, "bytearray", lambda text: bytearray(text_bytes(text)), bytes_text)
_by_text(decimal.Decimal, "decimal", lambda text: decimal.Decimal(text, _EXACT))
_by_text(UUID, "uuid", UUID)
for _ip in ("IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network", "IPv4Interface", "IPv6Interface"):
    _by_text(getattr(ipaddress, _ip), _ip, getattr(ipaddress, _ip))
_path_codec("path", pathlib.Path, pathlib.PosixPath, pathlib.WindowsPath)
_path_codec("PurePosixPath", pathlib.PurePosixPath)
_path_codec("PureWindowsPath", pathlib.PureWindowsPath)

writers.update({type(None): _itself, bool: _itself})
writers.update({str: write_str, int: write_int, float: write_float, complex: _write_complex})
writers.update({range: _write_range, Fraction: _write_fraction})
