"""Sample: a CSV file is profiled, a person approves how it is loaded, its rows go into a database table.

Every row carries its line as primary key, so a batch that was interrupted and runs again adds nothing twice.
"""

import csv
import io
import re
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, model_validator

from recovery.demo import csv_file, load_plan, tables
from recovery.demo.csv_file import ColumnProfile, FileShape
from recovery.demo.load_plan import LoadPlan
from rh_agents import ExecutionState, Question, agent, tool

PREVIEW_ROWS = 200


class TableLoadInput(BaseModel):
    """Which file to load, and into which table."""

    file: Path = Field(description="A CSV file on the worker's machine, UTF-8, with a header.")
    table: str = Field(default="", description="Lower-case letters, digits and _. Empty: the file's name.")

    @model_validator(mode="after")
    def _table_is_a_name(self) -> "TableLoadInput":
        self.table = self.table or load_plan.as_name(self.file.stem)
        if not re.fullmatch(load_plan.NAME, self.table):
            raise ValueError(
                f"{self.table!r} is no table name: lower-case letters, digits and _, starting with a letter"
            )
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
    csv_file.check_unchanged(shape)
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


@tool(name="plan_load", output_model=LoadPlan)
async def plan_load(
    request: TableLoadInput, found: tuple[FileShape, dict[str, Any]], state: ExecutionState
) -> LoadPlan:
    shape, profiled = found
    return load_plan.make(tables.free_name(request.table, state.state_id), shape.rows, profiled["columns"])


@tool(name="make_preview", output_model=int)
async def make_preview(plan: LoadPlan, found: tuple[FileShape, dict[str, Any]], state: ExecutionState) -> int:
    """The first rows as they would be loaded, as an artifact; how many."""
    shape, profiled = found
    rows = list(islice(load_plan.cleaned(shape, plan, profiled), PREVIEW_ROWS))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([tables.LINE, *(column.name for column in plan.columns if column.load)])
    table.writerows([line, *("" if value is None else value for value in values)] for line, values in rows)
    state.storage.set_artifact("preview.csv", text.getvalue())
    return len(rows)


@tool(name="check_plan", output_model=str)
async def check_plan(plan: LoadPlan, found: tuple[FileShape, dict[str, Any]], state: ExecutionState) -> str:
    """Why the file cannot be loaded in this way, "" if it can: found out before a table exists."""
    shape, profiled = found
    csv_file.check_unchanged(shape)
    try:
        tables.check_free(plan.table, state.state_id)
        for _ in load_plan.cleaned(shape, plan, profiled):
            pass
    except (tables.TableTaken, csv_file.CsvError) as error:
        return str(error)
    return ""


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
    csv_file.check_unchanged(shape)
    first, count = batch
    rows = list(islice(load_plan.cleaned(shape, plan, profiled), first, first + count))
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
    found = (shape, profiled)
    plan = (await plan_load(request, found, state)).result
    await make_preview(plan, found, state)
    problem = ""
    while True:
        answer = await state.ask(
            Question(
                key="load",
                title=f"Load {shape.rows:,} rows of {request.file.name} into {plan.table}?",
                message=_message(shape, profiled, problem),
                proposal=plan,
                action="tables.load",
                effect="write",
                risk="medium",
                evidence=["preview.csv", "columns.csv", "flagged.csv"],
            )
        )
        if not answer.approved:
            return f"Not loaded: {answer.comment or 'no reason given'}"
        plan = answer.proposal
        problem = (await check_plan(plan, found, state)).result
        if not problem:
            return (await load(plan, found, state)).result


def _message(shape: FileShape, profiled: dict[str, Any], problem: str) -> str:
    outliers = sum(len(column.outliers) for column in profiled["columns"])
    empty = sum(column.empty for column in profiled["columns"])
    refused = f"**It could not be loaded as it was approved:**\n\n    {problem}\n\n" if problem else ""
    return (
        refused
        + f"`{shape.path.name}` has **{shape.rows:,} rows** in {len(shape.columns)} columns.\n\n"
        + f"- {len(profiled['duplicates']):,} rows repeat an earlier one\n"
        + f"- {outliers:,} values lie far outside of what their column holds\n"
        + f"- {empty:,} values are empty\n\n"
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
