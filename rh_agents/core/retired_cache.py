"""The cache backends of old, which import and do nothing, so that programs can be moved one import at a time."""

from typing import Any


class FileCacheBackend:
    """Takes what it used to take, and keeps nothing."""

    def __init__(self, cache_dir: str = ".cache", **ignored: Any) -> None:
        self.cache_dir = cache_dir


class InMemoryCacheBackend:
    """Keeps nothing."""

    def __init__(self, **ignored: Any) -> None:
        pass
