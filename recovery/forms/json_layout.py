"""The form of a model for those who know JSON: one text for each of its fields, whatever is in it."""

import json
from typing import Any, ClassVar

from pydantic import BaseModel, RootModel

from recovery.forms.json_texts import RawNode
from recovery.forms.parse import LONGEST_TEXT
from rh_agents.core.serialization import encode


class JsonNode(RawNode):
    """As `RawNode`, but models inside stand as plain objects: the model that the field belongs to validates them, and
    says where in the text something is wrong."""

    kind: ClassVar[str] = "json"
    control: ClassVar[str] = "recovery/_field_raw.html"

    def start(self) -> None:
        super().start()
        if len(self.text) > LONGEST_TEXT:
            self.is_editable = False

    def written(self, value: Any) -> Any:
        return json.loads(encode(_plain(value), where=self.path or "value"))

    def enter(self, value: Any) -> None:
        """Show what was entered so far elsewhere, right or wrong."""
        if self.is_editable and not self.is_initial(value):
            self.text = self.pretty(self.written(value))
            self.value, self._is_changed = value, self.text != self._start

    def placed(self, loc: tuple[int | str, ...], message: str) -> str:
        return f"{'.'.join(map(str, loc[1:]))}: {message}" if len(loc) > 1 else message


def _plain(value: Any) -> Any:
    """The value with the fields of models instead of models; what holds them stays what it was."""
    if isinstance(value, RootModel):
        return _plain(value.root)
    if isinstance(value, BaseModel):
        stored = {name: vars(value)[name] for name in type(value).model_fields if name in vars(value)}
        return {name: _plain(item) for name, item in {**stored, **(value.model_extra or {})}.items()}
    if type(value) is dict:
        return {_plain(key): _plain(item) for key, item in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_plain(item) for item in value)
    return value
