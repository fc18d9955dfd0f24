"""Reading a CSV file: its shape, and what each column holds."""

import csv
import hashlib
import io
import re
import statistics
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

DELIMITERS = ",;\t|"
HEAD_BYTES = 64 * 1024


class CsvError(ValueError):
    """The file is no table that can be loaded; the message names file and line."""


class ColumnType(StrEnum):
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    TEXT = "text"


class FileShape(BaseModel):
    """`rows` counts the rows of data, without the header; `sha256` is that of the whole file."""

    path: Path
    size: int
    modified_ns: int
    sha256: str
    delimiter: str
    columns: list[str]
    rows: int


class Outlier(BaseModel):
    line: int
    column: str
    value: str


class ColumnProfile(BaseModel):
    """What one column holds. Numbers beyond three times the interquartile range from the quartiles are outliers."""

    name: str
    type: ColumnType
    empty: int
    distinct: int
    smallest: str
    largest: str
    mean: float | None
    outliers: list[Outlier]


def read_shape(path: Path) -> FileShape:
    """Read the whole file once.

    Raises:
        CsvError: it is not there, not UTF-8, has no header, or a row has another number of fields.
    """
    try:
        if not path.is_file():
            raise CsvError(f"{path} is {'no file' if path.exists() else 'not there'}")
        stat = path.stat()
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CsvError(f"{path} cannot be read: {error.strerror}") from error
    delimiter = _delimiter(head)
    rows = _records(path, delimiter)
    _, columns = next(rows, (0, []))
    if not columns:
        raise CsvError(f"{path.name} is empty")
    if not all(name.strip() for name in columns):
        raise CsvError(f"{path.name} needs a header that names every column")
    twice = [name for name, times in Counter(columns).items() if times > 1]
    if twice:
        raise CsvError(f"{path.name} names a column twice: {', '.join(twice)}")
    return FileShape(
        path=path,
        size=stat.st_size,
        modified_ns=stat.st_mtime_ns,
        sha256=sha256,
        delimiter=delimiter,
        columns=columns,
        rows=sum(1 for _ in rows),
    )


def check_unchanged(shape: FileShape) -> None:
    """Raises `CsvError` if the file does not hold any more what it held when its shape was read."""
    try:
        stat = shape.path.stat()
        if (stat.st_size, stat.st_mtime_ns) == (shape.size, shape.modified_ns):
            return
        with shape.path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == shape.sha256:
                return
    except OSError as error:
        raise CsvError(f"{shape.path} cannot be read any more: {error.strerror}") from error
    raise CsvError(f"{shape.path.name} has changed since it was read; start a new run")


def read_rows(shape: FileShape) -> Iterator[tuple[int, list[str]]]:
    """(number of the row from 1, its fields), in the order of the file."""
    yield from enumerate((row for _, row in read_lines(shape)), start=1)


def read_lines(shape: FileShape) -> Iterator[tuple[int, list[str]]]:
    """(line of the file where the row ends, its fields), in the order of the file."""
    rows = _records(shape.path, shape.delimiter)
    next(rows, None)
    yield from rows


def profile(shape: FileShape, index: int) -> ColumnProfile:
    """What the column at `index` holds."""
    values = [(line, row[index]) for line, row in read_rows(shape)]
    filled = [(line, value) for line, value in values if value.strip()]
    kind = _type_of([value for _, value in filled])
    name = shape.columns[index]
    numbers = [(line, value, Decimal(value.strip())) for line, value in filled] if kind in _NUMBERS else []
    ordered: list[Any] = sorted(number for _, _, number in numbers) or sorted(value for _, value in filled)
    return ColumnProfile(
        name=name,
        type=kind,
        empty=len(values) - len(filled),
        distinct=len({value for _, value in filled}),
        smallest=str(ordered[0])[:200] if ordered else "",
        largest=str(ordered[-1])[:200] if ordered else "",
        mean=round(float(statistics.fmean(number for _, _, number in numbers)), 4) if numbers else None,
        outliers=_outliers(name, numbers),
    )


