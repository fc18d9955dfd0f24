"""Filters of the lists that stay quick on large tables: no `SELECT DISTINCT`, no counts."""

from collections.abc import Iterator
from typing import Any, cast

from django.contrib import admin
from django.db import connection
from django.db.models import Model, Q, QuerySet

from recovery.models import ApprovalRequest, State

NAMES_AT_MOST = 100
TAGS_AT_MOST = 10


def names_in(model: type[Model], column: str) -> list[str]:
    """The first distinct values of a column that leads an index, in order: one look into the index for each of them."""
    table, name = (connection.ops.quote_name(part) for part in (model._meta.db_table, column))
    # Only quoted names of our own models are put in.
    sql = f"""
        WITH RECURSIVE found(name) AS (
            SELECT MIN({name}) FROM {table} WHERE {name} > ''
            UNION ALL
            SELECT (SELECT MIN({name}) FROM {table} WHERE {name} > found.name) FROM found WHERE found.name IS NOT NULL
        )
        SELECT name FROM found WHERE name IS NOT NULL LIMIT {NAMES_AT_MOST}
    """  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [row[0] for row in cursor.fetchall()]


class PipelineFilter(admin.SimpleListFilter):
    title = "pipeline"
    parameter_name = "pipeline"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in names_in(State, "pipeline")]

    def has_output(self) -> bool:
        return True

    def queryset(self, request: Any, queryset: QuerySet) -> QuerySet:
        value = _storable(self.value())
        return queryset.filter(pipeline=value) if value else queryset


class OpenFilter(admin.SimpleListFilter):
    title = "open or decided"
    parameter_name = "is"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("decided", "Decided")]

    def queryset(self, request: Any, queryset: QuerySet[ApprovalRequest]) -> QuerySet[ApprovalRequest]:
        if self.value() not in ("open", "decided"):
            return queryset
        return queryset.filter(resolved_at__isnull=self.value() == "open")


class WrittenFilter(admin.SimpleListFilter):
    """A filter whose value is written, for values that are too many to list."""

    template = "admin/recovery/written_filter.html"
    hint = ""

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return []

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: Any) -> Iterator[Any]:
        """One: the value, and what else stands in the address."""
        others = {
            name: values[-1]
            for name, values in changelist.filter_params.items()
            if name != self.parameter_name and values
        }
        if changelist.query:
            others["q"] = changelist.query
        yield {
            "name": self.parameter_name,
            "value": self.value() or "",
            "hint": self.hint,
            "others": others.items(),
            "url_without": changelist.get_query_string(remove=[self.parameter_name]) if self.value() else "",
            "selected": bool(self.value()),
        }


class TagFilter(WrittenFilter):
    title = "tag"
    parameter_name = "tag"
    hint = "Several, with commas between: all of them."

    def queryset(self, request: Any, queryset: Any) -> Any:
        written = (tag.strip() for tag in _storable(self.value()).split(","))
        first, *others = list(dict.fromkeys(tag for tag in written if tag))[:TAGS_AT_MOST] or [""]
        # A join for the first, which is unique for each state: it begins at the states of that tag.
        return queryset.filter(tags__tag=first).tagged(others) if first else queryset


class CreatedFilter(admin.DateFieldListFilter):
    """Nothing was updated before it was created, and only `updated_at` has an index."""

    def queryset(self, request: Any, queryset: QuerySet) -> QuerySet:
        found = cast(QuerySet, super().queryset(request, queryset))
        since: Any = self.used_parameters.get(self.lookup_kwarg_since, [])
        return found.filter(*(Q(updated_at__gte=moment) for moment in since))


class ActionFilter(WrittenFilter):
    title = "action"
    parameter_name = "action"
    hint = "For example decided, refused, deleted."

    def queryset(self, request: Any, queryset: QuerySet) -> QuerySet:
        value = _storable(self.value())
        return queryset.filter(action=value) if value else queryset


class ActorFilter(WrittenFilter):
    title = "actor"
    parameter_name = "actor"
    hint = "A user name."

    def queryset(self, request: Any, queryset: QuerySet) -> QuerySet:
        value = _storable(self.value())
        return queryset.filter(actor=value) if value else queryset


def _storable(value: str | None) -> str:
    return (value or "").strip().replace("\x00", "")
