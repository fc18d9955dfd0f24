"""A comparison as plain JSON types, for the API."""

from typing import Any

from recovery.services.compare.comparison import Comparison, Counts, KeyPair, SameSteps, Side, StepPair
from recovery.services.compare.rows import Diff
from recovery.services.compare.step_order import Step
from rh_agents.core.state_recovery import Entry

# A program that wants more asks for the steps themselves.
MOST_DIFFS = 200


class Budget:
    """Differences are made one by one until enough of them are."""

    def __init__(self, diffs: int) -> None:
        self.left = diffs

    def diff(self, holder: StepPair | KeyPair) -> dict[str, Any]:
        if self.left <= 0:
            return {"diff": None, "note": "There are too many differences to give all of them."}
        diff = holder.result if isinstance(holder, StepPair) else holder.diff
        self.left -= diff is not None
        return {"diff": _diff(diff), "note": holder.note}


def as_dict(comparison: Comparison, *, most_diffs: int = MOST_DIFFS) -> dict[str, Any]:
    """Everything but the differences of values beyond the first `most_diffs`."""
    budget = Budget(most_diffs)
    return {
        "left": _side(comparison.left),
        "right": _side(comparison.right),
        "relation": comparison.relation._asdict(),
        "counts": {
            "steps": _counts(comparison.step_counts),
            "storage": _counts(comparison.storage_counts),
            "artifacts": _counts(comparison.artifact_counts),
        },
        "steps": [_same(entry) if isinstance(entry, SameSteps) else _pair(entry, budget) for entry in comparison.steps],
        "storage": [_key(pair, budget, has_text=True) for pair in comparison.storage],
        "artifacts": [_key(pair, budget, has_text=False) for pair in comparison.artifacts],
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        **side._asdict(),
        "status": str(side.status),
        "tags": list(side.tags),
        "saved_at": side.saved_at.isoformat(),
    }


def _counts(counts: Counts) -> dict[str, int]:
    return {name: getattr(counts, name) for name in ("same", "changed", "removed", "added", "moved")}


def _same(steps: SameSteps) -> dict[str, Any]:
    return {"kind": "same", "summary": steps.summary, "steps": [step._asdict() for step in steps.steps]}


def _pair(pair: StepPair, budget: Budget) -> dict[str, Any]:
    return {
        "kind": pair.kind,
        "number": pair.number,
        "address": pair.address,
        "is_moved": pair.is_moved,
        "differs": list(pair.differs),
        "left": _step(pair.left),
        "right": _step(pair.right),
        "error": _diff(pair.error),
        **(budget.diff(pair) if "result" in pair.differs else {"diff": None, "note": ""}),
    }


def _step(step: Step | None) -> dict[str, Any] | None:
    if step is None:
        return None
    record = step.record
    return {
        "status": str(record.status),
        "attempts": step.attempts,
        "generation": record.generation,
        "duration_s": record.execution_time,
        "error_type": record.error_type,
        "error_message": record.error_message,
    }


def _key(pair: KeyPair, budget: Budget, *, has_text: bool) -> dict[str, Any]:
    sides = {"left": _entry(pair.left, has_text), "right": _entry(pair.right, has_text)}
    diff = budget.diff(pair) if pair.kind == "changed" else {"diff": None, "note": ""}
    return {"key": pair.key, "kind": pair.kind, **sides, **diff}


def _entry(entry: Entry | None, has_text: bool) -> dict[str, Any] | None:
    if entry is None:
        return None
    if has_text:
        return {"owner": entry.owner, "characters": len(entry.text)}
    return {"owner": entry.owner, "artifact_id": entry.text, "media_type": entry.media_type, "size": entry.size}


def _diff(diff: Diff | None) -> dict[str, Any] | None:
    return None if diff is None else diff.to_dict()
