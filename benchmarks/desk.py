"""The reviewer's desk: how long the server takes for the inbox with 100 000 open requests among a million states.

    .venv/bin/python -m benchmarks.desk            # makes the database on first use (some minutes), then measures
    .venv/bin/python -m benchmarks.desk --fresh    # makes it anew
    .venv/bin/python -m benchmarks.desk --drop     # and leaves nothing behind

Server time through Django's test client, signed in, production settings, PostgreSQL at BENCH_POSTGRES_URL.
"""

import argparse
import gzip
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

URL = os.environ.get("BENCH_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")
NAME = "rhdashboard_desk"

MEASURED = {
    "for me": "/",
    "all open": "/?tab=open",
    "decided": "/?tab=decided",
    "pipeline, of many": "/?pipeline=pipeline-0",
    "pipeline, of few": "/?pipeline=pipeline-19",
    "pipeline, of few, decided": "/?tab=decided&pipeline=pipeline-19",
    "risk low": "/?risk=low",
    "risk critical, decided": "/?tab=decided&risk=critical",
    "tag, of many": "/?tag=tag-0",
    "tag, of few": "/?tag=tag-39",
    "tag, of one": "/?tag=rare-77",
    "tag, of few, decided": "/?tab=decided&tag=tag-39",
    "over 1 w old": "/?age=1w",
    "overdue": "/?due=over",
    "due within 1 h": "/?due=1h",
    "without a due date": "/?due=none",
    "held by me": "/?held=me",
    "held by others": "/?held=others",
    "held by nobody": "/?held=nobody",
    "search, in 1 of 8": "/?text=refund",
    "search, in 1 of 200": "/?text=object17",
    "search, in 1 of 5000": "/?text=name4711",
    "search, one": "/?text=order123",
    "search, one letter": "/?text=o",
    "search, two words": "/?text=refund+object17",
    "search, no such word": "/?text=nothinglikeit",
    "search, all open": "/?tab=open&text=object17",
    "search, decided": "/?tab=decided&text=object17",
    "search, one, decided": "/?tab=decided&text=name4711",
    "several filters": "/?pipeline=pipeline-1&risk=medium&tag=tag-1&age=1h&held=nobody&text=refund",
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--open", type=int, default=100_000)
    arguments.add_argument("--decided", type=int, default=300_000)
    arguments.add_argument("--states", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=21)
    arguments.add_argument("--fresh", action="store_true", help="make the database anew")
    arguments.add_argument("--drop", action="store_true", help="drop it afterwards")
    arguments.add_argument("--only", default="", help="only what has this in its name")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _prepare(folder)
        # Models can be loaded from here on only.
        from benchmarks import desk_data

        with psycopg.connect(URL, autocommit=True) as server:
            if given.fresh:
                server.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
            known = server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone()
            if known is None:
                server.execute(f"CREATE DATABASE {NAME}")
                # As docs/guide/operating.md says for any disk that does not turn: else an index looks too dear.
                server.execute(f"ALTER DATABASE {NAME} SET random_page_cost = 1.1")
        started = time.perf_counter()
        if desk_data.fill(given.states, given.open, given.decided):
            print(f"made in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        _measure(given, desk_data.REVIEWER)
    if given.drop:
        with psycopg.connect(URL, autocommit=True) as server:
            server.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


def _prepare(folder: str) -> None:
    """Django as it runs in production, with the static files where it looks for them."""
    parts = urlsplit(URL)
    os.environ |= {
        "DATABASE_URL": urlunsplit(parts._replace(path=f"/{NAME}")),
        "RHDASHBOARD_VAR_DIR": folder,
        "DJANGO_SETTINGS_MODULE": "rhdashboard.settings",
        "LOG_LEVEL": "WARNING",
        "DEBUG": "",
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("collectstatic", verbosity=0, interactive=False)


def _measure(given: argparse.Namespace, reviewer: str) -> None:
    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(get_user_model()._default_manager.get(username=reviewer))
    pages = dict(MEASURED)
    for tab in ("mine", "open", "decided"):
        pages |= _later_pages(client, tab)
    print(f"\n{'':32}{'p50 ms':>8}{'p95 ms':>8}{'db ms':>8}{'queries':>9}{'rows':>6}{'KB gz':>7}")
    for name, url in pages.items():
        if given.only not in name:
            continue
        took = []
        for _ in range(given.rounds):
            started = time.perf_counter()
            page = client.get(url)
            took.append((time.perf_counter() - started) * 1000)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200, url
        rows = page.content.count(b'<li class="inbox-row')
        in_database = sum(float(query["time"]) for query in queries.captured_queries) * 1000
        p95 = statistics.quantiles(took, n=20)[-1]
        size = len(gzip.compress(page.content)) / 1024
        figures = f"{statistics.median(took):8.1f}{p95:8.1f}{in_database:8.1f}{len(queries):9}{rows:6}{size:7.1f}"
        print(f"{name:32}{figures}")
    page = client.get("/").content
    print(f"\nThe first page with all that it loads: {_weight(page) / 1024:.0f} KB, compressed")


def _later_pages(client: Any, tab: str) -> dict[str, str]:
    """The second page and the twentieth, as the link under the list leads there."""
    found, url = {}, f"/?tab={tab}"
    for number in range(2, 21):
        more = re.search(rb'class="inbox-more"><a class="btn" href="([^"]+)"', client.get(url).content)
        if more is None:
            break
        url = more[1].decode().replace("&amp;", "&")
        if number in (2, 20):
            found[f"{tab}, page {number}"] = url
    return found


def _weight(page: bytes) -> int:
    from django.conf import settings

    names = {match.decode() for match in re.findall(rb'(?:href|src)="/static/([^"#]+)', page)}
    files = [Path(settings.STATIC_ROOT, name).read_bytes() for name in names]
    # A font is compressed as it is.
    return sum(len(gzip.compress(one)) for one in [page, *files])


if __name__ == "__main__":
    main()
