"""Branches of a run side by side, each with an address space of its own."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from inspect import CORO_CREATED, getcoroutinestate, iscoroutine
from typing import TYPE_CHECKING, Any, Literal

from rh_agents.core.frames import Frame, current_frame
from rh_agents.core.stopping import is_stop

if TYPE_CHECKING:
    from rh_agents.core.execution import ExecutionState

Branch = Awaitable[Any] | Callable[[], Awaitable[Any]]


async def run_branches(
    state: "ExecutionState",
    frame: Frame,
    branches: Sequence[Branch],
    max_concurrency: int | None,
    on_error: Literal["fail_fast", "collect"],
) -> list[Any]:
    """See `ExecutionState.parallel`."""
    frames = [frame.branched(index) for index in range(len(branches))]
    tasks: list[asyncio.Task[Any]] = []
    try:
        _check(max_concurrency, on_error)
        free = asyncio.Semaphore(max_concurrency or max(1, len(branches)))
        for branch, inner in zip(branches, frames, strict=True):
            context = contextvars.copy_context()
            context.run(current_frame.set, inner)
            tasks.append(asyncio.get_running_loop().create_task(_run(branch, free), context=context))
        await _until_done_or_failed(state, tasks, frames, stop_at_error=on_error == "fail_fast")
    finally:
        unfinished = [task for task in tasks if not task.done()]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        for branch in branches:
            if iscoroutine(branch) and getcoroutinestate(branch) == CORO_CREATED:
                branch.close()  # One that never began would be warned about.
    failures = [error for task, inner in zip(tasks, frames, strict=True) if (error := _failure(state, task, inner))]
    if failures and on_error == "fail_fast":
        state.note_failure(failures[0])
        raise failures[0]
    if any(task.cancelled() for task in tasks):
        raise asyncio.CancelledError
    if any(inner.is_stopped for inner in frames):
        state.save_pause(frame)
        raise state.stopped(frame)
    return [task.result() if (error := task.exception()) is None else error for task in tasks]


async def _run(branch: Branch, free: asyncio.Semaphore) -> Any:
    async with free:
        return await (branch() if callable(branch) else branch)


def _check(max_concurrency: int | None, on_error: str) -> None:
    if on_error not in ("fail_fast", "collect"):
        raise ValueError(f"on_error is 'fail_fast' or 'collect', not {on_error!r}")
    if max_concurrency is not None and max_concurrency < 1:
        raise ValueError(f"max_concurrency is at least 1, not {max_concurrency}")


async def _until_done_or_failed(
    state: "ExecutionState", tasks: list[asyncio.Task[Any]], frames: list[Frame], *, stop_at_error: bool
) -> None:
    frame_of = dict(zip(tasks, frames, strict=True))
    waiting = set(tasks)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if stop_at_error and any(task.cancelled() or _failure(state, task, frame_of[task]) for task in done):
            return


def _failure(state: "ExecutionState", task: asyncio.Task[Any], frame: Frame) -> BaseException | None:
    """What a branch failed with, if it failed; that the run stops there is none."""
    error = None if task.cancelled() else task.exception()
    if error is None or is_stop(error) or (frame.is_stopped and not state.is_failure(error)):
        return None
    return error
