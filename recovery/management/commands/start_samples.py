"""`manage.py start_samples`: start one run of each sample, so that the inbox is not empty."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from recovery.demo.git_history import HistoryError, read_commits
from recovery.demo.orders import ROWS, write_orders
from recovery.errors import UnknownPipeline
from recovery.services.start_run import start_run


class Command(BaseCommand):
    help = "Start one run of each sample pipeline."

    def handle(self, *args: Any, **options: Any) -> None:
        orders = Path(settings.VAR_DIR) / "samples" / "orders.csv"
        if not orders.exists():
            write_orders(orders)
        try:
            start_run(
                "table-load",
                {"file": str(orders)},
                description=f"Load {ROWS:,} sample orders".replace(",", " "),
                tags=["sample", "orders"],
                channel="command",
            )
            self._start_release_notes()
        except UnknownPipeline as error:
            raise CommandError(f"{error}. The samples are off: set RECOVERY_SAMPLES=1.") from error

    def _start_release_notes(self) -> None:
        try:
            read_commits(Path(settings.BASE_DIR), "", "HEAD", at_most=1)
        except HistoryError as error:
            self.stderr.write(f"The release notes sample needs a git repository with commits: {error}")
            return
        start_run(
            "release-notes", {}, description="Release notes of this project", tags=["sample", "docs"], channel="command"
        )
