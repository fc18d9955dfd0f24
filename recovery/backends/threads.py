"""Calls that are made on a running event loop, which Django's ORM refuses: they run beside the loop."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from functools import wraps
from queue import Empty, SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.db import DatabaseError, connection

IDLE_S = 1.0

P = ParamSpec("P")
Self = TypeVar("Self")
Result = TypeVar("Result")


def callable_on_a_loop(
    method: Callable[Concatenate[Self, P], Result],
) -> Callable[Concatenate[Self, P], Result]:
    """Make a method that uses the database one that may be called anywhere, on a running event loop too.

    On a loop it hops to one thread that everybody in the process shares. Where `DJANGO_ALLOW_ASYNC_UNSAFE` is set
    it is called in this thread, with this thread's connection.
    """

    @wraps(method)
    def call(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return method(self, *args, **kwargs)
        if not os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"):
            return _database_thread.call(lambda: method(self, *args, **kwargs))
        # On a loop Django keeps a connection for each task, which nobody closes and which sees nothing of the
        # transaction around the loop. Nothing is awaited here, so the loop can stand aside for the call.
        asyncio._set_running_loop(None)
        try:
            return method(self, *args, **kwargs)
        finally:
            asyncio._set_running_loop(loop)

    return call


class DatabaseThread:
    """One thread with one connection, for everybody in the process. Idle for a second, it gives both back."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._is_running = False

    def call(self, work: Callable[[], Result]) -> Result:
        """What `work` gives or raises. The calling thread waits; its context variables can be read there."""
        job: Future[Result] = Future()
        context = copy_context()
        with self._lock:
            self._jobs.put((job, lambda: context.run(work)))
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._serve, name="recovery-database", daemon=True).start()
        return job.result()

    def _serve(self) -> None:
        while True:
            try:
                job, work = self._jobs.get(timeout=IDLE_S)
            except Empty:
                with suppress(DatabaseError):
                    connection.close()
                with self._lock:
                    if self._jobs.empty():
                        self._is_running = False
                        return
                continue
            try:
                job.set_result(work())
            except BaseException as error:
                # A connection that broke must not be handed to the next caller.
                with suppress(DatabaseError):
                    connection.close_if_unusable_or_obsolete()
                job.set_exception(error)
            del job, work  # An idle thread keeps nothing of its last caller alive.


_database_thread = DatabaseThread()


def _renew() -> None:
    global _database_thread
    _database_thread = DatabaseThread()


# Threads do not survive a fork: a worker process that was forked starts one of its own.
os.register_at_fork(after_in_child=_renew)
