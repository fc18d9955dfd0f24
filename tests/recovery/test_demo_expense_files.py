"""The files of the expense batch sample: what is wrong with one is said before anybody is asked."""

from pathlib import Path
from typing import Any

import pytest

from rh_agents import StateStatus
from tests.recovery.expense_runs import BATCH, HEADER, QUESTIONS, Walk, write_batch

pytestmark = pytest.mark.django_db


@pytest.fixture
def walk(tmp_path: Path) -> Any:
    return lambda content: Walk(tmp_path, write_batch(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("", "expenses.csv is empty"),
        ("\n\n", "expenses.csv is empty"),
        ("a,b\n1,2\n", "expenses.csv, line 1: there is no column 'person'; it needs the columns person, date, "),
        (BATCH.replace(HEADER, ""), "expenses.csv needs a header that names every column"),
        (HEADER.replace("amount", "sum"), "expenses.csv, line 1: there is no column 'amount'"),
        (HEADER + "Ada,2026-10-05\n", "expenses.csv, line 2: 2 fields, the header has 8"),
        (HEADER.encode() + b"Ad\xe9,2026-10-05,meals,C,EUR,1.00,R,\n", "expenses.csv is not UTF-8"),
        (HEADER + "A\0da,2026-10-05,meals,C,EUR,1.00,R,\n", "expenses.csv, line 2: holds a NUL character"),
        (HEADER + "Ada,2026-10-05,meals,C,EUR,1.00,R,\n" * 1001, "expenses.csv has 1,001 rows; at most 1,000"),
    ],
)
def test_what_is_no_file_of_expenses_ends_the_run_before_anybody_is_asked(walk, content, error):
    run = walk(content)
    assert run.outcome.status is StateStatus.FAILED
    assert str(run.outcome.error).startswith(error)
    assert run.open_keys == []


@pytest.mark.parametrize(
    ("column", "value", "error"),
    [
        ("person", " ", "it is empty"),
        ("person", "x" * 81, "it has 81 characters; at most 80 fit"),
        ("date", "", "it is empty"),
        ("date", "05.10.2026", "'05.10.2026' is no date"),
        ("date", "2026-02-30", "'2026-02-30' is no date"),
        ("date", "1026-10-05", "1026-10-05 is no day on which these expenses can have been made"),
        ("category", "fun", "'fun' is none of travel, lodging, meals, office, training, other"),
        ("merchant", "a\u202eb", "'a\\u202eb' holds a character that cannot be shown"),
        ("currency", "eur", "'eur' is no currency, such as EUR"),
        ("amount", "", "it is empty"),
        ("amount", "1e9", "'1e9' is no decimal"),
        ("amount", "1000000", "1000000 is no amount from 0.01 to less than 1,000,000"),
        ("amount", "1e+50", "1e+50 is no amount from 0.01 to less than 1,000,000"),
        ("amount", "9" * 400, f"{'9' * 400} has more digits than a decimal column keeps"),
        ("amount", "-5.00", "-5.00 is no amount"),
        ("amount", "NaN", "'NaN' is no decimal"),
        ("amount", "1.005", "1.005 has more than two digits after the point"),
        ("amount", "=1+1", "'=1+1' is no decimal"),
    ],
)
def test_a_cell_that_holds_something_else_ends_the_run_with_its_line_and_column(walk, column, value, error):
    cells = dict(zip(HEADER.strip().split(","), "Ada,2026-10-05,meals,Café,EUR,1.00,R-1,".split(","), strict=True))
    cells[column] = value
    run = walk(HEADER + 'Ada,2026-10-05,meals,"Café",EUR,1.00,R-1,x\n\n' + ",".join(cells.values()) + "\n")
    assert run.outcome.status is StateStatus.FAILED
    assert str(run.outcome.error).startswith(f"expenses.csv, line 4, column {column!r}: {error}")
    assert run.open_keys == []


@pytest.mark.parametrize(
    ("rates", "error"),
    [
        ("", "rates.csv is empty"),
        ("currency,euros\nUSD,1\n", "rates.csv, line 1: there is no column 'rate'"),
        ("currency,rate\nUSD,\n", "rates.csv, line 2, column 'rate': '' is no rate"),
        ("currency,rate\nUSD,0\n", "rates.csv, line 2, column 'rate': '0' is no rate"),
        ("currency,rate\nUSD,1e+9\n", "rates.csv, line 2, column 'rate': '1e+9' is no rate"),
        ("currency,rate\n$,1.1\n", "rates.csv, line 2, column 'currency': '$' is no currency"),
        ("currency,rate\nEUR,1.1\n", "rates.csv, line 2, column 'currency': EUR has a rate already"),
    ],
)
def test_a_table_of_rates_that_is_none_ends_the_run_with_its_line_and_column(tmp_path, rates, error):
    run = Walk(tmp_path, write_batch(tmp_path, rates=rates))
    assert run.outcome.status is StateStatus.FAILED
    assert str(run.outcome.error).startswith(error)


def test_a_file_without_rates_beside_it_is_refused_and_another_table_can_be_named(tmp_path):
    file = write_batch(tmp_path)
    file.with_name("rates.csv").rename(tmp_path / "other.csv")
    assert "rates.csv is not there" in str(Walk(tmp_path, file).outcome.error)
    assert Walk(tmp_path, file, rates=tmp_path / "other.csv").open_keys == list(QUESTIONS.values())
