"""States to save: one that fills every field, and random series of changes with what they must come to."""

import copy
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from rh_agents.core.serialization import encode
from rh_agents.core.state_recovery import (
    Changes,
    Entry,
    EventRecord,
    StateMetadata,
    StateSnapshot,
    StateStatus,
    Write,
)
from rh_agents.core.types import ExecutionStatus

START = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)
AWKWARD_VALUE = {
    "nul": "a\x00b",
    "surrogate": "\ud800",
    "pair": "\ud83d\ude00",
    "line": "a\nb\u2028c",
    "text": "Zoë 😀",
}


def new_id() -> str:
    return str(uuid.uuid4())


def content_id(number: int) -> str:
    return f"{number:064x}"


def simple_snapshot(state_id: str | None = None, *, minute: int = 0, **metadata: object) -> StateSnapshot:
    """A state without steps, updated `minute` minutes after `START`."""
    return StateSnapshot(
        state_id=state_id or new_id(),
        metadata=StateMetadata.model_validate(metadata),
        created_at=START,
        updated_at=START + timedelta(minutes=minute),
    )


def step(position: int, address: str = "", *, result: object = None) -> EventRecord:
    """A completed step."""
    return EventRecord(
        position=position,
        address=address or f"step{position}::tool_call",
        event_type="tool_call",
        actor=f"step{position}",
        status=ExecutionStatus.COMPLETED,
        result_text=encode(result),
    )


def full_snapshot(state_id: str | None = None) -> StateSnapshot:
    """A state in which no field is at its default, with steps that fill every field of a record."""
    return StateSnapshot(
        state_id=state_id or new_id(),
        status=StateStatus.AWAITING,
        metadata=StateMetadata(
            tags=["production", "Zoë", "with space"],
            description="Refund\n420 € to 😀",
            pipeline_name="refunds",
            parent_state_id=new_id(),
            custom_data={"due": START, "amount": Decimal("4.20"), "items": (1, None, {"a": True}), **AWKWARD_VALUE},
        ),
        created_at=START,
        updated_at=START + timedelta(days=1, microseconds=1),
        events=[
            EventRecord(
                position=1,
                address="café#2::[0]::tool_call#3",
                event_type="tool_call",
                actor="café",
                status=ExecutionStatus.COMPLETED,
                generation=2,
                attempt=3,
                started_at=1_709_251_199.25,
                execution_time=0.125,
                fingerprint="0f" * 8,
                result_text=encode(AWKWARD_VALUE),
                storage_writes={"kept": Write(2, encode([1])), "gone": Write(3, None, covers=(1, "1", "", "", 0))},
                artifact_writes={"preview.csv": Write(4, content_id(1), "text/csv", 2**40)},
                overlapped=True,
            ),
            EventRecord(
                position=5,
                address="pay::tool_call",
                event_type="tool_call",
                actor="pay",
                status=ExecutionStatus.FAILED,
                error_type="ValueError",
                error_message="no money\nat all €",
                traceback="Traceback (most recent call last):\n  …\nValueError: no money",
                storage_writes={},
            ),
            EventRecord(
                position=6,
                address="a" * 980 + "::decision",
                event_type="decision",
                actor="a" * 980,
                status=ExecutionStatus.AWAITING,
                result_text=encode({"title": "Refund?"}),
            ),
        ],
        storage={
            "kept": Entry(2, encode([1]), "café#2::[0]::tool_call#3"),
            "outside of any step 😀": Entry(7, encode(AWKWARD_VALUE)),
            "k" * 1000: Entry(8, encode("x" * 100_000)),
            "::": Entry(9, encode(None), "pay::tool_call"),
        },
        artifacts={
            "preview.csv": Entry(4, content_id(1), "café#2::[0]::tool_call#3", "text/csv", 2**40),
            "Übersicht": Entry(10, content_id(2)),
        },
        generations={"café#2::[0]::tool_call#3": 1, "pay::tool_call": 7},
        clock=2**40,
        resolution_text=encode({"kind": "approve"}),
    )


def random_series(seed: int, length: int = 30) -> Iterator[tuple[Changes, StateSnapshot]]:
    """Changes to a new state one after another, each with the state as it must then be."""
    rng = random.Random(seed)  # noqa: S311 - a series is to be repeatable
    state_id = new_id()
    state: StateSnapshot | None = None
    for base in range(length):
        changes = _random_changes(rng, state_id, base, state)
        state = copy.deepcopy(changes).apply_to(copy.deepcopy(state))
        yield changes, copy.deepcopy(state)


def _random_changes(rng: random.Random, state_id: str, base: int, state: StateSnapshot | None) -> Changes:
    live = list(state.events) if state else []
    # Room between positions: a parent's record comes after its children's and stands before them.
    clock = (state.clock if state else 0) + 10
    events = [
        step(position, result=[position, "x" * rng.randrange(50)])
        for position in rng.sample(range(clock - 20 if base else clock - 10, clock), rng.randrange(4))
        if position >= 0 and all(position != event.position for event in live)
    ]
    closed: list[int] = []
    if live and rng.random() < 0.3:
        # Either a question got its answer, whose record takes its place, or the end of the history is rolled back.
        at = rng.randrange(len(live))
        if rng.random() < 0.5:
            closed = [live[at].position]
            events.append(step(live[at].position, live[at].address, result="answered"))
        else:
            closed = [event.position for event in live[at:]]
    keys = ["a", "b", "c", "d"]
    storage: dict[str, Entry | None] = {
        key: Entry(clock, encode(rng.random()), rng.choice(["", "step1::tool_call"]))
        for key in rng.sample(keys, rng.randrange(3))
    }
    artifacts: dict[str, Entry | None] = {
        key: Entry(clock, content_id(rng.randrange(9)), "", "text/plain", rng.randrange(99))
        for key in rng.sample(keys, rng.randrange(2))
    }
    if state and state.storage and rng.random() < 0.3:
        storage[rng.choice(list(state.storage))] = None
    if state and state.artifacts and rng.random() < 0.3:
        artifacts[rng.choice(list(state.artifacts))] = None
    tags = rng.sample(["red", "green", "blue"], rng.randrange(3))
    return Changes(
        state_id=state_id,
        base=base,
        status=rng.choice(list(StateStatus)),
        created_at=START,
        updated_at=START + timedelta(seconds=base),
        metadata=StateMetadata(tags=tags, custom_data={"n": base}) if base == 0 or rng.random() < 0.3 else None,
        events=sorted(events, key=lambda event: event.position),
        closed=closed,
        storage=storage,
        artifacts=artifacts,
        generations={"step1::tool_call": base} if closed else None,
        clock=clock,
        resolution_text=encode(base) if rng.random() < 0.2 else None,
    )
