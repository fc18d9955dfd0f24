"""How pandas' frames, series, indexes and times are written and read, where pandas is in use; never imported here."""

import sys
from typing import Any

from rh_agents.core.coding import (
    TAG,
    Load,
    Node,
    Writer,
    check_depth,
    read,
    read_fields,
    read_items,
    reads,
    refuse_shape,
    text_of,
    write,
    write_items,
    write_part,
    writer_finders,
)
from rh_agents.core.numpy_codecs import loaded
from rh_agents.core.pandas_arrays import array_writer, list_of, read_column, read_labels, read_numbers
from rh_agents.core.scalar_codecs import all_of
from rh_agents.core.time_codecs import write_zone

# Frames, series, indexes


def _write_frame(frame: Any, depth: int) -> Node:
    check_depth(depth + 1)
    node: Node = {
        TAG: "dataframe",
        "columns": write(frame.columns, depth + 1),
        "index": write_part(frame.index, depth + 1, ".index", frame),
        "v": [
            write_part(_array_of(frame.iloc[:, place]), depth + 2, f"[{name!r:.80}]", frame)
            for place, name in enumerate(frame.columns)
        ],
    }
    return _with_attrs(node, frame, depth)


@reads("dataframe", "columns", "index", "v", optional=("attrs",))
def _read_frame(node: Node, load: Load) -> Any:
    pd = loaded("pandas")
    columns, index = read_labels(node["columns"], load), read_labels(node["index"], load)
    arrays = [read_column(array, load) for array in list_of(node["v"])]
    # By place, because two columns may have one name.
    series = {place: pd.Series(array, index=index, dtype=array.dtype) for place, array in enumerate(arrays)}
    frame = pd.DataFrame(series, index=index)
    frame.columns = columns
    frame.attrs = read(node.get("attrs", {}), load)
    return frame


def _write_series(series: Any, depth: int) -> Node:
    node: Node = {TAG: "series", "v": write(_array_of(series), depth + 1), **_name(series.name, depth)}
    node["index"] = write_part(series.index, depth + 1, ".index", series)
    return _with_attrs(node, series, depth)


@reads("series", "v", "index", optional=("name", "attrs"))
def _read_series(node: Node, load: Load) -> Any:
    array, name = read_column(node["v"], load), read(node.get("name"), load)
    series = loaded("pandas").Series(array, index=read_labels(node["index"], load), dtype=array.dtype, name=name)
    series.attrs = read(node.get("attrs", {}), load)
    return series


def _with_attrs(node: Node, holder: Any, depth: int) -> Node:
    return {**node, "attrs": write_part(holder.attrs, depth + 1, ".attrs", holder)} if holder.attrs else node


def _name(name: Any, depth: int) -> Node:
    return {} if name is None else {"name": write(name, depth + 1)}


def _write_index(index: Any, depth: int) -> Node:
    node: Node = {TAG: "index", "v": write(_array_of(index), depth + 1), **_name(index.name, depth)}
    freq = getattr(index, "freqstr", None) if index.dtype.kind in "Mm" else None
    return {**node, "freq": freq} if freq else node


@reads("index", "v", optional=("name", "freq"))
def _read_index(node: Node, load: Load) -> Any:
    array = read_column(node["v"], load)
    index = loaded("pandas").Index(array, dtype=array.dtype, name=read(node.get("name"), load))
    if "freq" in node:
        index.freq = text_of(node, "freq")
    return index


def _write_range_index(index: Any, depth: int) -> Node:
    return {TAG: "rangeindex", "v": [index.start, index.stop, index.step], **_name(index.name, depth)}


@reads("rangeindex", "v", optional=("name",))
def _read_range_index(node: Node, load: Load) -> Any:
    return loaded("pandas").RangeIndex(*all_of(int, node["v"], 3), name=read(node.get("name"), load))


def _write_multi_index(index: Any, depth: int) -> Node:
    numpy = loaded("numpy")
    return {
        TAG: "multiindex",
        "levels": write_items([level.rename(None) for level in index.levels], depth + 1),
        "codes": write_items([numpy.asarray(codes) for codes in index.codes], depth + 1),
        "names": write_items(list(index.names), depth + 1),
    }


