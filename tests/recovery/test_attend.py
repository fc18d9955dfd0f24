"""When nobody decides: people are reminded, others may decide, it expires, and no clock that jumps makes it early."""

import logging
import uuid
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from recovery.errors import PipelineGone
from recovery.models import ApprovalRequest, AuditEntry, Decision, PipelinePolicy, Resolution
from recovery.services import attend as attending
from recovery.services.attend import attend
from recovery.services.clocks import ClockWatch
from recovery.services.decide import Outcome, decide
from recovery.services.undo import undo
from rh_agents import Policy
from rh_agents.core.serialization import decode
from tests.recovery.asking import ask, at, member
from tests.recovery.conftest import work
from tests.recovery.sample_pipelines import calls
from tests.recovery.test_races import at_once
from tests.web import waiting

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class SetForward:
    """The watch over a clock that has just been set forward."""

    def is_steady(self, for_s):
        return False


def ago(request, **columns):
    """`request` with moments that lie so long in the past (or, negative, in the future)."""
    for name, age in columns.items():
        setattr(request, name, timezone.now() - age)
    request.save()
    return request


def stored(request):
    return ApprovalRequest.objects.get(pk=request.pk)


# ---- Expiry ----


@pytest.mark.parametrize(
    ("policy", "output", "does"),
    [
        (Policy(expires_after_s=3600), "expire: Nobody decided in time.", []),
        (Policy(expires_after_s=3600, on_expire="approve"), "paid 420.00 by card", ["pay"]),
    ],
)
def test_what_nobody_decided_in_time_comes_to_what_its_policy_says(policy, output, does):
    request = ago(ask(policy), expires_at=timedelta(seconds=1))
    assert attend() == 1
    resolution = Resolution.objects.get(request=request)
    assert (resolution.outcome, resolution.decision.actor_kind, resolution.decision.channel) == (
        "expire",
        "system",
        "clock",
    )
    state = work(request.state_id)
    assert (state.status, decode(state.output), calls) == ("completed", output, does)
    assert attend() == 0


def test_one_that_the_beat_could_not_read_is_approved_as_it_was_asked(monkeypatch):
    """The beat runs where the classes of the pipeline are not installed, the worker where they are."""
    request = ago(ask(Policy(expires_after_s=3600, on_expire="approve")), expires_at=HOUR)

    def cannot_be_read(_):
        raise PipelineGone("Its classes are not here.")

    with monkeypatch.context() as patched:
        patched.setattr("recovery.services.decide.question_of", cannot_be_read)
        assert attend() == 1
    state = work(request.state_id)
    assert (state.status, decode(state.output)) == ("completed", "paid 420.00 by card")


def test_a_run_is_cancelled_when_its_policy_says_so():
    request = ago(ask(Policy(expires_after_s=3600, on_expire="cancel")), expires_at=HOUR)
    attend()
    assert (work(request.state_id).status, calls) == ("cancelled", [])


def test_before_its_time_nothing_happens_to_it():
    request = ask(Policy(expires_after_s=3600, escalate_after_s=1800, escalate_to={"chiefs"}, remind_every_s=900))
    before = ApprovalRequest.objects.values().get()
    assert attend() == 0
    assert ApprovalRequest.objects.values().get() == before
    assert not request.decisions.exists()


def test_one_that_was_decided_is_not_looked_at(ada):
    request = ago(ask(), expires_at=HOUR)
    decide(request.pk, by=ada, kind="approve")
    assert attend() == 0
    assert stored(request).outcome == "approve"


def test_one_whose_decision_was_taken_back_too_late_expires(ada, settings):
    settings.RECOVERY = {**settings.RECOVERY, "UNDO_WINDOW_S": 60.0}
    request = ago(ask(), expires_at=-HOUR)
    decide(request.pk, by=ada, kind="approve")
    undo(request.pk, by=ada)
    ago(stored(request), expires_at=timedelta(seconds=1))
    attend()
    assert stored(request).outcome == "expire"


def test_nobody_is_reminded_of_what_is_over_and_nobody_new_is_asked():
    request = ask(Policy(expires_after_s=3600, escalate_after_s=1800, escalate_to={"chiefs"}, remind_every_s=900))
    ago(request, expires_at=HOUR, escalate_at=2 * HOUR, remind_at=3 * HOUR)
    attend()
    found = stored(request)
    assert (found.outcome, found.escalated_at, found.reminders) == ("expire", None, 0)


# ---- Clocks ----


