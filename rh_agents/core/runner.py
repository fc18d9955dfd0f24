"""Running a whole pipeline: start it, tell how it ended, leave no task behind."""

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from rh_agents.core.errors import RunAbortedError, RunCancelledError
from rh_agents.core.execution import ExecutionState
from rh_agents.core.frames import Frame, current_frame
from rh_agents.core.lanes import enter
from rh_agents.core.state_recovery import StateStatus
from rh_agents.core.stopping import is_stop

logger = logging.getLogger("rh_agents")

Tasks = WeakSet["asyncio.Future[Any]"]

_run: contextvars.ContextVar["tuple[Tasks, Frame] | None"] = contextvars.ContextVar("rh_agents_run", default=None)
_watched: "dict[asyncio.AbstractEventLoop, _Watch]" = {}

SUBSCRIBERS_WAIT_S = 30.0
TASKS_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended, or paused. `error` is what a failed one failed with; nothing is saved yet."""

    status: StateStatus
    output: Any = None
    error: BaseException | None = None


async def run_pipeline(
    function: Callable[[Any, ExecutionState], Awaitable[Any]], input_data: Any, state: ExecutionState
) -> RunOutcome:
    """Run `function(input_data, state)` to its end or its next pause. It starts from its beginning every time.

    It is `AWAITING` while a question that it came to is open, whatever it returns; all tasks that were made under
    it are cancelled and awaited before it counts as ended.

    Raises:
        StaleWriterError: somebody else has the state; how this run ended is worth nothing.
    """
    root = state.begin_run()
    tasks: Tasks = WeakSet()
    outcome: RunOutcome | None = None
    token = _run.set((tasks, root))
    try:
        with _watch(asyncio.get_running_loop()):
            output: Any = None
            error: BaseException | None = None
            try:
                output = await function(input_data, state)
            except (GeneratorExit, KeyboardInterrupt):
                raise
            except (asyncio.CancelledError, SystemExit) as raised:
                if isinstance(raised, asyncio.CancelledError) and _is_being_cancelled():
                    raise
                # To the caller it would look as if the program or its own task should end.
                error = RunAbortedError(raised)
            except BaseException as raised:
                error = raised
            finally:
                await _end(tasks, state, root)
        state.check_not_lost()
        outcome = _outcome(state, root, output, error)
        return outcome
    finally:
        _run.reset(token)
        state.end_run(is_completed=outcome is not None and outcome.status is StateStatus.COMPLETED)
        await state.event_bus.drain(SUBSCRIBERS_WAIT_S)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _outcome(state: ExecutionState, root: Frame, output: Any, error: BaseException | None) -> RunOutcome:
    # A stop that the code turned into a value is still a stop, and so is the error that such a value led to.
    if error is not None and not is_stop(error) and (not root.is_stopped or state.is_failure(error)):
        return RunOutcome(StateStatus.FAILED, error=error)
    if state.is_cancelled and (error is not None or root.is_stopped):
        return RunOutcome(StateStatus.CANCELLED, error=state.cancellation())
    if isinstance(error, RunCancelledError):
        return RunOutcome(StateStatus.CANCELLED, error=error)
    if error is not None or root.is_stopped:
        return RunOutcome(StateStatus.AWAITING)
    if state.is_waiting:
        return RunOutcome(StateStatus.AWAITING)
    return RunOutcome(StateStatus.COMPLETED, output)


async def _end(tasks: Tasks, state: ExecutionState, root: Frame) -> None:
    """Cancel and await the tasks that are left, and those that they make meanwhile; subscribers may finish."""
    loop = asyncio.get_running_loop()
    until = loop.time() + TASKS_WAIT_S
    this = asyncio.current_task()
    while True:
        left = [task for task in tasks if task is not this and not state.event_bus.is_at_work(task)]
        running = [task for task in left if not task.done()]
        if not running:
            break
        if loop.time() > until:
            logger.error("%d tasks of state %s do not end when they are cancelled", len(running), state.state_id)
            break
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=1)
    if root.is_stopped:
        # The stop reached them too, and nobody awaits them any more: asyncio need not complain.
        for task in left:
            if task.done() and not task.cancelled():
                task.exception()


class _Watch:
    """Notes the tasks that are made under each run of one loop, for as long as one of them is going on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._before: Any = None
        self._runs = 0

    def __enter__(self) -> None:
        if self._runs == 0:
            self._before = self._loop.get_task_factory()
            self._loop.set_task_factory(self._make)
        self._runs += 1

    def __exit__(self, *error: object) -> None:
        self._runs -= 1
        if self._runs == 0:
            self._loop.set_task_factory(self._before)
            del _watched[self._loop]

    def _make(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> "asyncio.Future[Any]":
        run = _run.get()
        if run is not None and options.get("context") is None:
            frame = current_frame.get()
            options["context"] = contextvars.copy_context()
            options["context"].run(enter, frame if frame is not None and frame.state is run[1].state else run[1])
        before = self._before
        task = before(loop, coroutine, **options) if before else asyncio.Task(coroutine, loop=loop, **options)
        if run is not None:
            run[0].add(task)
        return task


def _watch(loop: asyncio.AbstractEventLoop) -> _Watch:
    if loop not in _watched:
        _watched[loop] = _Watch(loop)
    return _watched[loop]
