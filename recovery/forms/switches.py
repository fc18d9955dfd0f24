"""Fields that first have to be chosen: one that may be absent, and one of several kinds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, NamedTuple

from django.utils.translation import gettext
from pydantic import PydanticUserError, TypeAdapter, ValidationError

from recovery.forms.fields import UNSET, Change, Node, Posted, TooManyFields
from recovery.forms.hints import help_text
from recovery.forms.messages import MISSING, plain_message
from recovery.forms.records import SURPRISES, GroupNode, ModelNode
from recovery.forms.shapes import Shape, shape_of
from recovery.forms.texts import TextNode
from recovery.languages import lazy as _

_WORDS: Final[dict[str, str]] = {
    "str": _("text"),
    "int": _("whole number"),
    "float": _("number"),
    "bool": _("yes or no"),
    "decimal": _("decimal number"),
    "date": _("date"),
    "datetime": _("date and time"),
    "time": _("time of day"),
    "timedelta": _("duration"),
    "uuid": "UUID",
    "path": _("path"),
    "secret": _("secret"),
    "choice": _("choice"),
    "rows": _("list"),
    "tuple": _("tuple"),
    "map": _("table of keys"),
    "raw": "JSON",
}
_TEXT_KINDS: Final = frozenset({"str", "int", "float", "decimal", "date", "timedelta", "uuid", "path", "text"})


class SwitchNode(GroupNode):
    """Wraps `inner`, which has the same path, or nothing while nothing is chosen."""

    inner: Node | None

    @property
    def keys(self) -> int:
        return 2

    def affordable(self, build: Callable[[], Node]) -> Node | None:
        """The node, or an error where the form has no room for it."""
        before = self.tree.spent
        try:
            return build()
        except TooManyFields:
            self.tree.spent = before
            self.errors.append(gettext("The form has too many fields for this."))
            return None

    @property
    def children(self) -> Sequence[Node]:
        return () if self.inner is None else (self.inner,)

    @property
    def id(self) -> str:
        return f"{super().id}-choice"

    def at(self, loc: tuple[int | str, ...]) -> Node:
        return self if self.inner is None else self.inner.at(loc)

    def changes(self) -> Iterator[Change]:
        if self.derived is not UNSET or self.is_switched:
            yield Change(self.path, self.full_label, self.old_display, self.display)
        else:
            yield from super().changes()

    @property
    def is_switched(self) -> bool:
        """Whether something else is chosen than in `initial`."""
        raise NotImplementedError

    @property
    def shows_change(self) -> bool:
        switched = self.is_switched and self.initial is not UNSET and self.tree.has_initial
        return switched or self.derived is not UNSET

    @property
    def is_changed(self) -> bool:
        return self.is_switched or (self.inner is not None and self.inner.is_changed)

    @property
    def old_display(self) -> str:
        return self.show(self.initial)

    def show(self, value: Any) -> str:
        return "none" if value is None else super().show(value)


class OptionalNode(SwitchNode):
    """A group or list that may be `None`: a box says whether it is there. It is closed while it is not."""

    kind: ClassVar[str] = "optional"
    frame: ClassVar[str] = "recovery/_field_optional.html"

    def start(self) -> None:
        self.value = self.initial
        self.is_set = self.initial is not None and self.initial is not UNSET
        self.inner = self._built(self.initial) if self.is_set else None

    def _built(self, initial: Any) -> Node:
        return self.built("", replace(self.shape, is_nullable=False), initial, self.face)

    @property
    def set_name(self) -> str:
        return f"{self.name}:set"

    @property
    def shown_name(self) -> str:
        return f"{self.name}:shown"

    def bind(self, posted: Posted) -> None:
        shown = posted.get(self.shown_name)
        if shown not in ("0", "1"):
            self.errors.append(str(MISSING))
            return
        self.is_set = posted.get(self.set_name) is not None
        if not self.is_set:
            self.inner = None
            return
        self.open()
        if self.inner is not None and shown == "1":
            self.inner.bind(posted)
        else:
            self.tree.wanted = self.path

    def open(self) -> None:
        """Show its fields: blank, or those of the initial value, which stand there already."""
        if self.inner is None:
            self.is_set, self.inner = True, self.affordable(lambda: self._built(UNSET))

    @property
    def is_switched(self) -> bool:
        return self.initial is UNSET or self.is_set != (self.initial is not None)

    def read(self) -> Any:
        self.value = None if self.inner is None else self.inner.read()
        return self.value if self.is_changed else self.initial


class Variant(NamedTuple):
    """One kind of a union; `shape` is `None` for `None`."""

    token: str
    label: str
    shape: Shape | None


class UnionNode(SwitchNode):
    """One of several kinds: a select, and the fields of the kind that is chosen."""

    kind: ClassVar[str] = "union"
    frame: ClassVar[str] = "recovery/_field_union.html"
    variants: list[Variant]

    def start(self) -> None:
        self.value = self.initial
        shapes = [shape_of(arg) for arg in self.shape.args]
        # A union in a union would need the same names twice; one JSON text does for what is so rare.
        shapes = [shape.as_raw() if shape.kind == "union" else replace(shape, is_nullable=False) for shape in shapes]
        self.variants = [Variant(str(place), _variant_label(shape), shape) for place, shape in enumerate(shapes)]
        self._start = self._variant_of(self.initial)
        if self._start is None and self.initial is not UNSET and self.initial is not None:
            self._start = Variant("raw", "JSON", Shape("raw", Any))
            self.variants.append(self._start)
        if self.shape.is_nullable or self.initial is None:
            none = Variant("none", "none", None)
            self.variants.insert(0, none)
            self._start = none if self.initial is None else self._start
        self.chosen = self._start
        shape = self.chosen.shape if self.chosen else None
        self.inner = self._built(shape, self.initial) if shape else None

    def _variant_of(self, value: Any) -> Variant | None:
        if value is UNSET or value is None:
            return None
        fitting = [v for v in self.variants if v.shape and _is_of(v.shape, value)]
        exact = [v for v in fitting if v.shape and type(value) is v.shape.base]
        return next(iter([*exact, *fitting]), None)

    def _built(self, shape: Shape, initial: Any) -> Node:
        return self.built(
            "", shape, initial, replace(self.face, label=_variant_label(shape), help=help_text(shape, ""))
        )

    @property
    def variant_name(self) -> str:
        return f"{self.name}:variant"

    @property
    def was_name(self) -> str:
        return f"{self.name}:was"

    @property
    def token(self) -> str:
        return self.chosen.token if self.chosen else ""

    def bind(self, posted: Posted) -> None:
        tokens: dict[str, Variant | None] = {variant.token: variant for variant in self.variants}
        if self._start is None:
            tokens[""] = None
        sent, was = posted.get(self.variant_name), posted.get(self.was_name)
        if sent is None or was is None:
            self.errors.append(str(MISSING))
            return
        if sent not in tokens or was not in tokens:
            self.errors.append(gettext("Choose one of the kinds that are offered."))
            return
        self.chosen = tokens[sent]
        shape = self.chosen.shape if self.chosen else None
        if self.chosen != self._start or shape is None:
            self.inner = self.affordable(lambda: self._built(shape, UNSET)) if shape else None
        if self.inner is None:
            return
        shown = tokens[was]
        if sent == was or (shown and _is_one_text(shown.shape) and isinstance(self.inner, TextNode)):
            if self.inner.is_editable:
                self.inner.bind(posted)
        elif self.inner.is_editable:
            self.tree.wanted = self.path

    @property
    def is_switched(self) -> bool:
        return self.initial is UNSET or self.chosen != self._start

    def read(self) -> Any:
        self.value = self._read()
        return self.value if self.is_changed else self.initial

    def _read(self) -> Any:
        if self.chosen is None:
            if self.face.is_omittable:
                return UNSET
            self.errors.append(gettext("Choose what this is."))
            return UNSET
        if self.inner is None:
            return None
        value = self.inner.read()
        # A model has validated itself; anything else could be taken for another kind by the union.
        if self.inner.failed or not self.is_changed or isinstance(self.inner, ModelNode):
            return value
        return self._checked(self.inner, value)

    def _checked(self, inner: Node, value: Any) -> Any:
        try:
            return TypeAdapter(inner.shape.annotation).validate_python(value)
        except ValidationError as error:
            for refusal in error.errors(include_url=False, include_input=False):
                inner.at(refusal["loc"]).errors.append(plain_message(refusal, list(self.face.examples)))
        except (PydanticUserError, *SURPRISES):
            # The kind cannot stand alone; the model as a whole will say what is wrong.
            return value
        return value


def _is_of(shape: Shape, value: Any) -> bool:
    """Whether a value of a union is of this kind; stricter than whether it could be shown."""
    if shape.kind == "choice":
        return any(type(choice.value) is type(value) and choice.value == value for choice in shape.choices)
    if shape.kind == "raw":
        return isinstance(shape.base, type) and isinstance(value, shape.base)
    if shape.kind == "text":
        return isinstance(value, shape.base)
    return shape.fits(value)


def _variant_label(shape: Shape) -> str:
    if shape.kind == "model":
        return str(shape.base.model_config.get("title") or shape.base.__name__)
    return _WORDS.get(shape.kind) or str(getattr(shape.base, "__name__", "value"))


def _is_one_text(shape: Shape | None) -> bool:
    return shape is not None and shape.kind in _TEXT_KINDS
