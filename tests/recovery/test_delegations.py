"""Delegations for a time: who may give one to whom and for how long, and how it ends."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from recovery.errors import InvalidInput
from recovery.models import AuditEntry, Delegation
from recovery.services.delegations import NotRevocable, give, of, revoke, takers_for

pytestmark = pytest.mark.django_db

NOW = timezone.now().replace(microsecond=0)
WEEK = {"starts_at": NOW - timedelta(hours=1), "ends_at": NOW + timedelta(days=7)}


@pytest.fixture
def given(ada, grace):
    return give(giver=ada, taker=grace, reason="On leave", **WEEK)


def said():
    """The audit, as (action, who, what)."""
    return [(one.action, one.actor, json.loads(one.detail)) for one in AuditEntry.objects.order_by("number")]


def test_what_was_given_holds_now_for_every_pipeline_and_is_audited(ada, grace, given):
    [active] = Delegation.objects.active().for_pipeline("test-refund")
    assert (active.giver, active.taker, active.created_by, active.pipeline) == (ada, grace, ada, "")
    [(action, who, what)] = said()
    assert (action, who) == ("delegation_given", "ada")
    assert what == {
        "delegation": given.pk,
        "giver": "ada",
        "taker": "grace",
        "pipeline": "",
        "starts_at": WEEK["starts_at"].isoformat(),
        "ends_at": WEEK["ends_at"].isoformat(),
        "reason": "On leave",
    }


def test_one_for_a_pipeline_does_not_hold_for_another(ada, grace):
    give(giver=ada, taker=grace, pipeline="test-refund", **WEEK)
    assert Delegation.objects.active().for_pipeline("test-refund").count() == 1
    assert Delegation.objects.active().for_pipeline("test-question").count() == 0


@pytest.mark.parametrize(
    ("starts_in", "ends_in"), [(timedelta(hours=1), timedelta(days=7)), (timedelta(days=-7), timedelta(seconds=1))]
)
def test_it_holds_between_its_two_ends_only(ada, grace, starts_in, ends_in):
    given = give(giver=ada, taker=grace, starts_at=NOW + starts_in, ends_at=timezone.now() + ends_in)
    if ends_in < timedelta(days=1):
        Delegation.objects.filter(pk=given.pk).update(ends_at=NOW - timedelta(seconds=1))
    assert not Delegation.objects.active().exists()


@pytest.mark.parametrize(
    ("changed", "field", "says"),
    [
        ({"taker": "ada"}, "taker", "That is the same person."),
        ({"taker": "eve"}, "taker", "eve may not decide requests at all."),
        ({"taker": "gone"}, "taker", "gone may not decide requests at all."),
        ({"giver": "eve"}, "", "You are not among those who decide requests, so there is nothing to hand over."),
        ({"pipeline": "nowhere"}, "pipeline", "No pipeline is named 'nowhere'."),
        ({"ends_at": WEEK["starts_at"]}, "ends_at", "It ends before it begins."),
        ({"ends_at": NOW - timedelta(minutes=1)}, "ends_at", "That is over already."),
        ({"ends_at": NOW + timedelta(days=367)}, "ends_at", "It lasts longer than a year (366 days)."),
        ({"reason": "r" * 501}, "reason", "It is longer than 500 characters."),
    ],
)
def test_what_cannot_be_given_is_refused_and_nothing_is_written(make_user, ada, grace, changed, field, says):
    people = {"ada": ada, "grace": grace, "eve": make_user("eve", decides=False), "gone": make_user("gone")}
    people["gone"].is_active = False
    people["gone"].save()
    wanted = {"giver": ada, "taker": grace, **WEEK} | {
        name: people.get(value, value) if isinstance(value, str) else value for name, value in changed.items()
    }
    with pytest.raises(InvalidInput) as refused:
        give(**wanted)
    assert refused.value.errors == {field: [says]}
    assert (Delegation.objects.count(), AuditEntry.objects.count()) == (0, 0)


def test_the_same_given_twice_is_one(ada, grace, given):
    assert give(giver=ada, taker=grace, **WEEK) == given
    assert (Delegation.objects.count(), AuditEntry.objects.count()) == (1, 1)


def test_one_that_was_revoked_can_be_given_again(ada, grace, given):
    revoke(given.pk, by=ada)
    assert give(giver=ada, taker=grace, **WEEK) != given
    assert Delegation.objects.active().count() == 1


@pytest.mark.parametrize("who", ["ada", "grace", "root"])
def test_the_giver_the_taker_and_an_admin_may_end_it(ada, grace, given, who):
    people = {"ada": ada, "grace": grace, "root": get_user_model().objects.create_superuser("root")}
    assert revoke(given.pk, by=people[who]).revoked_at is not None
    assert not Delegation.objects.active().exists()
    assert [(action, actor) for action, actor, _ in said()] == [
        ("delegation_given", "ada"),
        ("delegation_revoked", who),
    ]


def test_nobody_else_may(given, make_user):
    with pytest.raises(NotRevocable, match="between other people"):
        revoke(given.pk, by=make_user("eve"))
    assert Delegation.objects.active().get() == given
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize("how", ["revoked", "past"])
def test_one_that_is_over_cannot_be_ended(ada, given, how):
    ended = {"revoked_at": NOW} if how == "revoked" else {"ends_at": NOW - timedelta(seconds=1)}
    Delegation.objects.filter(pk=given.pk).update(**ended)
    before = Delegation.objects.values().get()
    with pytest.raises(NotRevocable, match="over already"):
        revoke(given.pk, by=ada)
    assert Delegation.objects.values().get() == before
    assert AuditEntry.objects.count() == 1


def test_people_see_those_that_they_gave_or_took(ada, grace, given, make_user):
    assert list(of(ada)) == list(of(grace)) == [given]
    assert list(of(make_user("eve"))) == []


def test_only_others_who_decide_are_offered(ada, grace, make_user):
    make_user("eve", decides=False)
    gone = make_user("gone")
    gone.is_active = False
    gone.save()
    assert list(takers_for(ada)) == [grace]
