"""Sample: a CSV file is profiled, a person approves how it is loaded, its rows go into a database table.

Every row carries its line as primary key, so a batch that was interrupted and runs again adds nothing twice.
"""

import csv
import io
import re
from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, model_validator

from recovery.demo import csv_file, tables
from recovery.demo.csv_file import ColumnProfile, ColumnType, FileShape
from rh_agents import ExecutionState, Question, agent, tool

PREVIEW_ROWS = 200
NAME = r"^[a-z][a-z0-9_]{0,40}$"


class TableLoadInput(BaseModel):
    """Which file to load, and into which table."""

    file: Path = Field(description="A CSV file on the worker's machine, UTF-8, with a header.")
    table: str = Field(default="", description="Lower-case letters, digits and _. Empty: the file's name.")

    @model_validator(mode="after")
    def _table_is_a_name(self) -> "TableLoadInput":
        self.table = self.table or _as_name(self.file.stem)
        if not re.fullmatch(NAME, self.table):
            raise ValueError(
                f"{self.table!r} is no table name: lower-case letters, digits and _, starting with a letter"
            )
        return self


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
        if len(set(names)) != len(names) or tables.LINE in names:
            raise ValueError(f"the columns need different names, none of them {tables.LINE}")
        return self


class LoadReport(BaseModel):
    table: str
    rows_in_file: int
    rows_loaded: int
    duplicates_dropped: int
    outlier_rows_dropped: int


@tool(name="inspect_file", output_model=FileShape)
async def inspect_file(request: TableLoadInput, context: Any, state: ExecutionState) -> FileShape:
    return csv_file.read_shape(request.file)


@tool(name="profile_column", output_model=ColumnProfile)
async def profile_column(index: int, shape: FileShape, state: ExecutionState) -> ColumnProfile:
    _check_unchanged(shape)
    return csv_file.profile(shape, index)


@tool(name="find_duplicates")
async def find_duplicates(shape: FileShape, context: Any, state: ExecutionState) -> list[int]:
    """The lines that repeat an earlier one."""
    seen: set[tuple[str, ...]] = set()
    repeated = []
    for line, row in csv_file.read_rows(shape):
        key = tuple(row)
        if key in seen:
            repeated.append(line)
        seen.add(key)
    return repeated


@agent(name="profile")
async def profile(shape: FileShape, context: Any, state: ExecutionState) -> dict[str, Any]:
    """Look at every column, and write down what a person should see before the load."""
    columns = [(await profile_column(index, shape, state)).result for index in range(len(shape.columns))]
    duplicates = (await find_duplicates(shape, None, state)).result
    state.storage.set_artifact("columns.csv", _columns_table(columns))
    state.storage.set_artifact("flagged.csv", _flagged_table(columns, duplicates))
    return {"columns": columns, "duplicates": duplicates}


@tool(name="make_preview", output_model=int)
async def make_preview(plan: LoadPlan, found: tuple[FileShape, dict[str, Any]], state: ExecutionState) -> int:
    """The first rows as they would be loaded, as an artifact; how many."""
    shape, profiled = found
    rows = list(islice(_cleaned(shape, plan, profiled), PREVIEW_ROWS))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([tables.LINE, *(column.name for column in plan.columns if column.load)])
    table.writerows([line, *("" if value is None else value for value in values)] for line, values in rows)
    state.storage.set_artifact("preview.csv", text.getvalue())
    return len(rows)


@tool(name="create_table", output_model=str)
async def create_table(plan: LoadPlan, context: Any, state: ExecutionState) -> str:
    tables.create(plan.table, {column.name: column.type for column in plan.columns if column.load}, state.state_id)
    return plan.table


@tool(name="load_batch", output_model=int)
async def load_batch(
    batch: tuple[int, int], found: tuple[FileShape, LoadPlan, dict[str, Any]], state: ExecutionState
) -> int:
    """Insert the cleaned rows number `first` to `first + count - 1` in one transaction; how many that are."""
    shape, plan, profiled = found
    _check_unchanged(shape)
    first, count = batch
    rows = list(islice(_cleaned(shape, plan, profiled), first, first + count))
    tables.insert(plan.table, [column.name for column in plan.columns if column.load], rows)
    return len(rows)


@tool(name="count_rows", output_model=int)
async def count_rows(table: str, context: Any, state: ExecutionState) -> int:
    return tables.count(table)


