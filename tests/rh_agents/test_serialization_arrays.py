"""Saved arrays and frames: numpy's and pandas' values come back equal and of the same type, and never by pickle."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as npst

from rh_agents.core.errors import SerializationError
from rh_agents.core.serialization import decode, encode, fingerprint, to_plain, type_name

ARRAYS: dict[str, Any] = {
    "ints": np.arange(6).reshape(2, 3),
    "by columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "large": np.arange(5000, dtype="<i2").reshape(50, 2, 50),
    "large by columns": np.asfortranarray(np.arange(5000.0).reshape(50, 100)),
    "not contiguous": np.arange(100)[::7],
    "no items": np.empty((0, 3), dtype="f4"),
    "no dimensions": np.array(3.5),
    "special floats": np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324]),
    "small floats": np.array([0.1, 65504], dtype="f2"),
    "long doubles": np.array([1, 3], dtype=np.longdouble) / 3,
    "other byte order": np.array([1, 2], dtype=">i4"),
    "unsigned": np.array([2**64 - 1], dtype="u8"),
    "same layout, other type": np.array([1], dtype=np.longlong),
    "complex": np.array([1 + 2j, np.nan]),
    "booleans": np.array([True, False]),
    "texts": np.array(["a", "\x00b", "\ud800", "grüße"]),
    "byte strings": np.array([b"a", b"bcd"]),
    "times": np.array(["2026-01-01T00:00:00.000000001", "NaT"], dtype="M8[ns]"),
    "times of the other byte order": np.array(["2026-01-01", "NaT"], dtype=">M8[D]"),
    "durations": np.array([1, -5], dtype="m8[h]"),
    "fields": np.array([(1, "a", [1.0, 2.0])], dtype=[("n", "<i4"), ("s", "U3"), ("p", "<f8", (2,))]),
    "objects": np.array([[Decimal(1), None], ["a", {1: 2}]], dtype=object),
    "lists as objects": pd.Series([[1], [2, 3], (4,)]).to_numpy(),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back_with_its_dtype_and_order(name: str) -> None:
    array = ARRAYS[name]
    back = decode(encode({"a": array}))["a"]
    assert type(back) is np.ndarray
    assert (back.dtype, back.dtype.type, back.shape) == (array.dtype, array.dtype.type, array.shape)
    assert back.flags.writeable
    assert back.flags.f_contiguous == array.flags.f_contiguous or name == "not contiguous"
    np.testing.assert_array_equal(back, array)
    assert encode(back) == encode(array)


@settings(max_examples=200, deadline=None)
@given(npst.arrays(npst.scalar_dtypes() | npst.array_dtypes(), npst.array_shapes(min_dims=0, min_side=0, max_side=4)))
def test_any_array_comes_back_item_by_item(array: Any) -> None:
    try:
        text = encode(array)
    except SerializationError as refusal:
        assert "of dtype" in str(refusal)
        return
    back = decode(text)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    # Not ==, which calls a missing time inside of fields unequal to itself.
    assert repr(back.tolist()) == repr(array.tolist())


@pytest.mark.parametrize(
    "scalar",
    [np.float64(0.1), np.float32("nan"), np.int8(-3), np.longlong(5), np.bool_(True), np.str_("a\x00"),
     np.bytes_(b"a\x00"), np.complex64(1j), np.datetime64("2026-01-01"), np.timedelta64(3, "ms"), np.longdouble(1) / 3],
    ids=repr,
)  # fmt: skip
def test_a_numpy_scalar_is_not_turned_into_pythons(scalar: Any) -> None:
    back = decode(encode(scalar))
    assert type(back) is type(scalar)
    assert repr(back) == repr(scalar)
    np.testing.assert_array_equal(back, scalar)


@pytest.mark.parametrize(
    "value",
    [
        np.array([lambda: 1], dtype=object),
        np.rec.array([(1,)], dtype=[("a", "i4")]),
        np.ma.masked_array([1]),
        np.array([(1, None)], "i4,O"),
    ],
    ids=["function in it", "records", "masked", "objects in fields"],
)
def test_arrays_that_only_a_pickle_could_hold_are_refused(value: Any) -> None:
    with pytest.raises(SerializationError, match=r"^step: |^step\[0\]: "):
        encode(value, where="step")


INDEXES: dict[str, Any] = {
    "range": pd.RangeIndex(1, 10, 2, name="n"),
    "ints": pd.Index([3, 1], name=("a", 1)),
    "texts": pd.Index(["a", None, "b"]),
    "objects": pd.Index([1, "a", None], dtype=object),
    "times with a frequency": pd.date_range("2026", periods=3, freq="D", name="d"),
    "zoned times with a frequency": pd.date_range("2026-03-28", periods=3, freq="D", tz="Europe/Berlin"),
    "durations": pd.timedelta_range("1h", periods=3, freq="h"),
    "periods": pd.period_range("2026-01", periods=3, freq="M"),
    "intervals": pd.interval_range(0, 3, closed="left"),
    "categories": pd.CategoricalIndex(["a", "b", "a"], ordered=True),
    "levels": pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["x", None]),
    "none": pd.Index([]),
}


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_comes_back_as_it_was(name: str) -> None:
    index = INDEXES[name]
    back = decode(encode(index))
    pd.testing.assert_index_equal(back, index, exact=True)
    assert getattr(back, "freq", None) == getattr(index, "freq", None)


COLUMNS: dict[str, Any] = {
    "ints": [1, 2, 3],
    "floats": [0.5, np.nan, np.inf],
    "texts": ["a", None, "\x00"],
    "pandas texts": pd.array(["a", pd.NA, "c"], dtype="string"),
    "objects": pd.Series([Decimal("1.20"), None, (1,)], dtype=object),
    "texts as objects": pd.Series(["a", "b", None], dtype=object),
    "pandas ints": pd.array([1, None, 3], dtype="Int64"),
    "pandas bytes": pd.array([1, None, 255], dtype="UInt8"),
    "pandas floats": pd.array([1.5, None, 3], dtype="Float32"),
    "pandas booleans": pd.array([True, None, False], dtype="boolean"),
    "categories": pd.Categorical(["b", None, "a"], categories=["b", "a", "c"], ordered=True),
    "bins": pd.cut([1, 5, 9], 3),
    "times": pd.to_datetime(["2026-01-01", None, "1600-02-03"]),
    "times in nanoseconds": pd.Series(pd.to_datetime(["2026-01-01", None, "2026-01-02"])).astype("M8[ns]"),
    "zoned times": pd.to_datetime(["2026-10-25 00:30", None, "2026-10-25 01:30"], utc=True).tz_convert("Europe/Berlin"),
    "utc": pd.date_range("2026", periods=3, tz="UTC"),
    "durations": pd.to_timedelta([1, None, 3], unit="s"),
    "periods": pd.period_range("2026-01", periods=3, freq="M"),
    "mixed pandas values": pd.Series([pd.NaT, pd.NA, pd.Timestamp("2026")], dtype=object),
}  # fmt: skip


@pytest.mark.parametrize("name", COLUMNS)
def test_a_series_comes_back_with_its_dtype(name: str) -> None:
    series = pd.Series(COLUMNS[name], name="s")
    back = decode(encode(series))
    pd.testing.assert_series_equal(back, series, check_freq=True)
    assert encode(back) == encode(series)


def test_a_frame_comes_back_with_its_columns_index_and_notes() -> None:
    frame = pd.DataFrame(COLUMNS, index=pd.Index(["x", "x", "z"], name="key"))
    frame.attrs = {"source": ("file", 1)}
    back = decode(encode(frame))
    pd.testing.assert_frame_equal(back, frame, check_freq=True, check_flags=True)
    assert back.attrs == frame.attrs
    assert fingerprint(back) == fingerprint(frame)


@pytest.mark.parametrize(
    "frame",
    [pd.DataFrame(), pd.DataFrame(index=[1, 2]), pd.DataFrame(columns=["a"]), pd.DataFrame({"a": range(3000)}),
     pd.DataFrame([[1, 2]], columns=["a", "a"]), pd.DataFrame([[1, "b"]], columns=INDEXES["levels"][:2])],
    ids=["empty", "no columns", "no rows", "long", "two columns of one name", "levels of columns"],
)  # fmt: skip
def test_odd_frames_come_back(frame: Any) -> None:
    pd.testing.assert_frame_equal(decode(encode(frame)), frame)


@pytest.mark.parametrize(
    "value",
    [pd.Timestamp("2026-10-25 00:30", tz="UTC").tz_convert("Europe/Berlin"),
     pd.Timestamp("2026-10-25 01:30", tz="UTC").tz_convert("Europe/Berlin"), pd.Timestamp(1, unit="ns"),
     pd.Timestamp("2026").as_unit("s"),
     pd.Timestamp("2026-01-01", tz="UTC"), pd.Timedelta("1ns"), pd.Timedelta(days=-1), pd.Period("2026-01", "M"),
     pd.Interval(1, 2.5, closed="both")],
    ids=repr,
)  # fmt: skip
def test_pandas_single_values_come_back(value: Any) -> None:
    back = decode(encode(value))
    assert (type(back), back, repr(back)) == (type(value), value, repr(value))
    assert getattr(back, "unit", None) == getattr(value, "unit", None)


def test_missing_values_are_the_very_same() -> None:
    assert decode(encode([pd.NaT]))[0] is pd.NaT
    assert decode(encode([pd.NA]))[0] is pd.NA


def test_what_cannot_be_written_in_a_frame_is_named() -> None:
    frame = pd.DataFrame({"ok": [1], "bad one": pd.Series([object()], dtype=object)})
    with pytest.raises(SerializationError, match=r"^rows\['bad one'\]\[0\]: .*object"):
        encode(frame, where="rows")


def test_arrays_and_frames_are_readable_as_plain_json() -> None:
    frame = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "d": pd.to_datetime(["2026-01-01", None])})
    assert to_plain(encode(frame)) == {
        "columns": {"n": [1, None], "d": ["2026-01-01T00:00:00", None]},
        "index": "range(0, 2, 1)",
    }
    assert to_plain(encode(np.asfortranarray(np.arange(6).reshape(2, 3)))) == [[0, 1, 2], [3, 4, 5]]
    assert to_plain(encode(np.arange(8).reshape(2, 2, 2))) == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    assert to_plain(encode(np.empty((2, 0)))) == [[], []]
    assert to_plain(encode(np.float32(0.5))) == 0.5
    assert to_plain(encode(pd.Series(["a", None], name="s"))) == {
        "name": "s",
        "values": ["a", None],
        "index": "range(0, 2, 1)",
    }
    assert to_plain(encode(pd.cut([1, 9], [0, 5, 10]))) == ["(0, 5]", "(5, 10]"]
    assert to_plain(encode(INDEXES["levels"])) == [["a", 1], ["a", 2], ["b", 1], ["b", 2]]
    assert type_name(encode(frame)) == "pandas:DataFrame"


@pytest.mark.parametrize("name", [*ARRAYS, *INDEXES, *COLUMNS])
def test_every_array_has_a_plain_view_that_tells_it_from_others(name: str) -> None:
    value = {**ARRAYS, **INDEXES, **COLUMNS}[name]
    text = encode(value)
    assert "$t" not in repr(to_plain(text))
    assert type_name(text) != ""


def test_large_arrays_that_differ_look_different() -> None:
    array = np.arange(5000)
    other = array.copy()
    other[17] = 0
    assert to_plain(encode(array)) != to_plain(encode(other))
    assert to_plain(encode(array)).startswith("array of <i8, 5000, ")
