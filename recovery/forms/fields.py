"""The nodes of a form: what every field knows, and how the tree they stand in is counted and looked up."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from pydantic import SecretBytes, SecretStr

from recovery.forms.parse import text_of
from recovery.forms.shapes import Shape
from recovery.rendering.call import literal

MAX_ROWS: Final = 1_000
MAX_NODES: Final = 20_000
# Deeper values are shown as one text; templates and readers recurse once a level.
MAX_DEPTH: Final = 12
LONGEST_PATH: Final = 1_000


class Unset(Enum):
    """Stands where there is no value at all, not even `None`."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


# Keys of the same request that are not the form's own: the token, the button, the rest of the page's form.
OTHER_KEYS: Final = 100


class TooManyFields(Exception):
    """The form would have more fields than a page can show, or more keys than a request may have."""


class Cost(NamedTuple):
    """What nodes take of a form's allowance; `keys` are sent by the browser."""

    nodes: int = 0
    keys: int = 0


class Build(Protocol):
    """`is_editable=False` goes for everything inside too."""

    def __call__(
        self, tree: "Tree", parent: "Node | None", key: str, shape: Shape, initial: Any, face: "Face", is_editable: bool
    ) -> "Node": ...


class Change(NamedTuple):
    """One difference from `initial`, in words; `old` or `new` is empty where a row came or went."""

    path: str
    label: str
    old: str
    new: str


