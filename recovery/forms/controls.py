"""Fields with one control, but for those that are written as text: boxes, selects, secrets, JSON, fixed values."""

from typing import Any, ClassVar, Final

from django.utils.translation import gettext
from pydantic import SecretBytes

from recovery.forms.fields import UNSET, Node, Posted
from recovery.forms.hints import attributes
from recovery.forms.messages import MISSING
from recovery.forms.parse import TextError, parse
from recovery.forms.shapes import Choice
from recovery.languages import lazy as _
from recovery.rendering.call import literal

_SHORT_KINDS: Final = frozenset({"int", "float", "decimal", "date", "datetime", "time", "timedelta"})
REQUIRED: Final = _("This field is required.")


class LeafNode(Node):
    """One value. `text` is what stands in the control, also when it is not valid; `value` what it means."""

    text: str
    value: Any
    _is_changed: bool

    @property
    def keys(self) -> int:
        return 1

    def start(self) -> None:
        self.value = self.initial
        self._is_changed = False

    def bind(self, posted: Posted) -> None:
        try:
            value = self.taken(posted)
        except TextError as error:
            self.errors.append(str(error))
            self.value = self.text
            self._is_changed = True
            return
        self._is_changed = not self.is_initial(value)
        self.value = value if self._is_changed else self.initial

    def taken(self, posted: Posted) -> Any:
        """The value that was sent.

        Raises:
            TextError: it is missing, or not of this kind.
        """
        raise NotImplementedError

    def is_initial(self, value: Any) -> bool:
        return value is self.initial

    def read(self) -> Any:
        return self.value

    @property
    def is_changed(self) -> bool:
        return self._is_changed

    @property
    def display(self) -> str:
        return self.show(self.value if self.derived is UNSET else self.derived)

    @property
    def is_short(self) -> bool:
        return self.shape.kind in _SHORT_KINDS

    @property
    def is_required(self) -> bool:
        """Whether an empty control cannot be right: said to the browser."""
        return not self.shape.is_nullable and not self.face.is_omittable

    @property
    def marks_required(self) -> bool:
        return self.is_required and self.initial is UNSET

    def _sent(self, posted: Posted) -> str:
        text = posted.get(self.name)
        if text is None:
            raise TextError(str(MISSING))
        return text


class CheckNode(LeafNode):
    """A box. A browser says nothing about a box that is not ticked, so a hidden field says that there was one."""

    kind: ClassVar[str] = "check"
    control: ClassVar[str] = "recovery/_field_check.html"

    def start(self) -> None:
        super().start()
        self.text = ""

    @property
    def keys(self) -> int:
        return 2

    def taken(self, posted: Posted) -> bool:
        sent = posted.get(self.name)
        if sent is None and posted.get(f"{self.name}:shown") is None:
            raise TextError(str(MISSING))
        if sent not in (None, "on", "true"):
            raise TextError(gettext("Tick the box, or leave it."))
        self.text = sent or ""
        return sent is not None

    def is_initial(self, value: Any) -> bool:
        return isinstance(self.initial, bool) and value == self.initial

    @property
    def help(self) -> str:
        return ""

    @property
    def text_beside(self) -> str:
        return self.face.help

    @property
    def is_ticked(self) -> bool:
        return self.value is True

    @property
    def is_required(self) -> bool:
        return False


class SelectNode(LeafNode):
    """One of several values. `choices` are what is offered, an empty token first where nothing may be chosen."""

    kind: ClassVar[str] = "select"
    control: ClassVar[str] = "recovery/_field_select.html"
    choices: tuple[Choice, ...]

    def start(self) -> None:
        super().start()
        choices = self.shape.choices or (Choice("true", "yes", True), Choice("false", "no", False))
        current = next((choice for choice in choices if is_exactly(choice.value, self.initial)), None)
        if current is None and self.initial is not UNSET and self.initial is not None:
            current = Choice(
                "initial", gettext("%(initial)s (as it is)") % {"initial": literal(self.initial)}, self.initial
            )
            choices = (current, *choices)
        if self.shape.is_nullable:
            choices = (Choice("", "none", None), *choices)
        elif current is None:
            choices = (Choice("", "Choose…", UNSET), *choices)
        self.choices = choices
        self.text = current.token if current else ""

    def taken(self, posted: Posted) -> Any:
        token = self._sent(posted)
        chosen = next((choice for choice in self.choices if choice.token == token), None)
        if chosen is None:
            raise TextError(gettext("Choose one of the values that are offered."))
        self.text = token
        if chosen.value is UNSET and not self.face.is_omittable:
            raise TextError(str(REQUIRED))
        return chosen.value

    def is_initial(self, value: Any) -> bool:
        return is_exactly(value, self.initial)

    def show(self, value: Any) -> str:
        return next((c.label for c in self.choices if is_exactly(c.value, value) and c.value is not UNSET), "")


class SecretNode(LeafNode):
    """A value that is never shown. Left empty, it stays as it is."""

    kind: ClassVar[str] = "secret"
    control: ClassVar[str] = "recovery/_field_secret.html"

    def start(self) -> None:
        super().start()
        self.text = ""
        self.has_none_box = self.shape.is_nullable
        self.is_none = self.has_none_box and self.initial is None
        self.has_value = self.initial is not UNSET and self.initial is not None

    def taken(self, posted: Posted) -> Any:
        text = self._sent(posted)
        if self.has_none_box:
            self.is_none = posted.get(f"{self.name}:none") is not None
            if self.is_none and text:
                raise TextError(gettext("“No value” is ticked, and a text is entered: untick it, or clear the text."))
            if self.is_none:
                return None
        if text:
            checked = parse("text", text)
            return self.shape.base(checked.encode() if issubclass(self.shape.base, SecretBytes) else checked)
        if self.has_value:
            return self.initial
        if self.face.is_omittable:
            return UNSET
        raise TextError(str(REQUIRED))

    @property
    def keys(self) -> int:
        return 1 + self.shape.is_nullable

    @property
    def is_required(self) -> bool:
        return super().is_required and not self.has_value

    @property
    def attrs(self) -> dict[str, str]:
        return attributes(self.shape)

    @property
    def is_entered_again(self) -> bool:
        """A secret that was typed is not shown again, so it has to be typed again."""
        return self.is_changed and self.value is not None


class FixedNode(LeafNode):
    """Shown only, as it is too large for fields of its own."""

    kind: ClassVar[str] = "fixed"

    def start(self) -> None:
        super().start()
        self.text = ""
        self.is_editable = False


class ComputedNode(FixedNode):
    """What the model computes from its fields."""

    kind: ClassVar[str] = "computed"


def is_exactly(one: Any, other: Any) -> bool:
    """Equal and of one type: `True` is not `1`."""
    return one is other or (type(one) is type(other) and bool(one == other))
