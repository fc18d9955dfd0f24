"""Whatever happens to a run on its way, it ends as if nothing had happened, and no recorded step runs again."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rh_agents import Answer, ExecutionState, StateStatus
from rh_agents.core.runner import RunOutcome, run_pipeline
from rh_agents.core.state_recovery import Changes
from rh_agents.memory_backends import InMemoryArtifactBackend, InMemoryStateBackend
from tests.rh_agents.random_programs import Crash, Model, World, programs

LOOP = asyncio.new_event_loop()  # One for all: making one is slower than most of these runs.


@pytest.fixture(autouse=True, scope="module")
def closed_loop() -> Iterator[None]:
    yield
    LOOP.close()


class Mortal(InMemoryStateBackend):
    """Dies before or after a save."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def append(self, changes: Changes) -> int:
        self.world.tick()
        head = super().append(changes)
        self.world.tick()
        return head


class Life:
    """A state that is run, killed, answered and resumed until it ends."""

    def __init__(self, program: Any, world: World, **options: Any) -> None:
        self.program = program
        self.world = world
        self.states = Mortal(world)
        self.artifacts = InMemoryArtifactBackend()
        self.options = options
        self.state_id = ""

    def run(self, pick: Any = None) -> tuple[RunOutcome, ExecutionState]:
        for _ in range(500):
            state = self._load()
            waiting = list(state.history.open)
            if waiting:
                address = waiting[pick(len(waiting)) if pick else 0]
                key = state.open_questions[address].key
                state.answer(address, Answer(kind="approve", comment=key))
            recorded = set(state.history.completed)
            self.world.is_dead = False
            self.world.done.clear()
            try:
                outcome = LOOP.run_until_complete(run_pipeline(self.world.pipeline, self.program, state))
                if self.world.is_dead:
                    raise Crash
                state.save_checkpoint(outcome.status)
            except Crash:
                outcome = None
            assert recorded.isdisjoint(self.world.done), "a recorded step ran again"
            if outcome is not None and outcome.status is StateStatus.COMPLETED:
                return outcome, self._load()
            if outcome is not None and outcome.status is StateStatus.FAILED:
                assert isinstance(outcome.error, ConnectionError), outcome.error
        raise AssertionError("the run does not end")

    def _load(self) -> ExecutionState:
        if self.state_id and self.states.exists(self.state_id):
            return ExecutionState.load_from_state_id(self.state_id, self.states, self.artifacts, **self.options)
        state = ExecutionState(self.states, self.artifacts, state_id=self.state_id or None, **self.options)
        self.state_id = state.state_id
        return state


def ending(state: ExecutionState) -> Any:
    """What two runs of one program have in common."""
    return (
        sorted(
            (address, record.result_text) for address, record in state.history.completed.items() if not _asks(record)
        ),
        state.storage.data,
        {key: state.storage.get_artifact(key) for key in state.storage.artifact_keys},
    )


def _asks(record: Any) -> bool:
    return bool(record.event_type == "decision")  # The time of an answer differs.


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    program=programs,
    crashes=st.sets(st.integers(1, 120), max_size=8),
    saved=st.sampled_from([True, {"tool_call"}, {"agent_call"}]),
    seed=st.randoms(use_true_random=False),
)
def test_a_run_that_crashes_fails_and_pauses_anywhere_ends_as_if_nothing_had_happened(
    program: Any, crashes: set[int], saved: Any, seed: Any
) -> None:
    model = Model()
    expected = model.run(program)
    undisturbed, calm = Life(program, World(is_kind=True), auto_checkpoint=True).run()
    assert undisturbed.output == expected
    assert (calm.storage.data, {key: calm.storage.get_artifact(key) for key in calm.storage.artifact_keys}) == (
        model.storage,
        model.artifacts,
    )

    world = World()
    world.crashes_at = crashes
    outcome, state = Life(program, world, auto_checkpoint=saved).run(pick=seed.randrange)
    assert outcome.output == expected
    assert ending(state) == ending(calm)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=programs, crashes=st.sets(st.integers(1, 120), max_size=4), data=st.data())
def test_a_run_that_goes_back_to_any_of_its_steps_ends_as_before(program: Any, crashes: set[int], data: Any) -> None:
    life = Life(program, World(), auto_checkpoint=True)
    life.world.crashes_at = crashes
    outcome, state = life.run()
    life.world.crashes_at = set()
    before = ending(state)
    records = state.history.get_event_list()
    if not records:
        return
    address = data.draw(st.sampled_from([record.address for record in records]))
    back = ExecutionState.load_from_state_id(
        state.state_id, life.states, life.artifacts, resume_from_address=address, auto_checkpoint=True
    )
    kept = set(back.history.completed)
    assert address not in kept
    back.save_checkpoint(StateStatus.RUNNING)
    life.world.done.clear()
    again, state = life.run()
    assert again.output == outcome.output
    assert ending(state) == before
    assert state.history.completed.keys() >= kept
    assert {record.generation for record in state.history if record.address == address} == {2}


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=programs)
def test_a_finished_run_replays_without_doing_or_changing_anything(program: Any) -> None:
    life = Life(program, World(is_kind=True), auto_checkpoint=True)
    outcome, state = life.run()
    before = life.states.load_state(state.state_id)
    for _ in range(2):
        life.world.done.clear()
        again, state = life.run()
        assert (again.output, life.world.done) == (outcome.output, [])
    after = life.states.load_state(state.state_id)
    assert before is not None
    assert after is not None
    assert [e for e in after.events if e.actor != "fail"] == [e for e in before.events if e.actor != "fail"]
    assert {k: e.text for k, e in after.storage.items()} == {k: e.text for k, e in before.storage.items()}
