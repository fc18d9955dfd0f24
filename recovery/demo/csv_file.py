"""Reading a CSV file: its shape, and what each column holds."""

import csv
import hashlib
import statistics
from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
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
    """`rows` counts the lines of data, without the header; `sha256` is that of the whole file."""

    path: Path
    size: int
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
        CsvError: it is not there, not UTF-8, has no header, or a line has another number of fields.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        delimiter = _delimiter(head.decode(errors="replace"))
        size = path.stat().st_size
        with path.open(encoding="utf-8-sig", newline="") as text:
            rows = csv.reader(text, delimiter=delimiter, strict=True)
            columns = next(rows, [])
            count = 0
            for row in rows:
                if len(row) != len(columns):
                    raise CsvError(
                        f"{path.name}, line {rows.line_num}: {len(row)} fields, the header has {len(columns)}"
                    )
                count += 1
    except OSError as error:
        raise CsvError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CsvError(f"{path.name} is not UTF-8: {error}") from error
    except csv.Error as error:
        raise CsvError(f"{path.name} is no CSV file: {error}") from error
    if not columns or not all(name.strip() for name in columns):
        raise CsvError(f"{path.name} needs a header that names every column")
    if len(set(columns)) != len(columns):
        raise CsvError(f"{path.name} names a column twice: {', '.join(columns)}")
    return FileShape(path=path, size=size, sha256=sha256, delimiter=delimiter, columns=columns, rows=count)


def read_rows(shape: FileShape) -> Iterator[tuple[int, list[str]]]:
    """(number of the row from 1, its fields), in the order of the file."""
    with shape.path.open(encoding="utf-8-sig", newline="") as text:
        rows = csv.reader(text, delimiter=shape.delimiter, strict=True)
        next(rows, None)
        yield from enumerate(rows, start=1)


def profile(shape: FileShape, index: int) -> ColumnProfile:
    """What the column at `index` holds."""
    lines = [(line, row[index]) for line, row in read_rows(shape)]
    filled = [(line, value) for line, value in lines if value.strip()]
    kind = _type_of([value for _, value in filled])
    name = shape.columns[index]
    numbers = [(line, value, Decimal(value)) for line, value in filled] if kind in _NUMBERS else []
    ordered: list[Any] = sorted(number for _, _, number in numbers) or sorted(value for _, value in filled)
    return ColumnProfile(
        name=name,
        type=kind,
        empty=len(lines) - len(filled),
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
    if not value.strip():
        return None
    try:
        match kind:
            case ColumnType.INTEGER:
                return int(value)
            case ColumnType.DECIMAL:
                return _finite(value)
            case ColumnType.DATE:
                return date.fromisoformat(value.strip())
            case ColumnType.TEXT:
                return value
    except (ValueError, InvalidOperation) as error:
        raise ValueError(f"{value!r} is no {kind}") from error


_NUMBERS = (ColumnType.INTEGER, ColumnType.DECIMAL)


def _type_of(values: list[str]) -> ColumnType:
    for kind in (ColumnType.INTEGER, ColumnType.DECIMAL, ColumnType.DATE):
        try:
            for value in values:
                converted = convert(value, kind)
                if isinstance(converted, int) and (abs(converted) >= 2**63 or value.strip() != str(converted)):
                    raise ValueError("a number that is written otherwise is a code")
        except ValueError:
            continue
        return kind if values else ColumnType.TEXT
    return ColumnType.TEXT


def _finite(value: str) -> Decimal:
    number = Decimal(value.strip())
    if not number.is_finite():
        raise ValueError(f"{value!r} is no number")
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


def _delimiter(head: str) -> str:
    first = head.splitlines()[0] if head.strip() else ""
    return max(DELIMITERS, key=first.count) if any(sign in first for sign in DELIMITERS) else ","
