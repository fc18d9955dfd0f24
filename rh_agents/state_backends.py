"""Where states and artifacts live: in files, or in memory for as long as the process runs."""

from rh_agents.core.serialization import artifact_id, encode_artifact
from rh_agents.file_artifacts import FileSystemArtifactBackend
from rh_agents.file_states import FileSystemStateBackend
from rh_agents.memory_backends import InMemoryArtifactBackend, InMemoryStateBackend

__all__ = [
    "FileSystemArtifactBackend",
    "FileSystemStateBackend",
    "InMemoryArtifactBackend",
    "InMemoryStateBackend",
    "compute_artifact_id",
]


def compute_artifact_id(value: object) -> str:
    """The id that names the content: equal values of one type have the same, and are stored once.

    Raises:
        SerializationError: the value cannot be written.
    """
    return artifact_id(encode_artifact(value))
