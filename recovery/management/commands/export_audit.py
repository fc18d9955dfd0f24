"""`manage.py export_audit`: the audit as JSON Lines, which `verify_audit --export` can check, or as CSV to read."""

import csv
import json
import uuid
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recovery.models import AuditEntry
from recovery.services.audit import as_dict
from recovery.services.spreadsheet import harmless


class Command(BaseCommand):
    help = "Write the audit, the oldest entry first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="default jsonl")
        parser.add_argument("--output", metavar="FILE", help="default standard output")
        parser.add_argument("--since", metavar="TIME", help="only what was done then or later, such as 2026-01-31")
        parser.add_argument(
            "--state",
            metavar="ID",
            help="only what was done about this state; such an export has gaps, which `verify_audit` names",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        entries = AuditEntry.objects.order_by("number")
        if options["since"]:
            entries = entries.filter(at__gte=_time(options["since"]))
        if options["state"]:
            entries = entries.filter(state_id=_id(options["state"]))
        rows = (as_dict(entry) for entry in entries.iterator(2000))
        try:
            with _opened(options["output"], self.stdout) as file:
                if options["format"] == "csv":
                    _write_csv(file, rows)
                else:
                    for row in rows:
                        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        except OSError as error:
            raise CommandError(f"cannot write: {error}") from error


def _write_csv(file: Any, rows: Iterator[dict[str, Any]]) -> None:
    writer = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
        writer.writerow({name: harmless(value) for name, value in row.items()})


@contextmanager
def _opened(name: str | None, standard_output: Any) -> Iterator[Any]:
    if name is None:
        yield standard_output
        return
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        yield file


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"--since {text!r} is no time: {error}") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise CommandError(f"--state {text!r} is no id of a state") from error
