"""Engines that are wrong in one way each. The properties have to find every one of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rh_agents.core import attempt, frames, parallel, runner, saving
from rh_agents.core.ahead import Ahead
from rh_agents.core.execution import ExecutionState
from rh_agents.core.frames import Frame
from rh_agents.core.history import HistorySet
from rh_agents.core.stopping import StoppingState
from rh_agents.core.store import ExecutionStore
from rh_agents.core.types import ExecutionStatus

Mutation = Callable[[pytest.MonkeyPatch], None]

MUTANTS: dict[str, Mutation] = {}


def mutant(function: Mutation) -> Mutation:
    MUTANTS[function.__name__] = function
    return function


# ---- addresses and paths


@mutant
def repeated_calls_have_no_number(patch: pytest.MonkeyPatch) -> None:
    allot = Frame.allot

    def forgetful(self: Frame, *args: Any, **options: Any) -> Any:
        self.calls.clear()
        return allot(self, *args, **options)

    patch.setattr(Frame, "allot", forgetful)


@mutant
def steps_share_one_stack(patch: pytest.MonkeyPatch) -> None:
    shared = _Shared()
    for module in (attempt, frames, parallel, saving):
        patch.setattr(module, "current_frame", shared)


@mutant
def branches_share_one_address_space(patch: pytest.MonkeyPatch) -> None:
    branched = Frame.branched

    def nameless(self: Frame, index: int) -> Frame:
        frame = branched(self, index)
        frame.branch = self.branch
        return frame

    patch.setattr(Frame, "branched", nameless)


@mutant
def a_step_that_goes_back_keeps_its_generation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ExecutionState, "generation_of", lambda self, address: 1)


# ---- what is skipped


@mutant
def a_replay_marker_hides_the_result(patch: pytest.MonkeyPatch) -> None:
    skip = ExecutionState._skip

    def marking(self: ExecutionState, record: Any, *args: Any) -> Any:
        result = skip(self, record, *args)
        self.add_record(replace(record, position=self.tick(), result_text="null"))
        return result

    patch.setattr(ExecutionState, "_skip", marking)


@mutant
def a_marker_is_left_by_every_skip(patch: pytest.MonkeyPatch) -> None:
    skip = ExecutionState._skip

    def marking(self: ExecutionState, record: Any, *args: Any) -> Any:
        self.add_record(replace(record, position=self.tick()))
        return skip(self, record, *args)

    patch.setattr(ExecutionState, "_skip", marking)


@mutant
def a_skipped_step_is_gone_from_the_next_checkpoint(patch: pytest.MonkeyPatch) -> None:
    skip = ExecutionState._skip

    def losing(self: ExecutionState, record: Any, *args: Any) -> Any:
        self._closed.append(record.position)
        return skip(self, record, *args)

    patch.setattr(ExecutionState, "_skip", losing)


@mutant
def an_empty_result_is_no_result(patch: pytest.MonkeyPatch) -> None:
    keep = HistorySet._keep

    def choosy(self: HistorySet, record: Any) -> None:
        keep(self, record)
        if record.status is ExecutionStatus.COMPLETED and not record.result:
            del self.completed[record.address]

    patch.setattr(HistorySet, "_keep", choosy)


@mutant
def results_are_handed_out_in_order(patch: pytest.MonkeyPatch) -> None:
    skip = ExecutionState._skip

    def by_order(self: ExecutionState, record: Any, *args: Any) -> Any:
        steps = [one for one in self.history.completed.values() if one.event_type == record.event_type]
        other = steps[len(self._skipped) % len(steps)]
        return skip(self, replace(record, result_text=other.result_text), *args)

    patch.setattr(ExecutionState, "_skip", by_order)


@mutant
def a_failed_step_counts_as_done(patch: pytest.MonkeyPatch) -> None:
    keep = HistorySet._keep

    def lenient(self: HistorySet, record: Any) -> None:
        keep(self, record)
        if record.status is ExecutionStatus.FAILED:
            self.completed[record.address] = replace(record, result_text="null")

    patch.setattr(HistorySet, "_keep", lenient)


@mutant
def tasks_side_by_side_are_not_told_apart(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(frames, "lane_in", lambda frame: "")


# ---- storage


@mutant
def a_step_sees_what_one_beside_it_wrote(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ExecutionStore, "_newest_of_mine", lambda self, live: ([one.write for one in live] or [None])[-1])


@mutant
def an_agent_that_runs_again_sees_the_newest_storage(patch: pytest.MonkeyPatch) -> None:
    writers_inside = ExecutionState.writers_inside

    def of_the_run(self: ExecutionState, frame: Frame) -> Any:
        return [] if frame.path else writers_inside(self, frame)

    patch.setattr(ExecutionState, "writers_inside", of_the_run)


@mutant
def a_failed_step_leaks_its_writes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ExecutionStore, "undo", lambda self, frame, writers: self.commit(frame))


@mutant
def an_unfinished_step_leaks_its_writes(patch: pytest.MonkeyPatch) -> None:
    write = ExecutionStore._write

    def at_once(self: ExecutionStore, slot: Any, what: Any) -> None:
        write(self, slot, what)
        if address := self._current_frame().step.address:
            self._settle(slot, what, address)

    patch.setattr(ExecutionStore, "_write", at_once)


@mutant
def code_that_runs_again_sees_the_newest_storage(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ahead, "begin", lambda self, records, writers: None)


@mutant
def going_back_leaves_the_storage(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ExecutionStore, "roll_back", lambda self, kept, removed, before: None)


@mutant
def going_back_keeps_what_came_later(patch: pytest.MonkeyPatch) -> None:
    at_and_after = HistorySet.at_and_after

    def only_that_step(self: HistorySet, address: str) -> Any:
        found, start = at_and_after(self, address)
        return [record for record in found if record.address == address], start

    patch.setattr(HistorySet, "at_and_after", only_that_step)


# ---- pauses


@mutant
def a_pause_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StoppingState, "check_boundary", lambda self, frame: None)


@mutant
def a_run_completes_though_a_question_is_open(patch: pytest.MonkeyPatch) -> None:
    outcome = runner._outcome

    def blind(state: Any, root: Frame, output: Any, error: Any) -> Any:
        if error is None:
            return runner.RunOutcome(runner.StateStatus.COMPLETED, output)
        return outcome(state, root, output, error)

    patch.setattr(runner, "_outcome", blind)


@mutant
def a_step_that_swallowed_a_pause_completes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Frame, "stop", lambda self: None)


@mutant
def an_answer_serves_every_question_of_its_key(patch: pytest.MonkeyPatch) -> None:
    ask = StoppingState.ask

    async def by_key(self: StoppingState, question: Any) -> Any:
        for record in self.history.completed.values():
            if record.event_type == "decision" and record.actor == question.key:
                return record.result
        return await ask(self, question)

    patch.setattr(StoppingState, "ask", by_key)


class _Shared:
    """In place of a `ContextVar`: one value for everybody."""

    def __init__(self) -> None:
        self.value: Any = None

    def get(self) -> Any:
        return self.value

    def set(self, value: Any) -> Any:
        before, self.value = self.value, value
        return before

    def reset(self, before: Any) -> None:
        self.value = before
