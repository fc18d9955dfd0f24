"""What every test may use."""

pytest_plugins = ["tests.no_skips", "tests.emptying", "tests.messages", "tests.only_database", "tests.sharing"]
