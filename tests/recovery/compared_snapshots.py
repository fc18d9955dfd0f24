"""Snapshots to compare, and what a comparison of them found in short."""

from collections.abc import Mapping
from typing import Any

from recovery.services.compare.comparison import Comparison, SameSteps, StepPair
from rh_agents.core.addressing import path_of
from rh_agents.core.serialization import EncodedArtifact, artifact_id, encode, encode_artifact
from rh_agents.core.state_recovery import Entry, EventRecord, StateSnapshot
from rh_agents.core.types import ExecutionStatus

LEFT_ID, RIGHT_ID = "7c1e4b0a-0000-4000-8000-000000000001", "e02d77f1-0000-4000-8000-000000000002"


def step(address: str, result: Any = None, position: int = 0, **fields: Any) -> EventRecord:
    values: dict[str, Any] = {
        "position": position,
        "address": address,
        "event_type": address.rsplit("::", 1)[-1].partition("#")[0],
        "actor": path_of(address)[-1].partition("#")[0],
        "status": ExecutionStatus.COMPLETED,
        "result_text": encode(result),
        "execution_time": 1.5,
    }
    return EventRecord(**{**values, **fields})


def failed(address: str, message: str, position: int = 0, **fields: Any) -> EventRecord:
    status = ExecutionStatus.FAILED
    return step(
        address,
        None,
        position,
        status=status,
        result_text=None,
        error_type="ValueError",
        error_message=message,
        **fields,
    )


def snapshot(*events: EventRecord, storage: Mapping[str, Any] | None = None, **fields: Any) -> StateSnapshot:
    """Events without a position get the one of their place."""
    for place, event in enumerate(events):
        event.position = event.position or place
    entries = {key: Entry(0, encode(value)) for key, value in (storage or {}).items()}
    return StateSnapshot(**{"state_id": LEFT_ID, "events": list(events), "storage": entries, **fields})


def with_artifacts(values: Mapping[str, Any]) -> tuple[StateSnapshot, dict[str, EncodedArtifact]]:
    encoded = {key: encode_artifact(value, key=key) for key, value in values.items()}
    entries = {
        key: Entry(0, artifact_id(one), media_type=one.media_type, size=len(one.payload))
        for key, one in encoded.items()
    }
    return StateSnapshot(state_id=LEFT_ID, artifacts=entries), {artifact_id(one): one for one in encoded.values()}


def outline(comparison: Comparison) -> list[str]:
    """The steps as they stand: `~ address`, and what is folded in brackets."""
    signs = {"changed": "~", "added": "+", "removed": "-", "moved": ">", "same": "="}
    return [
        f"({entry.summary})" if isinstance(entry, SameSteps) else f"{signs[entry.kind]} {entry.address}"
        for entry in comparison.steps
    ]


def pair_of(comparison: Comparison, address: str) -> StepPair:
    return next(entry for entry in comparison.steps if isinstance(entry, StepPair) and entry.address == address)


def kinds(comparison: Comparison) -> dict[str, str]:
    """Address to kind, folded ones too."""
    found: dict[str, str] = {}
    for entry in comparison.steps:
        if isinstance(entry, StepPair):
            found[entry.address] = entry.kind
        else:
            found.update({one.address: "same" for one in entry.steps})
    return found


def addresses(comparison: Comparison) -> list[str]:
    return [
        address
        for entry in comparison.steps
        for address in ([entry.address] if isinstance(entry, StepPair) else [one.address for one in entry.steps])
    ]
