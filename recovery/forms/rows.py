"""Lists: rows that can be added and removed, of elements or of the entries of a dict."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from django.utils.translation import gettext

from recovery.forms.fields import MAX_ROWS, UNSET, Change, Cost, Face, Node, Posted, TooManyFields
from recovery.forms.messages import MISSING
from recovery.forms.records import GroupNode
from recovery.forms.shapes import shape_of
from recovery.rendering.call import literal

# A table of more columns is wider than its panel.
MOST_COLUMNS = 7

# In the hidden field of a list: a row that `initial` does not have.
NEW_ROW = "+"


class RowsNode(GroupNode):
    """A list, a tuple of any length, or a set.

    One hidden field says which element of `initial` each row came from, as in `0,2,+`: a row keeps what is fixed in it
    wherever it stands now. `rows` are the nodes, in order; their keys are their places.
    """

    kind: ClassVar[str] = "rows"
    frame: ClassVar[str] = "recovery/_field_rows.html"
    body: ClassVar[str] = "recovery/_field_rows_body.html"
    rows: list[Node]
    # What `rows` take of the form's allowance.
    _cost = Cost()

    def start(self) -> None:
        self.value = self.initial
        self.items = self._items()
        if len(self.items) > MAX_ROWS:
            raise TooManyFields
        self._origins: list[int | None] = list(range(len(self.items)))
        self.rows = self._made_rows(self._origins)

    @property
    def keys(self) -> int:
        return 1

    def _made_rows(self, origins: list[int | None]) -> list[Node]:
        """Rows instead of those there are, which are given up first.

        Raises:
            TooManyFields: there is no room for so many.
        """
        before, given_up = self.tree.spent, self._cost
        self.tree.give_back(given_up)
        start = self.tree.spent
        try:
            rows = [self._row(place, UNSET if o is None else self.items[o]) for place, o in enumerate(origins)]
        except TooManyFields:
            self.tree.spent = before
            raise
        self._cost = self.tree.since(start)
        return rows

    def _items(self) -> list[Any]:
        if self.initial is UNSET:
            return []
        # A set has an order of its own in every process, and another one may have rendered the form.
        return sorted(self.initial, key=literal) if isinstance(self.initial, set | frozenset) else list(self.initial)

    def _row(self, place: int, item: Any) -> Node:
        return self.built(str(place), shape_of(self.shape.args[0]), item, self._row_face(place))

    def _row_face(self, place: int) -> Face:
        return self.face.named(f"{self.label} {place + 1}")

    @property
    def children(self) -> Sequence[Node]:
        return self.rows

    @property
    def rows_name(self) -> str:
        return f"{self.name}:rows"

    @property
    def rows_text(self) -> str:
        return ",".join(NEW_ROW if origin is None else str(origin) for origin in self._origins)

    def bind(self, posted: Posted) -> None:
        sent = posted.get(self.rows_name)
        if sent is None:
            self.errors.append(str(MISSING))
            return
        origins = self._read_origins(sent)
        if origins is None:
            self.errors.append(
                gettext("These rows cannot be read; a list has at most %(max_rows)s. Load the page again.")
                % {"max_rows": f"{MAX_ROWS:,}"}
            )
            return
        try:
            rows = self._made_rows(origins)
        except TooManyFields:
            self.errors.append(gettext("The form has too many fields for more rows."))
            return
        self.rows, self._origins = rows, origins
        for row in rows:
            if row.is_editable:
                row.bind(posted)

    def _read_origins(self, sent: str) -> list[int | None] | None:
        if len(sent) > MAX_ROWS * 5:
            return None
        origins: list[int | None] = []
        for token in sent.split(",") if sent else ():
            if token == NEW_ROW:
                origins.append(None)
            elif token.isascii() and token.isdecimal() and len(token) < 5 and int(token) < len(self.items):
                origins.append(int(token))
            else:
                return None
        known = [origin for origin in origins if origin is not None]
        return origins if len(origins) <= MAX_ROWS and len(set(known)) == len(known) else None

    @property
    def is_changed(self) -> bool:
        return self.initial is UNSET or self.is_reordered or any(row.is_changed for row in self.rows)

    def read(self) -> Any:
        entered = [row.read() for row in self.rows]
        if not self.is_changed:
            return self.initial
        self.value = entered if self.failed else self._contained(entered)
        return self.value

    def _contained(self, entered: list[Any]) -> Any:
        container = self.shape.base if self.initial is UNSET else type(self.initial)
        if container is list:
            return entered
        try:
            return container(entered)
        except TypeError as error:
            self.errors.append(
                gettext("These cannot stand in a %(type)s: %(error)s.") % {"type": container.__name__, "error": error}
            )
            return entered

    def at(self, loc: tuple[int | str, ...]) -> Node:
        place = loc[0] if loc else None
        if isinstance(place, int) and isinstance(self.value, set | frozenset) and place < len(self.value):
            refused = list(self.value)[place]
            place = next((at for at, row in enumerate(self.rows) if row.read() == refused), None)
        if isinstance(place, int) and place < len(self.rows):
            return self.rows[place].at(loc[1:])
        return self

    def changes(self) -> Iterator[Change]:
        if self.derived is not UNSET:
            yield from super().changes()
            return
        for place, item in enumerate(self.items):
            if place not in self._origins:
                yield Change(f"{self.path}.{place}", f"{self.full_label} {place + 1}", self._show_item(item), "")
        kept = [origin for origin in self._origins if origin is not None]
        if kept != sorted(kept):
            yield Change(
                self.path,
                gettext("%(full_label)s, order of rows") % {"full_label": self.full_label},
                _order(sorted(kept)),
                _order(kept),
            )
        for row, origin in zip(self.rows, self._origins, strict=True):
            if origin is None:
                yield Change(row.path, row.full_label, "", row.display)
            else:
                yield from row.changes()

    def _show_item(self, item: Any) -> str:
        return self.show(item) if not isinstance(item, str) else item

    @property
    def removed(self) -> list[str]:
        """The elements of `initial` that no row stands for any more."""
        return [self._show_item(item) for place, item in enumerate(self.items) if place not in self._origins]

    @property
    def is_reordered(self) -> bool:
        return self.initial is not UNSET and self._origins != list(range(len(self.items)))

    @property
    def template(self) -> str:
        # A list that is only to be read, of nothing but single values, reads best on one line.
        has_groups = any(row.children or row.body for row in self.rows)
        return self.frame if self.is_editable or has_groups else "recovery/_field.html"

    @property
    def shows_change(self) -> bool:
        # Each row shows its own; `removed` are shown by the list.
        return False

    @property
    def layout(self) -> str:
        """How the rows are drawn: one control a line (`lines`), flat groups as a `table`, others one by one."""
        if all(row.is_single for row in self.rows):
            return "lines"
        labels = {tuple(child.label for child in row.children) for row in self.rows}
        are_flat = all(
            row.template == GroupNode.frame and row.children and all(child.is_single for child in row.children)
            for row in self.rows
        )
        return "table" if are_flat and len(labels) == 1 and len(labels.pop()) <= MOST_COLUMNS else "groups"

    @property
    def columns(self) -> Sequence[Node]:
        """The fields that head the table."""
        return self.rows[0].children if self.rows else ()

    # ---- Acts ----

    @property
    def can_add(self) -> bool:
        return self.is_editable and len(self.rows) < MAX_ROWS

    def add(self) -> bool:
        """One more, blank row at the end; `False` if there are too many."""
        if not self.can_add:
            return False
        before = self.tree.spent
        try:
            self.rows.append(self._row(len(self.rows), UNSET))
        except TooManyFields:
            self.tree.spent = before
            return False
        self._origins.append(None)
        return True

    @property
    def can_move(self) -> bool:
        """Whether the order of the rows is part of the value."""
        return self.is_editable and len(self.rows) > 1 and self.shape.base in (list, tuple)

    def move(self, key: str, by: int) -> bool:
        """The row of that key changes places with the one before or after it; at an end it stays."""
        place = next((place for place, row in enumerate(self.rows) if row.key == key), None)
        if place is None or not self.can_move:
            return False
        other = place + by
        if 0 <= other < len(self.rows):
            self.rows[place], self.rows[other] = self.rows[other], self.rows[place]
            self._origins[place], self._origins[other] = self._origins[other], self._origins[place]
            self._number()
        return True

    def remove(self, key: str) -> bool:
        """Without the row of that key; the others move up."""
        places = [place for place, row in enumerate(self.rows) if row.key == key]
        for place in places:
            del self.rows[place], self._origins[place]
        self._number()
        return bool(places)

    def _number(self) -> None:
        for place, row in enumerate(self.rows):
            row.key, row.face = str(place), replace(row.face, label=self._row_face(place).label)


def _order(places: Sequence[int]) -> str:
    return ", ".join(str(place + 1) for place in places)


class MapNode(RowsNode):
    """A dict: rows of a key and a value."""

    kind: ClassVar[str] = "map"

    def _items(self) -> list[Any]:
        return [] if self.initial is UNSET else list(self.initial.items())

    def _row(self, place: int, item: Any) -> Node:
        face = self._row_face(place)
        return EntryNode(self.tree, self, str(place), self.shape, item, face, self.is_editable)

    def _contained(self, entered: list[Any]) -> Any:
        entries: dict[Any, Any] = {}
        for row, (key, value) in zip(self.rows, entered, strict=True):
            try:
                is_there = key in entries
            except TypeError as error:
                row.errors.append(gettext("This cannot be a key: %(error)s.") % {"error": error})
                continue
            if is_there:
                row.errors.append(gettext("Another row has this key already."))
            entries[key] = value
        return entries

    def at(self, loc: tuple[int | str, ...]) -> Node:
        for row in self.rows:
            # For pydantic, a key that is neither a text nor a number is its repr.
            if (
                loc
                and isinstance(row, EntryNode)
                and loc[0] in (row.entry_key, str(row.entry_key), repr(row.entry_key))
            ):
                return row.at(loc[1:])
        return self

    def _show_item(self, item: Any) -> str:
        key, value = item
        return f"{literal(key)}: {literal(value)}"


class EntryNode(GroupNode):
    """One entry of a dict."""

    kind: ClassVar[str] = "entry"

    def start(self) -> None:
        self.value = self.initial
        key, value = (UNSET, UNSET) if self.initial is UNSET else self.initial
        key_shape, value_shape = (shape_of(arg) for arg in self.shape.args)
        self.key_node = self.built("key", key_shape, key, Face("key"))
        self.value_node = self.built("value", value_shape, value, Face("value"))

    @property
    def entry_key(self) -> Any:
        return self.value[0] if isinstance(self.value, tuple) else UNSET

    @property
    def children(self) -> Sequence[Node]:
        return (self.key_node, self.value_node)

    def read(self) -> tuple[Any, Any]:
        self.value = (self.key_node.read(), self.value_node.read())
        return self.value

    def at(self, loc: tuple[int | str, ...]) -> Node:
        return self.key_node if loc == ("[key]",) else self.value_node.at(loc)

    def show(self, value: Any) -> str:
        return f"{literal(value[0])}: {literal(value[1])}" if isinstance(value, tuple) else ""
