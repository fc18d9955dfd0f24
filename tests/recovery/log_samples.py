"""States and changes that the tests of the backends write."""

from datetime import timedelta
from typing import Any

from recovery.backends import DjangoStateBackend
from rh_agents.core.state_recovery import Changes, StateMetadata, StateStatus
from rh_agents.testing.samples import START, new_id, step

KNOWN_ID = "6c1f1f0e-2f0c-4a3c-9d55-0c1a3f1d2b4e"


def ask_nobody(*_: object) -> None:
    """Stands for the service that opens requests: these states hold no real questions."""


def backend(**options: Any) -> DjangoStateBackend:
    return DjangoStateBackend(on_checkpoint=ask_nobody, **options)


def changes(state_id: str, base: int, *, seconds: float = 0, **what: Any) -> Changes:
    """What follows checkpoint `base`, saved so many seconds after START."""
    values = {"status": StateStatus.RUNNING, "updated_at": START + timedelta(seconds=seconds or base), **what}
    return Changes(state_id=state_id, base=base, **values)


def one_step(state_id: str, base: int, **what: Any) -> Changes:
    """The checkpoint after a step: one event and nothing else."""
    return changes(state_id, base, events=[step(base, result="x")], **what)


def saved_state(steps: int = 0, *, state_id: str | None = None, **metadata: Any) -> str:
    """A running state with a checkpoint for each of `steps`, and one before."""
    made, store = state_id or new_id(), backend()
    store.append(changes(made, 0, metadata=StateMetadata(**metadata)))
    for number in range(1, steps + 1):
        store.append(one_step(made, number))
    return made
