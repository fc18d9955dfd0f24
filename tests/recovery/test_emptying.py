"""What is left of a test that committed: nothing but what the migrations wrote."""

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from recovery.models import State
from tests.emptying import _fixture_teardown, tables

pytestmark = pytest.mark.django_db(transaction=True)


def rows(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")
        return cursor.fetchone()[0]


def test_every_table_is_emptied_but_those_that_only_migrations_write():
    with connection.cursor() as cursor:
        names = set(connection.introspection.table_names(cursor))
    # Not those of the database itself, nor what a sample loaded. What is searched goes with its request.
    ours = {name for name in names if name.startswith(("auth_", "django_", "recovery_"))}
    searched = {name for name in names if name.startswith("recovery_requestwords")}
    assert ours - set(tables()) - searched == {"django_content_type", "auth_permission", "django_migrations"}


def test_what_was_committed_goes_however_it_hangs_together(make_user, run_until_it_waits):
    run_until_it_waits(by=make_user("ada"))
    written = {name for name in tables() if rows(name)}
    permissions = list(Permission.objects.values_list())
    assert {"recovery_state", "recovery_event", "auth_user", "auth_user_user_permissions"} <= written

    _fixture_teardown(None)

    assert {name: rows(name) for name in tables() if rows(name)} == {}
    if connection.vendor == "sqlite":
        assert rows("recovery_requestwords") == 0
    assert list(Permission.objects.values_list()) == permissions


def test_what_only_migrations_write_comes_back_after_a_test_that_changed_it():
    known = set(Permission.objects.values_list("codename", "content_type__model"))
    Permission.objects.filter(codename="decide_approvalrequest").delete()
    Permission.objects.create(codename="fly", content_type=ContentType.objects.get_for_model(State))

    _fixture_teardown(None)

    assert set(Permission.objects.values_list("codename", "content_type__model")) == known
