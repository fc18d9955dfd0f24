"""Fields that are written as text: their control, and the way from the text back to exactly the same value."""

import json
import re
from datetime import datetime, time
from typing import Any, ClassVar, Final

import pydantic
from django.utils.translation import gettext

from recovery.forms.controls import REQUIRED, LeafNode
from recovery.forms.fields import UNSET, Posted
from recovery.forms.hints import EXACT_IN_BROWSERS, attributes
from recovery.forms.parse import (
    TextError,
    is_lost_in_html,
    parse,
    parse_datetime,
    parse_time,
    parse_zone,
    text_of,
    unix_newlines,
    zone_text,
)

# Longer texts, and those with line ends, get several lines.
LONGEST_LINE: Final = 60
SHORT_LENGTH: Final = 24
MANY_CHARACTERS: Final = 200

_PLAIN_INTEGER: Final = re.compile(r"-?[0-9]+")
_PLAIN_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PLAIN_DATETIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,3})?)?")
_PLAIN_TIME: Final = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,3})?)?")


class TextNode(LeafNode):
    """A line or several lines of text, for everything that is written as text.

    `has_none_box`: only a box of its own tells "no value" from the empty text; it is ticked when `is_none`.
    """

    kind: ClassVar[str] = "text"
    control: ClassVar[str] = "recovery/_field_text.html"

    @property
    def has_none_box(self) -> bool:
        kind, base = self.shape.kind, self.shape.base
        return self.shape.is_nullable and (kind == "str" or (kind == "text" and issubclass(base, str)))

    @property
    def keys(self) -> int:
        return 1 + self.has_none_box

    def start(self) -> None:
        super().start()
        initial = None if self.initial is UNSET else self.initial
        plain = text_of(initial)
        # As a JSON text, with escapes, what HTML cannot carry survives.
        self.is_escaped = is_lost_in_html(plain)
        self.text = self._start = json.dumps(plain) if self.is_escaped else unix_newlines(plain)
        self.is_none = self.has_none_box and self.initial is None

    def taken(self, posted: Posted) -> Any:
        text = self._sent(posted)
        self.text = unix_newlines(text)
        if self.has_none_box:
            self.is_none = posted.get(f"{self.name}:none") is not None
            if self.is_none:
                if self.text.strip() and self.text != self._start:
                    raise TextError(
                        gettext("“No value” is ticked, and a text is entered: untick it, or clear the text.")
                    )
                return None
        if (
            self.text == self._start
            and self.initial is not UNSET
            and (self.initial is not None or not self.has_none_box)
        ):
            return self.initial
        return self._parsed(self.text)

    def _parsed(self, text: str) -> Any:
        if self.is_escaped:
            return self._unescaped(text)
        if not text.strip() and self.shape.kind != "str" and not self.has_none_box:
            if self.shape.is_nullable:
                return None
            if self.face.is_omittable:
                return UNSET
            raise TextError(str(REQUIRED))
        if not text and self.face.is_omittable:
            return UNSET
        value = parse(self.shape.kind, text)
        if self.shape.kind == "path":
            return self.shape.base(value)
        if self.shape.kind == "str" and isinstance(self.initial, str) and _has_only_crlf(self.initial):
            return text.replace("\n", "\r\n")
        return value

    def _unescaped(self, text: str) -> Any:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, str):
            raise TextError(gettext("Enter a JSON text: in double quotes, with escapes such as \\n or \\u0000."))
        return self.shape.base(value) if self.shape.kind == "path" else value

    def is_initial(self, value: Any) -> bool:
        if value is self.initial:
            return True
        return type(value) is type(self.initial) and text_of(value) == text_of(self.initial)

    @property
    def is_multiline(self) -> bool:
        if self.shape.kind not in ("str", "text", "path"):
            return False
        limit = self.shape.limits.max_length
        return (
            "\n" in self.text
            or len(self.text) > LONGEST_LINE
            or self.face.is_multiline
            or (limit or 0) > MANY_CHARACTERS
        )

    @property
    def is_short(self) -> bool:
        limits = self.shape.limits
        return super().is_short or limits.pattern is not None or (limits.max_length or LONGEST_LINE) <= SHORT_LENGTH

    @property
    def is_required(self) -> bool:
        return super().is_required and (self.shape.kind != "str" or bool(self.shape.limits.min_length))

    @property
    def input_type(self) -> str:
        """One that shows the text as it stands: a browser empties a field whose text is not of its type."""
        if self.shape.kind == "int" and (not self.text or _PLAIN_INTEGER.fullmatch(self.text)):
            return "number" if len(self.text) < 16 and abs(int(self.text or 0)) < EXACT_IN_BROWSERS else "text"
        if self.shape.kind == "date" and (not self.text or _PLAIN_DATE.fullmatch(self.text)):
            return "date"
        return "text"

    @property
    def attrs(self) -> dict[str, str]:
        if self.is_escaped:
            return {}
        attrs = attributes(self.shape)
        if self.shape.kind == "int" and self.input_type == "text":
            return {"inputmode": "numeric"} if attrs.get("min", "-")[0] != "-" else {}
        if self.is_multiline:
            attrs.pop("pattern", None)
        return attrs

    @property
    def help(self) -> str:
        if self.is_escaped:
            return (
                gettext("%(help)s Written as a JSON text: it has characters that cannot be shown.")
                % {"help": self.face.help}
            ).strip()
        return self.face.help


