"""After a test that committed, its rows go, and nothing else.

Django's own way truncates every table and writes all content types and permissions anew: longer than most tests take.
"""

from typing import Any

from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection, transaction
from django.test import TransactionTestCase

KEPT = (ContentType, Permission)  # The migrations wrote them; no run, no person and no page does.

_kept_rows: list[tuple[Any, ...]] = []


def tables() -> list[str]:
    """Of all models but `KEPT`."""
    models = (model for model in apps.get_models(include_auto_created=True) if model not in KEPT)
    return sorted({model._meta.db_table for model in models if model._meta.managed and not model._meta.proxy})


def empty() -> None:
    """Delete every row of `tables()`."""
    quoted = [connection.ops.quote_name(name) for name in tables()]
    asked = " UNION ALL ".join(
        f"SELECT {place} WHERE EXISTS (SELECT 1 FROM {name})" for place, name in enumerate(quoted)
    )
    # Foreign keys are looked at when it commits, so the order is no matter.
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # A process that was killed while it committed may still be at it in the server: that is waited for.
            cursor.execute(f"LOCK TABLE {', '.join(quoted)} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(asked)
        for (place,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {quoted[place]}")


def _rows() -> list[tuple[Any, ...]]:
    return [row for model in KEPT for row in model.objects.order_by("pk").values_list()]


def _fixture_setup(cls: type[TransactionTestCase]) -> None:
    if not _kept_rows:
        _kept_rows.extend(_rows())


def _fixture_teardown(self: TransactionTestCase | None) -> None:
    empty()
    if _rows() != _kept_rows:  # A test that changed them after all.
        call_command("flush", verbosity=0, interactive=False, reset_sequences=False)
        _kept_rows[:] = _rows()


TransactionTestCase._fixture_setup = classmethod(_fixture_setup)
TransactionTestCase._fixture_teardown = _fixture_teardown
