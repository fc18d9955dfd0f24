"""Searching requests: their words are kept by us and looked up by the full text of the database: a tsvector with a GIN
index on PostgreSQL, FTS5 on SQLite.

Words are made here and nowhere else, so both databases find the same: no accents, no upper case, letters and digits
alone. What somebody searches for is made of words in the same way, so no query can mean anything to a database.

On SQLite the words stand twice: in the row, and in `recovery_requestwords`, which goes with the row (ON DELETE CASCADE)
and which FTS5 follows by triggers. A trigger on the table of requests itself would be lost whenever a migration alters
that table, because SQLite makes it anew then.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from django.db import connections, models

# Of a longer text the rest is not searched: PostgreSQL indexes no more than a megabyte of words.
WORDS_AT_MOST = 2_000
LONGEST_WORD = 60
SEARCHED_AT_MOST = 12

# A script without spaces is searched letter by letter.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


def words_of(*texts: str) -> list[str]:
    """The different words of `texts`, in order."""
    found: dict[str, None] = {}
    for text in texts:
        for match in _WORD.finditer(_plain(text)):
            found[match[0][:LONGEST_WORD]] = None
            if len(found) >= WORDS_AT_MOST:
                return list(found)
    return list(found)


def _plain(text: str) -> str:
    # Twice: what is decomposed may be a capital letter, and a small one may be decomposed again.
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


class WordsField(models.TextField):
    """The words of a row, with a space between. Never shown: only `has` reads it."""

    def db_type(self, connection: Any) -> str:
        return "tsvector" if connection.vendor == "postgresql" else "text"

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:
        return "%s::tsvector" if connection.vendor == "postgresql" else "%s"


@WordsField.register_lookup
class Has(models.Lookup):
    """`words__has=["refund", "lind"]`: each of them begins a word."""

    lookup_name = "has"
    prepare_rhs = False
    # How a word is asked for: of PostgreSQL, and of FTS5.
    asked = ("'{}':*", '"{}" *')

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        is_postgres = connection.vendor == "postgresql"
        one, and_ = (self.asked[0], " & ") if is_postgres else (self.asked[1], " AND ")
        query = and_.join(one.format(word) for word in self.rhs)
        if is_postgres:
            column, params = self.process_lhs(compiler, connection)
            return f"{column} @@ %s::tsquery", [*params, query]
        request = f"{connection.ops.quote_name(self.lhs.alias)}.{connection.ops.quote_name('id')}"
        found = "SELECT rowid FROM recovery_requestwords_fts WHERE recovery_requestwords_fts MATCH %s"
        requests = f"SELECT request_id FROM recovery_requestwords WHERE id IN ({found})"  # noqa: S608  nothing given
        return f"{request} IN ({requests})", [query]


@WordsField.register_lookup
class HasWhole(Has):
    """`words__has_whole=["eu", "west"]`: each of them is a word. Quicker, where many words begin alike."""

    lookup_name = "has_whole"
    asked = ("'{}'", '"{}"')


def keep_words(rows: Iterable[tuple[Any, str]], using: str) -> None:
    """On SQLite, put the words of requests (id, words) where FTS5 follows them; elsewhere the row is enough."""
    connection = connections[using]
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO recovery_requestwords (request_id, words) VALUES (%s, %s) "
            "ON CONFLICT (request_id) DO UPDATE SET words = excluded.words",
            [(pk.hex, words) for pk, words in rows],
        )
