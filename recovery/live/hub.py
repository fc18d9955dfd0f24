"""Who listens to what in this process. Used on its event loop only; knows neither the database nor HTTP."""

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

# A page that was asked for so long before it is known to be on its way is forgiven that: it only asks once too often.
SLACK_S = 5.0
# Nobody listens between two pages of one person. What is still watched then need not be told anew.
LINGER_S = 30.0


@dataclass(eq=False)
class Listener:
    """One open stream. What it is told is kept until it is taken, each topic once, so a slow one costs no memory."""

    topics: frozenset[str]
    person: str = ""
    session: str = ""
    news: set[str] = field(default_factory=set)
    is_closed: bool = False
    _told: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, topics: Iterable[str]) -> None:
        self.news.update(topics)
        self._told.set()

    def close(self) -> None:
        self.is_closed = True
        self._told.set()

    def taken(self) -> list[str]:
        """What is new, in order, and taken with that."""
        self._told.clear()
        topics = sorted(self.news)
        self.news.clear()
        return topics

    async def wait(self, patience_s: float) -> list[str]:
        """The same as soon as there is something; nothing after `patience_s`, or once it is closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._told.wait()
        # Looked at in any case: it may have been told while it gave up waiting.
        return self.taken()


@dataclass
class _Watched:
    """`changed`: the number and the moment of the look that last found something new; the first look counts as such,
    for nobody knows what was there before."""

    listeners: set[Listener] = field(default_factory=set)
    changed: tuple[int, float] | None = None
    left_at: float | None = None


class Hub:
    """Counts the looks for news, so that somebody who comes back says up to which they know (`cursor`)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._name = secrets.token_hex(4)
        self._looks = 0
        self._topics: dict[str, _Watched] = {}
        self._listeners: set[Listener] = set()

    @property
    def cursor(self) -> str:
        """Up to here everything was told. It means nothing to another process, nor to this one started anew."""
        return f"{self._name}-{self._looks}"

    @property
    def listeners(self) -> Collection[Listener]:
        return self._listeners

    def count_of(self, person: str) -> int:
        return sum(listener.person == person for listener in self._listeners)

    def listen(
        self,
        topics: frozenset[str],
        *,
        person: str = "",
        session: str = "",
        age_s: float | None = None,
        cursor: str = "",
    ) -> Listener:
        """`age_s`: how old what the page shows is; `cursor`: what a stream before this one came to. Without either, or
        with one that says nothing here, it is told everything once."""
        listener = Listener(topics, person, session)
        self._listeners.add(listener)
        for topic in topics:
            watched = self._topics.setdefault(topic, _Watched())
            watched.listeners.add(listener)
            watched.left_at = None
        # Of those that nobody has looked at yet it is told with the first look at them.
        if late := [topic for topic in topics if self._is_late(topic, age_s, cursor)]:
            listener.tell(late)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        for topic in listener.topics:
            watched = self._topics[topic]
            watched.listeners.discard(listener)
            if not watched.listeners:
                watched.left_at = self._clock()

    def watched(self) -> frozenset[str]:
        """What has to be looked at: what somebody listens to, or did a moment ago."""
        over_at = self._clock() - LINGER_S
        for topic, watched in list(self._topics.items()):
            if watched.left_at is not None and watched.left_at < over_at:
                del self._topics[topic]
        return frozenset(self._topics)

    def publish(self, looked_at: Iterable[str], changed: Collection[str]) -> None:
        """After a look at the topics `looked_at`, which found `changed` among them."""
        self._looks += 1
        told: dict[Listener, list[str]] = {}
        for topic in looked_at:
            watched = self._topics.get(topic)
            if watched is None or (watched.changed is not None and topic not in changed):
                continue
            watched.changed = (self._looks, self._clock())
            for listener in watched.listeners:
                told.setdefault(listener, []).append(topic)
        for listener, topics in told.items():
            listener.tell(topics)

    def close(self) -> None:
        """End all streams."""
        for listener in self._listeners:
            listener.close()

    def _is_late(self, topic: str, age_s: float | None, cursor: str) -> bool:
        """Whether something may have changed since the listener knew everything."""
        changed = self._topics[topic].changed
        if changed is None:
            return False
        number, moment = changed
        name, _, looks = cursor.rpartition("-")
        if cursor:
            return name != self._name or not looks.isdecimal() or number > int(looks)
        return age_s is None or moment >= self._clock() - age_s - SLACK_S