def convert(value: str, kind: ColumnType) -> int | Decimal | date | str | None:
    """The value as its column's type, `None` for an empty one.

    Raises:
        ValueError: it is none.
    """
    text = value.strip()
    if kind is ColumnType.TEXT:
        return value or None
    if not text:
        return None
    if not _PLAIN[kind].fullmatch(text):
        raise ValueError(f"{value!r} is no {kind}")
    match kind:
        case ColumnType.INTEGER:
            return _within_64_bits(int(text))
        case ColumnType.DECIMAL:
            return _kept_exactly(Decimal(text))
        case ColumnType.DATE:
            try:
                return date.fromisoformat(text)
            except ValueError as error:
                raise ValueError(f"{value!r} is no date: {error}") from error


_NUMBERS = (ColumnType.INTEGER, ColumnType.DECIMAL)
# As programs write them. 1_000, 1E5 and digits of other scripts are something else, though Python would take them.
_PLAIN = {
    ColumnType.INTEGER: re.compile(r"[+-]?[0-9]+"),
    ColumnType.DECIMAL: re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-][0-9]{1,2})?"),
    ColumnType.DATE: re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
}
# 007 and +46 701 are codes and numbers of telephones: as numbers they would not be what the file says.
_CODE = re.compile(r"\+.*|-?0[0-9].*")


def _type_of(values: list[str]) -> ColumnType:
    if not values:
        return ColumnType.TEXT
    for kind in _PLAIN:
        if all(_is_plainly(value, kind) for value in values):
            return kind
    return ColumnType.TEXT


def _is_plainly(value: str, kind: ColumnType) -> bool:
    if kind in _NUMBERS and _CODE.fullmatch(value.strip()):
        return False
    try:
        convert(value, kind)
    except ValueError:
        return False
    return True


def _within_64_bits(number: int) -> int:
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{number} is longer than an integer column holds")
    return number


def _kept_exactly(number: Decimal) -> Decimal:
    """SQLite keeps 15 digits of a decimal; it would change the others without a word."""
    if len(number.as_tuple().digits) > 15:
        raise ValueError(f"{number} has more digits than a decimal column keeps")
    return number


def _outliers(name: str, numbers: list[tuple[int, str, Decimal]]) -> list[Outlier]:
    if len(numbers) < 20:
        return []
    low, _, high = statistics.quantiles((number for _, _, number in numbers), n=4)
    reach = 3 * (high - low)
    if not reach:
        return []
    return [
        Outlier(line=line, column=name, value=value)
        for line, value, number in numbers
        if number < low - reach or number > high + reach
    ]


def _records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Header and rows with the line where each ends, all of the same number of fields; blank lines are none."""
    width = None
    rows = None
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            rows = csv.reader(text, delimiter=delimiter, strict=True)
            for row in rows:
                if not row:
                    continue
                width = width or len(row)
                if len(row) != width:
                    raise CsvError(f"{path.name}, line {rows.line_num}: {len(row)} fields, the header has {width}")
                if any("\0" in value for value in row):
                    raise CsvError(f"{path.name}, line {rows.line_num}: holds a NUL character")
                yield rows.line_num, row
    except OSError as error:
        raise CsvError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        after = f" after line {rows.line_num}" if rows and rows.line_num else ""
        raise CsvError(f"{path.name} is not UTF-8{after}: {error.reason}") from error
    except csv.Error as error:
        raise CsvError(f"{path.name}, line {rows.line_num if rows else 0}: {error}") from error


def _delimiter(head: bytes) -> str:
    """The sign that cuts the first rows into the most fields, and each of them into as many as the header."""
    text = head.decode("utf-8-sig", errors="replace")

    def fit(delimiter: str) -> tuple[bool, int]:
        try:
            widths = [len(row) for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
        except csv.Error:
            return False, 0
        # The last row may be cut off where the head ends.
        whole = widths if len(head) < HEAD_BYTES else widths[:-1]
        return bool(whole) and whole[0] > 1 and set(whole) == {whole[0]}, whole[0] if whole else 0

    return max(DELIMITERS, key=fit)
