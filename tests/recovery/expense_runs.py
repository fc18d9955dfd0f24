"""Batches of expenses for tests, and runs of them with the engine alone."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from django.db import connection, connections

from recovery.demo.expenses import payouts
from recovery.demo.expenses.batch import ExpenseBatchInput, expense_batch
from rh_agents import (
    Answer,
    ExecutionState,
    FileSystemArtifactBackend,
    FileSystemStateBackend,
    RunOutcome,
    StateStatus,
    run_pipeline,
)

HEADER = "person,date,category,merchant,currency,amount,receipt,note\n"
RATES = "currency,rate\nSEK,0.1\nUSD,0.9\n"
# Lines 2 to 10: two that are plainly fine, and one of each kind that people are asked about.
BATCH = (
    HEADER
    + """Ada,2026-10-05,meals,Café Sol,EUR,20.00,R-1,
Ada,2026-10-06,,Post,SEK,155.50,,
Ada,2026-10-07,meals,Restaurant Vista,EUR,118.40,R-3,farewell
Bo,2026-10-07,office,Print Works,USD,50.00,,posters
Bo,2026-10-10,meals,Bistro Marée,EUR,48.90,R-5,
Cy,2026-10-12,travel,Atlantic Airlines,EUR,412.00,R-6,trip Lisbon
Cy,2026-10-13,lodging,Hotel Tejo,EUR,690.00,R-7,trip Lisbon
Cy,2026-10-14,training,Institute of Welding,EUR,1480.00,R-8,
Ada,2026-10-05,meals,Café Sol,EUR,20.00,R-1,
Bo,2026-10-15,office,Paper & More,SKE,389.00,R-10,
"""
)
QUESTIONS = {
    4: "line-4-limit",
    5: "line-5-receipt",
    6: "line-6-weekend",
    7: "line-7-trip",
    8: "line-8-trip",
    9: "line-9-limit",
    10: "line-10-duplicate",
    11: "line-11-currency",
}


def write_batch(folder: Path, content: str | bytes = BATCH, rates: str | bytes = RATES) -> Path:
    for name, text in (("rates.csv", rates), ("expenses.csv", content)):
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder / "expenses.csv"


class Walk:
    """A run with the engine alone, loaded from its files before each time that it goes on."""

    def __init__(self, folder: Path, file: Path, **given: Any) -> None:
        self.request = ExpenseBatchInput(file=file, **given)
        self.backends = FileSystemStateBackend(folder / "states"), FileSystemArtifactBackend(folder / "artifacts")
        self.state = ExecutionState(*self.backends)
        self.outcome = self.go_on()

    def decide(self, **answers: Answer) -> RunOutcome:
        """Answer the open questions whose keys begin so (`line_4`, `payout`), and go on."""
        self.state = ExecutionState.load_from_state_id(self.state.state_id, *self.backends)
        waiting = {question.key: address for address, question in self.state.open_questions.items()}
        for name, answer in answers.items():
            begin = name.replace("_", "-") + ("-" if name.startswith("line_") else "")
            [address] = [address for key, address in waiting.items() if key.startswith(begin)]
            self.state.answer(address, answer)
        self.outcome = self.go_on()
        return self.outcome

    @property
    def open_keys(self) -> list[str]:
        return [question.key for question in self.state.open_questions.values()]

    def question(self, key: str) -> Any:
        [question] = [one for one in self.state.open_questions.values() if one.key == key]
        return question

    def artifact(self, key: str) -> Any:
        return self.state.storage.get_artifact(key)

    def go_on(self) -> RunOutcome:
        outcome = on_this_connection(lambda: run_pipeline(expense_batch, self.request, self.state))
        if outcome.status is not StateStatus.AWAITING:
            self.state.save_checkpoint(outcome.status)
        return outcome


def on_this_connection(run: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """As a worker does: the steps use the connection of this thread, whose transaction the test takes back."""
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    held = connections.all()

    async def main() -> Any:
        for one in held:
            connections[one.alias] = one
        return await run()

    return asyncio.run(main())


def ledger(batch: str = "") -> list[tuple[Any, ...]]:
    """(line, person, cents) of all that was ever paid, or paid of one batch."""
    with connection.cursor() as cursor:
        if payouts.TABLE not in connection.introspection.table_names(cursor):
            return []
        cursor.execute(
            f"SELECT line, person, cents FROM {payouts.TABLE} WHERE %s IN ('', batch) ORDER BY line, batch", [batch]
        )
        return [tuple(row) for row in cursor.fetchall()]
