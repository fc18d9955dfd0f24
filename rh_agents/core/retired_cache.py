"""The cache backends of old, which import and do nothing, so that programs can be moved one import at a time."""

from collections.abc import Callable
from typing import Any


def _nothing(*ignored: Any, **also_ignored: Any) -> None:
    return None


class _Retired:
    """Every method it may have had takes anything, does nothing and gives None, which is what a cache without the key
    gave."""

    def __init__(self, *ignored: Any, **also_ignored: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)  # Python itself asks for these, when it copies for example.
        return _nothing

    def __contains__(self, key: object) -> bool:
        return False


class FileCacheBackend(_Retired):
    """Takes what it used to take, and keeps nothing."""

    def __init__(self, cache_dir: Any = ".cache", *ignored: Any, **also_ignored: Any) -> None:
        self.cache_dir = cache_dir


class InMemoryCacheBackend(_Retired):
    """Keeps nothing."""
