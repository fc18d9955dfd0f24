"""Pages and event streams from one server in this process, whose streams can be taken away as when theirs is another
process that died."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from recovery.live.stream import PATH, Streams
from rhdashboard.asgi import Pages
from tests.project.processes import free_port, soon

_BAD_GATEWAY = {"type": "http.response.start", "status": 502, "headers": [(b"content-type", b"text/plain")]}


class Site:
    """`streams` is `None` while they are away."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.streams: Streams | None = Streams()
        self._pages = Pages()
        self._server = uvicorn.Server(
            uvicorn.Config(self, port=self.port, lifespan="off", log_config=None, timeout_graceful_shutdown=5)
        )
        self._thread = threading.Thread(target=self._server.run)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != PATH:
            return await self._pages(scope, receive, send)
        if self.streams is not None:
            return await self.streams(scope, receive, send)
        await send(_BAD_GATEWAY)
        await send({"type": "http.response.body", "body": b"nobody there"})

    def take_streams_away(self) -> None:
        gone, self.streams = self.streams, None
        self._end(gone)

    def bring_streams_back(self) -> None:
        self.streams = Streams()

    def _end(self, streams: Streams | None) -> None:
        if streams is None:
            return
        [loop] = {task.get_loop() for task in streams._tasks} or {None}
        if loop is not None:
            loop.call_soon_threadsafe(streams.close)
        assert soon(lambda: not streams.hub.listeners and all(task.done() for task in streams._tasks))
        streams.end_threads()

    def start(self) -> None:
        self._thread.start()
        assert soon(lambda: self._server.started, within_s=30)

    def stop(self) -> None:
        self._end(self.streams)
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()


@contextmanager
def site() -> Iterator[Site]:
    one = Site()
    one.start()
    try:
        yield one
    finally:
        one.stop()
