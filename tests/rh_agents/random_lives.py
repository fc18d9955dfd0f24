"""Runs of random programs that die, fail and wait on their way, and what must hold of each.

The properties are functions, so that hypothesis, the soak run and the mutants all check the same ones, on any backend.
"""

import asyncio
import atexit
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from rh_agents import Answer, ExecutionState, StateStatus
from rh_agents.core.runner import RunOutcome, run_pipeline
from rh_agents.core.state_backend import ArtifactBackend, StateBackend
from rh_agents.core.state_recovery import Changes, EventRecord, StateSnapshot
from rh_agents.core.types import EventType
from rh_agents.memory_backends import InMemoryArtifactBackend, InMemoryStateBackend
from tests.rh_agents.random_programs import Crash, Model, World, programs

LOOP = asyncio.new_event_loop()  # One for all: making one is slower than most of these runs.
LOOP.set_exception_handler(lambda loop, context: None)  # What a run that died left behind need not be told.
atexit.register(LOOP.close)

Backends = Callable[[], tuple[StateBackend, ArtifactBackend]]
"""Called for each life of a run: handles as another process would open them."""

Program = tuple[Any, ...]


def in_memory() -> Backends:
    kept = InMemoryStateBackend(), InMemoryArtifactBackend()
    return lambda: kept


class Mortal(StateBackend):
    """A backend whose process may die before or after a checkpoint is written."""

    supports_append = True

    def __init__(self, inner: StateBackend, world: World) -> None:
        self.inner = inner
        self.world = world

    def append(self, changes: Changes) -> int:
        self.world.tick()
        head = self.inner.append(changes)
        self.world.tick()
        return head

    def load_state(self, state_id: str) -> StateSnapshot | None:
        return self.inner.load_state(state_id)

    def exists(self, state_id: str) -> bool:
        return self.inner.exists(state_id)

    def save_state(self, snapshot: StateSnapshot) -> bool:
        raise NotImplementedError("the engine appends")

    def delete_state(self, state_id: str) -> bool:
        raise NotImplementedError

    def list_states(self, *args: Any, **options: Any) -> list[StateSnapshot]:
        raise NotImplementedError


@dataclass
class Tally:
    """What happened to all programs of a soak."""

    programs: int = 0
    resumes: int = 0
    crashes: int = 0
    failures: int = 0
    answers: int = 0
    steps: int = 0


@dataclass
class Life:
    """A state that is run, killed, answered and resumed until it ends."""

    program: Program
    world: World
    backends: Backends = field(default_factory=in_memory)
    saved: bool | Collection[EventType] = True
    tally: Tally = field(default_factory=Tally)
    state_id: str = ""
    recorded: set[str] = field(default_factory=set)

    def run(self, pick: Callable[[int], int] | None = None) -> tuple[RunOutcome, ExecutionState]:
        """Until it has completed; `pick` chooses which of several open questions is answered first."""
        for _ in range(500):
            state = self.load()
            if waiting := list(state.history.open):
                address = waiting[pick(len(waiting)) if pick else 0]
                state.answer(address, Answer(kind="approve", comment=state.open_questions[address].key))
                self.tally.answers += 1
            # Whatever was ever recorded stays so, through all later lives.
            self.recorded |= set(state.history.completed)
            self.world.is_dead = False
            self.world.done.clear()
            outcome = self._live(state)
            self.tally.resumes += 1
            self.tally.steps += len(self.world.done)
            again = self.recorded.intersection(self.world.done)
            assert not again, f"recorded steps ran again: {sorted(again)}"
            if outcome is None:
                self.tally.crashes += 1
            elif outcome.status is StateStatus.COMPLETED:
                return outcome, self.load()
            elif outcome.status is StateStatus.FAILED:
                self.tally.failures += 1
                assert isinstance(outcome.error, ConnectionError), outcome.error
        raise AssertionError("the run does not end")

    def load(self, **options: Any) -> ExecutionState:
        states, artifacts = self.backends()
        options = {"auto_checkpoint": self.saved, **options}
        mortal = Mortal(states, self.world)
        if self.state_id and states.exists(self.state_id):
            return ExecutionState.load_from_state_id(self.state_id, mortal, artifacts, **options)
        state = ExecutionState(mortal, artifacts, state_id=self.state_id or None, **options)
        self.state_id = state.state_id
        return state

    def _live(self, state: ExecutionState) -> RunOutcome | None:
        """One life; `None` if the process died."""
        try:
            outcome = LOOP.run_until_complete(run_pipeline(self.world.pipeline, self.program, state))
            if self.world.is_dead:
                return None
            state.save_checkpoint(outcome.status)
        except Crash:
            return None
        return outcome


