"""The form of a model: its fields, what was sent, what is wrong with it, and the instance in the end."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Generic, TypeVar

from django.conf import settings
from django.utils.translation import gettext
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from recovery.forms.building import build
from recovery.forms.fields import MAX_NODES, OTHER_KEYS, UNSET, Change, Face, Node, Posted, TooManyFields, Tree
from recovery.forms.json_layout import JsonNode
from recovery.forms.records import SURPRISES, ModelNode
from recovery.forms.rows import RowsNode
from recovery.forms.shapes import Shape, shape_of
from recovery.forms.switches import OptionalNode
from recovery.forms.texts import TextNode

ModelT = TypeVar("ModelT", bound=BaseModel)

_VERBS: Final = ("add", "remove", "up", "down", "reset", "set", "show", "check", "view")
_SCALARS: Final = (str, bool, int, float)


class ModelForm(Generic[ModelT]):
    """See the package's docstring.

    `initial`: an instance, or a plain dict of field names or aliases, which need not be complete or valid.
    `editable`: all, none, or the names of top-level fields. `data`: a QueryDict; `None` leaves the form unbound.
    `as_json`: one JSON text for each field; data says so itself once it is sent, and a button asks for it.

    Raises:
        ValueError: `editable` names a field that the model does not have.
    """

    def __init__(
        self,
        model_class: type[ModelT],
        initial: ModelT | Mapping[str, Any] | None = None,
        *,
        prefix: str = "form",
        editable: bool | frozenset[str] | set[str] = True,
        data: Mapping[str, Any] | None = None,
        as_json: bool = False,
    ) -> None:
        if not isinstance(editable, bool) and (unknown := set(editable) - set(model_class.model_fields)):
            raise ValueError(f"{model_class.__name__} has no field {', '.join(sorted(unknown))}")
        self.model_class = model_class
        self.prefix = prefix
        self.initial = _instance_of(model_class, initial)
        self.is_bound = data is not None
        self.action = ""
        given = initial if self.initial is None and isinstance(initial, Mapping) else {}
        self.is_as_json = as_json or (data is not None and data.get(f"{prefix}:layout") == "json")
        self.is_too_large = False
        try:
            self._root = self._grown(editable, given)
            self.is_too_large = self._root.tree.is_cut
        except TooManyFields:
            # More fields than one request can carry: still to be approved or rejected as a whole.
            self._root = self._grown(False, given)
            self.is_too_large = editable is not False
        self._tree = self._root.tree
        self._draft: Any = self.initial
        if data is not None:
            self._bind(Posted(data))

    def _grown(self, editable: bool | frozenset[str] | set[str], given: Mapping[str, Any]) -> "_Root":
        # A request with more keys is refused before anybody can read it.
        allowed: int | None = getattr(settings, "DATA_UPLOAD_MAX_NUMBER_FIELDS", None)
        max_keys = MAX_NODES if allowed is None else max(allowed - OTHER_KEYS, 0)
        tree = Tree(self.prefix, build, self.initial is not None, max_keys)
        return _Root(tree, self.initial, self.model_class, editable, given, as_json=self.is_as_json)

    # ---- For views ----

    def is_valid(self) -> bool:
        """Whether `value` can be decided on: everything arrived, is valid or as proposed, and no row act is pending."""
        # What the run proposes is the run's to answer for, even where its own model would not take it back.
        is_as_proposed = self.initial is not None and not self._root.is_changed
        return self.is_bound and not self.action and (is_as_proposed or not self._root.failed)

    @property
    def value(self) -> ModelT:
        """The validated instance.

        Raises:
            ValueError: the form is not valid.
        """
        if not self.is_valid():
            raise ValueError(f"the form of {self.model_class.__name__} is not valid, so it has no value")
        return self._draft

    @property
    def draft(self) -> Any:
        """The value as entered so far; texts stand where they could not be read. `initial` while unbound."""
        return self._draft

    @property
    def is_edited(self) -> bool:
        return bool(self.changes)

    @property
    def changes(self) -> list[Change]:
        """Every difference from `initial` (from the defaults, without one), in the order of the fields."""
        return list(self._root.changes()) if self.is_bound else []

    @property
    def errors(self) -> dict[str, list[str]]:
        """By dotted path; those of the model as a whole are in `non_field_errors`."""
        errors: dict[str, list[str]] = {}
        for node in self.invalid_fields:
            errors.setdefault(node.path, []).extend(node.errors)
        return errors

    @property
    def non_field_errors(self) -> list[str]:
        """What the model as a whole says, and what is wrong with fields that cannot be edited here."""
        return list(self._messages_at_top())

    @property
    def invalid_fields(self) -> list[Node]:
        return [node for node in self._root.walk() if node.errors and node is not self._root]

    @property
    def fields(self) -> Sequence[Node]:
        return self._root.children

    @property
    def nodes(self) -> Iterator[Node]:
        """Every field and group, in the order of the page."""
        return self._root.walk()

    def __getitem__(self, path: str) -> Node:
        """The field at a dotted path."""
        node = self._root.find(path)
        if node is None:
            raise KeyError(path)
        return node

    def _messages_at_top(self) -> Iterator[str]:
        yield from self._root.errors
        for node in self.invalid_fields:
            if not node.is_editable:
                yield from (f"{node.full_label}: {message}" for message in node.errors)

    def entered_as_json(self) -> "ModelForm[ModelT]":
        """The same form with JSON texts, and in them what was entered here."""
        other = self._anew(as_json=True)
        for name, node in other._root.fields.items():
            if isinstance(node, JsonNode):
                node.enter(self._root.fields[name].read())
        other._draft, other.is_bound, other.action = self._draft, self.is_bound, self.action
        return other

    def _anew(self, *, as_json: bool) -> "ModelForm[ModelT]":
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.is_as_json = as_json
        other._root = other._grown(self._root.editable, self._root.given)
        other._tree = other._root.tree
        return other

    # ---- Binding ----

    def _bind(self, posted: Posted) -> None:
        self._root.bind(posted)
        self.action = self._act_of(posted)
        verb, _, path = self.action.partition(" ")
        refusal = self._acted(verb, path)
        self._draft = self._root.read()
        if self.action and verb != "check":
            # Nobody asked whether it is right; it is said when they do.
            for node in self._root.walk():
                node.errors.clear()
        if refusal:
            self._root.errors.append(refusal)

    def _act_of(self, posted: Posted) -> str:
        for verb in _VERBS:
            path = posted.get(f"{self.prefix}:{verb}")
            if path is not None:
                return f"{verb} {path}".strip()
        return f"show {self._tree.wanted}" if self._tree.wanted else ""

    def _acted(self, verb: str, path: str) -> str | None:
        """Carry out an act on a row or field; the refusal, if it cannot be."""
        if verb in ("", "check", "show", "view"):
            # A variant shows its fields as soon as it is chosen.
            return None
        parent_path, _, key = path.rpartition(".")
        is_of_row = verb in ("remove", "up", "down")
        rows = self._rows_at(parent_path if is_of_row else path) if is_of_row or verb == "add" else None
        node = rows or self._root.find(path)
        if node is None or not node.is_editable:
            return gettext("There is nothing at the place that the button was for. Load the page again.")
        if verb == "reset":
            try:
                node.start()
            except TooManyFields:
                return gettext(
                    "%(full_label)s cannot be put back: the form has too many fields. Load the page again."
                ) % {"full_label": node.full_label}
        elif verb == "set" and isinstance(node, OptionalNode):
            node.open()
        elif verb == "add" and rows:
            return (
                None
                if rows.add()
                else gettext("%(full_label)s cannot have more rows.") % {"full_label": rows.full_label}
            )
        elif verb in ("up", "down") and rows and rows.move(key, -1 if verb == "up" else 1):
            return None
        elif not (verb == "remove" and rows and rows.remove(key)):
            return gettext("%(full_label)s cannot do this: %(verb)s.") % {"full_label": node.full_label, "verb": verb}
        return None

    def _rows_at(self, path: str) -> RowsNode | None:
        node = self._root.find(path)
        while node is not None and not isinstance(node, RowsNode):
            node = next((child for child in node.children if not child.key), None)
        return node


class _Root(ModelNode):
    """The model itself: alone in knowing which of its fields may be edited, and what a partial `initial` has."""

    def __init__(
        self,
        tree: Tree,
        initial: BaseModel | None,
        model_class: type[BaseModel],
        editable: bool | frozenset[str] | set[str],
        given: Mapping[str, Any],
        *,
        as_json: bool,
    ) -> None:
        self.editable = editable
        self.as_json = as_json
        self.given = given
        shape = Shape("model", model_class, base=model_class)
        face = Face(str(model_class.model_config.get("title") or model_class.__name__))
        super().__init__(tree, None, "", shape, UNSET if initial is None else initial, face, editable is not False)

    def may_edit(self, name: str, info: FieldInfo) -> bool:
        is_named = self.editable if isinstance(self.editable, bool) else name in self.editable
        return is_named and super().may_edit(name, info)

    def default(self, name: str, info: FieldInfo) -> Any:
        key = next((key for key in (name, info.alias) if key is not None and key in self.given), None)
        if key is None:
            return super().default(name, info)
        try:
            return TypeAdapter(_annotated(info)).validate_python(self.given[key])
        except (ValidationError, *SURPRISES):
            return UNSET

    def _field(self, name: str, info: FieldInfo, value: Any) -> Node:
        if self.as_json and self.may_edit(name, info):
            shape = shape_of(info.annotation, info.metadata)
            face = self.face_of(name, info, replace(shape, kind="raw"))
            return JsonNode(self.tree, self, "" if self.is_root_model else name, shape.as_raw(), value, face, True)
        node = super()._field(name, info, value)
        wrong = self.given.get(name)
        if value is UNSET and isinstance(node, TextNode) and isinstance(wrong, _SCALARS):
            node.text = str(wrong)
        return node


def _annotated(info: FieldInfo) -> Any:
    return Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation


def _instance_of(model_class: type[ModelT], initial: ModelT | Mapping[str, Any] | None) -> ModelT | None:
    if isinstance(initial, model_class):
        return initial
    if initial is None:
        return None
    if not isinstance(initial, Mapping):
        raise TypeError(f"the initial value is a {type(initial).__name__}, not a {model_class.__name__} or a dict")
    try:
        return model_class.model_validate(dict(initial), by_alias=True, by_name=True)
    except ValidationError:
        return None
