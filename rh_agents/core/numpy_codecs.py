"""How numpy's arrays and scalars are written and read, where numpy is in use; it is never imported here."""

import math
import re
import sys
from contextlib import suppress
from typing import Any

from rh_agents.core.coding import (
    TAG,
    Load,
    Node,
    Refused,
    Writer,
    read,
    read_items,
    reads,
    refuse_shape,
    text_of,
    type_label,
    write,
    write_items,
    writer_finders,
)
from rh_agents.core.scalar_codecs import all_of, bytes_text, text_bytes, write_float, write_str

# Up to here an array is written as readable numbers, beyond as the bytes it has in memory.
_READABLE_ITEMS = 1000
_READABLE_TYPES: dict[str, type] = {"b": bool, "i": int, "u": int, "f": float, "M": int, "m": int, "U": str}
_DTYPE = re.compile(r"[<>|=]?[?a-zA-Z]\d*(\[\d*[a-zA-Z]+\])?")


def loaded(module: str) -> Any:
    """A library of the application's, if the application has imported it.

    Raises:
        Refused: it has not; importing it is not for a saved text to cause.
    """
    found = sys.modules.get(module)
    if found is None:
        raise Refused(f"{module} is not loaded here; import it before reading this value")
    return found


def _write_array(array: Any, depth: int) -> Node:
    np = loaded("numpy")
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    node: Node = {TAG: "ndarray", "dtype": _dtype_name(np, array.dtype), "shape": list(array.shape)}
    if order == "F":
        node["order"] = "F"
    kind = array.dtype.kind
    if kind == "O":
        node["v"] = write_items(array.ravel(order).tolist(), depth + 1)
    elif array.size > _READABLE_ITEMS or kind not in _READABLE_TYPES or (kind == "f" and array.dtype.itemsize > 8):
        node["bytes"] = bytes_text(array.tobytes(order))
    else:
        flat = array.ravel(order)
        items = (flat.astype(flat.dtype.newbyteorder("=")).view("i8") if kind in "Mm" else flat).tolist()
        if kind == "f":
            node["v"] = [item if math.isfinite(item) else write_float(item) for item in items]
        else:
            node["v"] = write_items(items, depth + 1)
    return node


@reads("ndarray", "dtype", "shape", optional=("order", "v", "bytes"))
def _read_array(node: Node, load: Load) -> Any:
    np = loaded("numpy")
    shape = tuple(all_of(int, node["shape"], len(node["shape"])))
    order = "F" if node.get("order") == "F" else "C"
    size = math.prod(shape)
    if min(shape, default=0) < 0:
        refuse_shape("a shape", shape)
    if node["dtype"] == "O":
        array = np.empty(_sized(read_items(node.get("v"), load), size), dtype=object)
        # One by one: numpy would take lists inside apart.
        for index, item in enumerate(node["v"]):
            array[index] = item
        return array.reshape(shape, order=order)
    dtype = _read_dtype(np, node["dtype"])
    if "bytes" in node:
        raw = text_bytes(text_of(node, "bytes"))
        if len(raw) != size * dtype.itemsize:
            refuse_shape(f"{size * dtype.itemsize} bytes", f"{len(raw)} bytes")
        flat = np.frombuffer(raw, dtype) if raw else np.empty(0, dtype)
        return flat.reshape(shape, order=order).copy(order="K")
    items = read_items(node.get("v"), load)
    wanted = _READABLE_TYPES[dtype.kind]
    all_of(wanted, items, size)
    if dtype.kind in "Mm":
        return np.array(items, "i8").view(dtype.newbyteorder("=")).astype(dtype).reshape(shape, order=order)
    return np.array(items, dtype).reshape(shape, order=order)


def _sized(items: list[Any], size: int) -> int:
    if len(items) != size:
        refuse_shape(f"{size} items", items)
    return size


def _dtype_name(np: Any, dtype: Any) -> Any:
    """The text of a dtype, or for one with fields a list of [name, dtype] and perhaps a shape."""
    if dtype.kind == "O":
        return "O"
    if dtype.fields is None:
        # Two types may share one layout (int64 and longlong); the letter tells them apart.
        name = dtype.str if np.dtype(dtype.str).type is dtype.type else dtype.char
    else:
        name = _as_lists(dtype.descr)
    with suppress(Refused, TypeError, ValueError):
        if dtype.itemsize and _read_dtype(np, name) == dtype:
            return name
    raise Refused(f"a numpy array of dtype {dtype} cannot be written")


def _read_dtype(np: Any, name: Any) -> Any:
    if type(name) is list:
        dtype = np.dtype(_as_tuples(name))
    else:
        dtype = np.dtype(name if _DTYPE.fullmatch(name) else refuse_shape("a dtype", name))
    if dtype.hasobject:
        refuse_shape("a dtype without objects", name)
    return dtype


def _as_lists(descr: Any) -> Any:
    return [_as_lists(part) for part in descr] if isinstance(descr, (list, tuple)) else descr


def _as_tuples(fields: list[Any]) -> list[tuple[Any, ...]]:
    return [
        (field[0], _as_tuples(field[1]) if type(field[1]) is list else field[1], *map(tuple, field[2:]))
        for field in fields
    ]


def _write_scalar(value: Any, depth: int) -> Node:
    # Not by way of an array, which would cut a NUL off its end.
    if isinstance(value, str):
        return {TAG: "numpy", "type": "str_", "v": write_str(str(value))}
    if isinstance(value, bytes):
        return {TAG: "numpy", "type": "bytes_", "v": write(bytes(value), depth + 1)}
    if value.dtype.kind not in "biufcMm":
        raise Refused(f"a value of type {type_label(type(value))} cannot be written")
    return {TAG: "numpy", "v": _write_array(loaded("numpy").asarray(value), depth + 1)}


@reads("numpy", "v", optional=("type",))
def _read_scalar(node: Node, load: Load) -> Any:
    value = read(node["v"], load)
    if "type" in node:
        np, wanted = loaded("numpy"), {"str_": str, "bytes_": bytes}[node["type"]]
        return getattr(np, node["type"])(*all_of(wanted, [value], 1))
    if getattr(value, "shape", None) != ():
        refuse_shape("one value", node["v"])
    return value[()]


def _find_writer(cls: type) -> Writer | None:
    np = sys.modules.get("numpy")
    if np is None or cls.__module__.partition(".")[0] != "numpy":
        return None
    if cls is np.ndarray:
        return _write_array
    return _write_scalar if issubclass(cls, np.generic) else None


writer_finders.append(_find_writer)