class MomentNode(LeafNode):
    """A date with a time, or a time of day; the zone has a field of its own, so that editing one keeps the other."""

    kind: ClassVar[str] = "moment"
    control: ClassVar[str] = "recovery/_field_moment.html"

    @property
    def keys(self) -> int:
        return 2

    def start(self) -> None:
        super().start()
        value = self.initial if isinstance(self.initial, datetime | time) else None
        self.text = self._start = self._local(value) if value is not None else ""
        naive = self.shape.annotation is pydantic.NaiveDatetime
        aware_by_default = self.shape.kind == "datetime" and not naive
        self.has_zone = aware_by_default or (value is not None and value.tzinfo is not None)
        self.zone = self._start_zone = zone_text(value) if value is not None else "UTC" if aware_by_default else ""

    def _local(self, value: datetime | time) -> str:
        if isinstance(value, time):
            return value.replace(tzinfo=None).isoformat()
        # Browsers know the T alone; people need not.
        return value.replace(tzinfo=None).isoformat(" " if value.microsecond % 1000 else "T")

    def taken(self, posted: Posted) -> Any:
        self.text = self._sent(posted)
        if self.has_zone:
            self.zone = posted.get(f"{self.name}:zone") or ""
        if not self.text.strip():
            if self.shape.is_nullable:
                return None
            if self.face.is_omittable:
                return UNSET
            raise TextError(str(REQUIRED))
        keeps_zone = self.zone == self._start_zone and isinstance(self.initial, datetime | time)
        zone = self.initial.tzinfo if keeps_zone else parse_zone(self.zone)
        value = parse_time(self.text, zone) if self.shape.kind == "time" else parse_datetime(self.text, zone)
        # The second of two equal clock times in autumn (`fold`) has no text of its own.
        return self.initial if keeps_zone and value == self.initial.replace(fold=0) else value

    def is_initial(self, value: Any) -> bool:
        return value is self.initial or (type(value) is type(self.initial) and text_of(value) == text_of(self.initial))

    @property
    def zone_help(self) -> str:
        return gettext("Time zone: UTC, +02:00 or Europe/Berlin") + (
            "." if self.shape.kind == "time" else gettext("; empty for none.")
        )

    @property
    def zone_name(self) -> str:
        return f"{self.name}:zone"

    @property
    def input_type(self) -> str:
        if self.shape.kind == "time":
            return "time" if not self.text or _PLAIN_TIME.fullmatch(self.text) else "text"
        return "datetime-local" if not self.text or _PLAIN_DATETIME.fullmatch(self.text) else "text"

    @property
    def attrs(self) -> dict[str, str]:
        return {} if self.input_type == "text" else {"step": "0.001" if "." in self.text else "1"}


def _has_only_crlf(text: str) -> bool:
    return "\r\n" in text and "\r" not in text.replace("\r\n", "") and "\n" not in text.replace("\r\n", "")