@agent(name="load", output_model=LoadReport)
async def load(plan: LoadPlan, found: tuple[FileShape, dict[str, Any]], state: ExecutionState) -> LoadReport:
    """Create the table and fill it batch by batch; each batch that is done is never run again."""
    shape, profiled = found
    await create_table(plan, None, state)
    first, loaded = 0, 0
    while True:
        inserted = (await load_batch((first, plan.batch_rows), (shape, plan, profiled), state)).result
        loaded += inserted
        first += plan.batch_rows
        if inserted < plan.batch_rows:
            break
    counted = (await count_rows(plan.table, None, state)).result
    if counted != loaded:
        raise RuntimeError(f"{plan.table} has {counted} rows, {loaded} were loaded")
    duplicates = len(profiled["duplicates"]) if plan.drop_duplicates else 0
    return LoadReport(
        table=plan.table,
        rows_in_file=shape.rows,
        rows_loaded=loaded,
        duplicates_dropped=duplicates,
        outlier_rows_dropped=shape.rows - duplicates - loaded,
    )


async def table_load(request: TableLoadInput, state: ExecutionState) -> LoadReport | str:
    """Profiles every column of a CSV file, flags outliers and duplicates, asks with a cleaned preview, and loads the
    rows into a database table."""
    shape = (await inspect_file(request, None, state)).result
    profiled = (await profile(shape, None, state)).result
    plan = _plan(tables.free_name(request.table, state.state_id), shape.rows, profiled["columns"])
    await make_preview(plan, (shape, profiled), state)
    answer = await state.ask(
        Question(
            key="load",
            title=f"Load {shape.rows:,} rows of {request.file.name} into {plan.table}?".replace(",", " "),
            message=_message(shape, profiled),
            proposal=plan,
            action="tables.load",
            effect="write",
            risk="medium",
            evidence=["preview.csv", "columns.csv", "flagged.csv"],
        )
    )
    if not answer.approved:
        return f"Not loaded: {answer.comment or 'no reason given'}"
    return (await load(answer.proposal, (shape, profiled), state)).result


def _plan(table: str, rows: int, columns: list[ColumnProfile]) -> LoadPlan:
    names: list[str] = []
    for column in columns:
        name = _as_name(column.name)
        while name in names or name == tables.LINE:
            name += "_"
        names.append(name)
    return LoadPlan(
        table=table,
        # Each batch reads past the rows before it, so a long file is loaded in few.
        batch_rows=min(10_000, max(1000, rows // 50)),
        columns=[
            ColumnPlan(source=column.name, name=name, type=column.type)
            for column, name in zip(columns, names, strict=True)
        ],
    )


def _cleaned(shape: FileShape, plan: LoadPlan, profiled: dict[str, Any]) -> Iterator[tuple[int, list[Any]]]:
    """(line, values) of every row that is loaded, in the order of the file.

    Raises:
        CsvError: a value does not fit the type that the plan gives its column; names line and column.
    """
    positions = [(shape.columns.index(column.source), column) for column in plan.columns if column.load]
    dropped = set(profiled["duplicates"]) if plan.drop_duplicates else set()
    outliers = (
        {(outlier.line, outlier.column) for column in profiled["columns"] for outlier in column.outliers}
        if plan.outliers is not OnOutlier.KEEP
        else set()
    )
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
                raise csv_file.CsvError(f"row {line}, column {column.source}: {error}") from error
        yield line, values


def _check_unchanged(shape: FileShape) -> None:
    if shape.path.stat().st_size != shape.size:
        raise csv_file.CsvError(f"{shape.path.name} has changed since it was read; start a new run")


def _as_name(text: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:40]
    return name if name[:1].isalpha() else f"c_{name}"[:40].rstrip("_")


def _message(shape: FileShape, profiled: dict[str, Any]) -> str:
    outliers = sum(len(column.outliers) for column in profiled["columns"])
    empty = sum(column.empty for column in profiled["columns"])
    return (
        f"`{shape.path.name}` has **{shape.rows:,} rows** in {len(shape.columns)} columns.\n\n".replace(",", " ")
        + f"- {len(profiled['duplicates'])} rows repeat an earlier one\n"
        + f"- {outliers} values lie far outside of what their column holds\n"
        + f"- {empty} values are empty\n\n"
        + "The preview shows the first rows as they would be loaded."
    )


def _columns_table(columns: list[ColumnProfile]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["column", "type", "empty", "distinct", "smallest", "largest", "mean", "outliers"])
    for one in columns:
        mean = "" if one.mean is None else one.mean
        table.writerow(
            [one.name, one.type, one.empty, one.distinct, one.smallest, one.largest, mean, len(one.outliers)]
        )
    return text.getvalue()


def _flagged_table(columns: list[ColumnProfile], duplicates: list[int]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["row", "why", "column", "value"])
    table.writerows([line, "duplicate", "", ""] for line in duplicates)
    table.writerows(
        [outlier.line, "outlier", outlier.column, outlier.value] for column in columns for outlier in column.outliers
    )
    return text.getvalue()
