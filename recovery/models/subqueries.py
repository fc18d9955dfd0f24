"""What comes along with a row instead of costing a query of its own."""

from typing import Any

from django.db.models import JSONField, QuerySet, Subquery


class ListOf(Subquery):
    """The values of one column of a subquery, as a list; `None` or empty where it has no rows."""

    template = '(SELECT JSONB_AGG(listed."%(column)s") FROM (%(subquery)s) AS listed)'

    def __init__(self, queryset: QuerySet[Any, Any], column: str) -> None:
        super().__init__(queryset, output_field=JSONField(), column=column)

    def as_sqlite(self, compiler: Any, connection: Any, **options: Any) -> Any:
        template = '(SELECT JSON_GROUP_ARRAY(listed."%(column)s") FROM (%(subquery)s) AS listed)'
        return super().as_sql(compiler, connection, template=template, **options)  # type: ignore[call-arg]
