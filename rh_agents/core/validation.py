"""What a validating run found: where a step gave another result than the recorded one."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Mismatch:
    """`expected` is what was recorded, `actual` what the step gave now (an error as `"<type>: <message>"`)."""

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
