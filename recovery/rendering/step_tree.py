"""The steps of a run as a tree by their addresses; a parent that has no record yet is there for its children."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from rh_agents.core.addressing import SEPARATOR, caller_path, path_of
from rh_agents.core.types import EventType, ExecutionStatus

Path = tuple[str, ...]


class Attempt(NamedTuple):
    """One attempt of one step: the columns of an event that a row needs, in this order."""

    position: int
    address: str
    attempt: int
    status: str
    actor: str
    event_type: str
    started_at: float
    duration_s: float
    size: int
    fingerprint: str
    error_type: str
    added_in: int

    @property
    def ended_at(self) -> float:
        return self.started_at + self.duration_s

    @property
    def is_failed(self) -> bool:
        return self.status == ExecutionStatus.FAILED


@dataclass(slots=True, eq=False)
class Step:
    """A step with its attempts, oldest first; without any it is a parent that did not end yet.

    `start` and `end` enclose the attempts and everything below: a parent that was interrupted and ran again has
    children that are older than its own record.
    """

    address: str
    path: Path
    attempts: list[Attempt] = field(default_factory=list)
    parent: "Step | None" = None
    children: list["Step"] = field(default_factory=list)
    depth: int = 0
    start: float = 0.0
    end: float = 0.0
    is_placed: bool = False
    has_open_question: bool = False

    @property
    def newest(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None

    @property
    def event_type(self) -> str:
        return self.attempts[-1].event_type if self.attempts else ""

    @property
    def is_decision(self) -> bool:
        return self.event_type == EventType.DECISION

    @property
    def is_failed(self) -> bool:
        return bool(self.attempts) and self.attempts[-1].is_failed

    @property
    def name(self) -> str:
        """The address without the part that stands in the rows above."""
        above = SEPARATOR.join(self.parent.path) + SEPARATOR if self.parent else ""
        return self.address.removeprefix(above)


class StepTree:
    """Every step once, a parent before its children, siblings in the order in which they began."""

    def __init__(self, attempts: Iterable[Attempt], now: float) -> None:
        """`attempts` in the order of their positions. An open question lasts until `now`."""
        steps: dict[str, Step] = {}
        for attempt in attempts:
            step = steps.get(attempt.address)
            if step is None:
                step = steps[attempt.address] = Step(attempt.address, _path(attempt.address))
            step.attempts.append(attempt)
        for step in steps.values():
            if len(step.attempts) > 1:
                step.attempts.sort(key=lambda one: (one.attempt, one.position))
        self.roots: list[Step] = []
        _Parents(steps.values()).give(steps.values())
        for step in steps.values():
            self._place(step)
        self.steps = list(self._walk())
        self._measure(now)

    def __len__(self) -> int:
        return len(self.steps)

    def index_of(self, address: str) -> int | None:
        return next((index for index, step in enumerate(self.steps) if step.address == address), None)

    def culprit(self) -> Step | None:
        """Where the newest failure came from: the innermost step that failed with what its callers failed with."""
        found, among = None, self.roots
        while True:
            failed = [step for step in among if step.is_failed or (not step.attempts and _failed_inside(step))]
            if not failed:
                return found
            step = failed[-1]
            if found and step.newest and found.newest and step.newest.error_type != found.newest.error_type:
                return found
            found, among = (step if step.attempts else found), step.children

    def _place(self, step: Step) -> None:
        chain = []
        node: Step | None = step
        while node is not None and not node.is_placed:
            chain.append(node)
            node = node.parent
        for node in reversed(chain):
            node.is_placed = True
            node.depth = node.parent.depth + 1 if node.parent else 0
            (node.parent.children if node.parent else self.roots).append(node)

    def _walk(self) -> Iterator[Step]:
        waiting = list(reversed(self.roots))
        while waiting:
            step = waiting.pop()
            yield step
            waiting.extend(reversed(step.children))

    def _measure(self, now: float) -> None:
        for step in reversed(self.steps):
            newest = step.newest
            if newest is not None:
                step.start, step.end = newest.started_at, newest.ended_at
                if newest.status == ExecutionStatus.AWAITING:
                    step.has_open_question, step.end = True, max(step.end, now)
            else:
                step.start, step.end = step.children[0].start, step.children[0].end
            for attempt in step.attempts[:-1]:
                step.start, step.end = min(step.start, attempt.started_at), max(step.end, attempt.ended_at)
            for child in step.children:
                step.start, step.end = min(step.start, child.start), max(step.end, child.end)
                step.has_open_question = step.has_open_question or child.has_open_question


def _failed_inside(step: Step) -> bool:
    return bool(step.children) and step.children[-1].is_failed


class _Parents:
    """Who called whom. Two steps of one name and different types share a path: the children of the second carry its
    type in theirs, as in `search(tool_call)::fetch::tool_call`."""

    def __init__(self, steps: Collection[Step]) -> None:
        self._called_from = {step.address: caller_path(step.address, step.attempts[-1].actor) for step in steps}
        used = set(self._called_from.values())
        self._owners: dict[Path, Step] = {}
        for step in steps:
            if step.is_decision:
                continue  # A question calls nothing.
            first = self._owners.setdefault(step.path, step)
            if first is step:
                continue
            # Which of them was called first nobody wrote down, but whose children carry a type is seen.
            if _typed(first) in used and _typed(step) not in used:
                self._owners[step.path], step = step, first
            self._owners[_typed(step)] = step
        for path in sorted(used, key=len):
            if path and path not in self._owners:
                self._owners[path] = Step(SEPARATOR.join(path), path, parent=self._above(path))

    def give(self, steps: Collection[Step]) -> None:
        for step in steps:
            step.parent = self._owners.get(self._called_from[step.address])

    def _above(self, path: Path) -> Step | None:
        """Of a parent without a record nobody knows whether its last part is a name or a tag."""
        shorter = (path[:length] for length in range(len(path) - 1, 0, -1))
        return next((self._owners[one] for one in shorter if one in self._owners), None)


def _path(address: str) -> Path:
    # A foreign address may have no type at its end.
    return path_of(address) or (address,)


def _typed(step: Step) -> Path:
    return (*step.path[:-1], f"{step.path[-1]}({step.event_type})")
