"""What a picture says of itself in its first bytes: that it is one, and how large it is once it is drawn."""

import struct
from typing import NamedTuple

LARGEST_BYTES = 20_000_000
# A picture of few bytes may unfold to gigabytes of points.
MOST_POINTS = 50_000_000


class Size(NamedTuple):
    width: int
    height: int


def size_of(head: bytes) -> Size | None:
    """Width and height of a PNG, JPEG, GIF or WebP that begins with `head`; `None` for anything else."""
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
        return _unpacked(">II", head, 16)
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _unpacked("<HH", head, 6)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp(head)
    return _jpeg(head) if head.startswith(b"\xff\xd8\xff") else None


def _unpacked(layout: str, head: bytes, at: int) -> Size | None:
    try:
        return Size(*struct.unpack_from(layout, head, at))
    except struct.error:
        return None


def _webp(head: bytes) -> Size | None:
    if len(head) < 30:
        return None
    match head[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", head, 26)
            return Size(width & 0x3FFF, height & 0x3FFF)
        case b"VP8L":
            [bits] = struct.unpack_from("<I", head, 21)
            return Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        case b"VP8X":
            width = int.from_bytes(head[24:27], "little") + 1
            return Size(width, int.from_bytes(head[27:30], "little") + 1)
        case _:
            return None


def _jpeg(head: bytes) -> Size | None:
    """The first start-of-frame segment has them; whatever stands before it is skipped by its length."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        kind = head[at + 1]
        if kind == 0xFF:
            at += 1
        elif 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", head, at + 5)
            return Size(width, height)
        elif kind in (0x01, *range(0xD0, 0xD8)):
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", head, at + 2)[0]
    return None
