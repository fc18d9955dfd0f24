"""Where in the run the current task is: the path of the step it is inside of, and what it called there so far.

The current frame lives in a `ContextVar`, so that steps that run side by side keep their own paths.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from rh_agents.core.addressing import SEPARATOR, join

if TYPE_CHECKING:
    from rh_agents.core.execution import ExecutionState


class PauseScope:
    """Who has to stop when a question is open: everybody but the sibling branches of a `parallel`."""

    __slots__ = ("parent",)

    def __init__(self, parent: "PauseScope | None" = None) -> None:
        self.parent = parent

    def contains(self, other: "PauseScope | None") -> bool:
        while other is not None:
            if other is self:
                return True
            other = other.parent
        return False

    def concerns(self, other: "PauseScope") -> bool:
        return self.contains(other) or other.contains(self)


class Frame:
    """One running attempt of a step (or the run itself, whose path is empty), seen by what it calls.

    `branch` is the suffix that `parallel` puts behind the names of the steps of one branch.
    """

    __slots__ = ("active", "address", "branch", "calls", "generation", "owners", "path", "scope", "state", "writes")

    def __init__(
        self,
        state: "ExecutionState",
        path: tuple[str, ...],
        address: str,
        scope: PauseScope,
        *,
        generation: int = 1,
        branch: str = "",
    ) -> None:
        self.state = state
        self.path = path
        self.address = address
        self.scope = scope
        self.generation = generation
        self.branch = branch
        self.calls: dict[str, int] = {}
        self.owners: dict[str, str] = {}
        self.active: dict[str, list[Any]] = {}
        self.writes: dict[tuple[bool, str], Any] | None = None

    def branched(self, index: int) -> "Frame":
        """The frame of one branch of a `parallel` inside of this one."""
        frame = Frame(
            self.state,
            self.path,
            self.address,
            PauseScope(self.scope),
            generation=self.generation,
            branch=f"{self.branch}[{index}]",
        )
        frame.calls, frame.owners, frame.active = self.calls, self.owners, self.active
        return frame

    def allot(self, stem: Sequence[str], event_type: str) -> tuple[str, tuple[str, ...], str]:
        """The address of the next call of `stem` here, the path its own children get, and what its siblings share."""
        if self.branch:
            stem = (stem[0] + self.branch, *stem[1:])
        path = (*self.path, *stem)
        base = join(path, event_type)
        number = self.calls.get(base, 0) + 1
        self.calls[base] = number
        if number > 1:
            path = (*path[:-1], f"{path[-1]}#{number}")
        # An agent and a tool of one name have children of their own: the second kind carries its type in the path.
        below = SEPARATOR.join(path[len(self.path) :])
        if self.owners.setdefault(below, event_type) != event_type:
            path = (*path[:-1], f"{path[-1]}({event_type})")
        return base if number == 1 else f"{base}#{number}", path, base


current_frame: ContextVar[Frame | None] = ContextVar("rh_agents_frame", default=None)
