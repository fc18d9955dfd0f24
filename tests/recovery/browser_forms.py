"""What a browser would send for the form on a page, down to the line ends, without a browser."""

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.template.loader import render_to_string

_LOCAL_TIME = re.compile(r"(\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?")
_NUMBER = re.compile(r"-?(\d+(\.\d+)?|\.\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4,}-\d\d-\d\d")


class _Controls(HTMLParser):
    """Names and values in the order of the page, and the buttons apart."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sent: list[tuple[str, str]] = []
        self.names: set[str] = set()
        self.ids: list[str] = []
        self.buttons: list[tuple[str, str]] = []
        self._textarea: tuple[str, list[str]] | None = None
        self._select: tuple[str, list[tuple[str, bool]]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids.append(given["id"])
        name = given.get("name", "")
        if name:
            self.names.add(name)
        if tag == "input" and given.get("type") == "checkbox":
            if "checked" in given:
                self.sent.append((name, given.get("value", "on")))
        elif tag == "input":
            self.sent.append((name, sanitised(given.get("type", "text"), given.get("value", ""))))
        elif tag == "textarea":
            self._textarea = (name, [])
        elif tag == "select":
            self._select = (name, [])
        elif tag == "option" and self._select:
            self._select[1].append((given["value"], "selected" in given))
        elif tag == "button" and given.get("type", "submit") == "submit":
            self.buttons.append((name, given.get("value", "")))

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self._textarea[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._textarea:
            name, parts = self._textarea
            # The HTML parser drops the first line end after the tag.
            self.sent.append((name, "".join(parts).removeprefix("\n")))
            self._textarea = None
        elif tag == "select" and self._select:
            name, options = self._select
            chosen = [value for value, is_selected in options if is_selected] or [value for value, _ in options[:1]]
            self.sent.extend((name, value) for value in chosen[-1:])
            self._select = None


def sanitised(kind: str, value: str) -> str:
    """HTML's value sanitisation, by the type of an input."""
    value = value.replace("\n", "").replace("\r", "")
    match kind:
        case "number":
            return value if _NUMBER.fullmatch(value) else ""
        case "date":
            return value if _DATE.fullmatch(value) else ""
        case "time":
            return value if _shortest(value) else ""
        case "datetime-local":
            day, _, clock = value.replace(" ", "T").partition("T")
            return f"{day}T{_shortest(clock)}" if _DATE.fullmatch(day) and _shortest(clock) else ""
        case _:
            return value


def _shortest(clock: str) -> str:
    match = _LOCAL_TIME.fullmatch(clock)
    if match is None:
        return ""
    minutes, seconds, fraction = match[1], match[2] or "00", (match[3] or "").rstrip("0")
    if fraction:
        return f"{minutes}:{seconds}.{fraction}"
    return minutes if seconds == "00" else f"{minutes}:{seconds}"


def render(form: Any) -> str:
    return render_to_string("recovery/_model_form.html", {"form": form})


def controls(html: str) -> _Controls:
    """The page as a browser reads it: bytes of UTF-8, with line ends and U+0000 as the HTML parser treats them."""
    text = html.encode().decode()
    reader = _Controls()
    reader.feed(text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd"))
    reader.close()
    return reader


def submitted(
    form: Any, changes: dict[str, str | bool] | None = None, press: tuple[str, str] | None = None
) -> QueryDict:
    """What arrives when the form is shown, some of its controls are changed (a box: ticked or not), and it is sent.

    A name that the page does not have, or a button that is not there, is an error of the test.
    """
    page = controls(render(form))
    sent = dict(page.sent)
    assert len(sent) == len(page.sent), "two controls have one name"
    for name, value in (changes or {}).items():
        assert name in page.names, f"the form has no control {name}"
        if value is False:
            sent.pop(name, None)
        else:
            sent[name] = "on" if value is True else value
    if press is not None:
        assert press in page.buttons, f"the form has no button {press}"
        sent[press[0]] = press[1]
    # Every line end is sent as CR LF.
    pairs = [(name, re.sub(r"\r\n|\r|\n", "\r\n", value)) for name, value in sent.items()]
    return QueryDict(urlencode(pairs), mutable=False)
