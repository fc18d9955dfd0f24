"""What a look at the database finds: each act and each step of a run, once, and nothing where nothing happened."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recovery.errors import AlreadyResolved
from recovery.live import looking
from recovery.live.looking import Looker
from recovery.live.topics import INBOX, of_request, of_state
from recovery.models import Resumption, State
from recovery.services.decide import decide
from recovery.services.delegations import give
from recovery.services.delete_states import delete_states
from recovery.services.start_run import start_run
from recovery.services.undo import undo
from rh_agents import Policy
from tests.recovery.asking import ask
from tests.recovery.conftest import only_request, work

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def watch(look):
    """Look at all that is about a request, for the first time, and then as often as one likes."""

    def watch(request):
        topics = (INBOX, of_request(request.pk), of_state(request.state_id))
        assert look(*topics) == set()
        return lambda: look(*topics)

    return watch


def everything_about(request):
    return {INBOX, of_request(request.pk), of_state(request.state_id)}


def test_nothing_new_is_nothing(look, watch):
    request = ask()
    looks = watch(request)
    assert looks() == set()
    assert looks() == set()


def test_a_new_request_is_news_for_the_inbox(look):
    assert look(INBOX) == set()
    request = ask()
    assert look(INBOX) == {INBOX}
    assert look(INBOX) == set()
    assert look(INBOX, of_request(request.pk)) == set(), "what was not watched is not known to be new"


@pytest.mark.parametrize("kind", ["comment", "claim", "approve", "reject"])
def test_each_act_is_news_and_its_request_alone_is(look, ada, kind):
    other = ask()
    request = ask(Policy(undo_window_s=60))
    about = [*everything_about(request), of_request(other.pk), of_state(other.state_id)]
    look(*about)
    decide(request.pk, by=ada, kind=kind, comment="so")
    assert look(*about) == everything_about(request)
    assert look(*about) == set()


def test_a_vote_that_settles_nothing_is_news(watch, ada):
    request = ask(Policy(needed=2))
    looks = watch(request)
    decide(request.pk, by=ada, kind="approve")
    assert looks() >= {INBOX, of_request(request.pk)}


def test_a_decision_that_is_taken_back_is_news(watch, ada):
    request = ask(Policy(undo_window_s=60))
    decide(request.pk, by=ada, kind="approve")
    looks = watch(request)
    undo(request.pk, by=ada)
    assert looks() == everything_about(request)


def test_a_refused_decision_is_news_too(watch, ada, grace):
    request = ask(Policy(undo_window_s=60))
    decide(request.pk, by=ada, kind="approve")
    looks = watch(request)
    with pytest.raises(AlreadyResolved):
        decide(request.pk, by=grace, kind="reject", comment="late")
    assert of_request(request.pk) in looks()


def test_each_stage_of_a_run_is_news(look):
    state = start_run("test-refund", {"order": "A-17", "amount": "420.00"})
    topic = of_state(state.pk)
    assert look(topic) == set()
    assert Resumption.objects.filter(state=state).update(status="running") == 1
    assert look(topic) == {topic}
    assert State.objects.filter(pk=state.pk).update(head=1) == 1
    assert look(topic) == {topic}
    assert look(topic) == set()
    assert Resumption.objects.filter(state=state).update(attempts=1) == 1
    assert look(topic) == {topic}


def test_a_run_that_a_worker_takes_on_is_news_to_its_end(watch, ada):
    request = ask()
    decide(request.pk, by=ada, kind="approve")
    looks = watch(request)
    assert work(request.state_id).status == "completed"
    assert of_state(request.state_id) in looks()
    assert looks() == set()


def test_another_run_is_no_news(look):
    state = start_run("test-refund", {"order": "A-17", "amount": "420.00"})
    look(of_state(state.pk))
    work(start_run("test-refund", {"order": "A-18", "amount": "420.00"}).pk)
    assert look(of_state(state.pk)) == set()


def test_what_is_deleted_is_news(watch, ada):
    request = ask()
    looks = watch(request)
    delete_states([request.state_id], by=ada)
    assert looks() >= {INBOX, of_state(request.state_id)}


def test_a_state_that_is_not_there_is_watched_like_any_other(look):
    topic = of_state(uuid.uuid4())
    assert look(topic) == set()
    assert look(topic) == set()


def test_who_stands_in_for_whom_is_news_for_the_inbox(look, ada, grace):
    look(INBOX)
    now = timezone.now()
    give(giver=ada, taker=grace, starts_at=now, ends_at=now + timedelta(days=1))
    assert look(INBOX) == {INBOX}


def test_what_is_not_committed_is_no_news_yet(watch, ada):
    request = ask()
    looks = watch(request)
    with transaction.atomic():
        decide(request.pk, by=ada, kind="comment", comment="so")
        assert looks() == set()
    assert of_request(request.pk) in looks()


def test_more_news_than_one_look_takes_is_all_told(monkeypatch, look, ada):
    monkeypatch.setattr(looking, "ENTRIES_AT_MOST", 2)
    requests = [ask() for _ in range(3)]
    topics = [of_request(request.pk) for request in requests]
    look(*topics)
    for request in requests:
        decide(request.pk, by=ada, kind="claim")
    found = [look(*topics) for _ in range(3)]
    assert found == [set(topics[:2]), {topics[2]}, set()]


def test_a_look_costs_the_same_for_one_topic_and_for_many(run_until_it_waits):
    """Here the looker uses the connection of the test, which tells what it asks."""

    def queries(topics):
        looker = Looker()
        looker.look(topics)
        with CaptureQueriesContext(
            connection,
        ) as asked:
            looker.look(topics)
        return [query["sql"].split(" ", 1)[0] for query in asked]

    def topics_of(count):
        states = [run_until_it_waits() for _ in range(count)]
        return {INBOX, *(of_state(state.pk) for state in states), *(of_request(only_request(s).pk) for s in states)}

    one, many = topics_of(1), topics_of(5)
    if connection.vendor == "sqlite":
        assert queries(one) == queries(many) == ["PRAGMA"]
    else:
        assert queries({INBOX}) == ["SELECT"]
        assert queries(one) == queries(many) == ["SELECT"] * 3
