"""Reading the files of a batch: the expenses, and the table of rates beside them."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from recovery.demo.csv_file import ColumnType, CsvError, FileShape, convert, read_lines, read_shape
from recovery.demo.expenses.expense import CENT, Category, Expense

AT_MOST = 1000
LARGEST = Decimal(1_000_000)
BASE = "EUR"
RATE_COLUMNS = ["currency", "rate"]
CURRENCY = r"[A-Z]{3}"

Cells = dict[str, str]


def read_expense_lines(path: Path) -> tuple[FileShape, list[tuple[int, Cells]]]:
    """(line, its cells by column) of each expense.

    Raises:
        CsvError: it is no table, lacks a column or has more than `AT_MOST` rows; names file, line and column.
    """
    return _read(path, list(_READ))


def read_rates(path: Path) -> dict[str, Decimal]:
    """Currency to what one of it is worth in euros.

    Raises:
        CsvError: as `read_expense_lines`, or a rate is none.
    """
    rates = {BASE: Decimal(1)}
    for line, cells in _read(path, RATE_COLUMNS)[1]:
        currency = _cell(path.name, line, cells, "currency", _currency)
        if currency in rates:
            raise CsvError(f"{path.name}, line {line}, column 'currency': {currency} has a rate already")
        rates[currency] = _cell(path.name, line, cells, "rate", as_rate)
    return rates


def as_expense(file_name: str, line: int, cells: Cells) -> Expense:
    """
    Raises:
        CsvError: a cell does not hold what its column is for; names file, line and column.
    """
    values = {column: _cell(file_name, line, cells, column, read) for column, read in _READ.items()}
    return Expense(line=line, spent_on=values.pop("date"), **values)


def as_rate(text: str) -> Decimal:
    """Raises ValueError if nobody would change money at that."""
    rate = convert(text, ColumnType.DECIMAL)
    if not isinstance(rate, Decimal) or not Decimal("0.000001") <= rate <= 100_000:
        raise ValueError(f"{text!r:.60} is no rate: euros for one of the currency")
    return rate


def _read(path: Path, columns: list[str]) -> tuple[FileShape, list[tuple[int, Cells]]]:
    shape = read_shape(path)
    for column in columns:
        if column not in shape.columns:
            raise CsvError(
                f"{path.name}, line 1: there is no column {column!r}; it needs the columns {', '.join(columns)}"
            )
    if shape.rows > AT_MOST:
        raise CsvError(f"{path.name} has {shape.rows:,} rows; at most {AT_MOST:,} are taken at once")
    rows = [(line, dict(zip(shape.columns, row, strict=True))) for line, row in read_lines(shape)]
    return shape, [(line, {column: cells[column] for column in columns}) for line, cells in rows]


def _cell(file_name: str, line: int, cells: Cells, column: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(cells[column].strip())
    except ValueError as error:
        raise CsvError(f"{file_name}, line {line}, column {column!r}: {error}") from error


def _text(at_most: int, *, is_needed: bool) -> Callable[[str], str]:
    def read(text: str) -> str:
        if is_needed and not text:
            raise ValueError("it is empty")
        if len(text) > at_most:
            raise ValueError(f"it has {len(text):,} characters; at most {at_most} fit")
        if not text.isprintable():
            raise ValueError(f"{text!r:.60} holds a character that cannot be shown")
        return text

    return read


def _date(text: str) -> date:
    day = convert(text, ColumnType.DATE)
    if not isinstance(day, date):
        raise ValueError("it is empty")
    if not 2000 <= day.year < 2100:
        raise ValueError(f"{text} is no day on which these expenses can have been made")
    return day


def _amount(text: str) -> Decimal:
    amount = convert(text, ColumnType.DECIMAL)
    if not isinstance(amount, Decimal):
        raise ValueError("it is empty")
    if not CENT <= amount < LARGEST:
        raise ValueError(f"{text:.60} is no amount from 0.01 to less than {LARGEST:,}")
    if amount != amount.quantize(CENT):
        raise ValueError(f"{text:.60} has more than two digits after the point")
    return amount.quantize(CENT)


def _currency(text: str) -> str:
    if not re.fullmatch(CURRENCY, text):
        raise ValueError(f"{text!r:.60} is no currency, such as EUR")
    return text


def _category(text: str) -> Category:
    """Empty for what nobody has sorted yet."""
    if text and text not in tuple(Category):
        raise ValueError(f"{text!r:.60} is none of {', '.join(Category)}")
    return Category(text or Category.OTHER)


_READ: dict[str, Callable[[str], Any]] = {
    "person": _text(80, is_needed=True),
    "date": _date,
    "category": _category,
    "merchant": _text(80, is_needed=True),
    "currency": _currency,
    "amount": _amount,
    "receipt": _text(40, is_needed=False),
    "note": _text(200, is_needed=False),
}
COLUMNS = list(_READ)
