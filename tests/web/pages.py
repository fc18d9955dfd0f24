"""Reading pages as people do: what a page shows, by role and words, never by its exact markup."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

INLINE = {
    "a",
    "abbr",
    "b",
    "bdi",
    "code",
    "del",
    "em",
    "i",
    "ins",
    "small",
    "span",
    "strong",
    "svg",
    "time",
    "use",
    "wbr",
}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


@dataclass
class Element:
    tag: str
    attrs: dict[str, str]
    parent: "Element | None" = None
    children: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What is read out, with the white space of HTML."""
        return re.sub(r"\s+", " ", self._raw_text()).strip()

    def _raw_text(self) -> str:
        if self.attrs.get("aria-hidden") == "true":
            return ""
        inner = "".join(child if isinstance(child, str) else child._raw_text() for child in self.children)
        return inner if self.tag in INLINE else f" {inner} "

    def walk(self) -> list["Element"]:
        found = [self]
        for child in self.children:
            if isinstance(child, Element):
                found += child.walk()
        return found

    def all(self, tag: str = "", **attrs: str) -> list["Element"]:
        """The elements inside with these attributes; `class_` names one class."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attrs.items()}
        return [one for one in self.walk() if (not tag or one.tag == tag) and one._has(wanted)]

    def one(self, tag: str = "", **attrs: str) -> "Element":
        found = self.all(tag, **attrs)
        assert len(found) == 1, f"{len(found)} elements <{tag}> with {attrs}"
        return found[0]

    def _has(self, wanted: dict[str, str]) -> bool:
        return all(
            value in self.attrs.get(name, "").split() if name == "class" else self.attrs.get(name) == value
            for name, value in wanted.items()
        )


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.at = Element("", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.children.append(element)
        if tag not in VOID:
            self.at = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.at.children.append(Element(tag, {name: value or "" for name, value in attrs}, self.at))

    def handle_endtag(self, tag: str) -> None:
        at: Element | None = self.at
        while at is not None and at.tag != tag:
            at = at.parent
        assert at is not None and at.parent is not None, f"</{tag}> closes nothing"
        self.at = at.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)


def read(response: Any) -> Element:
    reader = _Reader()
    reader.feed(response.content.decode())
    reader.close()
    return reader.root


def entered_in(form: Element) -> dict[str, str]:
    """What a browser would send of this form if nothing was touched, without any button."""
    values: dict[str, str] = {}
    for field_ in form.all():
        name = field_.attrs.get("name")
        if not name or field_.tag == "button":
            continue
        if field_.tag == "input" and (field_.attrs.get("type") != "checkbox" or "checked" in field_.attrs):
            values[name] = field_.attrs.get("value", "on")
        elif field_.tag == "textarea":
            values[name] = "".join(str(child) for child in field_.children).removeprefix("\n")
        elif field_.tag == "select":
            options = field_.all("option")
            chosen = [one for one in options if "selected" in one.attrs] or options[:1]
            values[name] = chosen[0].attrs.get("value", chosen[0].text) if chosen else ""
    return values


def as_of_now(text: str) -> str:
    """Without how long ago it was: on a machine that is busy, what was just now is a second ago."""
    return re.sub(r"\d+ s ago", "just now", text)
