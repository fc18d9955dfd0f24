"""Saving how a state ends without loading it: what it holds may be what cannot be read here."""

from django.utils import timezone

from recovery.backends import DjangoStateBackend
from recovery.models import State
from rh_agents.core.state_recovery import Changes, StateStatus


def end_state(state: State, status: StateStatus, backend: DjangoStateBackend) -> None:
    """Append one checkpoint with `status` and no other change to `state`, as its row says where it stands.

    Raises:
        StaleWriterError: it stands elsewhere by now, or somebody else holds its lease.
    """
    backend.append(
        Changes(
            state_id=str(state.pk),
            base=state.head,
            status=status,
            created_at=state.created_at,
            updated_at=max(timezone.now(), state.updated_at),
            clock=state.clock,
            resolution_text=state.resolution_text or None,
        )
    )
