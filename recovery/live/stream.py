"""The door: an ASGI application that answers /live/ with a stream of server-sent events, and nothing else.

`GET /live/?on=inbox&on=state:<id>&age_ms=240`. The events: `news`, whose data are the topics that changed, and `beat`,
which says that nothing did and that the stream is there. Their id is how far it has come; see `Hub.cursor`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.db import DatabaseError, connections

from recovery.live.hub import Hub, Listener
from recovery.live.looking import Looker
from recovery.live.topics import topics_of
from recovery.live.visitors import person_of, session_key_of, visible_to

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PATH = "/live/"
LONGEST_PAUSE_S = 10.0

logger = logging.getLogger(__name__)

_HEADERS = [
    (b"content-type", b"text/event-stream"),
    # Neither kept by anybody nor changed on the way: what is compressed comes in lumps.
    (b"cache-control", b"no-store, no-transform"),
    # nginx would wait until it has some kilobytes.
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, words: str, *, retry_after_s: int = 0) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.retry_after_s = retry_after_s


class Streams:
    """All streams of one process. One look at the database serves them all, and there is none while nobody listens."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.is_closed = False
        # Two connections while somebody listens: who comes, and who is still signed in, is asked beside the looks.
        self._looking = ThreadPoolExecutor(1, "live-look")
        self._asking = ThreadPoolExecutor(1, "live-ask")
        self._tasks: list[asyncio.Task[None]] = []
        self._is_blind = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            listener = await self._admit(scope)
        except _Refused as refused:
            return await _refuse(send, refused)
        gone = asyncio.ensure_future(_until_gone(receive, listener))
        try:
            await self._stream(listener, send)
        finally:
            gone.cancel()
            self.hub.leave(listener)

    def close(self) -> None:
        """End all streams, and begin none any more: the process is about to stop."""
        self.is_closed = True
        self.hub.close()
        for task in self._tasks:
            task.cancel()

    def end_threads(self) -> None:
        """Wait for what they are at, and let them and their connections go."""
        for threads in (self._looking, self._asking):
            threads.submit(connections.close_all)
            threads.shutdown()

    async def _admit(self, scope: Scope) -> Listener:
        if scope["method"] != "GET":
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "Streams are only read.")
        query = parse_qs(scope["query_string"].decode("latin-1"))
        try:
            wanted = topics_of(query.get("on", []))
            age_s = int(query["age_ms"][0]) / 1000 if "age_ms" in query else None
        except ValueError as wrong:
            raise _Refused(HTTPStatus.BAD_REQUEST, str(wrong)) from None
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        session = session_key_of(headers.get(b"cookie", ""))
        user, topics = await self._ask(partial(_admitted, session, wanted))
        if user is None:
            raise _Refused(HTTPStatus.UNAUTHORIZED, "Sign in first.")
        if not topics:
            raise _Refused(HTTPStatus.NOT_FOUND, "There is none of that.")
        # Only now, for others may have come or the process may have been asked to stop meanwhile.
        if self.is_closed or len(self.hub.listeners) >= settings.RECOVERY["LIVE_STREAMS"]:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "No more streams here now.", retry_after_s=5)
        person = str(user.pk)
        if self.hub.count_of(person) >= settings.RECOVERY["LIVE_STREAMS_A_PERSON"]:
            raise _Refused(HTTPStatus.TOO_MANY_REQUESTS, "You have too many pages open.", retry_after_s=60)
        listener = self.hub.listen(
            topics, person=person, session=session, age_s=age_s, cursor=headers.get(b"last-event-id", "")
        )
        self._see_that_somebody_looks()
        return listener

    async def _stream(self, listener: Listener, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        topics = listener.taken()
        while not listener.is_closed:
            if topics:
                await _send_event(send, "news", self.hub.cursor, " ".join(topics))
            # A stream that sees nothing keeps silent, so that its pages ask by themselves.
            elif not self._is_blind:
                await _send_event(send, "beat", self.hub.cursor)
            topics = await listener.wait(settings.RECOVERY["LIVE_BEAT_S"])
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _see_that_somebody_looks(self) -> None:
        if not any(not task.done() for task in self._tasks):
            self._tasks = [asyncio.ensure_future(self._look_on()), asyncio.ensure_future(self._check_on())]

    async def _look_on(self) -> None:
        """Look for news as long as somebody wants them, and a moment longer."""
        loop = asyncio.get_running_loop()
        looker, pause_s = Looker(), settings.RECOVERY["LIVE_LOOK_S"]
        try:
            while watched := self.hub.watched():
                try:
                    changed = await loop.run_in_executor(self._looking, looker.look, watched)
                except Exception:
                    if not self._is_blind:
                        logger.warning("the event streams cannot look for news; they will try again", exc_info=True)
                    self._is_blind = True
                    await loop.run_in_executor(self._looking, looker.let_go)
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                else:
                    self._is_blind, pause_s = False, settings.RECOVERY["LIVE_LOOK_S"]
                    self.hub.publish(watched, changed)
                await asyncio.sleep(pause_s)
        finally:
            self._tasks[1].cancel()
            self._looking.submit(looker.let_go)
            self._asking.submit(connections.close_all)

    async def _check_on(self) -> None:
        """End the streams of those who have signed out, or may not sign in any more."""
        while True:
            await asyncio.sleep(settings.RECOVERY["LIVE_SESSION_S"])
            sessions = {listener.session for listener in self.hub.listeners}
            try:
                people = await self._ask(partial(_people_of, sessions))
            except Exception:
                logger.warning("the event streams cannot check who is still signed in", exc_info=True)
                continue
            for listener in list(self.hub.listeners):
                if people.get(listener.session, listener.person) != listener.person:
                    listener.close()

    async def _ask(self, question: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._asking, _on_a_connection, question)


def _admitted(session: str, wanted: frozenset[str]) -> tuple[Any, frozenset[str]]:
    user = person_of(session)
    return user, visible_to(user, wanted) if user is not None else frozenset()


def _people_of(sessions: set[str]) -> dict[str, str]:
    """Session to the person who is signed in with it, empty for nobody."""
    people = {session: person_of(session) for session in sessions}
    return {session: str(user.pk) if user is not None else "" for session, user in people.items()}


def _on_a_connection(question: Callable[[], Any]) -> Any:
    """The connection is kept: after a restart everybody comes at once. Meanwhile the server may have closed it."""
    try:
        return question()
    except DatabaseError:
        connections.close_all()
        return question()


async def _until_gone(receive: Receive, listener: Listener) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.close()


async def _send_event(send: Send, name: str, cursor: str, data: str = "") -> None:
    lines = f"event: {name}\nid: {cursor}\n" + (f"data: {data}\n" if data else "")
    await send({"type": "http.response.body", "body": f"{lines}\n".encode(), "more_body": True})


async def _refuse(send: Send, refused: _Refused) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    if refused.retry_after_s:
        headers.append((b"retry-after", str(refused.retry_after_s).encode()))
    await send({"type": "http.response.start", "status": refused.status.value, "headers": headers})
    await send({"type": "http.response.body", "body": f"{refused.words}\n".encode()})


streams = Streams()
