"""States and artifacts in memory, for tests and for runs that need not outlive the process.

They are kept as they would be in a file, so nothing that a caller changes later changes what was saved.
"""

import threading
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rh_agents.checkpoint_lines import HASHES, Summary, decode_lines, encode_line, summarise
from rh_agents.core.errors import CorruptStateError, IncompatibleVersionError, SerializationError, StaleWriterError
from rh_agents.core.serialization import EncodedArtifact, check_content, decode_artifact, encode_artifact, is_content_id
from rh_agents.core.serialization import artifact_id as content_id
from rh_agents.core.state_backend import ArtifactBackend, StateBackend
from rh_agents.core.state_recovery import Changes, StateSnapshot, StateStatus, check_version
from rh_agents.safe_ids import check_id


class InMemoryStateBackend(StateBackend):
    """Keeps every checkpoint of every state until it is deleted. Threads may share it."""

    supports_append = True

    def __init__(self) -> None:
        self._states: dict[str, list[bytes]] = {}
        self._lock = threading.Lock()

    def save_state(self, snapshot: StateSnapshot) -> bool:
        state_id = check_id(snapshot.state_id, "state id")
        check_version(snapshot.version)
        with self._lock:
            lines = self._states.get(state_id)
            changes = Changes.between(decode_lines(lines, state_id) if lines else None, snapshot)
            line = encode_line(changes)
            self._states.setdefault(state_id, []).append(line[:-1])
        snapshot.head = changes.base + 1
        snapshot.created_at = changes.created_at or snapshot.created_at
        snapshot.updated_at = changes.updated_at
        return True

    def append(self, changes: Changes) -> int:
        check_id(changes.state_id, "state id")
        line = encode_line(changes)
        with self._lock:
            head = len(self._states.get(changes.state_id, ()))
            if changes.base != head:
                raise StaleWriterError(
                    f"state {changes.state_id!r} stands at checkpoint {head}; "
                    f"these changes follow checkpoint {changes.base}"
                )
            self._states.setdefault(changes.state_id, []).append(line[:-1])
        return head + 1

    def load_state(self, state_id: str) -> StateSnapshot | None:
        lines = self._lines(state_id)
        return decode_lines(lines, state_id) if lines else None

    def load_checkpoint(self, state_id: str, number: int) -> StateSnapshot | None:
        lines = self._lines(state_id)
        return decode_lines(lines, state_id, until=number) if 1 <= number <= len(lines) else None

    def list_states(
        self,
        tags: Sequence[str] | None = None,
        status: StateStatus | None = None,
        pipeline_name: str | None = None,
        limit: int = 100,
    ) -> list[StateSnapshot]:
        """See `StateBackend`. Warns about a state that cannot be read, and goes on."""
        if limit < 0:
            raise ValueError(f"limit is {limit}; it must not be negative")
        with self._lock:
            states = {state_id: list(lines) for state_id, lines in self._states.items()}
        matching: list[tuple[Summary, str]] = []
        for state_id, lines in states.items():
            try:
                summary = summarise(lines, state_id)
            except (CorruptStateError, IncompatibleVersionError, SerializationError) as error:
                warnings.warn(f"left out of the list: {error}", stacklevel=2)
                continue
            if summary.matches(tags, status, pipeline_name):
                matching.append((summary, state_id))
        matching.sort(key=lambda pair: (pair[0].updated_at, pair[1]), reverse=True)
        return [decode_lines(states[state_id], state_id) for _, state_id in matching[:limit]]

    def delete_state(self, state_id: str) -> bool:
        check_id(state_id, "state id")
        with self._lock:
            return self._states.pop(state_id, None) is not None

    def exists(self, state_id: str) -> bool:
        return check_id(state_id, "state id") in self._states

    def artifact_references(self) -> set[str]:
        with self._lock:
            states = [list(lines) for lines in self._states.values()]
        return {found.decode() for lines in states for line in lines for found in HASHES.findall(line)}

    def _lines(self, state_id: str) -> list[bytes]:
        check_id(state_id, "state id")
        with self._lock:
            return list(self._states.get(state_id, ()))


class InMemoryArtifactBackend(ArtifactBackend):
    """Keeps encoded values. No pickle is written or read unless `allow_pickle`."""

    def __init__(self, *, allow_pickle: bool = False) -> None:
        self._artifacts: dict[str, EncodedArtifact] = {}
        self._saved_at: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self.allow_pickle = allow_pickle

    def save_artifact(self, artifact_id: str, artifact: Any) -> bool:
        check_id(artifact_id, "artifact id")
        return self.save_encoded(
            artifact_id, *encode_artifact(artifact, key=artifact_id, allow_pickle=self.allow_pickle)
        )

    def save_encoded(self, artifact_id: str, codec: str, payload: bytes, media_type: str = "") -> bool:
        with self._lock:
            self._artifacts[check_id(artifact_id, "artifact id")] = EncodedArtifact(codec, payload, media_type)
            self._saved_at[artifact_id] = datetime.now(UTC)
        return True

    def load_artifact(self, artifact_id: str) -> Any:
        encoded = self._artifacts.get(check_id(artifact_id, "artifact id"))
        if encoded is None:
            return None
        if is_content_id(artifact_id):
            check_content(artifact_id, content_id(encoded))
        return decode_artifact(encoded.codec, encoded.payload, allow_pickle=self.allow_pickle)

    def delete_artifact(self, artifact_id: str) -> bool:
        with self._lock:
            return self._artifacts.pop(check_id(artifact_id, "artifact id"), None) is not None

    def delete_if_unsaved(self, artifact_id: str, since: datetime) -> bool:
        with self._lock:
            if self._saved_at[check_id(artifact_id, "artifact id")] > since:
                return False
            return self._artifacts.pop(artifact_id, None) is not None

    def exists(self, artifact_id: str) -> bool:
        return check_id(artifact_id, "artifact id") in self._artifacts

    def list_artifacts(self) -> list[str]:
        return sorted(self._artifacts)

    def get_size(self, artifact_id: str) -> int | None:
        encoded = self._artifacts.get(check_id(artifact_id, "artifact id"))
        return None if encoded is None else len(encoded.payload)
