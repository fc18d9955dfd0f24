"""Deprecated: state recovery took the place of caching by input."""

import warnings

from rh_agents.core.retired_cache import FileCacheBackend, InMemoryCacheBackend

__all__ = ["FileCacheBackend", "InMemoryCacheBackend"]

warnings.warn(
    "rh_agents.cache_backends is deprecated and does nothing: use FileSystemStateBackend and FileSystemArtifactBackend "
    "of rh_agents.state_backends",
    DeprecationWarning,
    stacklevel=2,
)
