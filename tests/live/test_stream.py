"""The door: who gets a stream and about what, what comes through it, and how it ends."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connections

from recovery.live.looking import Looker
from recovery.services.decide import decide
from tests.live.streaming import cookie_of, open_streams
from tests.recovery.asking import ask

# An id that nothing has; the same in every process that shares the tests.
NOBODYS = "5c0ffee0-0000-4000-8000-000000000001"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quick(settings):
    settings.RECOVERY = {**settings.RECOVERY, "LIVE_LOOK_S": 0.02, "LIVE_BEAT_S": 5, "LIVE_SESSION_S": 60}


@pytest.fixture
def set_live(settings):
    def set_live(**values):
        settings.RECOVERY = {**settings.RECOVERY, **{f"LIVE_{name}": value for name, value in values.items()}}

    return set_live


async def elsewhere(call, *args, **options):
    """As another process would do it: on another connection, while the loop goes on."""

    def do():
        try:
            return call(*args, **options)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        return await asyncio.get_running_loop().run_in_executor(thread, do)


async def opened(reader):
    """A stream that has had its first look."""
    status, _ = await reader.start()
    assert status == HTTPStatus.OK
    while (event := await reader.event()).name == "beat":
        pass
    return event


def test_what_changes_comes_with_a_cursor_to_come_back_with(ada):
    request = ask()
    topics = f"on=inbox&on=request:{request.pk}&on=state:{request.state_id}"
    _, headers = cookie_of(ada)

    async def watch():
        async with open_streams() as (_, read):
            stream = read(topics, headers)
            status, answered = await stream.start()
            first, second = await stream.event(), await stream.event()
            await elsewhere(decide, request.pk, by=ada, kind="comment", comment="so")
            news = await stream.event()
            await stream.leave()
            await elsewhere(decide, request.pk, by=ada, kind="claim")
            again = read(f"{topics}&age_ms=0", headers | {"last-event-id": news.id})
            return status, answered, first, second, news, await opened(again)

    status, answered, first, second, news, missed = asyncio.run(watch())
    everything = f"inbox request:{request.pk} state:{request.state_id}"
    assert status == HTTPStatus.OK
    assert answered["content-type"] == "text/event-stream"
    assert answered["cache-control"] == "no-store, no-transform"
    assert answered["x-accel-buffering"] == "no"
    assert (first.name, first.data) == ("beat", "")
    assert (second.name, second.data) == ("news", everything), "nobody knows what was there before the first look"
    assert (news.name, news.data) == ("news", everything)
    assert (missed.name, missed.data) == ("news", everything)
    assert len({first.id, second.id, news.id, missed.id}) == 4


def test_a_look_serves_everybody(ada, grace, monkeypatch):
    request = ask()
    asked = []
    look = Looker.look
    monkeypatch.setattr(Looker, "look", lambda self, watched: asked.append(watched) or look(self, watched))
    headers = [cookie_of(user)[1] for user in (ada, grace)]

    async def watch():
        async with open_streams() as (_, read):
            many = [read(f"on=request:{request.pk}", headers[number % 2]) for number in range(10)]
            await asyncio.gather(*map(opened, many))
            before = len(asked)
            await elsewhere(decide, request.pk, by=ada, kind="claim")
            told = await asyncio.gather(*(one.event() for one in many))
            return told, len(asked) - before

    told, looks = asyncio.run(watch())
    assert {event.data for event in told} == {f"request:{request.pk}"}
    assert len({event.id for event in told}) == 1
    assert all(watched == {f"request:{request.pk}"} for watched in asked)
    assert looks >= 1


@pytest.mark.parametrize(
    ("query", "signed_in", "method", "status"),
    [
        ("on=inbox", False, "GET", HTTPStatus.UNAUTHORIZED),
        ("on=inbox", True, "POST", HTTPStatus.METHOD_NOT_ALLOWED),
        ("", True, "GET", HTTPStatus.BAD_REQUEST),
        ("on=outbox", True, "GET", HTTPStatus.BAD_REQUEST),
        ("on=state:1", True, "GET", HTTPStatus.BAD_REQUEST),
        ("on=inbox&age_ms=nan", True, "GET", HTTPStatus.BAD_REQUEST),
        ("on=inbox&age_ms=1e400", True, "GET", HTTPStatus.BAD_REQUEST),
        (f"on=state:{NOBODYS}", True, "GET", HTTPStatus.NOT_FOUND),
        (f"on=request:{NOBODYS}", True, "GET", HTTPStatus.NOT_FOUND),
    ],
)
def test_what_is_no_stream_is_refused(ada, query, signed_in, method, status):
    headers = cookie_of(ada)[1] if signed_in else {"cookie": "sessionid=of-nobody"}

    async def ask_for_it():
        async with open_streams() as (streams, read):
            reader = read(query, headers, method)
            answer = (await reader.start())[0], await reader.text()
            await reader.answer
            return *answer, len(streams.hub.listeners)

    answered, words, listeners = asyncio.run(ask_for_it())
    assert (answered, listeners) == (status, 0)
    assert words.strip()


def test_nobody_learns_of_what_is_not_there_for_them(ada):
    request, stranger = ask(), uuid4()
    _, headers = cookie_of(ada)

    async def watch():
        async with open_streams() as (streams, read):
            await opened(read(f"on=request:{request.pk}&on=request:{stranger}&on=state:{stranger}", headers))
            return streams.hub.watched()

    assert asyncio.run(watch()) == {f"request:{request.pk}"}


def test_somebody_who_is_not_active_any_more_gets_none(ada):
    _, headers = cookie_of(ada)
    get_user_model().objects.filter(pk=ada.pk).update(is_active=False)

    async def status():
        async with open_streams() as (_, read):
            return (await read("on=inbox", headers).start())[0]

    assert asyncio.run(status()) == HTTPStatus.UNAUTHORIZED


def test_a_stream_does_not_renew_or_end_the_session_that_opens_it(ada):
    _, headers = cookie_of(ada)
    before = Session.objects.values().get()
    ada.set_password("another")
    ada.save()

    async def status():
        async with open_streams() as (_, read):
            return (await read("on=inbox", headers).start())[0]

    assert asyncio.run(status()) == HTTPStatus.UNAUTHORIZED
    assert Session.objects.values().get() == before


@pytest.mark.parametrize("end", ["logout", "deactivated", "expired"])
def test_it_ends_with_the_session(ada, grace, set_live, end):
    set_live(SESSION_S=0.05, BEAT_S=0.05)
    client, headers = cookie_of(ada)
    _, of_another = cookie_of(grace)

    def end_it():
        if end == "logout":
            client.logout()
        elif end == "deactivated":
            get_user_model().objects.filter(pk=ada.pk).update(is_active=False)
        else:
            Session.objects.filter(pk=client.session.session_key).update(expire_date="2026-01-01T00:00Z")

    async def watch():
        async with open_streams() as (_, read):
            mine, other = read("on=inbox", headers), read("on=inbox", of_another)
            await opened(mine)
            await opened(other)
            await elsewhere(end_it)
            while await mine.event() is not None:
                pass
            await mine.answer
            return await other.event(), other.answer.done()

    event, is_over = asyncio.run(watch())
    assert event.name == "beat"
    assert not is_over


def test_one_person_has_so_many_streams_and_no_more(ada, grace, set_live):
    set_live(STREAMS_A_PERSON=2)
    headers, others = cookie_of(ada)[1], cookie_of(grace)[1]

    async def open_all():
        async with open_streams() as (_, read):
            first, second = read("on=inbox", headers), read("on=inbox", headers)
            await opened(first)
            await opened(second)
            statuses = [(await read("on=inbox", headers).start())[0], (await read("on=inbox", others).start())[0]]
            await first.leave()
            return [*statuses, (await read("on=inbox", headers).start())[0]]

    assert asyncio.run(open_all()) == [HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.OK, HTTPStatus.OK]


def test_a_process_has_so_many_streams_and_says_when_to_come_back(ada, grace, set_live):
    set_live(STREAMS=1)
    headers, others = cookie_of(ada)[1], cookie_of(grace)[1]

    async def open_all():
        async with open_streams() as (_, read):
            await opened(read("on=inbox", headers))
            return await read("on=inbox", others).start()

    status, headers = asyncio.run(open_all())
    assert (status, headers["retry-after"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "5")


def test_a_stream_that_is_silent_says_that_it_is_there(ada, set_live):
    set_live(BEAT_S=0.01)
    _, headers = cookie_of(ada)

    async def watch():
        async with open_streams() as (_, read):
            stream = read("on=inbox", headers)
            await opened(stream)
            return [await stream.event() for _ in range(3)]

    assert [event.name for event in asyncio.run(watch())] == ["beat"] * 3


def test_without_a_database_it_is_silent_and_misses_nothing(ada, set_live, monkeypatch):
    request = ask()
    _, headers = cookie_of(ada)
    set_live(BEAT_S=0.01)
    broken = []
    look = Looker.look

    def look_if_it_is_there(self, watched):
        if broken:
            broken.append("looked")
            raise DatabaseError("it is away")
        return look(self, watched)

    monkeypatch.setattr(Looker, "look", look_if_it_is_there)

    async def watch():
        async with open_streams() as (_, read):
            stream = read(f"on=request:{request.pk}", headers)
            await opened(stream)
            broken.append("broken")
            while len(broken) < 3:
                await asyncio.sleep(0)
            while not stream._sent.empty():
                await stream.event()
            await elsewhere(decide, request.pk, by=ada, kind="claim")
            assert stream._sent.empty(), "it said that it is there"
            broken.clear()
            while (event := await stream.event()).name == "beat":
                pass
            return event

    assert asyncio.run(watch()).data == f"request:{request.pk}"


def test_the_end_of_the_process_ends_every_stream_and_begins_none(ada):
    _, headers = cookie_of(ada)

    async def stop():
        async with open_streams() as (streams, read):
            many = [read("on=inbox", headers) for _ in range(5)]
            await asyncio.gather(*map(opened, many))
            streams.close()
            ends = await asyncio.gather(*(one.event() for one in many))
            await asyncio.gather(*(one.answer for one in many))
            late = read("on=inbox", headers)
            return ends, len(streams.hub.listeners), (await late.start())[0]

    ends, listeners, status = asyncio.run(stop())
    assert (ends, listeners, status) == ([None] * 5, 0, HTTPStatus.SERVICE_UNAVAILABLE)


def test_nobody_looks_while_nobody_listens(ada, monkeypatch):
    monkeypatch.setattr("recovery.live.hub.LINGER_S", -1)
    _, headers = cookie_of(ada)

    async def come_and_go():
        async with open_streams() as (streams, read):
            stream = read("on=inbox", headers)
            await opened(stream)
            await stream.leave()
            async with asyncio.timeout(10):
                await asyncio.wait(streams._tasks)
            again = read("on=inbox", headers)
            return await opened(again)

    assert asyncio.run(come_and_go()).data == "inbox"
