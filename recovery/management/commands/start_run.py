"""`manage.py start_run NAME --input FILE`: start a run from a JSON file."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from recovery.errors import InvalidInput, UnknownPipeline
from recovery.services.start_run import start_run


class Command(BaseCommand):
    help = "Start a run of a registered pipeline."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("pipeline", help="the name it is registered under")
        parser.add_argument("--input", metavar="FILE", help="JSON of the input; - reads standard input; default {}")
        parser.add_argument("--description", default="", help="what people know the run by")
        parser.add_argument("--tag", action="append", default=[], dest="tags", help="may be given several times")
        parser.add_argument("--by", metavar="USERNAME", help="whose run it is")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            state = start_run(
                options["pipeline"],
                _read(options["input"]),
                by=_user(options["by"]),
                description=options["description"],
                tags=options["tags"],
                channel="command",
            )
        except (UnknownPipeline, InvalidInput) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(state.pk))


def _read(name: str | None) -> Any:
    if name is None:
        return {}
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        return json.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"the input file cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise CommandError(f"{name} is not JSON: {error}") from error
    except RecursionError as error:
        raise CommandError(f"{name} is not JSON: it is nested too deeply") from error


def _user(username: str | None) -> Any:
    if username is None:
        return None
    user = get_user_model().objects.filter(username=username).first()
    if user is None:
        raise CommandError(f"no user is named {username!r}")
    return user
