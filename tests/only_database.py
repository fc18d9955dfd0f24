"""`--only-database`: the tests that ask the database something, for the second pass on another one.

What has no fixture and no mark of the database cannot come out otherwise there. The first pass runs everything.
"""

import pytest

FIXTURES = {"db", "transactional_db", "django_db_setup", "live_server"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--only-database", action="store_true", help="leave out the tests that use no database")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--only-database"):
        return
    others = [item for item in items if not _asks_the_database(item)]
    items[:] = [item for item in items if _asks_the_database(item)]
    config.hook.pytest_deselected(items=others)


def _asks_the_database(item: pytest.Item) -> bool:
    return item.get_closest_marker("django_db") is not None or bool(FIXTURES & set(getattr(item, "fixturenames", ())))
