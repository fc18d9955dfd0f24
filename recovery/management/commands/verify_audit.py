"""`manage.py verify_audit`: whether anybody changed, removed or added an entry of the audit behind its back."""

from argparse import ArgumentParser
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recovery.models import AuditEntry
from recovery.services.audit import broken_links, broken_links_of_export

MOST_SHOWN = 20


class Command(BaseCommand):
    help = "Verify the hash chain of the audit. Exits with 1 and names what is wrong if it does not hold."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--export", metavar="FILE", help="verify an export as JSON Lines instead of the database")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["export"]:
                with Path(options["export"]).open(encoding="utf-8") as lines:
                    broken = list(islice(broken_links_of_export(lines), MOST_SHOWN + 1))
            else:
                broken = list(islice(broken_links(), MOST_SHOWN + 1))
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        for number, what in broken[:MOST_SHOWN]:
            self.stderr.write(f"entry {number} {what}")
        if len(broken) > MOST_SHOWN:
            self.stderr.write("and more")
        if broken:
            raise CommandError("the audit does not verify")
        where = options["export"] or f"{AuditEntry.objects.count():,} entries"
        self.stdout.write(f"the audit verifies: {where}")
