"""The field for a value that has no field of its own: the JSON text that the engine would save."""

import json
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from django.utils.translation import gettext

from recovery.forms.controls import REQUIRED, LeafNode, is_exactly
from recovery.forms.fields import UNSET, Posted
from recovery.forms.parse import LONGEST_TEXT, TextError, is_lost_in_html, unix_newlines
from recovery.rendering.call import literal
from rh_agents.core.errors import SerializationError
from rh_agents.core.serialization import decode, encode

# Tags of the saved form that stand for plain data. Instances of classes, arrays and references to artifacts would be
# made without any validation, so nobody can type them.
_PLAIN_TAGS: Final = frozenset(
    {
        "str", "int", "float", "complex", "fraction", "decimal", "bytes", "bytearray", "uuid", "path", "date",
        "datetime", "time", "timedelta", "timezone", "zoneinfo", "tuple", "set", "frozenset", "dict",
    }
)  # fmt: skip


class RawNode(LeafNode):
    """A value of any type, as the JSON text that the engine would save.

    Fixed where it holds instances of classes: they belong into fields, where the model validates them.
    """

    kind: ClassVar[str] = "raw"
    control: ClassVar[str] = "recovery/_field_raw.html"

    def start(self) -> None:
        super().start()
        self.text = ""
        self._classes: set[tuple[str, str]] = set()
        if self.initial is not UNSET:
            try:
                data = self.written(self.initial)
                self._classes = {(tag, named) for tag, named in _tags(data) if tag in ("enum", "flag")}
                self._check_tags(data)
                self.text = self.pretty(data)
            except (SerializationError, RecursionError, ValueError, TypeError):
                self.is_editable = False
        self._start = self.text

    def written(self, value: Any) -> Any:
        """The value as JSON types."""
        return json.loads(encode(value, where=self.path or "value"))

    def pretty(self, data: Any) -> str:
        pretty = json.dumps(data, indent=2, ensure_ascii=False)
        return json.dumps(data, indent=2) if is_lost_in_html(pretty) else pretty

    def taken(self, posted: Posted) -> Any:
        self.text = unix_newlines(self._sent(posted))
        if self.text == self._start and self.initial is not UNSET:
            return self.initial
        if not self.text.strip():
            if self.face.is_omittable:
                return UNSET
            raise TextError(str(REQUIRED))
        if len(self.text) > LONGEST_TEXT:
            raise TextError(
                gettext("This is longer than %(longest_text)s characters.") % {"longest_text": f"{LONGEST_TEXT:,}"}
            )
        try:
            data = json.loads(self.text)
            self._check_tags(data)
            # Written again, so that what was checked is what is read, also where a key stands twice.
            return decode(json.dumps(data))
        except TextError:
            raise
        except RecursionError:
            raise TextError(gettext("This is nested too deeply.")) from None
        except (ValueError, TypeError, LookupError) as error:
            raise TextError(gettext("This is not JSON that can be read: %(error)s") % {"error": error}) from None

    def _check_tags(self, data: Any) -> None:
        """
        Raises:
            TextError: the text stands for more than plain data and the enums that the value had.
        """
        for tag, named in _tags(data):
            if tag not in _PLAIN_TAGS and (tag, named) not in self._classes:
                raise TextError(
                    gettext("A value of the sort “%(named)s” cannot be entered here.") % {"named": named or tag}
                )

    def is_initial(self, value: Any) -> bool:
        return is_exactly(value, self.initial) and literal(value) == literal(self.initial)

    def show(self, value: Any) -> str:
        return "" if value is UNSET else literal(value)


def _tags(node: Any) -> Iterator[tuple[str, str]]:
    """Every tag in a saved text, with the class that it names."""
    if isinstance(node, dict):
        if "$t" in node:
            yield str(node["$t"]), str(node.get("c", ""))
        for item in node.values():
            yield from _tags(item)
    elif isinstance(node, list):
        for item in node:
            yield from _tags(item)
