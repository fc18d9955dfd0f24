"""The state backend of the dashboard."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from recovery.backends import listing, reading
from recovery.backends.appending import Appender, OnCheckpoint
from recovery.backends.artifacts import delete_unshared
from recovery.backends.metadata import metadata_text
from recovery.backends.rows import state_uuid
from recovery.backends.sql import BATCH
from recovery.backends.threads import callable_on_a_loop
from recovery.models import ArtifactRef, Checkpoint, Event, State, StorageEntry
from rh_agents.checkpoint_lines import HASHES
from rh_agents.core.errors import StaleWriterError
from rh_agents.core.state_backend import StateBackend
from rh_agents.core.state_recovery import Changes, StateSnapshot, StateStatus, check_version

_default_on_checkpoint: OnCheckpoint | None = None


def set_default_on_checkpoint(on_checkpoint: OnCheckpoint | None) -> None:
    """What a backend that was given no `on_checkpoint` calls. The app installs the service that keeps the requests."""
    global _default_on_checkpoint
    _default_on_checkpoint = on_checkpoint


class DjangoStateBackend(StateBackend):
    """Keeps states in the "default" database, with every checkpoint they ever had. Ids are UUIDs.

    `fence`: the number of the lease under which the caller runs the state; a write under an older one is refused, and
    so is any write without one while somebody holds the lease. `author` stands in the checkpoints.
    `on_checkpoint(state_id, changes, number, digest)` is called inside of the transaction of each checkpoint that
    requests may follow from: an awaiting one, one that ends the run, and, without a lease, the next after an awaiting.
    """

    supports_append = True

    def __init__(self, fence: int | None = None, author: str = "", on_checkpoint: OnCheckpoint | None = None) -> None:
        self._appender = Appender(fence, author)
        self._on_checkpoint = on_checkpoint

    @callable_on_a_loop
    def append(self, changes: Changes) -> int:
        """See `StateBackend.append`.

        Raises:
            StaleWriterError: the state is gone, has a newer checkpoint, or somebody else holds its lease.
            ValueError: a malformed id, or a text that no database holds; the message names it.
        """
        return self._append(changes)

    @callable_on_a_loop
    def save_state(self, snapshot: StateSnapshot) -> bool:
        """See `StateBackend.save_state`. Writes what differs from the newest checkpoint."""
        key = state_uuid(snapshot.state_id)
        check_version(snapshot.version)
        with transaction.atomic():
            State.objects.select_for_update(no_key=True).filter(pk=key).values_list("pk").first()
            loaded = reading.load(key)
            before = loaded[0] if loaded else None
            changes = Changes.between(before, snapshot)
            if (
                before
                and before.head
                and not before.migrated_from
                and metadata_text(before.metadata) == metadata_text(snapshot.metadata)
            ):
                changes.metadata = None
            number = self._append(changes)
        snapshot.head = number
        snapshot.created_at = changes.created_at or snapshot.created_at
        snapshot.updated_at = changes.updated_at
        return True

    @callable_on_a_loop
    def load_state(self, state_id: str) -> StateSnapshot | None:
        """See `StateBackend.load_state`. A run that was started and not saved yet is there too, with `head` 0."""
        key = state_uuid(state_id)
        loaded = reading.load(key)
        if loaded is None:
            return None
        snapshot, tip = loaded
        if snapshot.head:
            self._appender.remember(key, tip)
        return snapshot

    @callable_on_a_loop
    def load_checkpoint(self, state_id: str, number: int) -> StateSnapshot | None:
        return reading.load_at(state_uuid(state_id), number) if number > 0 else None

    @callable_on_a_loop
    def list_states(
        self,
        tags: Sequence[str] | None = None,
        status: StateStatus | None = None,
        pipeline_name: str | None = None,
        limit: int = 100,
    ) -> list[StateSnapshot]:
        """See `StateBackend.list_states`. Events, storage and artifacts of a snapshot are read when they are asked for.

        A running state that makes many steps a second may stand where it was a second ago. Warns about a state that
        cannot be read, and goes on.
        """
        if limit < 0:
            raise ValueError(f"limit is {limit}; it must not be negative")
        return listing.list_states([tags] if isinstance(tags, str) else tags or (), status, pipeline_name, limit)

    @callable_on_a_loop
    def delete_state(self, state_id: str) -> bool:
        """See `StateBackend.delete_state`. Artifacts that nothing else refers to go with it; its audit stays.

        Raises:
            StaleWriterError: somebody else holds its lease; nothing was deleted.
        """
        key = state_uuid(state_id)
        with transaction.atomic():
            held = State.objects.select_for_update().filter(pk=key).values_list("fence", "lease_owner", "lease_until")
            row = held.first()
            if row is None:
                return False
            if reason := self._appender.why_not_ours(key, *row):
                raise StaleWriterError(reason)
            artifacts = _artifacts_of(key)
            _delete_rows(Event, key, "position")
            _delete_rows(StorageEntry, key, "pk")
            _delete_rows(ArtifactRef, key, "pk")
            _delete_rows(Checkpoint, key, "number")
            State.objects.filter(pk=key).delete()
            delete_unshared(artifacts)
        self._appender.forget(key)
        return True

    @callable_on_a_loop
    def artifact_references(self) -> set[str]:
        """See `StateBackend.artifact_references`. What a step wrote and another replaced is needed to go back."""
        wrote = Event.objects.exclude(wrote="").values_list("wrote", flat=True)
        return {
            *ArtifactRef.objects.values_list("artifact_id", flat=True).distinct().iterator(),
            *StorageEntry.objects.exclude(artifact="").values_list("artifact", flat=True).iterator(),
            *Event.objects.exclude(result_artifact="").values_list("result_artifact", flat=True).iterator(),
            *(identity.decode() for text in wrote.iterator() for identity in HASHES.findall(text.encode())),
        }

    @callable_on_a_loop
    def exists(self, state_id: str) -> bool:
        return State.objects.filter(pk=state_uuid(state_id)).exists()

    def _append(self, changes: Changes) -> int:
        return self._appender.append(changes, self._on_checkpoint or _default_on_checkpoint)


def _artifacts_of(key: Any) -> set[str]:
    """The ids that any checkpoint of the state refers to."""
    return {
        *ArtifactRef.objects.filter(state_id=key).values_list("artifact_id", flat=True),
        *StorageEntry.objects.filter(state_id=key).exclude(artifact="").values_list("artifact", flat=True),
        *Event.objects.filter(state_id=key).exclude(result_artifact="").values_list("result_artifact", flat=True),
    }


def _delete_rows(model: Any, key: Any, column: str) -> None:
    """In statements of a bounded size: a long log must not hold everybody up for one long statement."""
    rows = model.objects.filter(state_id=key)
    while found := list(rows.values_list(column, flat=True)[:BATCH]):
        rows.filter(**{f"{column}__in": found}).delete()
