"""Deprecated: state recovery took the place of caching by input."""

import warnings

from rh_agents.core.retired_cache import FileCacheBackend, InMemoryCacheBackend

__all__ = ["FileCacheBackend", "InMemoryCacheBackend"]

warnings.warn(
    "rh_agents.core.cache is deprecated and does nothing: use rh_agents.core.state_recovery",
    DeprecationWarning,
    stacklevel=2,
)
