"""For me: what is listed for somebody is what they may decide, in their own name or in that of somebody else."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.utils import timezone

from recovery.models import ApprovalRequest, Delegation, RequestDecider
from recovery.permissions import say_of
from tests.web.waiting import ask, settle

pytestmark = pytest.mark.django_db

CLOSE = "recovery.change_delegation"


@pytest.fixture
def hold(db):
    """Give a person a permission, by a group or by themselves."""

    def hold(user, permission, group=""):
        codename = permission.split(".")[1]
        held = Permission.objects.get(codename=codename, content_type__app_label="recovery")
        if group:
            made, _ = Group.objects.get_or_create(name=group)
            made.permissions.add(held)
            user.groups.add(made)
        else:
            user.user_permissions.add(held)

    return hold


def stand_in(giver, taker, *, pipeline="", days=1):
    now = timezone.now()
    return Delegation.objects.create(
        giver=giver,
        taker=taker,
        pipeline=pipeline,
        starts_at=now - timedelta(days=1),
        ends_at=now + timedelta(days=days),
    )


def for_some(title, **more):
    named = {name: more.pop(name) for name in ("username", "group", "permission") if name in more}
    request = ask(title, open_to_all=False, **more)
    for name, value in named.items():
        RequestDecider.objects.create(request=request, **{name: value})
    return request


def listed(user):
    """What is listed, after comparing it with what each request says by itself."""
    listed = set(ApprovalRequest.objects.decidable_by(user))
    assert listed == {one for one in ApprovalRequest.objects.open() if not say_of(user, one).why_not}
    return sorted(one.title for one in listed)


def test_those_that_name_them_their_group_or_a_permission_of_theirs(ada, grace, hold):
    hold(ada, CLOSE, group="closers")
    ask("for all")
    for_some("by name", username="ada")
    for_some("by group", group="closers")
    for_some("by permission", permission=CLOSE)
    for_some("by a group of that name", group="ada")
    for_some("by the name of a group", username="closers")
    for_some("for Grace", username="grace")
    settle(for_some("decided", username="ada"), grace)
    for_some("of their own run", username="ada", started_by=ada)
    for_some("of their own run, and they may", username="ada", started_by=ada, self_approval=True)
    assert listed(ada) == ["by group", "by name", "by permission", "for all", "of their own run, and they may"]
    assert listed(grace) == ["for Grace", "for all"]


@pytest.mark.parametrize("names", [{"username": "ada"}, {"group": "closers"}, {"permission": CLOSE}])
def test_a_stand_in_decides_what_the_giver_could_however_they_are_named(ada, grace, hold, names):
    hold(ada, CLOSE, group="closers")
    for_some("refund", **names)
    for_some("another pipeline", pipeline="kyc", **names)
    for_some("of the giver's run", started_by=ada, **names)
    for_some("of the giver's run, and they may", started_by=ada, self_approval=True, **names)
    for_some("of the taker's run", started_by=grace, **names)
    stand_in(ada, grace, pipeline="refunds")
    assert listed(grace) == ["of the giver's run, and they may", "refund"]
    stand_in(ada, grace)
    assert listed(grace) == ["another pipeline", "of the giver's run, and they may", "refund"]


def test_a_stand_in_of_somebody_who_may_everything(make_user, grace):
    boss = make_user("boss", decides=False)
    boss.is_superuser = True
    boss.save()
    for_some("by permission", permission="other.permission")
    for_some("for somebody else", username="ada")
    stand_in(boss, grace)
    assert listed(boss) == listed(grace) == ["by permission"]


@pytest.mark.parametrize("reason", ["over", "revoked", "giver decides nothing", "giver is gone", "to somebody else"])
def test_no_stand_in_for_somebody_without_a_say(ada, grace, make_user, reason):
    for_some("for Ada", username="ada")
    given = stand_in(ada, make_user("lin") if reason == "to somebody else" else grace)
    if reason == "over":
        Delegation.objects.filter(pk=given.pk).update(ends_at=timezone.now() - timedelta(minutes=1))
    if reason == "revoked":
        Delegation.objects.filter(pk=given.pk).update(revoked_at=timezone.now())
    if reason == "giver decides nothing":
        ada.user_permissions.clear()
    if reason == "giver is gone":
        ada.is_active = False
        ada.save()
    assert listed(grace) == []


def test_who_decides_nothing_stands_in_for_nobody(ada, make_user):
    vera = make_user("vera", decides=False)
    for_some("for Ada", username="ada")
    ask("for all")
    stand_in(ada, vera)
    assert listed(vera) == []
