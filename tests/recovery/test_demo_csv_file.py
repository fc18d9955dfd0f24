"""Reading CSV files of the table load sample: what is taken for what, and what is no table."""

import os
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from recovery.demo.csv_file import ColumnType, CsvError, check_unchanged, convert, profile, read_rows, read_shape

INTEGER, DECIMAL, DATE, TEXT = ColumnType


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = "file.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_each_delimiter_is_found(write, delimiter):
    shape = read_shape(write(f"a{delimiter}b\n1{delimiter}2\n"))
    assert (shape.delimiter, shape.columns, shape.rows) == (delimiter, ["a", "b"], 1)


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        ('"a, b, c, d";e\n1;2\n', ";"),
        ("a;b\n1,5;2,5\n1,5;2,5\n", ";"),
        ('a,b\n"1;2;3;4",5\n', ","),
        ('name,note\nx,"one|two|three"\n', ","),
        ("only\n1;2\n", ","),
        ("a,b\n1\n", ","),
    ],
)
def test_signs_inside_of_fields_are_no_delimiters(write, content, delimiter):
    path = write(content)
    try:
        assert read_shape(path).delimiter == delimiter
    except CsvError as error:
        assert "line 2: 1 fields, the header has 2" in str(error)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_quoted_line_ends_quotes_and_unicode_are_kept(write, end):
    path = write(f'\ufeffnäme,"no{end}te"{end}"Łucja, ""Lu""","first{end}second"{end}日本,🚪{end}{end}')
    shape = read_shape(path)
    assert (shape.columns, shape.rows) == (["näme", f"no{end}te"], 2)
    assert list(read_rows(shape)) == [(1, ['Łucja, "Lu"', f"first{end}second"]), (2, ["日本", "🚪"])]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("", "file.csv is empty"),
        ("\n\n", "file.csv is empty"),
        ("\ufeff", "file.csv is empty"),
        ("a,b\n1,2\n3\n", "file.csv, line 3: 1 fields, the header has 2"),
        ('a,b\n"x\ny",2\n3,4,5\n', "file.csv, line 4: 3 fields, the header has 2"),
        ("a,b,a\n", "file.csv names a column twice: a"),
        ("a,,b\n", "file.csv needs a header that names every column"),
        ('a,b\n1,"open\n', "file.csv, line 2: unexpected end of data"),
        ("a,b\n1,x\0y\n", "file.csv, line 2: holds a NUL character"),
        (b"a,b\n1,\xff\n", "file.csv is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "file.csv is not UTF-8"),
    ],
)
def test_what_is_no_table_is_refused_with_the_file_and_the_line(write, content, error):
    with pytest.raises(CsvError) as refused:
        read_shape(write(content))
    assert str(refused.value).startswith(error)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    for path, error in (
        (tmp_path / "missing.csv", "is not there"),
        (tmp_path, "is no file"),
        (Path("/dev/zero"), "is no file"),
    ):
        with pytest.raises(CsvError, match=error):
            read_shape(path)


def test_a_header_alone_is_a_table_without_rows(write):
    shape = read_shape(write("a,b\n"))
    found = profile(shape, 0)
    assert (shape.rows, found.type, found.empty, found.distinct, found.mean) == (0, TEXT, 0, 0, None)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-20", "0", ""], INTEGER),
        (["9223372036854775807", "-9223372036854775808"], INTEGER),
        (["9223372036854775808"], TEXT),
        (["12345678901234567890123456789"], TEXT),
        (["0.1234567890123456789"], TEXT),
        (["007", "012"], TEXT),
        (["007", "1.5"], TEXT),
        (["00.5"], TEXT),
        (["+46701234567"], TEXT),
        (["1_000"], TEXT),
        (["1E5", "2E7"], TEXT),
        (["١٢"], TEXT),
        (["nan", "inf"], TEXT),
        (["1,5"], TEXT),
        (["1.50", "2", "-0.25", " 3.0 "], DECIMAL),
        (["1e-05", "1.5e+20"], DECIMAL),
        (["2026-11-23", ""], DATE),
        (["2026-02-30"], TEXT),
        (["20261123"], INTEGER),
        (["2026-W47-1"], TEXT),
        (["x", "1"], TEXT),
        (["", " "], TEXT),
    ],
)
def test_a_column_is_a_number_or_a_date_only_if_nothing_is_lost(write, values, kind):
    lines = "".join(f'"{value}",x\n' for value in values)
    assert profile(read_shape(write(f"a,b\n{lines}")), 0).type is kind


def test_values_become_what_their_column_is():
    assert convert(" 42 ", INTEGER) == 42
    assert convert("007", INTEGER) == 7  # What a person may choose, though nobody proposes it.
    assert convert("1.50", DECIMAL) == Decimal("1.50")
    assert convert("2026-11-23", DATE) == date(2026, 11, 23)
    assert [convert("", kind) for kind in ColumnType] == [None] * 4
    assert (convert("  ", TEXT), convert("  ", INTEGER)) == ("  ", None)
    for value, kind in (
        ("x", INTEGER),
        ("1" * 20, INTEGER),
        ("1" * 16, DECIMAL),
        ("nan", DECIMAL),
        ("2026-13-01", DATE),
    ):
        with pytest.raises(ValueError, match=value):
            convert(value, kind)


def test_outliers_are_named_with_their_row(write):
    values = [*range(100, 130), 9000]
    found = profile(read_shape(write("n,x\n" + "".join(f"{value},y\n" for value in values))), 0)
    assert [(one.line, one.value) for one in found.outliers] == [(31, "9000")]
    assert (found.smallest, found.largest, found.distinct) == ("100", "9000", 31)


def test_a_file_is_unchanged_while_it_holds_the_same(write):
    path = write("a,b\n1,2\n")
    shape = read_shape(path)
    os.utime(path, (1, 1))
    check_unchanged(shape)
    path.write_text("a,b\n1,3\n")
    with pytest.raises(CsvError, match=r"file\.csv has changed since it was read"):
        check_unchanged(shape)
    path.unlink()
    with pytest.raises(CsvError, match="cannot be read any more"):
        check_unchanged(shape)
