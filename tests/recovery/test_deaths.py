"""Runs that end their worker, or whose worker loses them: none goes on for ever, and none goes on beside another."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from recovery import pipelines
from recovery.models import Checkpoint, Event, Resumption, State
from recovery.pipelines import pipeline
from recovery.services.retry import retry
from recovery.services.start_run import start_run
from recovery.services.sweep import sweep
from recovery.services.work import work_on_state
from rh_agents import ExecutionState, tool
from rh_agents.core.serialization import decode
from tests.recovery.conftest import work
from tests.recovery.sample_pipelines import RefundInput, calls

ORDER = {"order": "A-17", "amount": "420.00"}
GAVE_UP = "its worker ended without a word before it had completed another step"


@tool
async def step(number: int, context: Any, state: ExecutionState) -> int:
    calls.append(f"step-{number}")
    return number


@tool
async def deadly(lives: int, context: Any, state: ExecutionState) -> None:
    """Ends its process, for which `KeyboardInterrupt` stands here, unless it was called more than `lives` times."""
    calls.append("deadly")
    if calls.count("deadly") <= lives:
        raise KeyboardInterrupt


@pytest.fixture
def registered() -> Iterator[Any]:
    """Register a function as the pipeline "dies"."""
    yield lambda function: pipeline("dies", input_model=RefundInput)(function)
    pipelines.unregister("dies")


def die(state_id: Any) -> None:
    """A worker takes the run on, and dies of it; its lease runs out."""
    with pytest.raises(KeyboardInterrupt):
        work_on_state(state_id)
    State.objects.filter(pk=state_id).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sweep() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("steps_before", [0, 2])
def test_a_run_that_ends_its_worker_every_time_has_failed_in_the_end(registered, ada, steps_before):
    @registered
    async def dies(given: Any, state: ExecutionState) -> str:
        for number in range(steps_before):
            await step(number, None, state)
        await deadly(3, None, state)
        return "lived"

    state = start_run("dies", ORDER, description="Deadly", tags=["a"])
    for _ in range(3):
        die(state.pk)
    state = work(state.pk)

    # The steps before were completed by the first that died, and the deadly one was begun three times.
    assert calls == [*(f"step-{number}" for number in range(steps_before)), *["deadly"] * 3]
    job = Resumption.objects.get()
    assert (state.status, job.status, job.attempts, state.lease_until) == ("failed", "failed", 3, None)
    assert GAVE_UP in state.error
    assert job.last_error == state.error
    assert state.error.startswith("WorkerDied: this was tried 3 times, and ")
    assert (state.description, [tag.tag for tag in state.tags.all()]) == ("Deadly", ["a"])
    assert Checkpoint.objects.get(number=state.head).status == "failed"
    assert sweep() == 0
    # Whatever it died of may be mended: nothing that was completed is lost.
    retry(state.pk, by=ada)
    state = work(state.pk)
    assert (state.status, decode(state.output), state.error) == ("completed", "lived", "")
    assert calls.count("deadly") == 4
    assert len(calls) == steps_before + 4


@pytest.mark.django_db
def test_a_long_run_outlives_any_number_of_workers_as_long_as_it_gets_further(registered):
    @registered
    async def dies(given: Any, state: ExecutionState) -> int:
        for number in range(6):
            await step(number, None, state)
            await deadly(2 * number + 1, None, state)
        return calls.count("deadly")

    state = start_run("dies", ORDER)
    for _ in range(6):
        die(state.pk)
    state = work(state.pk)
    assert (state.status, decode(state.output)) == ("completed", 12)
    assert [call for call in calls if call != "deadly"] == [f"step-{number}" for number in range(6)]
    assert Resumption.objects.get().attempts == 1


@pytest.mark.django_db
@pytest.mark.parametrize("way", ["exit", "exit in a task", "cancel"])
def test_a_run_whose_code_ends_its_program_or_its_task_has_failed_at_once(registered, way):
    @registered
    async def dies(given: Any, state: ExecutionState) -> None:
        await step(1, None, state)

        async def exit_now() -> None:
            raise SystemExit(2)

        if way == "exit":
            await exit_now()
        if way == "exit in a task":
            await state.parallel(exit_now)
        task = asyncio.create_task(asyncio.sleep(60))
        task.cancel()
        await task

    state = work(start_run("dies", ORDER).pk)
    job = Resumption.objects.get()
    assert (state.status, job.status, state.lease_until) == ("failed", "failed", None)
    assert job.last_error.startswith("RunAbortedError: its code ")
    assert ("SystemExit(2)" if "exit" in way else "CancelledError") in job.last_error
    assert job.last_error in state.error
    assert Event.objects.filter(status="completed").count() == 1


@pytest.mark.django_db
def test_a_worker_whose_state_was_taken_over_begins_no_further_step_whatever_the_code_swallows(registered, caplog):
    @registered
    async def dies(given: Any, state: ExecutionState) -> str:
        for number in range(4):
            try:
                await step(number, None, state)
            except Exception as error:
                calls.append(type(error).__name__)
            if number == 0:
                # Somebody else claims it here.
                State.objects.update(fence=99, lease_owner="another")
        return "an output that is none"

    state = start_run("dies", ORDER)
    work_on_state(state.pk)
    # The step in which it was told had begun before.
    assert calls == ["step-0", "step-1", *["StaleWriterError"] * 3]
    assert f"state {state.pk} is held by another worker now" in caplog.text
    state.refresh_from_db()
    assert (state.fence, state.lease_owner, state.status, state.output) == (99, "another", "running", "")
    assert Resumption.objects.get().status == "running"


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_told_between_two_saves_that_its_lease_is_lost_begins_no_further_step(registered, settings):
    settings.RECOVERY = {**settings.RECOVERY, "HEARTBEAT_S": 0.1}

    @registered
    async def dies(given: Any, state: ExecutionState) -> str:
        await step(0, None, state)
        State.objects.update(fence=99, lease_owner="another")
        while not state.is_lost:
            await asyncio.sleep(0.01)
        await step(1, None, state)
        return "an output that is none"

    state = start_run("dies", ORDER)
    work_on_state(state.pk)
    assert calls == ["step-0"]
    state.refresh_from_db()
    assert (state.fence, state.status, state.output) == (99, "running", "")
