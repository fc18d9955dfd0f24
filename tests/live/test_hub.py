"""The hub: who is told what, and what somebody who comes, comes back or is slow has missed."""

import asyncio

import pytest

from recovery.live.hub import LINGER_S, SLACK_S, Hub
from recovery.live.topics import AT_MOST, topics_of

A, B = "state:a", "state:b"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def hub(clock):
    return Hub(clock)


def look(hub, *changed):
    hub.publish(hub.watched(), set(changed))


def listen(hub, *topics, **how):
    return hub.listen(frozenset(topics), **how)


def test_each_is_told_what_changed_of_what_they_listen_to(hub):
    first, second, both = listen(hub, A), listen(hub, B), listen(hub, A, B)
    look(hub)
    for one in (first, second, both):
        one.taken()

    look(hub, A)

    assert (first.taken(), second.taken(), both.taken()) == ([A], [], [A])


def test_what_was_never_looked_at_is_told_with_the_first_look(hub):
    listener = listen(hub, A, age_s=0)
    assert listener.taken() == []
    look(hub)
    assert listener.taken() == [A]
    look(hub)
    assert listener.taken() == []


def test_what_is_told_before_it_is_taken_is_told_once(hub):
    listener = listen(hub, A, B)
    for _ in range(5):
        look(hub, A, B)
    assert listener.taken() == [A, B]
    assert listener.taken() == []


@pytest.mark.parametrize(("age_s", "told"), [(0, []), (19, []), (20, [A]), (500, [A])])
def test_a_page_is_told_what_changed_since_it_was_made(hub, clock, age_s, told):
    listen(hub, A)
    look(hub)
    clock.now += 20 + SLACK_S
    assert listen(hub, A, age_s=age_s).taken() == told


def test_a_page_that_does_not_say_how_old_it_is_is_told_everything(hub, clock):
    listen(hub, A)
    look(hub)
    clock.now += 1_000
    assert listen(hub, A).taken() == [A]


def test_who_comes_back_is_told_what_changed_since_then_however_old_the_page_is(hub, clock):
    stays = listen(hub, A, B)
    look(hub)
    leaves = listen(hub, A, B, cursor=hub.cursor)
    cursor = hub.cursor
    hub.leave(leaves)
    look(hub, B)
    clock.now += 1_000

    assert listen(hub, A, B, age_s=0, cursor=cursor).taken() == [B]
    assert listen(hub, A, B, age_s=9_999, cursor=hub.cursor).taken() == []
    assert stays.taken() == [A, B]


@pytest.mark.parametrize("cursor", ["of-another-1", "7", "x-", "-", "-1", "ab-99999"])
def test_who_comes_back_from_another_process_is_told_everything(hub, cursor):
    listen(hub, A)
    look(hub)
    assert listen(hub, A, age_s=0, cursor=cursor).taken() == [A]


def test_what_nobody_listens_to_is_watched_for_a_moment_longer(hub, clock):
    listener = listen(hub, A)
    look(hub)
    cursor = hub.cursor
    hub.leave(listener)
    clock.now += LINGER_S
    assert hub.watched() == {A}
    look(hub, A)
    assert listen(hub, A, cursor=cursor).taken() == [A]


def test_what_was_not_watched_for_a_while_is_told_anew(hub, clock):
    listener = listen(hub, A)
    look(hub)
    cursor = hub.cursor
    hub.leave(listener)
    clock.now += LINGER_S + 1
    assert hub.watched() == frozenset()

    again = listen(hub, A, cursor=cursor)
    look(hub)

    assert again.taken() == [A]


def test_what_is_left_by_one_is_still_watched_for_another(hub, clock):
    first, second = listen(hub, A), listen(hub, A)
    hub.leave(first)
    clock.now += LINGER_S + 1
    assert hub.watched() == {A}
    look(hub)
    assert (first.taken(), second.taken()) == ([], [A])


def test_it_counts_the_streams_of_one_person(hub):
    listen(hub, A, person="1")
    mine = listen(hub, A, person="1")
    listen(hub, A, person="2")
    assert hub.count_of("1") == 2
    hub.leave(mine)
    assert hub.count_of("1") == 1


def test_who_waits_is_woken_by_news_and_by_the_end(hub):
    async def wait_for_both():
        listener = listen(hub, A)
        look(hub)
        waiting = asyncio.ensure_future(listener.wait(60))
        told = await waiting
        waiting = asyncio.ensure_future(listener.wait(60))
        await asyncio.sleep(0)
        assert not waiting.done()
        hub.close()
        return told, await waiting, listener.is_closed

    assert asyncio.run(wait_for_both()) == ([A], [], True)


def test_who_waits_for_nothing_is_told_nothing(hub):
    assert asyncio.run(listen(hub, A).wait(0)) == []


def test_topics_are_written_in_one_way():
    pk = "6F0B1C5E-0000-4000-8000-00000000000A"
    names = [f"state:{pk}", f"state:{pk.lower()}", "inbox", f"request:{{{pk}}}"]
    assert topics_of(names) == {"inbox", f"state:{pk.lower()}", f"request:{pk.lower()}"}


STATES = [f"state:6f0b1c5e-0000-4000-8000-{number:012}" for number in range(AT_MOST + 1)]


@pytest.mark.parametrize(
    "names", [[], [""], ["outbox"], ["inbox:1"], ["state:"], ["state:1"], [STATES[0].replace("state", "user")], STATES]
)
def test_what_is_no_topic_is_refused(names):
    with pytest.raises(ValueError, match=r"topic|UUID|badly formed"):
        topics_of(names)
