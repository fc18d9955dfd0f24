"""The table load sample: the table holds the file's rows, as they were approved."""

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from recovery.demo import tables
from recovery.demo.csv_file import ColumnType
from recovery.demo.load_plan import LoadPlan, OnOutlier
from recovery.demo.orders import COLUMNS, ROWS, write_orders
from recovery.errors import InvalidInput
from recovery.forms import form_for
from recovery.models import Event, State
from recovery.services.decide import decide
from recovery.services.questions import current_version, proposal_of
from recovery.services.start_run import start_run
from rh_agents.core.serialization import decode
from tests.recovery.browser_forms import submitted
from tests.recovery.conftest import only_request, work

PEOPLE = '''id,code,born,height,note
1,007,1815-12-10,1.65,"first, of her ""kind"""
2,012,1906-12-09,1.5,
2,012,1906-12-09,1.5,
3,123,,-0.25,"two
lines"
'''
ROWS_OF_PEOPLE = [
    (1, 1, "007", date(1815, 12, 10), Decimal("1.65"), 'first, of her "kind"'),
    (2, 2, "012", date(1906, 12, 9), Decimal("1.5"), None),
    (3, 2, "012", date(1906, 12, 9), Decimal("1.5"), None),
    (4, 3, "123", None, Decimal("-0.25"), "two\nlines"),
]


@pytest.fixture
def load(db: Any, tmp_path: Path) -> Any:
    """Start a load of some text, and let a worker take it to its question."""

    def load(content: str = PEOPLE, name: str = "people.csv", **given: Any) -> State:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8", newline="")
        return work(start_run("table-load", {"file": str(path), **given}).pk)

    return load


def plan_of(state: State) -> LoadPlan:
    return proposal_of(current_version(only_request(state)))


def edited(plan: LoadPlan, **changes: Any) -> dict[str, Any]:
    return {**plan.model_dump(mode="json"), **changes}


def rows_of(table: str) -> list[tuple[Any, ...]]:
    """As Python values, whatever the driver makes of a column."""
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT * FROM "loaded_{table}" ORDER BY "line"')
        return [tuple(row) for row in cursor.fetchall()]


def comparable(row: tuple[Any, ...], like: tuple[Any, ...]) -> tuple[Any, ...]:
    """SQLite gives decimals as numbers and dates as text."""
    return tuple(
        Decimal(str(value))
        if isinstance(wanted, Decimal)
        else date.fromisoformat(str(value))
        if isinstance(wanted, date)
        else value
        for value, wanted in zip(row, like, strict=True)
    )


def assert_holds(table: str, expected: list[tuple[Any, ...]]) -> None:
    found = rows_of(table)
    assert len(found) == len(expected)
    assert [comparable(row, like) for row, like in zip(found, expected, strict=True)] == expected


def test_the_question_brings_the_types_the_preview_and_what_is_odd(load):
    state = load()
    request = only_request(state)
    plan = plan_of(state)
    assert request.title == "Load 4 rows of people.csv into people?"
    assert [(column.name, column.type) for column in plan.columns] == [
        ("id", ColumnType.INTEGER),
        ("code", ColumnType.TEXT),
        ("born", ColumnType.DATE),
        ("height", ColumnType.DECIMAL),
        ("note", ColumnType.TEXT),
    ]
    artifacts = {ref.key: ref.artifact.read().decode() for ref in state.artifact_refs.select_related("artifact")}
    assert artifacts["preview.csv"] == (
        "line,id,code,born,height,note\n"
        '1,1,007,1815-12-10,1.65,"first, of her ""kind"""\n2,2,012,1906-12-09,1.5,\n4,3,123,,-0.25,"two\nlines"\n'
    )
    assert artifacts["flagged.csv"] == "row,why,column,value\n3,duplicate,,\n"
    assert "1 rows repeat an earlier one" in request.message


def test_the_table_holds_exactly_the_files_rows(load, ada):
    state = load()
    plan = edited(plan_of(state), drop_duplicates=False)
    decide(only_request(state).pk, by=ada, kind="edit", proposal=plan)
    state = work(state.pk)
    assert (state.status, state.error) == ("completed", "")
    assert_holds("people", ROWS_OF_PEOPLE)


def test_duplicates_are_left_out_as_proposed(load, ada):
    state = load()
    decide(only_request(state).pk, by=ada, kind="approve")
    report = decode(work(state.pk).output)
    assert_holds("people", [row for row in ROWS_OF_PEOPLE if row[0] != 3])
    assert (report.rows_in_file, report.rows_loaded, report.duplicates_dropped) == (4, 3, 1)


