"""The two interfaces of storage: where states live, and where artifacts live."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rh_agents.core.errors import (
    AddressError,
    AddressNotFoundError,
    AmbiguousReplayError,
    CorruptArtifactError,
    CorruptStateError,
    IncompatibleVersionError,
    PreconditionError,
    RhAgentsError,
    RunAbortedError,
    RunCancelledError,
    SerializationError,
    StaleWriterError,
    StateError,
    StateNotFoundError,
)
from rh_agents.core.serialization import is_content_id
from rh_agents.core.state_recovery import Changes, StateSnapshot, StateStatus

__all__ = [
    "AddressError",
    "AddressNotFoundError",
    "AmbiguousReplayError",
    "ArtifactBackend",
    "CorruptArtifactError",
    "CorruptStateError",
    "IncompatibleVersionError",
    "PreconditionError",
    "RhAgentsError",
    "RunAbortedError",
    "RunCancelledError",
    "SerializationError",
    "StaleWriterError",
    "StateBackend",
    "StateError",
    "StateNotFoundError",
]

GRACE = timedelta(hours=1)
"""How long an artifact may wait for the checkpoint that refers to it."""


class StateBackend(ABC):
    """Keeps snapshots. Every call is synchronous and may be made on a running event loop.

    A backend that can write only what changed overrides `append` and sets `supports_append`; the engine then
    never hands it a whole snapshot.
    """

    supports_append: bool = False

    @abstractmethod
    def save_state(self, snapshot: StateSnapshot) -> bool:
        """Save the whole snapshot; what was saved before under its id is replaced. `True`, or raises.

        `created_at` of the first save survives. `snapshot.head` is set to the number of the new checkpoint.

        Raises:
            IncompatibleVersionError: `snapshot.version` is of a later major version.
        """

    @abstractmethod
    def load_state(self, state_id: str) -> StateSnapshot | None:
        """The newest checkpoint, `None` if no such state was saved.

        Raises:
            ValueError: `state_id` is not a well-formed id.
            CorruptStateError: what is stored is damaged.
            IncompatibleVersionError: a later major version of the schema wrote it.
        """

    @abstractmethod
    def list_states(
        self,
        tags: Sequence[str] | None = None,
        status: StateStatus | None = None,
        pipeline_name: str | None = None,
        limit: int = 100,
    ) -> list[StateSnapshot]:
        """Newest first by `updated_at`, at most `limit`; a state must carry all of `tags`. Artifacts are not loaded."""

    @abstractmethod
    def delete_state(self, state_id: str) -> bool:
        """`True` if it was there and is gone."""

    @abstractmethod
    def exists(self, state_id: str) -> bool: ...

    def update_state(self, snapshot: StateSnapshot) -> bool:
        """Save over a state that is there already.

        Raises:
            StateNotFoundError: it is not there.
        """
        if not self.exists(snapshot.state_id):
            raise StateNotFoundError(f"no state has the id {snapshot.state_id!r}")
        return self.save_state(snapshot)

    def append(self, changes: Changes) -> int:
        """Write one checkpoint that adds `changes` to the newest one; its number.

        Raises:
            StaleWriterError: `changes.base` is not the newest checkpoint. Nothing was written.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot append; use save_state")

    def load_checkpoint(self, state_id: str, number: int) -> StateSnapshot | None:
        """The state as it stood at checkpoint `number`, `None` if there is no such checkpoint."""
        raise NotImplementedError(f"{type(self).__name__} does not keep earlier checkpoints")

    def artifact_references(self) -> set[str]:
        """The ids of all artifacts that any checkpoint of any state refers to, damaged states too. It may hold more:
        what is in it is not collected."""
        raise NotImplementedError(f"{type(self).__name__} does not say which artifacts it refers to")

    def remove_leftovers(self, before: datetime) -> None:  # noqa: B027  most have none
        """Remove what writers that were killed before that time left behind."""


class ArtifactBackend(ABC):
    """Keeps values by id. Ids made by `compute_artifact_id` name the content, so equal content is stored once.

    Ids given by hand are any safe token: letters, digits, `.`, `_` and `-`, at most 200, not starting with a dot.
    `allow_pickle`: values that cannot be written otherwise are pickled, and are read again. The engine asks it.
    """

    allow_pickle: bool = False

    @abstractmethod
    def save_artifact(self, artifact_id: str, artifact: Any) -> bool:
        """`True`, or raises: `ValueError` for an unsafe id, `SerializationError` for a value that cannot be written."""

    @abstractmethod
    def load_artifact(self, artifact_id: str) -> Any:
        """The value, `None` if there is none.

        Raises:
            CorruptArtifactError: the bytes do not match what was saved.
            SerializationError: they do, but hold what this process does not know or is not allowed to read.
        """

    @abstractmethod
    def delete_artifact(self, artifact_id: str) -> bool:
        """`True` if it was there and is gone."""

    @abstractmethod
    def exists(self, artifact_id: str) -> bool: ...

    @abstractmethod
    def list_artifacts(self) -> list[str]:
        """All ids, sorted."""

    @abstractmethod
    def get_size(self, artifact_id: str) -> int | None:
        """The size of the encoded value in bytes, `None` if there is none."""

    def garbage_collect(self, states: StateBackend, grace: timedelta = GRACE) -> list[str]:
        """Delete the artifacts that no checkpoint in `states` refers to; their ids, sorted.

        What was saved within `grace` is left alone, for a run saves its artifacts before the checkpoint that refers
        to them. So are artifacts whose id is not their content's: somebody gave it by hand and may ask for it. What
        killed writers left behind goes too, also that of `states`.
        """
        before = datetime.now(UTC) - grace
        states.remove_leftovers(before)
        named = [identity for identity in self.list_artifacts() if is_content_id(identity)]
        # Read after the list: what was saved and referred to in between is in the references.
        referred = states.artifact_references()
        return [identity for identity in named if identity not in referred and self.delete_if_unsaved(identity, before)]

    def delete_if_unsaved(self, artifact_id: str, since: datetime) -> bool:
        """Delete it unless somebody saved it, again or for the first time, after `since`; whether it is gone."""
        raise NotImplementedError(f"{type(self).__name__} cannot collect garbage")

    def save_encoded(self, artifact_id: str, codec: str, payload: bytes, media_type: str = "") -> bool:
        """Save what `encode_artifact` made; saves encoding it twice. Doing nothing is right if the id is there."""
        raise NotImplementedError(f"{type(self).__name__} must offer save_encoded")
