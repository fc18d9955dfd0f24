"""The storage of the engine on Django's models: states with every checkpoint, and artifacts."""

from recovery.backends.artifacts import DjangoArtifactBackend
from recovery.backends.states import DjangoStateBackend, set_default_on_checkpoint

__all__ = ["DjangoArtifactBackend", "DjangoStateBackend", "set_default_on_checkpoint"]