def test_a_column_that_is_deselected_renamed_or_of_another_type_is_loaded_so(load, ada):
    state = load()
    columns = plan_of(state).model_dump(mode="json")["columns"]
    columns[0] |= {"name": "number", "type": "text"}
    columns[2]["load"] = columns[3]["load"] = columns[4]["load"] = False
    decide(only_request(state).pk, by=ada, kind="edit", proposal=edited(plan_of(state), columns=columns))
    assert work(state.pk).status == "completed"
    assert rows_of("people") == [(1, "1", "007"), (2, "2", "012"), (4, "3", "123")]
    with connection.cursor() as cursor:
        names = [one.name for one in connection.introspection.get_table_description(cursor, "loaded_people")]
    assert names == ["line", "number", "code"]


@pytest.mark.parametrize(
    ("choice", "values"),
    [
        (OnOutlier.KEEP, [*range(30), 9000]),
        (OnOutlier.EMPTY, [*range(30), None]),
        (OnOutlier.DROP, [*range(30)]),
    ],
)
def test_outliers_are_kept_emptied_or_dropped_as_chosen(load, ada, choice, values):
    state = load("n,x\n" + "".join(f"{number},y\n" for number in [*range(30), 9000]))
    decide(only_request(state).pk, by=ada, kind="edit", proposal=edited(plan_of(state), outliers=choice))
    assert work(state.pk).status == "completed"
    assert [row[1] for row in rows_of("people")] == values


def test_an_outlier_of_a_column_that_is_not_loaded_drops_no_row(load, ada):
    state = load("n,x\n" + "".join(f"{number},y{number}\n" for number in [*range(30), 9000]))
    plan = edited(plan_of(state), outliers="drop the row")
    plan["columns"][0]["load"] = False
    decide(only_request(state).pk, by=ada, kind="edit", proposal=plan)
    work(state.pk)
    assert len(rows_of("people")) == 31


def test_a_type_that_does_not_fit_is_asked_again_and_makes_no_table(load, ada):
    state = load()
    plan = edited(plan_of(state), batch_rows=10)
    plan["columns"][4]["type"] = "date"
    decide(only_request(state).pk, by=ada, kind="edit", proposal=plan)
    state = work(state.pk)
    request = only_request(state)
    assert (state.status, request.address) == ("awaiting", "load::decision#2")
    assert "row 1, column 'note': 'first, of her \"kind\"' is no date" in request.message
    assert "loaded_people" not in connection.introspection.table_names()
    plan["columns"][4]["type"] = "text"
    decide(request.pk, by=ada, kind="edit", proposal=plan)
    assert work(state.pk).status == "completed"
    assert len(rows_of("people")) == 3


