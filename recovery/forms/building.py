"""Which node shows which shape."""

from dataclasses import replace
from typing import Any, Final

from pydantic import BaseModel

from recovery.forms.controls import CheckNode, FixedNode, SecretNode, SelectNode
from recovery.forms.fields import MAX_DEPTH, UNSET, Face, Node, TooManyFields, Tree
from recovery.forms.json_texts import RawNode
from recovery.forms.records import ModelNode, TupleNode
from recovery.forms.rows import MapNode, RowsNode
from recovery.forms.shapes import Shape
from recovery.forms.switches import OptionalNode, UnionNode
from recovery.forms.texts import MomentNode, TextNode

_NODES: Final[dict[str, type[Node]]] = {
    "bool": CheckNode,
    "choice": SelectNode,
    "datetime": MomentNode,
    "time": MomentNode,
    "secret": SecretNode,
    "raw": RawNode,
    "model": ModelNode,
    "tuple": TupleNode,
    "rows": RowsNode,
    "map": MapNode,
    "union": UnionNode,
}
_GROUPS: Final = frozenset({"model", "tuple", "rows", "map"})


def build(tree: Tree, parent: Node | None, key: str, shape: Shape, initial: Any, face: Face, is_editable: bool) -> Node:
    """The node of a shape; one JSON text where the value is too deep or too large, or does not fit its annotation."""
    if initial is None and shape.kind != "raw":
        # `x: int = None` is wrong, and common.
        shape = replace(shape, is_nullable=True)
    if _is_constant(shape) and (initial is UNSET or initial == shape.choices[0].value):
        initial, is_editable = shape.choices[0].value if initial is UNSET else initial, False
    if shape.kind == "raw" and isinstance(initial, BaseModel):
        # Annotated as anything at all, but it is a model, and only as one is what is edited in it validated.
        shape = replace(shape, kind="model", base=type(initial))
    too_deep = parent is not None and parent.depth >= MAX_DEPTH and shape.kind in (*_GROUPS, "union")
    if too_deep or (initial is not UNSET and not shape.fits(initial)):
        shape = shape.as_raw()
    spent = tree.spent
    try:
        return _node_type(shape)(tree, parent, key, shape, initial, face, is_editable)
    except TooManyFields:
        # A blank row has to be refused by the list that it is for, and the root has no other way to be shown.
        if shape.kind not in _GROUPS or initial is UNSET or parent is None:
            raise
        tree.spent = spent
        tree.is_cut = tree.is_cut or is_editable
        raw = RawNode if is_editable else FixedNode
        return raw(tree, parent, key, shape.as_raw(), initial, face, is_editable)


def _node_type(shape: Shape) -> type[Node]:
    if shape.is_nullable and shape.kind in _GROUPS:
        return OptionalNode
    if shape.is_nullable and shape.kind == "bool":
        return SelectNode
    return _NODES.get(shape.kind, TextNode)


def _is_constant(shape: Shape) -> bool:
    """One value alone and nothing to decide; `Literal[True]` is something to agree to."""
    return len(shape.choices) == 1 and not shape.is_nullable and not isinstance(shape.choices[0].value, bool)
