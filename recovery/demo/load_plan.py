"""How a file is loaded: what a person approves of it, and the rows that come of that."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field, model_validator

from recovery.demo import csv_file, tables
from recovery.demo.csv_file import ColumnProfile, ColumnType, FileShape

NAME = r"^[a-z][a-z0-9_]{0,40}$"


class OnOutlier(StrEnum):
    KEEP = "keep"
    EMPTY = "make empty"
    DROP = "drop the row"


class ColumnPlan(BaseModel):
    """How one column is loaded."""

    source: str = Field(frozen=True, description="Its name in the file.")
    name: str = Field(pattern=NAME)
    type: ColumnType
    load: bool = True


class LoadPlan(BaseModel):
    """What is loaded, and how."""

    table: str = Field(pattern=NAME)
    drop_duplicates: bool = Field(default=True, description="Of rows that are equal in all columns, load the first.")
    outliers: OnOutlier = Field(default=OnOutlier.KEEP, description="Numbers far outside of what the column holds.")
    batch_rows: int = Field(default=1000, ge=10, le=10_000)
    columns: list[ColumnPlan] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> "LoadPlan":
        names = [column.name for column in self.columns if column.load]
        if not names:
            raise ValueError("load at least one column")
        if len(set(names)) != len(names):
            raise ValueError("the columns need different names")
        if taken := sorted(tables.RESERVED & set(names)):
            raise ValueError(f"no column can be named {', '.join(taken)}: choose another name")
        return self


def make(table: str, rows: int, columns: list[ColumnProfile]) -> LoadPlan:
    """The plan that is proposed: everything, typed as it was found."""
    return LoadPlan(
        table=table,
        # Each batch reads past the rows before it, so a long file is loaded in few.
        batch_rows=min(10_000, max(1000, rows // 50)),
        columns=[
            ColumnPlan(source=column.name, name=name, type=column.type)
            for column, name in zip(columns, _names([column.name for column in columns]), strict=True)
        ],
    )


def cleaned(shape: FileShape, plan: LoadPlan, profiled: dict[str, Any]) -> Iterator[tuple[int, list[Any]]]:
    """(line, values) of every row that is loaded, in the order of the file.

    Raises:
        CsvError: a value does not fit the type that the plan gives its column; names line and column.
    """
    loaded = [column for column in plan.columns if column.load]
    if unknown := [column.source for column in loaded if column.source not in shape.columns]:
        raise csv_file.CsvError(f"{shape.path.name} has no column {', '.join(map(repr, unknown))}")
    positions = [(shape.columns.index(column.source), column) for column in loaded]
    dropped = set(profiled["duplicates"]) if plan.drop_duplicates else set()
    outliers: set[tuple[int, str]] = set()
    if plan.outliers is not OnOutlier.KEEP:
        sources = {column.source for column in loaded}
        outliers = {
            (outlier.line, outlier.column)
            for column in profiled["columns"]
            if column.name in sources
            for outlier in column.outliers
        }
    flagged = {line for line, _ in outliers}
    for line, row in csv_file.read_rows(shape):
        if line in dropped or (plan.outliers is OnOutlier.DROP and line in flagged):
            continue
        values: list[Any] = []
        for position, column in positions:
            if (line, column.source) in outliers:
                values.append(None)
                continue
            try:
                values.append(csv_file.convert(row[position], column.type))
            except ValueError as error:
                raise csv_file.CsvError(f"row {line}, column {column.source!r}: {error}") from error
        yield line, values


def as_name(text: str) -> str:
    """A name for a table or column that says as much of `text` as such a name can."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:40]
    return name if name[:1].isalpha() else f"c_{name}"[:40].rstrip("_")


def _names(sources: list[str]) -> list[str]:
    """A name in the table for each column of the file, all different."""
    names: dict[str, None] = {}
    for source in sources:
        first = name = as_name(source)
        number = 1
        while name in names or name in tables.RESERVED:
            number += 1
            name = f"{first[:35]}_{number}"
        names[name] = None
    return list(names)