def test_a_column_that_the_file_does_not_have_is_asked_again(load, ada):
    state = load()
    plan = edited(plan_of(state))
    plan["columns"][0]["source"] = "password"
    decide(only_request(state).pk, by=ada, kind="edit", proposal=plan)
    assert "people.csv has no column 'password'" in only_request(work(state.pk)).message


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"table": "people; drop table x"}, "proposal.table"),
        ({"batch_rows": 0}, "proposal.batch_rows"),
        ({"columns": []}, "proposal.columns"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_and_the_request_stays_open(load, ada, change, path):
    state = load()
    with pytest.raises(InvalidInput) as refused:
        decide(only_request(state).pk, by=ada, kind="edit", proposal=edited(plan_of(state), **change))
    assert set(refused.value.errors) == {path}
    assert only_request(state).is_open


@pytest.mark.parametrize("name", ["line", "xmin", "code"])
def test_column_names_that_no_table_takes_are_refused(load, ada, name):
    state = load()
    plan = edited(plan_of(state))
    plan["columns"][0]["name"] = name
    with pytest.raises(InvalidInput, match="name"):
        decide(only_request(state).pk, by=ada, kind="edit", proposal=plan)


def test_any_header_gives_columns_that_differ(load, ada):
    long = "n" * 60
    header = f'line,Line,xmin,ctid,a b,a_b,A-B,"a ""b""",ночь,日本,{long}1,{long}2,{long}3,select,1st'
    cells = ",".join(str(number) for number in range(15))
    state = load(f"{header}\n{cells}\n")
    assert (state.status, state.error) == ("awaiting", "")
    decide(only_request(state).pk, by=ada, kind="approve")
    assert work(state.pk).status == "completed"
    assert rows_of("people") == [(1, *range(15))]


def test_a_second_run_of_the_same_file_gets_a_table_of_its_own(load, ada):
    for name in ("people", "people_2", "people_3"):
        state = load()
        assert plan_of(state).table == name
        decide(only_request(state).pk, by=ada, kind="approve")
        assert work(state.pk).status == "completed"
        assert len(rows_of(name)) == 3


def test_a_table_that_was_taken_meanwhile_is_asked_again_and_left_alone(load, ada):
    first, second = load(), load(PEOPLE + "4,1,,2,\n", name="more.csv", table="people")
    assert plan_of(first).table == plan_of(second).table == "people"
    for state in (first, second):
        decide(only_request(state).pk, by=ada, kind="approve")
        work(state.pk)
    request = only_request(second)
    assert f"the table people belongs to the run {first.pk}; choose another name" in request.message
    assert len(rows_of("people")) == 3
    decide(request.pk, by=ada, kind="edit", proposal=edited(plan_of(second), table="people_b"))
    assert work(second.pk).status == "completed"
    assert len(rows_of("people_b")) == 4


def test_a_table_of_another_run_is_never_created_over(db):
    tables.create("mine", {"a": ColumnType.TEXT}, "run-1")
    tables.create("mine", {"a": ColumnType.TEXT}, "run-1")
    with pytest.raises(tables.TableTaken, match=r"the table mine belongs to the run run-1"):
        tables.create("mine", {"a": ColumnType.TEXT}, "run-2")


@pytest.mark.parametrize("name", ["tables", "owners", "123", "Ünï çödé", "select", "x" * 90])
def test_any_file_name_gives_a_table(load, ada, name):
    state = load(name=f"{name}.csv")
    decide(only_request(state).pk, by=ada, kind="approve")
    assert work(state.pk).status == "completed"
    assert len(rows_of(plan_of_decided(state).table)) == 3


def plan_of_decided(state: State) -> LoadPlan:
    return proposal_of(current_version(state.requests.get()))


def test_a_header_alone_loads_an_empty_table(load, ada):
    state = load("a,b\n")
    decide(only_request(state).pk, by=ada, kind="approve")
    assert work(state.pk).status == "completed"
    assert rows_of("people") == []


def test_rejected_no_table_is_made(load, ada):
    state = load()
    decide(only_request(state).pk, by=ada, kind="reject", comment="not this one")
    assert decode(work(state.pk).output) == "Not loaded: not this one"
    assert "loaded_people" not in connection.introspection.table_names()


def test_a_file_that_changes_before_the_load_is_not_loaded(load, ada, tmp_path):
    state = load()
    (tmp_path / "people.csv").write_text(PEOPLE.replace("007", "008"))
    decide(only_request(state).pk, by=ada, kind="approve")
    state = work(state.pk)
    assert state.status == "failed"
    assert "people.csv has changed since it was read; start a new run" in state.error
    assert "loaded_people" not in connection.introspection.table_names()


def test_a_ragged_file_fails_with_its_line_and_asks_nothing(load):
    state = load("a,b\n1,2\n3\n")
    assert state.status == "failed"
    assert "people.csv, line 3: 1 fields, the header has 2" in state.error
    assert not state.requests.exists()


def test_an_unedited_form_gives_the_plan_back(load):
    plan = plan_of(load())
    again = form_for(plan, prefix="proposal", data=submitted(form_for(plan, prefix="proposal")))
    assert again.is_valid(), again.errors
    assert again.value == plan
    assert type(again.value) is LoadPlan
    assert not again.is_edited


def test_the_sample_orders_are_the_same_everywhere_and_load_whole(db, ada, tmp_path):
    path = tmp_path / "orders.csv"
    write_orders(path)
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert (header, len(rows)) == (COLUMNS, ROWS)
    state = work(start_run("table-load", {"file": str(path)}).pk)
    plan = edited(plan_of(state), drop_duplicates=False, batch_rows=5000)
    decide(only_request(state).pk, by=ada, kind="edit", proposal=plan)
    state = work(state.pk)
    assert (state.status, state.error) == ("completed", "")
    loaded = rows_of("orders")
    assert [row[0] for row in loaded] == list(range(1, ROWS + 1))
    assert [(row[1], str(row[2]), *row[3:6], str(row[6])) for row in loaded] == [
        (row[0], row[1], *row[2:5], row[5]) for row in rows
    ]
    for position in (7, 8):
        wanted = [Decimal(row[position - 1]) if row[position - 1] else None for row in rows]
        assert [None if row[position] is None else Decimal(str(row[position])) for row in loaded] == wanted
    assert Event.objects.current().filter(state=state, actor="load_batch").count() == 3
