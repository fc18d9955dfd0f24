"""Running a whole pipeline: start it, tell how it ended, leave no task behind."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from rh_agents.core.approvals import AwaitingDecision
from rh_agents.core.errors import RunCancelledError
from rh_agents.core.execution import ExecutionState
from rh_agents.core.parallel import is_pause
from rh_agents.core.state_recovery import StateStatus

_run: contextvars.ContextVar["WeakSet[asyncio.Task[Any]] | None"] = contextvars.ContextVar(
    "rh_agents_run", default=None
)


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended, or paused. `error` is what a failed one failed with; nothing is saved yet."""

    status: StateStatus
    output: Any = None
    error: BaseException | None = None


async def run_pipeline(
    function: Callable[[Any, ExecutionState], Awaitable[Any]], input_data: Any, state: ExecutionState
) -> RunOutcome:
    """Run `function(input_data, state)` to its end or its next pause.

    It is `AWAITING` while a question that it came to is open, whatever it returns; all tasks that were made under
    it are cancelled and awaited before it counts as ended.
    """
    tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
    restore = _keep_tasks(asyncio.get_running_loop())
    token = _run.set(tasks)
    try:
        outcome = await _outcome(function, input_data, state)
    finally:
        _run.reset(token)
        restore()
        await state.event_bus.drain()
        await _end(tasks)
    # A pause that the code turned into a value is still a pause, and so is the error that such a value led to.
    if state.is_waiting and not (outcome.status is StateStatus.FAILED and _is_real(outcome.error, state)):
        return RunOutcome(StateStatus.PAUSED if state.status is StateStatus.PAUSED else StateStatus.AWAITING)
    return outcome


def _is_real(error: BaseException | None, state: ExecutionState) -> bool:
    """Whether a failure beside an open question is more than the question's own doing."""
    return isinstance(error, BaseExceptionGroup) or state.has_failed_step


async def _outcome(
    function: Callable[[Any, ExecutionState], Awaitable[Any]], input_data: Any, state: ExecutionState
) -> RunOutcome:
    try:
        return RunOutcome(StateStatus.COMPLETED, await function(input_data, state))
    except AwaitingDecision:
        return RunOutcome(StateStatus.AWAITING)
    except RunCancelledError as error:
        return RunOutcome(StateStatus.CANCELLED, error=error)
    except Exception as error:
        return RunOutcome(StateStatus.FAILED, error=error)
    except BaseExceptionGroup as error:
        return RunOutcome(StateStatus.AWAITING) if is_pause(error) else RunOutcome(StateStatus.FAILED, error=error)


def _keep_tasks(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Note every task that is made under a run; the function that puts the loop back as it was."""
    before = loop.get_task_factory()

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
        task = before(loop, coroutine, **options) if before else asyncio.Task(coroutine, loop=loop, **options)
        if (tasks := _run.get()) is not None:
            tasks.add(task)
        return task

    loop.set_task_factory(factory)
    return lambda: loop.set_task_factory(before)


async def _end(tasks: "WeakSet[asyncio.Task[Any]]") -> None:
    for _ in range(100):
        running = [task for task in tasks if not task.done()]
        if not running:
            return
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=1)
