"""A batch of expenses to work on: made anew from a fixed seed, so that it is the same everywhere."""

import csv
import os
import random
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from recovery.demo.expenses.expense import CENT, Category
from recovery.demo.expenses.expense_file import BASE, COLUMNS, RATE_COLUMNS

ROWS = 120
SEED = 20261124
RATES = {"SEK": "0.0881", "NOK": "0.0856", "DKK": "0.1340", "PLN": "0.2341", "GBP": "1.1523", "USD": "0.9204"}


def write_expenses(path: Path) -> None:
    """Write `ROWS` expenses, and `rates.csv` beside them. All but the slips among them are plainly fine."""
    dice = random.Random(SEED)  # noqa: S311  sample data, not a secret
    rows = [_expense(dice, number) for number in range(ROWS - len(_SLIPS) - 1)]
    rows.append(list(rows[17]))
    rows += [list(slip) for slip in _SLIPS]
    rows.sort(key=lambda row: row[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path.with_name("rates.csv"), RATE_COLUMNS, list(RATES.items()))
    _write(path, COLUMNS, rows)


def _write(path: Path, columns: list[str], rows: Sequence[Sequence[str]]) -> None:
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(rows)
    os.replace(unfinished, path)


def _expense(dice: random.Random, number: int) -> list[str]:
    category = dice.choice(list(_MERCHANTS))
    day = date(2026, 10, 1) + timedelta(days=dice.randrange(31))
    if category is Category.MEALS:
        day -= timedelta(days=max(0, day.weekday() - 4))
    low, high = _COSTS[category]
    euros = Decimal(dice.randrange(low * 100, high * 100)) / 100
    currency = dice.choice([BASE, BASE, BASE, *RATES])
    amount = (euros / Decimal(RATES.get(currency, "1"))).quantize(CENT)
    return [
        dice.choice(PEOPLE),
        day.isoformat(),
        "" if dice.random() < 0.2 else category,
        dice.choice(_MERCHANTS[category]),
        currency,
        str(amount),
        f"R-{4000 + number}",
        dice.choice(["", "", "", "with a customer", "for the workshop", "card"]),
    ]


PEOPLE = [
    "Ada Andersson", "Björn Brandt", "Chiara Conti", "Dieu Dang", "Ewa Dąbrowska", "Farid Fournier",
    "Grace Grønli", "Håkon Huber", "Inès Ivanova", "Jürgen Jansen", "Kadri Kask", "Łucja Lis",
]  # fmt: skip
_MERCHANTS = {
    Category.TRAVEL: ["Northern Rail", "City Taxi", "Fjord Ferry", "Night Bus 7"],
    Category.LODGING: ["Hotel Lind", "Harbour Inn", "Pension Rosa"],
    Category.MEALS: ["Café Sol", "Bistro Marée", "Trattoria Pina", "Bakery Grön"],
    Category.OFFICE: ["Paper & More", "Lindgren Stationery", "Print Works"],
    Category.OTHER: ["Kiosk 24", "Post"],
}
# Euros, from and below.
_COSTS = {
    Category.TRAVEL: (8, 180),
    Category.LODGING: (80, 220),
    Category.MEALS: (9, 55),
    Category.OFFICE: (6, 110),
    Category.OTHER: (3, 70),
}
_SLIPS = [
    ("Chiara Conti", "2026-10-07", "meals", "Restaurant Vista", "EUR", "118.40", "R-4201", "farewell of a colleague"),
    ("Håkon Huber", "2026-10-12", "training", "Institute of Welding", "EUR", "1480.00", "R-4202", "three days"),
    ("Ewa Dąbrowska", "2026-10-14", "office", "Print Works", "PLN", "275.00", "", "posters"),
    ("Kadri Kask", "2026-10-20", "travel", "City Taxi", "SEK", "420.00", "", "the machine had no paper"),
    ("Farid Fournier", "2026-10-17", "meals", "Bistro Marée", "EUR", "48.90", "R-4203", "with a customer"),
    ("Björn Brandt", "2026-10-22", "office", "Lindgren Stationery", "SKE", "389.00", "R-4204", ""),
    ("Grace Grønli", "2026-10-19", "travel", "Atlantic Airlines", "EUR", "412.00", "R-4205", "trip Lisbon"),
    ("Grace Grønli", "2026-10-21", "lodging", "Hotel Tejo", "EUR", "690.00", "R-4206", "trip Lisbon, three nights"),
    ("Grace Grønli", "2026-10-21", "meals", "Restaurant Alfama", "EUR", "84.00", "R-4207", "trip Lisbon, dinner"),
]
