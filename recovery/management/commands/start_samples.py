"""`manage.py start_samples`: start one run of each sample, so that the inbox is not empty."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from recovery.demo.expenses import sample
from recovery.demo.git_history import HistoryError, read_commits
from recovery.demo.orders import ROWS, write_orders
from recovery.errors import UnknownPipeline
from recovery.services.start_run import start_run


class Command(BaseCommand):
    help = "Start one run of each sample pipeline."

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(settings.VAR_DIR) / "samples"
        orders, expenses = folder / "orders.csv", folder / "expenses.csv"
        if not orders.exists():
            write_orders(orders)
        if not expenses.exists():
            sample.write_expenses(expenses)
        has_history = self._has_history()
        try:
            # All or none: `manage.py run` starts them once, and a half would never be made whole.
            with transaction.atomic():
                start_run(
                    "table-load",
                    {"file": str(orders)},
                    description=f"Load {ROWS:,} sample orders",
                    tags=["sample", "orders"],
                    channel="command",
                )
                start_run(
                    "expense-batch",
                    {"file": str(expenses)},
                    description=f"Expenses of October: {sample.ROWS} of {len(sample.PEOPLE)} people",
                    tags=["sample", "expenses"],
                    channel="command",
                )
                if has_history:
                    start_run(
                        "release-notes",
                        {},
                        description="Release notes of this project",
                        tags=["sample", "docs"],
                        channel="command",
                    )
        except UnknownPipeline as error:
            raise CommandError(f"{error}. The samples are off: set RECOVERY_SAMPLES=1.") from error

    def _has_history(self) -> bool:
        try:
            read_commits(Path(settings.BASE_DIR), "", "HEAD", at_most=1)
        except HistoryError as error:
            self.stderr.write(f"The release notes sample needs a git repository with commits: {error}")
            return False
        return True