@reads("multiindex", "levels", "codes", "names")
def _read_multi_index(node: Node, load: Load) -> Any:
    levels = [read_labels(level, load) for level in list_of(node["levels"])]
    codes = [read_numbers(places, load) for places in list_of(node["codes"])]
    return loaded("pandas").MultiIndex(levels=levels, codes=codes, names=read_items(node["names"], load))


def _array_of(holder: Any) -> Any:
    """The numpy array of a series or index, or its extension array if its dtype is pandas' own."""
    numpy = loaded("numpy")
    return numpy.asarray(holder.array) if isinstance(holder.dtype, numpy.dtype) else holder.array


# Single values


def _write_timestamp(value: Any, depth: int) -> Node:
    ticks = int(value.asm8.view("i8"))
    node: Node = {TAG: "timestamp", "v": value.isoformat(), "ticks": ticks, "unit": value.unit}
    return node if value.tz is None else {**node, "tz": write_zone(value.tz, depth + 1)}


@reads("timestamp", "v", "ticks", "unit", optional=("tz",))
def _read_timestamp(node: Node, load: Load) -> Any:
    ticks = loaded("numpy").datetime64(_ticks(node), text_of(node, "unit"))
    value = loaded("pandas").Timestamp(ticks)
    return value.tz_localize("UTC").tz_convert(read(node["tz"], load)) if "tz" in node else value


def _write_timedelta(value: Any, depth: int) -> Node:
    ticks = int(value.asm8.view("i8"))
    return {TAG: "pandas_timedelta", "v": str(value), "ticks": ticks, "unit": value.unit}


@reads("pandas_timedelta", "v", "ticks", "unit")
def _read_timedelta(node: Node, load: Load) -> Any:
    return loaded("pandas").Timedelta(loaded("numpy").timedelta64(_ticks(node), text_of(node, "unit")))


def _ticks(node: Node) -> int:
    ticks = node["ticks"]
    if type(ticks) is not int:
        refuse_shape("an int", ticks)
    return ticks


def _write_period(value: Any, depth: int) -> Node:
    return {TAG: "period", "v": str(value), "ticks": value.ordinal, "freq": value.freqstr}


@reads("period", "v", "ticks", "freq")
def _read_period(node: Node, load: Load) -> Any:
    return loaded("pandas").PeriodIndex.from_ordinals([_ticks(node)], freq=text_of(node, "freq"))[0]


def _write_interval(value: Any, depth: int) -> Node:
    return {
        TAG: "interval",
        "left": write(value.left, depth + 1),
        "right": write(value.right, depth + 1),
        "closed": value.closed,
    }


@reads("interval", "left", "right", "closed")
def _read_interval(node: Node, load: Load) -> Any:
    sides = read_fields({"left": node["left"], "right": node["right"]}, load)
    return loaded("pandas").Interval(**sides, closed=text_of(node, "closed"))


@reads("NaT")
def _read_nat(node: Node, load: Load) -> Any:
    return loaded("pandas").NaT


@reads("NA")
def _read_na(node: Node, load: Load) -> Any:
    return loaded("pandas").NA


def _find_writer(cls: type) -> Writer | None:
    pd = sys.modules.get("pandas")
    if pd is None or cls.__module__.partition(".")[0] != "pandas":
        return None
    if cls is type(pd.NaT) or cls is type(pd.NA):
        tag = "NaT" if cls is type(pd.NaT) else "NA"
        return lambda value, depth: {TAG: tag}
    return _writers(pd).get(cls) or array_writer(pd, cls)


def _writers(pd: Any) -> dict[type, Writer]:
    return {
        pd.DataFrame: _write_frame,
        pd.Series: _write_series,
        pd.RangeIndex: _write_range_index,
        pd.MultiIndex: _write_multi_index,
        **dict.fromkeys((pd.Index, pd.DatetimeIndex, pd.TimedeltaIndex, pd.PeriodIndex), _write_index),
        **dict.fromkeys((pd.IntervalIndex, pd.CategoricalIndex), _write_index),
        pd.Timestamp: _write_timestamp,
        pd.Timedelta: _write_timedelta,
        pd.Period: _write_period,
        pd.Interval: _write_interval,
    }


writer_finders.append(_find_writer)
