"""Notices: who is told of what, once; what costs nothing to whoever decides, and little to whoever looks."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recovery.models import (
    ApprovalRequest,
    AuditEntry,
    AuditTail,
    Notice,
    NoticeTail,
    Reader,
    RequestDecider,
    Resumption,
)
from recovery.services import audit, notices
from recovery.services.attend import attend
from recovery.services.decide import decide
from recovery.services.delegations import give
from recovery.services.notices import mark_read, post_notices
from recovery.services.undo import undo
from tests.recovery import test_undo_and_back  # noqa: F401  registers a pipeline that can be sent back
from tests.recovery.conftest import only_request, work
from tests.web.waiting import ask

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture(autouse=True)
def _from_now_on(db):
    post_notices()


@pytest.fixture
def lin(make_user):
    return make_user("lin")


@pytest.fixture
def request_(run_until_it_waits):
    """What a run asks, open to all who decide."""
    return only_request(run_until_it_waits())


def told():
    """(whom, of what) so far, in order."""
    return list(Notice.objects.order_by("pk").values_list("person__username", "kind"))


def opened(request):
    return audit.record("opened", state_id=request.state_id, request_id=request.pk)


# ---- Who is told of what ----


def test_what_is_asked_of_all_is_for_the_inbox_to_count(request_, ada, grace):
    assert post_notices() == 0


def test_what_is_asked_of_some_is_told_to_each_of_them(ada, grace, lin, make_user):
    group = Group.objects.create(name="Finance")
    grace.groups.add(group)
    request = ask("Pay it?", started_by=lin, open_to_all=False)
    RequestDecider.objects.create(request=request, username="ada")
    RequestDecider.objects.create(request=request, group="Finance")
    RequestDecider.objects.create(request=request, username="lin")
    opened(request)
    assert post_notices() == 2
    assert told() == [("ada", "asked"), ("grace", "asked")]


def test_who_wants_to_hear_of_other_pipelines_only_is_not_told_of_what_many_are_asked(ada, grace):
    Reader.objects.create(user=ada, pipelines=["other"])
    request = ask("Pay it?", open_to_all=False)
    for user in (ada, grace):
        RequestDecider.objects.create(request=request, username=user.username)
    opened(request)
    post_notices()
    assert told() == [("grace", "asked")]


def test_handing_on_tells_whoever_gets_it_what_was_said(request_, ada, grace):
    Reader.objects.create(user=grace, pipelines=["other"])
    decide(request_.pk, by=ada, kind="delegate", delegate_to=grace, comment="You know this shop.")
    post_notices()
    [notice] = Notice.objects.all()
    assert (notice.person, notice.kind, notice.request) == (grace, "handed_on", request_)
    assert (notice.by_name, notice.words) == ("ada", "You know this shop.")


def test_a_comment_is_told_to_who_holds_it_and_who_voted_but_not_to_who_wrote_it(request_, ada, grace, lin):
    decide(request_.pk, by=ada, kind="claim")
    decide(request_.pk, by=ada, kind="comment", comment="Looking.")
    assert post_notices() == 0
    decide(request_.pk, by=grace, kind="comment", comment="Is the amount right?")
    post_notices()
    assert told() == [("ada", "commented")]
    assert Notice.objects.get().words == "Is the amount right?"


def test_whoever_is_named_is_told_once_even_if_they_hold_it(request_, ada, grace, lin):
    decide(request_.pk, by=ada, kind="claim")
    decide(request_.pk, by=grace, kind="comment", comment="@ada and @lin. Please look; not me@lin, nor @nobody.")
    post_notices()
    assert sorted(told()) == [("ada", "mentioned"), ("lin", "mentioned")]


def test_the_comment_of_a_decision_names_people_too_and_that_of_a_refused_one_nobody(request_, ada, grace, lin):
    decide(request_.pk, by=ada, kind="reject", comment="Ask @grace first.")
    with pytest.raises(Exception, match="ada was first"):
        decide(request_.pk, by=grace, kind="reject", comment="@lin look")
    post_notices()
    assert told() == [("grace", "mentioned")]


def test_a_decision_that_is_taken_back_is_told_to_the_others_who_voted(settings, run_until_it_waits, ada, grace, lin):
    settings.RECOVERY = {**settings.RECOVERY, "UNDO_WINDOW_S": 600.0}
    request = only_request(run_until_it_waits())
    ApprovalRequest.objects.filter(pk=request.pk).update(policy={**request.policy, "needed": 2})
    decide(request.pk, by=ada, kind="approve")
    decide(request.pk, by=grace, kind="approve")
    undo(request.pk, by=grace)
    post_notices()
    assert told() == [("ada", "undone")]


def test_what_expired_is_told_to_who_held_it(request_, ada, grace):
    decide(request_.pk, by=ada, kind="claim")
    request_.refresh_from_db()
    request_.expires_at = NOW - timedelta(minutes=1)
    request_.save()
    assert attend() == 1
    post_notices()
    assert told() == [("ada", "expired")]


def test_an_escalation_is_told_to_whom_it_went(request_, ada, grace, lin):
    lin.groups.add(Group.objects.create(name="Leads"))
    ApprovalRequest.objects.filter(pk=request_.pk).update(policy={**request_.policy, "escalate_to": ["Leads"]})
    decide(request_.pk, by=ada, kind="escalate", comment="Too much for me.")
    post_notices()
    assert told() == [("lin", "escalated")]


def test_a_run_that_fails_is_told_to_who_decided_what_it_went_on_with(request_, ada, grace):
    decide(request_.pk, by=ada, kind="approve")
    Resumption.objects.filter(resolution__request=request_).update(
        status="failed", finished_at=timezone.now(), last_error="Boom: at the bank\nand more"
    )
    post_notices()
    post_notices()
    [notice] = Notice.objects.all()
    assert (notice.person, notice.kind, notice.words) == (ada, "failed", "Boom: at the bank")


def test_a_run_that_was_sent_back_and_asks_again_is_told_to_who_sent_it_back(ada, grace, run_until_it_waits):
    state = run_until_it_waits("test-drafted")
    decide(only_request(state).pk, by=grace, kind="approve")
    work(state.pk)
    decide(only_request(state).pk, by=ada, kind="request_changes", to="draft::tool_call", comment="Half of it.")
    Resumption.objects.filter(state=state, status="pending").update(not_before=NOW - timedelta(minutes=1))
    state = work(state.pk)
    assert post_notices() == 0
    work(state.superseded_by_id)
    post_notices()
    assert told() == [("ada", "asked_again")]


def test_who_stands_in_for_somebody_is_told_without_any_request(ada, grace):
    give(giver=ada, taker=grace, starts_at=NOW, ends_at=NOW + timedelta(days=1), reason="Leave")
    post_notices()
    [notice] = Notice.objects.all()
    assert (notice.person, notice.kind, notice.request, notice.words) == (grace, "handed_over", None, "Leave")


# ---- Once, and in the right order ----


def test_nobody_is_told_of_what_happened_before_there_were_notices(request_, ada, grace):
    NoticeTail.objects.all().delete()
    decide(request_.pk, by=ada, kind="delegate", delegate_to=grace)
    assert (post_notices(), post_notices()) == (0, 0)
    decide(request_.pk, by=grace, kind="delegate", delegate_to=ada)
    assert post_notices() == 1
    assert told() == [("ada", "handed_on")]


def test_what_is_gone_by_then_is_passed_over(request_, ada, grace):
    decide(request_.pk, by=ada, kind="delegate", delegate_to=grace)
    request_.state.delete()
    assert post_notices() == 0
    assert NoticeTail.objects.get().number == AuditTail.objects.get().number


def test_a_failure_in_between_tells_everything_the_next_time(request_, ada, grace, monkeypatch):
    decide(request_.pk, by=ada, kind="delegate", delegate_to=grace)
    with monkeypatch.context() as broken:
        broken.setattr(notices, "_forget", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            post_notices()
    assert (Notice.objects.count(), Reader.objects.count()) == (0, 0)
    assert post_notices() == 1


def test_very_many_are_told_in_several_goes(ada, grace, monkeypatch):
    monkeypatch.setattr(notices, "AT_MOST", 2)
    request = ask("Pay it?", open_to_all=False)
    RequestDecider.objects.create(request=request, username="ada")
    for _ in range(5):
        opened(request)
    assert [post_notices() for _ in range(4)] == [2, 2, 1, 0]
    assert Reader.objects.get(user=ada).unread == 5


def test_old_ones_are_forgotten(request_, ada, grace):
    old = NOW - notices.KEPT - timedelta(days=1)
    Notice.objects.create(person=ada, kind="expired", source="audit:0", created_at=old)
    decide(request_.pk, by=ada, kind="delegate", delegate_to=grace)
    post_notices()
    assert told() == [("grace", "handed_on")]


# ---- Reading ----


def test_the_count_is_what_is_unread_and_reading_one_or_all_lowers_it(request_, ada, grace):
    for comment in ("One", "Two", "Three"):
        decide(request_.pk, by=ada, kind="delegate", delegate_to=grace, comment=comment)
    post_notices()
    assert Reader.objects.get(user=grace).unread == 3
    newest = Notice.objects.order_by("-pk").first()
    mark_read(grace, newest.pk)
    assert Reader.objects.get(user=grace).unread == 2
    mark_read(grace, newest.pk)
    assert Reader.objects.get(user=grace).unread == 2
    mark_read(grace)
    assert Reader.objects.get(user=grace).unread == 0
    assert not Notice.objects.filter(read_at__isnull=True).exists()


def test_what_is_anothers_cannot_be_marked(request_, ada, grace):
    decide(request_.pk, by=ada, kind="delegate", delegate_to=grace)
    post_notices()
    mark_read(ada, Notice.objects.get().pk)
    assert Notice.objects.get().read_at is None
    assert Reader.objects.get(user=grace).unread == 1


# ---- What it costs ----


def test_when_nothing_happened_it_takes_three_reads(request_, ada):
    post_notices()
    with CaptureQueriesContext(connection) as queries:
        post_notices()
    statements = [one["sql"] for one in queries.captured_queries if not one["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(statements) == 3, statements


def test_a_million_entries_before_are_not_looked_at(ada):
    tail = AuditTail.objects.get() if AuditTail.objects.exists() else audit.hold()
    NoticeTail.objects.update(number=tail.number)
    found = str(AuditEntry.objects.filter(number__gt=tail.number).order_by("number")[: notices.AT_MOST].explain())
    assert "number" in found or "Index" in found, found
    assert "SCAN recovery_auditentry\n" not in found + "\n", found
