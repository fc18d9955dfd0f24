"""Telling others what a run does, while it does it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

from rh_agents.core.events import Publication

logger = logging.getLogger("rh_agents")

Subscriber = Callable[[Publication], Any]


class EventBus:
    """Subscribers are called in the order they came. A failing one is logged and never stops a run.

    A sync subscriber is called before the step returns; an async one runs beside it, and `drain` waits for those.
    """

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []
        self._running: set[asyncio.Future[Any]] = set()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Gives the function that takes the subscription back."""
        self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return unsubscribe

    @property
    def has_subscribers(self) -> bool:
        return bool(self._subscribers)

    def publish(self, publication: Publication) -> None:
        for subscriber in tuple(self._subscribers):
            try:
                outcome = subscriber(publication)
            except Exception:
                logger.exception("a subscriber failed at %s", publication.address)
                continue
            if isawaitable(outcome):
                self._start(outcome, publication.address)

    async def drain(self, timeout_s: float | None = None) -> None:
        """Wait for the async subscribers that are still at work; at most `timeout_s`, then they are cancelled."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=timeout_s)
        for task in late:
            logger.error("a subscriber did not end within %s seconds", timeout_s)
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=timeout_s)

    def is_at_work(self, task: "asyncio.Future[Any]") -> bool:
        """Whether `task` is an async subscriber of this bus."""
        return task in self._running

    def _start(self, outcome: Awaitable[Any], address: str) -> None:
        async def guarded() -> None:
            try:
                await outcome
            except Exception:
                logger.exception("a subscriber failed at %s", address)

        task = asyncio.get_running_loop().create_task(guarded())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
