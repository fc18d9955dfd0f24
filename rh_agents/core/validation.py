"""What a validating run found: where a step gave another result than the recorded one."""

import json
from dataclasses import dataclass, field
from typing import Any

from rh_agents.core.state_recovery import EventRecord


@dataclass(frozen=True, slots=True)
class Mismatch:
    """`expected` is what was recorded, `actual` what the step gave now; an error as `"<type>: <message>"`."""

    address: str
    expected: Any
    actual: Any


@dataclass(slots=True)
class ValidationReport:
    """`compared` counts the steps that had a recorded result to compare with."""

    mismatches: list[Mismatch] = field(default_factory=list)
    compared: int = 0

    @property
    def ok(self) -> bool:
        return not self.mismatches


def compare(record: EventRecord, recorded: EventRecord | None, report: ValidationReport) -> None:
    """Put into `report` how a step of a validating run ended, in all of its attempts."""
    if recorded is None:
        return
    report.compared += 1
    is_alike = record.is_completed == recorded.is_completed
    if is_alike and record.is_completed and _is_same(record.result_text, recorded.result_text):
        return
    if is_alike and not record.is_completed and _error(record) == _error(recorded):
        return
    report.mismatches.append(Mismatch(record.address, _outcome(recorded), _outcome(record)))


def _outcome(record: EventRecord) -> Any:
    return record.result if record.is_completed else _error(record)


def _error(record: EventRecord) -> str:
    return f"{record.error_type}: {record.error_message}"


def _is_same(text: str | None, other: str | None) -> bool:
    """Whether they are texts of equal values: the order of a dict's keys does not count."""
    if text is None or other is None or len(text) != len(other):
        return text == other
    return text == other or _sorted(text) == _sorted(other)


def _sorted(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)
