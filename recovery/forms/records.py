"""Groups: a nested model with its fields, a tuple with its places, and how a model is put together again."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

from django.utils.translation import gettext
from pydantic import BaseModel, RootModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from recovery.forms.controls import ComputedNode
from recovery.forms.fields import UNSET, Change, Face, Node, Posted
from recovery.forms.hints import help_text
from recovery.forms.messages import plain_message
from recovery.forms.shapes import Shape, shape_of
from recovery.rendering.call import literal

# What a validator raises when it is given something it did not expect; anything else is not the entered value's fault.
SURPRISES: Final = (TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)

# Fields of a group in a list; a longer one is folded.
LONGEST_UNFOLDED = 16


class GroupNode(Node):
    """Several fields under one legend."""

    frame: ClassVar[str] = "recovery/_field_group.html"
    body: ClassVar[str] = "recovery/_field_group_body.html"
    value: Any = UNSET

    @property
    def is_changed(self) -> bool:
        return self.initial is UNSET or any(child.is_changed for child in self.children)

    @property
    def shows_change(self) -> bool:
        # The fields inside show their own.
        return self.derived is not UNSET

    @property
    def display(self) -> str:
        return self.show(self.value if self.derived is UNSET else self.derived)

    def bind(self, posted: Posted) -> None:
        for child in self.children:
            if child.is_editable:
                child.bind(posted)

    def changes(self) -> Iterator[Change]:
        if self.derived is not UNSET:
            yield Change(self.path, self.full_label, self.show(self.initial), self.show(self.derived))
            return
        for child in self.children:
            yield from child.changes()

    @property
    def summary(self) -> str:
        """What stands beside the label while the group is folded: its first value, and how long its lists are.

        Empty for what is not to be folded.
        """
        if self.template != GroupNode.frame:
            return ""  # It has switches of its own, which must not be folded away.
        said = [child.display for child in self.children if child.is_single][:1]
        for child in self.children:
            if (rows := getattr(child, "rows", None)) is not None:
                said.append(f"{len(rows)} {child.label}")
        return ", ".join(str(words) for words in said if words)

    @property
    def is_unfolded(self) -> bool:
        """Long ones are folded at first, unless something in them was changed or is wrong."""
        return self.failed or self.is_changed or sum(1 for _ in self.walk()) <= LONGEST_UNFOLDED

    def show(self, value: Any) -> str:
        return "" if value is UNSET else literal(value)


class TupleNode(GroupNode):
    """A tuple of a fixed length."""

    kind: ClassVar[str] = "tuple"

    def start(self) -> None:
        self.value = self.initial
        shapes = [shape_of(arg) for arg in self.shape.args]
        values = [UNSET] * len(shapes) if self.initial is UNSET else self.initial
        self._parts = [
            self.built(str(place), shape, value, self.face.named(f"{self.label} {place + 1}"))
            for place, (shape, value) in enumerate(zip(shapes, values, strict=True))
        ]

    @property
    def children(self) -> Sequence[Node]:
        return self._parts

    def read(self) -> Any:
        values = tuple(part.read() for part in self._parts)
        self.value = values if self.is_changed else self.initial
        return self.value

    def at(self, loc: tuple[int | str, ...]) -> Node:
        if loc and isinstance(loc[0], int) and loc[0] < len(self._parts):
            return self._parts[loc[0]].at(loc[1:])
        return self


class ModelNode(GroupNode):
    """A pydantic model. It validates itself, so that what stands above is given an instance.

    `read` is a three-way merge: fields that nobody edited keep the very values of `initial`, whatever the model's
    validators would make of them, unless a validator derives them from what was edited.
    """

    kind: ClassVar[str] = "model"

    def start(self) -> None:
        initial = self.initial
        self.value = initial
        self.model: type[BaseModel] = type(initial) if isinstance(initial, self.shape.base) else self.shape.base
        self.is_root_model = issubclass(self.model, RootModel)
        stored = {} if initial is UNSET else vars(initial)
        self.fields: dict[str, Node] = {}
        for name, info in self.model.model_fields.items():
            value = stored.get(name, UNSET) if initial is not UNSET else self.default(name, info)
            self.fields[name] = self._field(name, info, value)
        self.computed: dict[str, Node] = {}
        if initial is not UNSET:
            self._show_computed(initial)

    def default(self, name: str, info: FieldInfo) -> Any:
        return default_of(info)

    def may_edit(self, name: str, info: FieldInfo) -> bool:
        # A frozen field is given once: in a model that is only being made it can be entered.
        return self.is_editable and not (info.frozen and self.initial is not UNSET)

    def _field(self, name: str, info: FieldInfo, value: Any) -> Node:
        shape = shape_of(info.annotation, info.metadata)
        face = self.face_of(name, info, shape)
        return self.built("" if self.is_root_model else name, shape, value, face, self.may_edit(name, info))

    def face_of(self, name: str, info: FieldInfo, shape: Shape) -> Face:
        if self.is_root_model:
            return Face(self.label, self.face.help or help_text(shape, info.description or ""))
        return _face_of(name, info, shape)

    def _show_computed(self, model: BaseModel) -> None:
        for name, info in type(model).model_computed_fields.items():
            try:
                value = getattr(model, name)
            except SURPRISES:
                continue
            face = Face(info.title or name, info.description or "")
            # Not through `built`: whatever its type, it is text to read.
            self.computed[name] = ComputedNode(self.tree, self, name, Shape("raw", Any), value, face, False)

    @property
    def children(self) -> Sequence[Node]:
        return [*self.fields.values(), *self.computed.values()]

    def at(self, loc: tuple[int | str, ...]) -> Node:
        if self.is_root_model:
            return self.fields["root"].at(loc)
        child = self.fields.get(str(loc[0])) if loc else None
        return child.at(loc[1:]) if child else self

    def read(self) -> Any:
        entered = {name: node.read() for name, node in self.fields.items()}
        values = {name: value for name, value in entered.items() if value is not UNSET}
        is_edited = self.is_changed
        if not is_edited and self.parent is not None:
            return self.initial
        model = self._validated(values, is_edited)
        if not is_edited:
            return self.initial
        self.value = self._draft(values) if model is None else self._merged(model, values)
        if model is not None and self.computed:
            self._show_computed(model)
        return self.value

    def _validated(self, values: dict[str, Any], is_edited: bool) -> BaseModel | None:
        """The model made of these values; `None` when it cannot be, and the fields concerned say why."""
        failed = {name for name, node in self.fields.items() if node.failed}
        # What could not be read is refused by its field again; that second refusal is not shown.
        values = {name: UNSET if name in failed else self._guarded(name, value) for name, value in values.items()}
        try:
            model = self._made(values)
        except ValidationError as error:
            for refusal in error.errors(include_url=False, include_input=False):
                loc = ("root", *refusal["loc"]) if self.is_root_model else refusal["loc"]
                if failed and (not loc or loc[0] in failed):
                    continue
                node = self.at(refusal["loc"])
                message = node.placed(loc, plain_message(refusal, list(node.face.examples)))
                if message not in node.errors:
                    node.errors.append(message)
        except SURPRISES as error:
            # Validators of a proposal that nobody edited may be unable to take their own results.
            if is_edited and not failed:
                self.errors.append(
                    gettext("The model could not check this: %(type)s: %(error)s.")
                    % {"type": type(error).__name__, "error": error}
                )
        else:
            return None if failed else model
        return None

    def _made(self, values: dict[str, Any]) -> BaseModel:
        given = {name: value for name, value in values.items() if not self._is_plain_default(name, value)}
        if self.is_root_model:
            return self.model.model_validate(values.get("root"))
        extra = None if self.initial is UNSET else self.initial.__pydantic_extra__
        return self.model.model_validate({**(extra or {}), **given}, by_alias=False, by_name=True)

    def _is_plain_default(self, name: str, value: Any) -> bool:
        """Left out, so that a default which the field itself would refuse (`x: int = None`) is taken as ever."""
        default = self.model.model_fields[name].default
        return default is not PydanticUndefined and is_same(value, default)

    def _guarded(self, name: str, value: Any) -> Any:
        """A copy of what was not edited: validators may change in place what they are given."""
        if self.fields[name].is_changed:
            return value
        try:
            return copy.deepcopy(value)
        except Exception:  # anything may refuse to be copied, in any way
            return value

    def _merged(self, model: BaseModel, values: dict[str, Any]) -> Any:
        if type(model) is not self.model or self.initial is UNSET:
            return model
        before, after = vars(self.initial), vars(model)
        suspects = []
        for name, node in self.fields.items():
            if node.is_changed or name not in before or name not in after:
                continue
            if not is_same(after[name], before[name]):
                suspects.append(name)
            else:
                after[name] = before[name]
        for name in suspects:
            node = self.fields[name]
            if not self._follows_from_edit(name, after[name]):
                after[name] = before[name]
            elif node.is_editable:
                node.derived = after[name]
            else:
                node.errors.append(
                    gettext("Your edit would change this, and it is set by the run: it cannot be changed here.")
                )
        edited = {name for name, node in self.fields.items() if node.is_changed or node.derived is not UNSET}
        model.__pydantic_fields_set__.clear()
        model.__pydantic_fields_set__.update(self.initial.model_fields_set | edited)
        return model

    def _follows_from_edit(self, name: str, value: Any) -> bool:
        """Whether the validators make something else of the field than they would have made without the edit."""
        unedited = {key: stored for key, stored in vars(self.initial).items() if key in self.fields}
        try:
            once, again = (vars(self._made(copy.deepcopy(unedited)))[name] for _ in range(2))
        except (ValidationError, *SURPRISES):
            return False
        # A value that is new each time (a clock, a random id) follows from nothing.
        return is_same(once, again) and not is_same(value, once)

    def _draft(self, values: dict[str, Any]) -> Any:
        """An instance that holds what was entered, right or wrong: `model_construct` would read aliases."""
        draft = self.model.__new__(self.model)
        extra = None if self.initial is UNSET else self.initial.__pydantic_extra__
        object.__setattr__(draft, "__dict__", dict(values))
        object.__setattr__(draft, "__pydantic_fields_set__", set(values))
        object.__setattr__(draft, "__pydantic_extra__", extra)
        object.__setattr__(draft, "__pydantic_private__", None)
        return draft


def default_of(info: FieldInfo) -> Any:
    """The default that a blank form shows; `UNSET` when there is none, or none before the other fields are known."""
    if info.default is not PydanticUndefined:
        return copy.deepcopy(info.default)
    if info.default_factory is None or info.default_factory_takes_validated_data:
        return UNSET
    return info.get_default(call_default_factory=True)


def _face_of(name: str, info: FieldInfo, shape: Shape) -> Face:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    return Face(
        info.title or name,
        help_text(shape, info.description or ""),
        info.examples or (),
        is_multiline=bool(extra.get("multiline")),
        is_omittable=bool(info.default_factory_takes_validated_data),
    )


def is_same(one: Any, other: Any) -> bool:
    """Equal, of one type, and written alike: `1.10` is not `1.1`, `nan` is `nan`."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    return literal(one) == literal(other) and (bool(one == other) or one != one)
