"""Text of unknown origin, made safe to look at: nothing hidden, nothing endless."""

import re
from collections.abc import Iterator

_BIDI_CONTROLS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
# What takes no room, or looks like the space or the end of a line that it is not. The joiners U+200C and U+200D are
# letters' own affair: several scripts, and pictures of families, are not written without them.
_INVISIBLE = (
    0x00AD, 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x200B, 0x2028, 0x2029, *range(0x2060, 0x2066),
    *range(0x206A, 0x2070), 0x2800, 0x3164, 0xFEFF, 0xFFA0, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080),
)  # fmt: skip

# Control characters become their pictures, and what reorders or hides text becomes its name: a reviewer approves
# what stands there, not what it looks like.
_VISIBLE: dict[int, int | str] = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n\r"},
    0x7F: 0x2421,
    **{code: f"⟨U+{code:04X}⟩" for code in (*_BIDI_CONTROLS, *_INVISIBLE, *range(0x80, 0xA0), *range(0xD800, 0xE000))},
}


# What is read as one in a line of code: a text in quotes, or a word with letters beyond ASCII.
_READING_UNIT = re.compile(r'"(?:[^"\\]|\\.)*"|[^\x00-\x7f]+')


def visible(text: str) -> str:
    """The same text with control, reordering, invisible and half characters written out."""
    return text.translate(_VISIBLE)


def shortened(text: str, at_most: int) -> str:
    """At most `at_most` characters of text, with an ellipsis where some are missing."""
    return text if len(text) <= at_most else text[: at_most - 1] + "…"


def reading_units(line: str) -> Iterator[tuple[str, bool]]:
    """The parts of a line of code, each with whether its direction of reading must not reach beyond it."""
    end = 0
    for found in _READING_UNIT.finditer(line):
        if found.start() > end:
            yield line[end : found.start()], False
        yield found[0], not found[0].isascii()
        end = found.end()
    if end < len(line):
        yield line[end:], False