class Posted:
    """What the browser sent, asked for by name only: keys that no field has are never looked at."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def get(self, name: str) -> str | None:
        """The one text under this name; `None` if there is none, or several."""
        read = getattr(self._data, "getlist", None)
        if read is None:
            value = self._data.get(name)
            return None if value is None else str(value)
        values = read(name)
        return str(values[0]) if len(values) == 1 else None


@dataclass(slots=True)
class Tree:
    """What all nodes of one form share.

    `build` makes the node of a shape (see `building.py`; called through here, because groups and what they hold need
    each other). `wanted` is the path of a variant whose fields have to be shown before anything can be decided.
    `is_cut`: something that may be edited is shown fixed, because it would need too many fields.
    """

    prefix: str
    build: "Build"
    has_initial: bool = False
    max_keys: int = MAX_NODES
    spent: Cost = field(default_factory=Cost)
    wanted: str = ""
    is_cut: bool = False

    def spend(self, nodes: int, keys: int) -> None:
        self.spent = Cost(self.spent.nodes + nodes, self.spent.keys + keys)
        if self.spent.nodes > MAX_NODES or self.spent.keys > self.max_keys:
            raise TooManyFields

    def since(self, before: Cost) -> Cost:
        return Cost(self.spent.nodes - before.nodes, self.spent.keys - before.keys)

    def give_back(self, cost: Cost) -> None:
        self.spent = self.since(cost)


@dataclass(frozen=True, slots=True)
class Face:
    """How a field presents itself: from `Field(title=, description=, examples=)`."""

    label: str
    help: str = ""
    examples: Sequence[Any] = ()
    is_multiline: bool = False
    is_omittable: bool = False

    def named(self, label: str) -> "Face":
        return replace(self, label=label, help="", is_omittable=False)


@dataclass(eq=False)
class Node:
    """A field, a group of fields or a list of rows. Templates read it; `ModelForm` binds and reads it."""

    tree: Tree
    parent: "Node | None"
    key: str
    shape: Shape
    initial: Any
    face: Face
    is_editable: bool
    errors: list[str] = field(default_factory=list)
    # What a validator of the model made of this field because another one was edited.
    derived: Any = UNSET

    kind: ClassVar[str] = ""
    frame: ClassVar[str] = "recovery/_field.html"
    control: ClassVar[str] = ""
    body: ClassVar[str] = ""

    def __post_init__(self) -> None:
        self.tree.spend(1, self.keys if self.is_editable else 0)
        self.start()

    def start(self) -> None:
        """Show `initial`; also what "reset" does."""

    def bind(self, posted: Posted) -> None:
        """Take over what the browser sent. Called for editable nodes only."""

    def read(self) -> Any:
        """The value that was entered, or as much of it as can be read; `UNSET` to leave it out."""
        return self.initial

    @property
    def is_changed(self) -> bool:
        return False

    @property
    def children(self) -> Sequence["Node"]:
        return ()

    def changes(self) -> Iterator[Change]:
        if self.derived is not UNSET:
            yield Change(self.path, self.full_label, self.show(self.initial), self.show(self.derived))
        elif self.is_editable and self.is_changed:
            yield Change(self.path, self.full_label, self.old_display, self.display)

    @property
    def keys(self) -> int:
        """How many keys a browser sends for it, at most."""
        return 0

    # ---- Where it stands ----

    @property
    def path(self) -> str:
        """Dotted, as in `items.2.amount`; wrappers have the path of what they wrap."""
        keys = []
        node: Node | None = self
        while node is not None:
            if node.key:
                keys.append(node.key)
            node = node.parent
        return ".".join(reversed(keys))

    @property
    def depth(self) -> int:
        return 0 if self.parent is None else self.parent.depth + 1

    @property
    def name(self) -> str:
        path = self.path
        return f"{self.tree.prefix}.{path}" if path else self.tree.prefix

    @property
    def id(self) -> str:
        return self.name.replace(".", "-")

    def walk(self) -> Iterator["Node"]:
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, path: str) -> "Node | None":
        """The outermost node of a dotted path."""
        if len(path) > LONGEST_PATH:
            return None
        node: Node = self
        for key in path.split("."):
            found = node.step(key)
            if found is None:
                return None
            node = found
        return node

    def step(self, key: str) -> "Node | None":
        for child in self.children:
            if child.key == key:
                return child
            if not child.key and (found := child.step(key)) is not None:
                return found
        return None

    def at(self, loc: tuple[int | str, ...]) -> "Node":
        """The innermost node that pydantic's location of an error leads to."""
        return self

    def placed(self, loc: tuple[int | str, ...], message: str) -> str:
        """What is wrong at a location, where that alone does not say it."""
        return message

    # ---- What it says ----

    @property
    def template(self) -> str:
        """The whole field with its label; `control` is what is typed into, `body` what stands below a legend."""
        return self.frame

    @property
    def label(self) -> str:
        return str(self.face.label)  # In the language of whoever reads it.

    @property
    def full_label(self) -> str:
        """The label with those around it, as in `items 3, amount`."""
        labels = [self.label]
        node = self.parent
        while node is not None and node.parent is not None:
            if node.key and node.label and not labels[-1].startswith(node.label):
                labels.append(node.label)
            node = node.parent
        return ", ".join(reversed(labels))

    @property
    def help(self) -> str:
        return self.face.help

    @property
    def failed(self) -> bool:
        return any(node.errors for node in self.walk())

    @property
    def described_by(self) -> str:
        """The ids for `aria-describedby`."""
        parts = [("help", self.help), ("error", self.errors), ("change", self.shows_change)]
        return " ".join(f"{self.id}-{part}" for part, is_there in parts if is_there)

    @property
    def shows_change(self) -> bool:
        """Whether old and new stand below it: a form without an initial value has nothing old."""
        return self.tree.has_initial and self.initial is not UNSET and (self.is_changed or self.derived is not UNSET)

    @property
    def is_single(self) -> bool:
        """Whether it is one control beside one label, with nothing inside of it."""
        return self.template == "recovery/_field.html" and not self.children

    @property
    def marks_required(self) -> bool:
        return False

    @property
    def is_long(self) -> bool:
        return "\n" in self.display

    @property
    def display(self) -> str:
        """The value as it stands now, for people."""
        return self.show(self.initial if self.derived is UNSET else self.derived)

    @property
    def old_display(self) -> str:
        return self.show(self.initial)

    def show(self, value: Any) -> str:
        return display_of(value)

    def built(self, key: str, shape: Shape, initial: Any, face: Face, is_editable: bool | None = None) -> "Node":
        """A child node."""
        editable = self.is_editable if is_editable is None else is_editable
        return self.tree.build(self.tree, self, key, shape, initial, face, editable)


def display_of(value: Any) -> str:
    if value is UNSET:
        return ""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, SecretStr | SecretBytes):
        return "••••••••"
    if isinstance(value, str) and not isinstance(value, Enum):
        return str(value)
    if isinstance(value, Enum):
        return str(value.value) if isinstance(value.value, str) else value.name
    if isinstance(value, list | tuple | dict | set | frozenset) or hasattr(type(value), "model_fields"):
        return literal(value)
    return text_of(value)
