"""What a long list needs that Django's queries do not say: the first rows of several queries as one, rows compared as
a whole, counts that stop, and names beside a row without a query of their own."""

from collections.abc import Callable, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models import Func, Subquery, Value
from django.db.models.expressions import Expression
from django.db.models.lookups import GreaterThan, LessThan


class EitherOf(Expression):
    """The ids that one of `queries` gives, for `pk__in`. Each may be sliced, unlike those of a union: so each takes
    its first rows from the index that has them in order, and only these few are put in order together."""

    def __init__(self, *queries: models.QuerySet[Any]) -> None:
        super().__init__(output_field=models.UUIDField())
        self.parts: list[Any] = [Subquery(query.values("pk")) for query in queries]

    def get_source_expressions(self) -> list[Any]:
        return self.parts

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        self.parts = list(exprs)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        sql, params = self.union_sql(compiler)
        return f"({sql})", params

    def union_sql(self, compiler: Any) -> tuple[str, list[Any]]:
        parts, params = [], []
        for number, part in enumerate(self.parts):
            try:
                sql, given = compiler.compile(part)
            except EmptyResultSet:
                continue
            parts.append(f"SELECT * FROM {sql} part{number}")  # noqa: S608  nothing given
            params += given
        if not parts:
            raise EmptyResultSet
        return " UNION ALL ".join(parts), params


class CountOf(EitherOf):
    """How many rows `queries` give, counted up to `at_most`: a later one is not looked at once there are as many."""

    def __init__(self, *queries: models.QuerySet[Any], at_most: int) -> None:
        super().__init__(*(query[:at_most] for query in queries))
        self.output_field = models.IntegerField()
        self.at_most = at_most

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        try:
            sql, params = self.union_sql(compiler)
        except EmptyResultSet:
            return "0", []
        return f"(SELECT COUNT(*) FROM ({sql} LIMIT %s) counted)", [*params, self.at_most]  # noqa: S608  nothing given


class ListOf(Subquery):
    """The values that a query of one column gives, as a list."""

    output_field = models.JSONField()

    def as_sql(self, compiler: Any, connection: Any, template: str | None = None, **extra: Any) -> tuple[str, Any]:
        listed = "to_jsonb(ARRAY(%(subquery)s))"
        if connection.vendor == "sqlite":
            # By its place: the column may have any name.
            listed = "(WITH listed(value) AS (%(subquery)s) SELECT json_group_array(value) FROM listed)"
        return super().as_sql(compiler, connection, template or listed, **extra)  # type: ignore[call-arg]


Written = tuple[list[str], list[Any]]

WRITTEN_AT_MOST = 1_000
_written: dict[Any, Written] = {}


def written(build: Callable[[], Sequence[Any]], key: Any = None) -> Written:
    """The expressions of `build`, which stand for themselves, as SQL and its parameters. Under a `key` they are written
    once: that takes longer than the database takes to answer. Whatever they are made of has to be in the key."""
    known = _written.get(key) if key is not None else None
    if known is not None:
        return known
    compiler = models.sql.Query(None).get_compiler(connection=connections[DEFAULT_DB_ALIAS])
    parts, params = [], []
    for expression in build():
        try:
            sql, given = compiler.compile(expression)
        except EmptyResultSet:
            sql, given = "NULL", []
        parts.append(sql)
        params += given
    if key is not None:
        if len(_written) >= WRITTEN_AT_MOST:
            _written.clear()
        _written[key] = parts, params
    return parts, params


def fetch(*asked: Written) -> list[Any]:
    """What the database says to all of that, in one query."""
    parts = [part for parts, _ in asked for part in parts]
    if not parts:
        return []
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(parts)}", [value for _, params in asked for value in params])
        return list(cursor.fetchone())


class _Row(Func):
    template = "(%(expressions)s)"
    output_field = models.BooleanField()


def beyond(values: dict[str, Any], *, is_falling: bool = False) -> Any:
    """A filter for what comes after the row with these values, in the order of these columns: as one comparison, which
    an index of them answers, and not column by column."""
    compare = LessThan if is_falling else GreaterThan
    return compare(_Row(*values), _Row(*(Value(value) for value in values.values())))


def different(rows: models.QuerySet[Any], column: str, at_most: int) -> list[Any]:
    """The first different values of a column, in order. An index of it is asked for one after the other: a DISTINCT
    would read every row."""
    model, connection = rows.model, connections[rows.db]
    quoted = connection.ops.quote_name
    inner, params = rows.order_by().values(column).query.sql_with_params()
    name = quoted(model._meta.get_field(column).column)
    smallest = f"SELECT MIN(one.{name}) FROM ({inner}) one"  # noqa: S608  nothing given
    statement = (
        f"WITH RECURSIVE found(value) AS ({smallest} UNION ALL "  # noqa: S608
        f"SELECT ({smallest} WHERE one.{name} > found.value) FROM found WHERE found.value IS NOT NULL) "
        "SELECT value FROM found WHERE value IS NOT NULL LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*params, *params, at_most])
        return [value for (value,) in cursor.fetchall()]
