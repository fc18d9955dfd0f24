"""Queries that are written down once. The ORM says what they are, but takes longer to write one down than the database
takes to run it: what runs for every decision and every resume is kept as the database takes it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from django.core.signals import setting_changed
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3.base import FORMAT_QMARK_REGEX, SQLiteCursorWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models.query import ModelIterable, get_related_populators  # type: ignore[attr-defined]  # not in its stubs
from django.db.models.sql import UpdateQuery

from recovery.models.texts import PlainlyRefused

Build = Callable[[Any], "models.QuerySet[Any, Any]"]


class _Place(NamedTuple):
    """Where a value goes that the caller gives by name."""

    name: str


class _Written(NamedTuple):
    """A query as one kind of database takes it; how rows become instances, unless they are tuples."""

    text: str
    values: Sequence[Any]
    compiler: Any
    converters: Any
    build: Callable[[Sequence[Any]], Any] = tuple


class Prepared:
    """A query with places for values: `Prepared(lambda given: State.objects.filter(pk=given.pk), pk=UUID)`, then
    `first(pk=...)`.

    `build` gets an object with an attribute for each of `kinds`, to be compared with; these are `UUID`, `int`, `str`
    and `datetime`. It gives a queryset of models, with `select_related`, `defer` and `annotate` if it
    likes, or of `values_list`.
    """

    def __init__(self, build: Build, **kinds: type) -> None:
        self._build = build
        self._kinds = kinds
        self._written: dict[str, _Written] = {}
        self._as_of = 0

    def all(self, **values: Any) -> list[Any]:
        """Model instances; tuples of a `values_list`."""
        written = self._as_written()
        with self._cursor() as cursor:
            cursor.execute(written.text, _filled(written, values))
            rows = cursor.fetchall()
        if written.converters:
            rows = written.compiler.apply_converters(rows, written.converters)
        return [written.build(row) for row in rows]

    def first(self, **values: Any) -> Any:
        """The first of them or `None`; of a query that gives few."""
        found = self.all(**values)
        return found[0] if found else None

    def _as_written(self) -> _Written:
        vendor = connections[DEFAULT_DB_ALIAS].vendor
        if self._as_of != _settings_changed:
            self._written, self._as_of = {}, _settings_changed
        if vendor not in self._written:
            given, places = _given(self._kinds)
            queryset = self._build(given)
            compiler = self._compiler(queryset, given)
            text, values = compiler.as_sql()
            gives_instances = getattr(queryset, "_iterable_class", None) is ModelIterable
            build = _builder(compiler) if gives_instances and compiler.klass_info else tuple
            self._written[vendor] = _Written(
                text, [places.get(value, value) for value in values], compiler, self._converters(compiler), build
            )
        return self._written[vendor]

    def _cursor(self) -> CursorWrapper:
        return open_cursor()

    def _compiler(self, queryset: Any, given: Any) -> Any:
        return queryset.query.get_compiler(DEFAULT_DB_ALIAS)

    def _converters(self, compiler: Any) -> Any:
        return compiler.get_converters([column[0] for column in compiler.select[: compiler.col_count]])


class PreparedList(Prepared):
    """One whose best plan depends on its values, as that of a long list does: PostgreSQL sees them each time."""

    def _cursor(self) -> CursorWrapper:
        return connections[DEFAULT_DB_ALIAS].cursor()


class PreparedUpdate(Prepared):
    """An update with places for values: `build` gives the queryset, `changes` the columns, as `QuerySet.update` takes
    them."""

    def __init__(self, build: Build, changes: Callable[[Any], dict[str, Any]], **kinds: type) -> None:
        super().__init__(build, **kinds)
        self._changes = changes

    def run(self, **values: Any) -> int:
        """How many rows there were."""
        written = self._as_written()
        with open_cursor() as cursor:
            cursor.execute(written.text, _filled(written, values))
            count: int = cursor.rowcount
            return count

    def returning(self, column: str, **values: Any) -> list[Any]:
        """What `column` is now, of each row; only where `can_return` says so."""
        written = self._as_written()
        with open_cursor() as cursor:
            cursor.execute(f'{written.text} RETURNING "{column}"', _filled(written, values))
            return [row[0] for row in cursor.fetchall()]

    def _compiler(self, queryset: Any, given: Any) -> Any:
        query = queryset.query.chain(UpdateQuery)
        query.add_update_values(self._changes(given))
        return query.get_compiler(DEFAULT_DB_ALIAS)

    def _converters(self, compiler: Any) -> Any:
        return None  # It gives no rows.


_settings_changed = 0


def _forget(**_: Any) -> None:
    """What is written down may hold a setting, which tests change."""
    global _settings_changed
    _settings_changed += 1


setting_changed.connect(_forget)


def can_return() -> bool:
    """Whether this database gives the columns of rows that it updated; an older SQLite does not."""
    return bool(connections[DEFAULT_DB_ALIAS].features.can_return_columns_from_insert)


def _given(kinds: dict[str, type]) -> tuple[Any, dict[Any, _Place]]:
    """A value that stands for each place while the query is written down, and where to find it again."""
    adapt_time = connections[DEFAULT_DB_ALIAS].ops.adapt_datetimefield_value
    given: dict[str, Any] = {}
    places: dict[Any, _Place] = {}
    for number, (name, kind) in enumerate(kinds.items()):
        value: Any = _STANDING_FOR[kind](number)
        written = {UUID: [value, getattr(value, "hex", "")], datetime: [value]}.get(kind, [value])
        if kind is datetime:
            written.append(adapt_time(value))
        given[name] = value
        places |= dict.fromkeys(written, _Place(name))
    return SimpleNamespace(**given), places


# No query names these for another reason.
_STANDING_FOR: dict[type, Callable[[int], Any]] = {
    UUID: lambda number: UUID(int=(0x706C616365 << 64) + number),
    int: lambda number: 1_987_654_321 + number,
    str: lambda number: f"\ue000place {number}\ue000",
    datetime: lambda number: datetime(2987, 6, 5, tzinfo=UTC) + timedelta(microseconds=number),
}


def _filled(written: _Written, values: dict[str, Any]) -> Sequence[Any]:
    filled = [values[value.name] if type(value) is _Place else value for value in written.values]
    return adapted(connections[DEFAULT_DB_ALIAS], filled)


def _builder(compiler: Any) -> Callable[[Sequence[Any]], Any]:
    """What makes a model instance of a row, as a queryset does."""
    model, positions = compiler.klass_info["model"], compiler.klass_info["select_fields"]
    start, end = positions[0], positions[-1] + 1
    names = [column[0].target.attname for column in compiler.select[start:end]]
    annotated = compiler.annotation_col_map
    populators = get_related_populators(compiler.klass_info, compiler.select, DEFAULT_DB_ALIAS)

    def build(row: Sequence[Any]) -> Any:
        instance = model.from_db(DEFAULT_DB_ALIAS, names, row[start:end])
        for populator in populators:
            populator.populate(row, instance)
        for name, position in annotated.items():
            setattr(instance, name, row[position])
        return instance

    return build


# ---- Rows that are new ----


class _Insertion(NamedTuple):
    text: str
    fields: Sequence[tuple[Any, Sequence[type]]]
    counted: str


def insert(row: PlainlyRefused) -> None:
    """Insert a new row and set the key that the database counts. No signals are sent, as by `bulk_create`.

    Raises:
        ValueError: naming the column, for a text that no database holds.
    """
    row.check_texts()
    database = connections[DEFAULT_DB_ALIAS]
    is_postgresql = database.vendor == "postgresql"
    text, fields, counted = _insertion(type(row), is_postgresql)
    values = [
        value if type(value := field.pre_save(row, add=True)) in plain else field.get_db_prep_save(value, database)
        for field, plain in fields
    ]
    with open_cursor() as cursor:
        cursor.execute(text, values)
        if counted:
            setattr(row, counted, cursor.fetchone()[0] if is_postgresql else cursor.lastrowid)
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


@cache
def _insertion(model: type[PlainlyRefused], returns: bool) -> _Insertion:
    key: Any = model._meta.pk
    counted = key.attname if isinstance(key, models.AutoField) else ""
    fields = [field for field in model._meta.concrete_fields if field.attname != counted]
    names, marks = ", ".join(f'"{field.column}"' for field in fields), ", ".join(["%s"] * len(fields))
    text = f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES ({marks})'  # noqa: S608  names of our own
    if counted and returns:
        text += f' RETURNING "{key.column}"'
    return _Insertion(text, [(field, _plain_kinds(field)) for field in fields], counted)


def _plain_kinds(field: Any) -> Sequence[type]:
    """Of what kind a value is that every database takes as it is."""
    return () if isinstance(field, models.JSONField) else (str, int, type(None))


# ---- Cursors ----


def open_cursor() -> CursorWrapper:
    """One for statements that run again and again. On PostgreSQL it leaves the values to the server, so that a
    statement is planned once a connection where the settings allow it (`prepare_threshold`): Django's own cursor
    sends a new text each time, and to plan the checkpoint after a step takes longer than to run it."""
    database = connections[DEFAULT_DB_ALIAS]
    database.ensure_connection()
    bare: Any = psycopg.Cursor if database.vendor == "postgresql" else _SQLiteCursor
    cursor = bare(database.connection)
    return database.make_debug_cursor(cursor) if database.queries_logged else database.make_cursor(cursor)


def adapted(database: BaseDatabaseWrapper, values: Sequence[Any]) -> Sequence[Any]:
    """Ids and times are text on SQLite."""
    if database.vendor == "postgresql":
        return values
    adapt_time = database.ops.adapt_datetimefield_value
    return [
        value.hex if type(value) is UUID else adapt_time(value) if isinstance(value, datetime) else value
        for value in values
    ]


class _SQLiteCursor(SQLiteCursorWrapper):
    """Rewrites the place holders of a statement once. Django does it each time, with a regular expression."""

    def convert_query(self, query: str, *, param_names: list[str] | None = None) -> str:
        return _with_question_marks(query)


@lru_cache(maxsize=256)
def _with_question_marks(statement: str) -> str:
    return FORMAT_QMARK_REGEX.sub("?", statement).replace("%%", "%")
