"""A file of orders for the table load to work on: made anew from a fixed seed, so that it is the same everywhere."""

import csv
import os
import random
from datetime import date, timedelta
from pathlib import Path

ROWS = 12_000
SEED = 20261123
COLUMNS = ["order_id", "ordered_on", "customer", "country", "sku", "quantity", "unit_price", "shipping", "note"]


def write_orders(path: Path) -> None:
    """Write `ROWS` orders: some repeat an earlier one, some hold a slip of the keyboard, some values are missing."""
    dice = random.Random(SEED)  # noqa: S311  sample data, not a secret
    rows: list[list[str]] = []
    for number in range(ROWS):
        if rows and dice.random() < 0.004:
            rows.append(list(dice.choice(rows)))
            continue
        rows.append(_order(dice, number))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(rows)
    os.replace(unfinished, path)


def _order(dice: random.Random, number: int) -> list[str]:
    quantity = max(1, round(dice.gauss(4, 2)))
    price = round(dice.uniform(4, 80), 2)
    if dice.random() < 0.002:
        quantity *= 1000
    if dice.random() < 0.002:
        price = round(price * 100, 2)
    country, first, last = dice.choice(["SE", "DE", "FR", "PL", "NO"]), dice.choice(_FIRST), dice.choice(_LAST)
    return [
        f"SE-{200_000 + number}",
        (date(2026, 1, 1) + timedelta(days=dice.randrange(320))).isoformat(),
        f"{first} {last}",
        country,
        f"{dice.choice(['TEA', 'CUP', 'POT', 'TIN'])}-{dice.randrange(100, 999)}",
        str(quantity),
        f"{price:.2f}",
        "" if dice.random() < 0.03 else f"{dice.choice([0, 4.9, 9.9]):.2f}",
        dice.choice(["", "", "", "gift", "leave with a neighbour", "call before delivery"]),
    ]


_FIRST = ["Ada", "Björn", "Chiara", "Dieu", "Ewa", "Farid", "Grace", "Håkon", "Inès", "Jürgen", "Kadri", "Łucja"]
_LAST = ["Andersson", "Brandt", "Conti", "Dąbrowska", "Eriksen", "Fournier", "Grønli", "Huber", "Ivanova", "Jansen"]