# ---- what must hold


def ends_as_if_nothing_had_happened(
    program: Program,
    crashes: set[int],
    saved: Any,
    pick: Callable[[int], int],
    make: Callable[[], Backends] = in_memory,
    tally: Tally | None = None,
) -> None:
    """However often it dies, fails and waits, the run gives what the program gives without an engine, and no step
    that was recorded runs again."""
    model = Model()
    expected = model.run(program)
    undisturbed, calm = Life(program, World(is_kind=True), make()).run()
    assert undisturbed.output == expected
    assert contents(calm) == (model.storage, model.artifacts)

    world = World()
    world.crashes_at = set(crashes)
    outcome, state = Life(program, world, make(), saved, tally or Tally()).run(pick)
    assert outcome.output == expected
    assert ending(state) == ending(calm)


def goes_back_and_ends_as_before(
    program: Program,
    crashes: set[int],
    choose: Callable[[Sequence[str]], str],
    make: Callable[[], Backends] = in_memory,
    tally: Tally | None = None,
) -> None:
    """A finished run that goes back to any of its steps ends as it had ended; what came before is not run again, and
    the checkpoint from before shows the run as it was."""
    world = World()
    world.crashes_at = set(crashes)
    life = Life(program, world, make(), tally=tally or Tally())
    outcome, state = life.run()
    world.crashes_at = set()
    before, old = ending(state), state.to_snapshot()
    records = state.history.get_event_list()
    if not records:
        return
    address = choose(sorted({record.address for record in records}))
    back = life.load(resume_from_address=address)
    kept = set(back.history.completed)
    assert address not in kept
    back.save_checkpoint(StateStatus.RUNNING)
    life.recorded = set(kept)
    again, state = life.run()
    assert again.output == outcome.output
    assert ending(state) == before
    assert state.history.completed.keys() >= kept
    assert {record.generation for record in state.history if record.address == address} == {2}
    then = life.backends()[0].load_checkpoint(life.state_id, old.head)
    assert then is not None
    assert (told(then.events), texts(then)) == (told(old.events), texts(old))


def replays_without_doing_anything(
    program: Program, make: Callable[[], Backends] = in_memory, tally: Tally | None = None
) -> None:
    """A finished run that is run again does nothing, and its history is not a record longer."""
    life = Life(program, World(is_kind=True), make(), tally=tally or Tally())
    outcome, state = life.run()
    before = life.backends()[0].load_state(state.state_id)
    for _ in range(2):
        again, state = life.run()
        assert (again.output, [one for one in life.world.done if "fail::" not in one]) == (outcome.output, [])
    after = life.backends()[0].load_state(state.state_id)
    assert before is not None
    assert after is not None
    assert told(after.events) == told(before.events)
    assert texts(after) == texts(before)


def contents(state: ExecutionState) -> tuple[dict[str, Any], dict[str, Any]]:
    return state.storage.data, {key: state.storage.get_artifact(key) for key in state.storage.artifact_keys}


def ending(state: ExecutionState) -> Any:
    """What two runs of one program have in common."""
    # The time of an answer differs.
    completed = [record for record in state.history.completed.values() if record.event_type != EventType.DECISION]
    # Which of two tasks side by side is the first of its name is different from life to life.
    steps = [(re.sub(r"#\d+", "", record.address), record.result_text or "") for record in completed]
    return sorted(steps), contents(state)


def told(events: Sequence[EventRecord]) -> list[dict[str, Any]]:
    """The records; those of the step that always fails grow with each run."""
    return [event.to_dict() for event in events if event.actor != "fail"]


def texts(snapshot: StateSnapshot) -> dict[str, str]:
    return {key: entry.text for key, entry in snapshot.storage.items()}


# ---- what is drawn

CRASHES = st.sets(st.integers(1, 120), max_size=8)
SAVED = st.sampled_from([True, {EventType.TOOL_CALL}, {EventType.AGENT_CALL}])

__all__ = ["CRASHES", "LOOP", "SAVED", "Backends", "Life", "Tally", "programs"]
