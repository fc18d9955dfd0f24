"""Branches of a run side by side, each with an address space of its own."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Sequence
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, Literal

from rh_agents.core.approvals import AwaitingDecision
from rh_agents.core.frames import Frame, current_frame

if TYPE_CHECKING:
    from rh_agents.core.execution import ExecutionState

Branch = Coroutine[Any, Any, Any] | Callable[[], Coroutine[Any, Any, Any]]


async def run_branches(
    state: "ExecutionState",
    frame: Frame,
    branches: Sequence[Branch],
    max_concurrency: int | None,
    on_error: Literal["fail_fast", "collect"],
) -> list[Any]:
    """See `ExecutionState.parallel`."""
    if on_error not in ("fail_fast", "collect"):
        raise ValueError(f"on_error is 'fail_fast' or 'collect', not {on_error!r}")
    if max_concurrency is not None and max_concurrency < 1:
        raise ValueError(f"max_concurrency is at least 1, not {max_concurrency}")
    free = asyncio.Semaphore(max_concurrency or max(1, len(branches)))

    async def run(branch: Branch) -> Any:
        async with free:
            return await (branch if iscoroutine(branch) else branch())

    tasks: list[asyncio.Task[Any]] = []
    for index, branch in enumerate(branches):
        context = contextvars.copy_context()
        context.run(current_frame.set, frame.branched(index))
        tasks.append(asyncio.get_running_loop().create_task(run(branch), context=context))
    try:
        await _until_done_or_failed(tasks, stop_at_error=on_error == "fail_fast")
    finally:
        unfinished = [task for task in tasks if not task.done()]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
    errors = [task.exception() for task in tasks if not task.cancelled()]
    if on_error == "fail_fast":
        for error in errors:
            if error is not None and not is_pause(error):
                raise error
    if any(task.cancelled() for task in tasks):
        raise asyncio.CancelledError
    if any(error is not None and is_pause(error) for error in errors):
        raise state.pause(frame)
    return [task.result() if task.exception() is None else task.exception() for task in tasks]


async def _until_done_or_failed(tasks: list[asyncio.Task[Any]], *, stop_at_error: bool) -> None:
    waiting = set(tasks)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if stop_at_error and any(
            task.cancelled() or ((error := task.exception()) is not None and not is_pause(error)) for task in done
        ):
            return


def is_pause(error: BaseException) -> bool:
    """Whether `error` says only that the run waits for a person (an exception group of nothing else, too)."""
    if isinstance(error, BaseExceptionGroup):
        _, rest = error.split((AwaitingDecision, asyncio.CancelledError))
        return rest is None and error.subgroup(AwaitingDecision) is not None
    return isinstance(error, AwaitingDecision)
