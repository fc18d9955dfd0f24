"""A stream as its reader sees it, without a server between the two."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from django.conf import settings
from django.test import Client

from recovery.live.stream import Streams


class Event(NamedTuple):
    name: str
    id: str
    data: str = ""


class Reader:
    """Reads one answer of the application. What is waited for and does not come fails after 10 s."""

    def __init__(self, streams: Streams, query: str, headers: dict[str, str], method: str) -> None:
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._gone = asyncio.Event()
        scope = {
            "type": "http",
            "method": method,
            "path": "/live/",
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        self.answer = asyncio.ensure_future(streams(scope, self._receive, self._sent.put))

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _next(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return await self._sent.get()

    async def start(self) -> tuple[int, dict[str, str]]:
        message = await self._next()
        return message["status"], {name.decode(): value.decode() for name, value in message["headers"]}

    async def text(self) -> str:
        """Of an answer that is no stream."""
        return (await self._next())["body"].decode()

    async def event(self) -> Event | None:
        """The next one; `None` at the end of the stream."""
        message = await self._next()
        if not message.get("more_body"):
            return None
        lines = dict(line.split(": ", 1) for line in message["body"].decode().splitlines() if line)
        return Event(lines["event"], lines["id"], lines.get("data", ""))

    async def leave(self) -> None:
        self._gone.set()
        async with asyncio.timeout(10):
            await self.answer


def cookie_of(user: Any) -> tuple[Client, dict[str, str]]:
    """A browser in which `user` is signed in, and the header that it sends."""
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    return client, {"cookie": f"theme=dark; {name}={client.cookies[name].value}"}


@asynccontextmanager
async def open_streams() -> AsyncIterator[tuple[Streams, Callable[..., Reader]]]:
    streams = Streams()
    readers: list[Reader] = []

    def read(query: str, headers: dict[str, str], method: str = "GET") -> Reader:
        readers.append(Reader(streams, query, headers, method))
        return readers[-1]

    try:
        yield streams, read
    finally:
        streams.close()
        for reader in readers:
            await reader.leave()
        # Their connections end with the threads.
        await asyncio.to_thread(streams.end_threads)
