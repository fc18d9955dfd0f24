"""Plain JSON as lines, laid out for comparing: one field a line, small containers on one, long texts line by line."""

import json
from json.encoder import encode_basestring
from typing import Any

INDENT = "  "

# Containers up to this many characters stand on one line when everything in them does.
FLAT_CHARACTERS = 60
FLAT_ITEMS = 20


class Lines:
    """`going_on` are the indexes of the lines that continue the one above."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.going_on: set[int] = set()

    def write(self, plain: Any, indent: str = "", head: str = "") -> "Lines":
        """`head` stands before the value in its first line."""
        text = flat(plain)
        if text is not None:
            self.texts.append(f"{indent}{head}{text}")
        elif isinstance(plain, str):
            first, *others = text_pieces(plain)
            self.texts.append(f'{indent}{head}"{first}')
            self.going_on.update(range(len(self.texts), len(self.texts) + len(others)))
            self.texts.extend(others)
            self.texts[-1] += '"'
        elif isinstance(plain, dict):
            self._write_parts("{}", [(f"{literal(key)}: ", item) for key, item in plain.items()], indent, head)
        else:
            self._write_parts("[]", [("", item) for item in plain], indent, head)
        return self

    def _write_parts(self, brackets: str, parts: list[tuple[str, Any]], indent: str, head: str) -> None:
        self.texts.append(f"{indent}{head}{brackets[0]}")
        for inner_head, item in parts:
            self.write(item, indent + INDENT, inner_head)
            self.texts[-1] += ","
        if parts:
            self.texts[-1] = self.texts[-1][:-1]
        self.texts.append(f"{indent}{brackets[1]}")


def flat(plain: Any) -> str | None:
    """The value on one line, if that is how it is laid out."""
    if isinstance(plain, str):
        return None if "\n" in plain[:-1] else literal(plain)
    if not isinstance(plain, dict | list):
        return _scalar(plain)
    if len(plain) > FLAT_ITEMS:
        return None
    texts: list[str] = []
    room = FLAT_CHARACTERS
    items = plain.items() if isinstance(plain, dict) else (("", item) for item in plain)
    for key, item in items:
        if isinstance(item, str) and len(item) > room:
            return None
        text = flat(item)
        if text is None:
            return None
        texts.append(f"{literal(key)}: {text}" if isinstance(plain, dict) else text)
        room -= len(texts[-1]) + 2
        if room < -2:
            return None
    return f"{{{', '.join(texts)}}}" if isinstance(plain, dict) else f"[{', '.join(texts)}]"


def text_pieces(text: str) -> list[str]:
    """A text as JSON writes it but for its quotes, cut after the end of each of its lines."""
    *pieces, last = (literal(piece)[1:-1] for piece in text.split("\n"))
    pieces = [f"{piece}\\n" for piece in pieces]
    return [*pieces, last] if last or not pieces else pieces


def literal(text: str) -> str:
    """A text as JSON writes it: letters of all languages as they are, halves of characters escaped."""
    written = encode_basestring(text)
    if not written.isascii():
        try:
            written.encode()
        except UnicodeEncodeError:
            return json.dumps(text)
    return written


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
