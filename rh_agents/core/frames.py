"""Where in the run the current task is: the path of the step it is inside of, and what it called there so far.

The current frame lives in a `ContextVar`, so that steps that run side by side keep their own paths.
"""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from rh_agents.core.addressing import Address, join
from rh_agents.core.lanes import Numbers, RecordedCalls, described, lane_in

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

    `step` is the frame that owns what is written here: a branch of a `parallel` has a frame of its own, whose
    `branch` is the suffix behind the names of its steps, but belongs to the step that it is a part of.
    `is_rerun`: code that ran before an earlier pause or crash runs again here. `is_stopped`: a pause or a
    cancellation was raised here or inside, so that a result which comes all the same is not the step's.
    """

    __slots__ = (
        "active",
        "address",
        "branch",
        "calls",
        "depth",
        "generation",
        "is_over",
        "is_rerun",
        "is_stopped",
        "lane_before",
        "lanes",
        "numbers",
        "owners",
        "parent",
        "path",
        "recorded",
        "scope",
        "spawned",
        "state",
        "step",
        "writes",
    )

    def __init__(
        self,
        state: "ExecutionState",
        path: tuple[str, ...],
        address: str,
        scope: PauseScope,
        parent: "Frame | None" = None,
        generation: int = 1,
        lanes: str = "",
    ) -> None:
        self.state = state
        self.path = path
        self.address = address
        self.scope = scope
        self.parent = parent
        self.generation = generation
        self.lanes = lanes
        self.recorded = state.recorded_calls
        self.lane_before = ""
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.branch = ""
        self.step = self
        self.is_over = False
        self.is_rerun = False
        self.is_stopped = False
        self.calls: dict[str, int] = {}
        self.spawned: dict[str, int] = {}
        self.numbers: dict[str, Numbers | None] = {}
        self.owners: dict[tuple[str, ...], str] = {}
        self.active: dict[str, list[Any]] = {}
        self.writes: dict[tuple[bool, str], Any] | None = None

    def branched(self, index: int) -> "Frame":
        """The frame of one branch of a `parallel` inside of this one."""
        frame = Frame(self.state, self.path, self.address, PauseScope(self.scope), self, self.generation)
        frame.branch = f"{self.branch}[{index}]"
        frame.step, frame.depth, frame.lanes = self.step, self.depth, self.lanes
        frame.lane_before = lane_in(self)
        frame.calls, frame.owners, frame.active = self.calls, self.owners, self.active
        frame.numbers, frame.recorded = self.numbers, self.recorded
        return frame

    def callers(self) -> list[tuple[str, ...]]:
        """The paths of the steps around this one, innermost first."""
        found = []
        frame = self.parent
        while frame is not None and frame.path:
            if frame.step is frame:
                found.append(frame.path)
            frame = frame.parent
        return found

    def stop(self) -> None:
        """A pause or a cancellation is raised here: no step around it has a result."""
        frame: Frame | None = self
        while frame is not None and not frame.is_stopped:
            frame.is_stopped = True
            frame = frame.parent

    def allot(
        self, stem: Sequence[str], event_type: str, fingerprint: Callable[[], str], *, may_call: bool = True
    ) -> Address:
        """Where the next call of `stem` stands here. `fingerprint` is that of its input, asked for where tasks made
        calls side by side. `may_call`: it can have steps of its own inside."""
        if self.branch:
            stem = (stem[0] + self.branch, *stem[1:])
        path = (*self.path, *stem)
        base = join(path, event_type)
        lane = lane_in(self)
        if self.recorded is None:
            number = self.calls.get(base, 0) + 1
            self.calls[base] = number
        else:
            number = self._number_in(self.recorded, path, base, event_type, lane, fingerprint)
        text = base
        if number > 1:
            text = join(path, event_type, number)
            path = (*path[:-1], f"{path[-1]}#{number}")
        # An agent and a tool of one name have steps of their own: those of the second carry its type in their path.
        if may_call and self.owners.setdefault(path, event_type) != event_type:
            path = (*path[:-1], f"{path[-1]}({event_type})")
        return Address(text, path, base, lane)

    def lanes_of(self, address: Address, fingerprint: str) -> str:
        """For the record of the call at `address`, see `EventRecord.lanes`."""
        return f"{self.lanes}{described(self.depth, address.lane, fingerprint)}" if address.lane else self.lanes

    def _number_in(
        self,
        recorded: RecordedCalls,
        path: tuple[str, ...],
        base: str,
        event_type: str,
        lane: str,
        fingerprint: Callable[[], str],
    ) -> int:
        if base not in self.numbers:
            self.numbers[base] = recorded.of(path, event_type)
        numbers = self.numbers[base]
        if numbers is not None:
            return numbers.next(lane, fingerprint())
        self.calls[base] = self.calls.get(base, 0) + 1
        return self.calls[base]


current_frame: ContextVar[Frame | None] = ContextVar("rh_agents_frame", default=None)
