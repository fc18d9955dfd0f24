"""How the arrays inside of pandas' series and indexes are written and read."""

from typing import Any

from rh_agents.core.coding import (
    TAG,
    Load,
    Node,
    Writer,
    read,
    read_items,
    reads,
    refuse_shape,
    text_of,
    write,
    write_items,
    write_part,
)
from rh_agents.core.numpy_codecs import loaded
from rh_agents.core.time_codecs import write_zone

# What pandas is given must be of the kind it expects: some of its functions crash the process over anything else.


def read_column(node: Any, load: Load) -> Any:
    """A numpy array of one dimension, or one of pandas' arrays."""
    array = read(node, load)
    if not isinstance(array, (loaded("numpy").ndarray, loaded("pandas").api.extensions.ExtensionArray)):
        refuse_shape("an array", array)
    if array.ndim != 1:
        refuse_shape("an array of one dimension", array.ndim)
    return array


def read_numbers(node: Any, load: Load, kinds: str = "i") -> Any:
    """A numpy array of one dimension whose dtype is of one of these kinds."""
    array = read_column(node, load)
    if not isinstance(array, loaded("numpy").ndarray) or array.dtype.kind not in kinds:
        refuse_shape(f"an array of a kind among {kinds}", array)
    return array


def read_ticks(node: Any, load: Load) -> Any:
    """64-bit counts, of nanoseconds or whatever the unit is."""
    return read_numbers(node, load).astype("<i8", casting="safe", copy=False)


def read_labels(node: Any, load: Load) -> Any:
    """An index."""
    index = read(node, load)
    if not isinstance(index, loaded("pandas").Index):
        refuse_shape("an index", index)
    return index


def list_of(nodes: Any) -> list[Any]:
    return nodes if type(nodes) is list else refuse_shape("a list", nodes)


def _write_categorical(array: Any, depth: int) -> Node:
    codes = write(loaded("numpy").asarray(array.codes), depth + 1)
    categories = write_part(array.categories, depth + 1, ".categories", array)
    return {TAG: "categorical", "v": codes, "categories": categories, "ordered": bool(array.ordered)}


@reads("categorical", "v", "categories", "ordered")
def _read_categorical(node: Node, load: Load) -> Any:
    codes, categories = read_numbers(node["v"], load), read_labels(node["categories"], load)
    ordered = node["ordered"] is True
    return loaded("pandas").Categorical.from_codes(codes, categories=categories, ordered=ordered)


def _write_string_array(array: Any, depth: int) -> Node:
    missing = loaded("pandas").isna(array)
    texts = [None if absent else text for text, absent in zip(array, missing, strict=True)]
    na = "NA" if array.dtype.na_value is loaded("pandas").NA else "nan"
    return {TAG: "strings", "storage": array.dtype.storage, "na": na, "v": write_items(texts, depth + 1)}


@reads("strings", "storage", "na", "v")
def _read_string_array(node: Node, load: Load) -> Any:
    pd = loaded("pandas")
    na_value = pd.NA if node["na"] == "NA" else float("nan")
    dtype, texts = pd.StringDtype(text_of(node, "storage"), na_value=na_value), read_items(node["v"], load)
    if any(type(text) is not str for text in texts if text is not None):
        refuse_shape("only texts", texts)
    return pd.array(texts, dtype=dtype)


def _write_masked(array: Any, depth: int) -> Node:
    dtype, numpy = array.dtype.numpy_dtype, loaded("numpy")
    values = write(array.to_numpy(dtype=dtype, na_value=dtype.type(0)), depth + 1)
    return {TAG: "masked", "v": values, "mask": write(numpy.asarray(array.isna()), depth + 1)}


@reads("masked", "v", "mask")
def _read_masked(node: Node, load: Load) -> Any:
    values, mask = read_numbers(node["v"], load, "biuf"), read_numbers(node["mask"], load, "b")
    arrays = loaded("pandas").arrays
    kinds = {"b": arrays.BooleanArray, "i": arrays.IntegerArray, "u": arrays.IntegerArray, "f": arrays.FloatingArray}
    return kinds[values.dtype.kind](values, mask)


def _write_zoned(array: Any, depth: int) -> Node:
    instants = write(loaded("pandas").DatetimeIndex(array).asi8, depth + 1)
    return {TAG: "zoned", "unit": array.dtype.unit, "tz": write_zone(array.dtype.tz, depth + 1), "v": instants}


@reads("zoned", "unit", "tz", "v")
def _read_zoned(node: Node, load: Load) -> Any:
    instants = read_ticks(node["v"], load).view(f"M8[{text_of(node, 'unit')}]")
    return loaded("pandas").DatetimeIndex(instants).tz_localize("UTC").tz_convert(read(node["tz"], load)).array


def _write_period_array(array: Any, depth: int) -> Node:
    return {TAG: "periods", "freq": array.freqstr, "v": write(loaded("pandas").PeriodIndex(array).asi8, depth + 1)}


@reads("periods", "freq", "v")
def _read_period_array(node: Node, load: Load) -> Any:
    return loaded("pandas").PeriodIndex.from_ordinals(read_ticks(node["v"], load), freq=text_of(node, "freq")).array


def _write_interval_array(array: Any, depth: int) -> Node:
    sides = {"left": write(array.left, depth + 1), "right": write(array.right, depth + 1)}
    return {TAG: "intervals", **sides, "closed": array.closed}


@reads("intervals", "left", "right", "closed")
def _read_interval_array(node: Node, load: Load) -> Any:
    left, right = read_labels(node["left"], load), read_labels(node["right"], load)
    return loaded("pandas").arrays.IntervalArray.from_arrays(left, right, closed=text_of(node, "closed"))


def array_writer(pd: Any, cls: type) -> Writer | None:
    """The writer of an array class of pandas' own."""
    arrays = pd.arrays
    writers: dict[type, Writer] = {
        pd.Categorical: _write_categorical,
        **dict.fromkeys((arrays.IntegerArray, arrays.FloatingArray, arrays.BooleanArray), _write_masked),
        arrays.DatetimeArray: _write_zoned,
        arrays.PeriodArray: _write_period_array,
        arrays.IntervalArray: _write_interval_array,
    }
    # The classes of strings have changed their names from one version to the next; that part of it has not.
    return writers.get(cls) or (_write_string_array if "StringArray" in cls.__name__ else None)