def test_a_clock_that_was_just_set_forward_makes_nothing_expire():
    request = ago(ask(), expires_at=timedelta(seconds=1))
    assert attend(SetForward()) == 1
    assert (stored(request).is_open, request.decisions.count()) == (True, 0)
    attend()
    assert stored(request).outcome == "expire"


def test_while_a_clock_settles_people_are_reminded_and_others_asked_all_the_same():
    member_of_none = ask(Policy(escalate_after_s=1800, escalate_to={"chiefs"}, remind_every_s=900))
    ago(member_of_none, escalate_at=HOUR, remind_at=HOUR)
    attend(SetForward())
    found = stored(member_of_none)
    assert (found.escalated_at is not None, found.reminders) == (True, 1)


def test_how_long_a_clock_has_to_be_steady_is_a_setting(settings):
    clock = {"wall": 1_800_000_000.0, "monotonic": 0.0}
    watch = ClockWatch(lambda: clock["wall"], lambda: clock["monotonic"])
    request = ago(ask(), expires_at=timedelta(seconds=1))
    settings.RECOVERY = {**settings.RECOVERY, "CLOCK_SETTLES_S": 60.0}
    clock["wall"] += 3600
    attend(watch)
    clock = {name: time + 59 for name, time in clock.items()}
    attend(watch)
    assert stored(request).is_open
    clock = {name: time + 1 for name, time in clock.items()}
    attend(watch)
    assert stored(request).outcome == "expire"


def test_a_database_whose_clock_is_ahead_of_this_machine_makes_nothing_expire():
    request = ago(ask(), expires_at=timedelta(minutes=1))
    with time_machine.travel(timezone.now() - HOUR, tick=False):
        attend()
        assert stored(request).is_open
    attend()
    assert stored(request).outcome == "expire"


def test_a_machine_whose_clock_is_ahead_of_the_database_makes_nothing_expire():
    request = ago(ask(), expires_at=-HOUR)
    with time_machine.travel(timezone.now() + DAY, tick=False):
        assert attend() == 0
    assert stored(request).is_open


# ---- Escalation ----


def test_after_its_time_those_it_is_escalated_to_may_decide(ada, grace):
    member(ada, "ops")
    member(grace, "chiefs")
    request = ask(Policy(groups={"ops"}, escalate_after_s=1800, escalate_to={"chiefs"}))
    ago(request, escalate_at=timedelta(seconds=1))
    attend()
    found = stored(request)
    assert (found.escalated_at is not None, found.escalate_at, found.attend_at) == (True, None, None)
    [escalation] = found.decisions.all()
    assert (escalation.kind, escalation.actor_kind, escalation.channel) == ("escalate", "system", "clock")
    assert attend() == 0
    assert decide(request.pk, by=grace, kind="approve").resolution.outcome == "approve"


def test_one_that_somebody_escalated_by_hand_is_not_escalated_again(ada):
    request = ask(Policy(escalate_after_s=1800, escalate_to={"chiefs"}))
    decide(request.pk, by=ada, kind="escalate")
    ApprovalRequest.objects.update(attend_at=timezone.now() - HOUR, escalate_at=timezone.now() - HOUR)
    attend()
    assert request.decisions.filter(kind="escalate").count() == 1


# ---- Reminders ----


def test_a_reminder_is_counted_and_the_next_one_is_due_an_interval_later():
    request = ago(ask(Policy(remind_every_s=900)), remind_at=3 * HOUR)
    now = ApprovalRequest.objects.annotate(now=Now()).get().now
    assert attend() == 1
    found = stored(request)
    assert found.reminders == 1
    assert timedelta(0) <= found.remind_at - now - timedelta(seconds=900) < timedelta(minutes=1)
    assert found.attend_at == found.remind_at
    assert attend() == 0
    ago(found, remind_at=timedelta(seconds=1))
    attend()
    assert (stored(request).reminders, request.decisions.count()) == (2, 0)


def test_a_policy_that_reminds_nobody_any_more_ends_the_reminders():
    request = ago(ask(), remind_at=HOUR)
    attend()
    found = stored(request)
    assert (found.reminders, found.remind_at, found.attend_at) == (1, None, None)


def test_what_was_tightened_by_an_admin_is_attended_to(ada):
    request = ask()
    PipelinePolicy.objects.create(pipeline="test-asking", rules={"remind_every_s": 60})
    later = ask()
    assert (stored(request).attend_at, stored(later).remind_at) == (None, later.opened_at + timedelta(seconds=60))


