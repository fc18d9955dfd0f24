"""What differs between two states: the words that the page and the API speak."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal, NamedTuple

from django.utils.translation import gettext, ngettext

from recovery.services.compare.rows import Diff
from recovery.services.compare.step_order import Step
from recovery.services.compare.values import DiffAndNote
from rh_agents.core.addressing import is_within
from rh_agents.core.state_recovery import Entry, StateStatus

Kind = Literal["same", "changed", "removed", "added", "moved"]
RelationKind = Literal["same", "later", "earlier", "fork_of_left", "fork_of_right", "siblings", "unrelated"]


class Side(NamedTuple):
    """The head of one side. `checkpoint` is 0 for a state that was never saved."""

    state_id: str
    checkpoint: int
    status: StateStatus
    pipeline: str
    description: str
    tags: tuple[str, ...]
    saved_at: datetime

    @property
    def short_id(self) -> str:
        return self.state_id[:8]


class Relation(NamedTuple):
    """What the right side is to the left one; `address` is where a fork began, where that is known."""

    kind: RelationKind
    address: str = ""


@dataclass(frozen=True)
class StepPair:
    """One address. `number` counts the steps of both sides in their merged order, from 1.

    `differs` names what is not equal: `result`, `status`, `error`; `input` too, which alone makes no step a changed
    one. `kind` is `moved` for a step that is otherwise equal. Differences are made when they are first asked for.
    """

    number: int
    address: str
    depth: int
    kind: Kind
    left: Step | None
    right: Step | None
    is_moved: bool
    differs: tuple[str, ...]
    diff_results: Callable[[], DiffAndNote] = field(repr=False, compare=False)
    diff_errors: Callable[[], Diff | None] = field(repr=False, compare=False)

    @property
    def result(self) -> Diff | None:
        """Of both results; of one, where only one step has any; `None` where they do not differ or cannot be read."""
        return self._result_and_note[0]

    @property
    def note(self) -> str:
        """Why there is no difference of the results to show."""
        return self._result_and_note[1]

    @cached_property
    def error(self) -> Diff | None:
        return self.diff_errors() if "error" in self.differs else None

    @cached_property
    def _result_and_note(self) -> DiffAndNote:
        return self.diff_results() if "result" in self.differs else (None, "")


class SameStep(NamedTuple):
    """All that is kept of a step that is the same; durations are seconds."""

    number: int
    address: str
    left_s: float
    right_s: float


@dataclass(frozen=True)
class SameSteps:
    """A run of equal steps, to be folded."""

    steps: tuple[SameStep, ...]

    @cached_property
    def summary(self) -> str:
        """`8 steps the same, refund::collect::agent_call and what it called`."""
        count = len(self.steps)
        tops = _outermost([step.address for step in self.steps])
        named = tops[0]
        if count > 1 and len(tops) > 1:
            both = gettext("%(first)s and %(last)s") if len(tops) == 2 else gettext("%(first)s to %(last)s")
            named = both % {"first": tops[0], "last": tops[-1]}
        if len(tops) < count and len(tops) <= 2:
            named += gettext(" and what it called") if len(tops) == 1 else gettext(", with what they called")
        words = ngettext("%(count)s step the same, %(named)s", "%(count)s steps the same, %(named)s", count)
        return words % {"count": count, "named": named}


@dataclass(frozen=True)
class KeyPair:
    """A storage or an artifact key. `note` says why a changed one has no `diff`."""

    key: str
    kind: Kind
    left: Entry | None
    right: Entry | None
    diff_of: Callable[[], DiffAndNote] = field(repr=False, compare=False)

    @property
    def diff(self) -> Diff | None:
        """Made when first asked for; `None` for what is the same and for what cannot be shown as text."""
        return self._diff_and_note[0]

    @property
    def note(self) -> str:
        return self._diff_and_note[1]

    @cached_property
    def _diff_and_note(self) -> DiffAndNote:
        return self.diff_of()


@dataclass(frozen=True)
class Counts:
    same: int = 0
    changed: int = 0
    removed: int = 0
    added: int = 0
    moved: int = 0

    @classmethod
    def of(cls, kinds: Sequence[Kind]) -> "Counts":
        return cls(**{kind: kinds.count(kind) for kind in set(kinds)})

    @property
    def total(self) -> int:
        return self.same + self.differing

    @property
    def differing(self) -> int:
        return self.changed + self.removed + self.added + self.moved


@dataclass(frozen=True)
class Comparison:
    """Everything about both sides; what to leave out is for whoever shows it."""

    left: Side
    right: Side
    relation: Relation
    steps: tuple[StepPair | SameSteps, ...]
    step_counts: Counts
    storage: tuple[KeyPair, ...]
    storage_counts: Counts
    artifacts: tuple[KeyPair, ...]
    artifact_counts: Counts

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not any(counts.differing for counts in (self.step_counts, self.storage_counts, self.artifact_counts))


def _outermost(addresses: Sequence[str]) -> list[str]:
    """Those that did not run inside of the one before them that is kept; children stand behind their parents."""
    tops: list[str] = []
    for address in addresses:
        if not tops or not is_within(address, tops[-1]):
            tops.append(address)
    return tops