def test_people_are_told_by_mail(ada, grace, tasks_at_once, django_capture_on_commit_callbacks):
    at("ada@example.com", ada)
    member(at("grace@example.com", grace), "chiefs")
    request = ask(Policy(users={"ada"}, escalate_after_s=1800, escalate_to={"chiefs"}, remind_every_s=900))
    ago(request, escalate_at=HOUR, remind_at=HOUR)
    with django_capture_on_commit_callbacks(execute=True):
        attend()
    assert [(message.to, message.subject.split(":")[0]) for message in mail.outbox] == [
        (["grace@example.com"], "Escalated to you"),
        (["ada@example.com"], "Still waits for a decision"),
        (["grace@example.com"], "Still waits for a decision"),
    ]


# ---- Many, and broken ones ----


def test_one_that_fails_stops_no_other_and_is_tried_again_later(caplog):
    first, broken, last = (ago(ask(Policy(remind_every_s=900)), remind_at=hours * HOUR) for hours in (3, 2, 1))
    ApprovalRequest.objects.filter(pk=broken.pk).update(policy={"needed": "many"})
    assert attend() == 3
    assert [stored(one).reminders for one in (first, broken, last)] == [1, 0, 1]
    assert f"request {broken.pk} could not be attended to" in caplog.text
    assert timedelta(minutes=4) < stored(broken).attend_at - timezone.now() < timedelta(minutes=6)
    assert attend() == 0
    ago(stored(broken), remind_at=HOUR)
    ApprovalRequest.objects.filter(pk=broken.pk).update(policy={"remind_every_s": 900})
    attend()
    assert stored(broken).reminders == 1


def test_of_a_program_of_its_own_that_does_not_wait_nothing_is_decided_nor_recorded(caplog):
    caplog.set_level(logging.INFO)
    request = ago(waiting.ask(), expires_at=HOUR)
    assert attend() == 1
    assert (stored(request).is_open, Decision.objects.count(), AuditEntry.objects.count()) == (True, 0, 0)
    assert "has expired, but its run takes nothing now" in caplog.text
    assert attend() == 0


def test_more_than_a_batch_is_attended_to_at_once():
    many = 2 * attending._BATCH + 5
    moment = timezone.now() - HOUR
    first = ago(ask(Policy(remind_every_s=900)), remind_at=HOUR)
    columns = {field.attname: getattr(first, field.attname) for field in ApprovalRequest._meta.concrete_fields}
    ApprovalRequest.objects.bulk_create(
        # Many at the very same moment: the place where a batch ends is in the middle of them.
        ApprovalRequest(**columns | {"id": uuid.uuid4(), "address": f"q{number}", "attend_at": moment})
        for number in range(many - 1)
    )
    assert attend() == many
    assert set(ApprovalRequest.objects.values_list("reminders", flat=True)) == {1}
    assert attend() == 0


def test_one_beat_does_not_go_on_for_ever(monkeypatch):
    monkeypatch.setattr(attending, "AT_MOST", 2)
    monkeypatch.setattr(attending, "_BATCH", 1)
    requests = [ago(ask(Policy(remind_every_s=900)), remind_at=HOUR) for _ in range(3)]
    assert [attend(), attend(), attend()] == [2, 1, 0]
    assert [stored(one).reminders for one in requests] == [1, 1, 1]


# ---- At once ----


@pytest.mark.django_db(transaction=True)
def test_many_beats_at_once_remind_and_escalate_once(ada):
    request = ask(Policy(escalate_after_s=1800, escalate_to={"chiefs"}, remind_every_s=900))
    ago(request, escalate_at=HOUR, remind_at=HOUR)
    outcomes = at_once(*[attend] * 8)
    assert {type(one) for one in outcomes} == {int}
    found = stored(request)
    assert (found.reminders, found.decisions.filter(kind="escalate", refusal="").count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_of_expiry_and_an_answer_at_the_same_instant_one_wins_and_the_other_is_told(ada):
    rounds = 6 if connection.vendor == "postgresql" else 2
    for _ in range(rounds):
        request = ago(ask(), expires_at=timedelta(seconds=1))
        answered, *beats = at_once(lambda pk=request.pk: decide(pk, by=ada, kind="approve"), attend, attend)
        assert {type(one) for one in beats} == {int}
        outcome = Resolution.objects.get(request=request).outcome
        if outcome == "expire":
            assert str(answered).startswith("the system was first")
        else:
            assert (outcome, type(answered)) == ("approve", Outcome)
        assert stored(request).outcome == outcome
