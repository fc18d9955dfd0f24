"""Rules that decide by themselves: what they match, how often, for how long, and that nothing of them stops a run."""

import json
import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, connections, transaction
from django.utils import timezone

from recovery.backends import set_default_on_checkpoint
from recovery.errors import InvalidInput
from recovery.models import ApprovalRequest, AuditEntry, AutoRule, Decision, Resolution, Risk
from recovery.pipelines import pipeline
from recovery.services import audit
from recovery.services.decide import decide
from recovery.services.open_request import match_requests
from recovery.services.pauses import on_checkpoint
from recovery.services.rules import decide_by_rules, delete_unused_rule, preview, revoke_rule, save_rule
from recovery.services.start_run import start_run
from rh_agents import ExecutionState, Policy, Question
from rh_agents.core.serialization import decode
from tests.recovery.asking import ask, run
from tests.recovery.conftest import work
from tests.recovery.sample_pipelines import Address, RefundInput

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
SMALL = [{"path": "amount", "is": "below", "value": 500}]


@pipeline("test-rules-trip", input_model=RefundInput, version="1")
async def trip(order: RefundInput, state: ExecutionState) -> None:
    await state.parallel(
        *(
            state.ask(Question(key=name, title=name, group="trip", group_policy="first_reject_cancels"))
            for name in ("flight", "hotel", "dinner")
        )
    )


@pytest.fixture(autouse=True)
def _only_when_asked():
    """Here rules decide when a test says so, so that it can look at what was there before."""
    set_default_on_checkpoint(match_requests)
    yield
    set_default_on_checkpoint(on_checkpoint)


@pytest.fixture
def alex(db):
    """An admin."""
    return get_user_model().objects.create_superuser("alex")


@pytest.fixture
def rule(alex):
    def make(**terms):
        now = timezone.now()
        wanted = {
            "name": "Small refunds",
            "pipeline": "test-asking",
            "conditions": SMALL,
            "comment": "Below 500.",
            "starts_at": now - DAY,
            "ends_at": now + DAY,
            "max_uses": 10,
            "created_by": alex,
        }
        return AutoRule.objects.create(**wanted | terms)

    return make


def decided(request):
    """What the rules make of `request`, in a transaction as that which opens it."""
    with transaction.atomic():
        return decide_by_rules(request)


def uses(rule):
    return AutoRule.objects.get(pk=rule.pk).uses


def failures():
    return [json.loads(one.detail)["error"] for one in AuditEntry.objects.filter(action="rule_failed")]


# ---- What a rule decides ----


def test_a_rule_that_matches_decides_and_is_recorded_as_who_it_is(rule):
    small = rule()
    request = ask()
    outcome = decided(request)
    decision = Decision.objects.get()
    assert outcome.decision == decision
    assert (decision.kind, decision.actor, decision.actor_kind, decision.actor_name, decision.channel) == (
        "approve",
        None,
        "rule",
        "Small refunds",
        "rule",
    )
    assert (decision.rule, decision.comment, uses(small)) == (small, "Below 500.", 1)
    entry = AuditEntry.objects.get(action="decided")
    assert (entry.actor, entry.actor_kind, entry.channel, json.loads(entry.detail)["rule"]) == (
        "Small refunds",
        "rule",
        "rule",
        small.pk,
    )
    assert decode(work(request.state_id).output) == "paid 420.00 by card"


def test_a_run_that_a_rule_decides_goes_on_by_itself_in_the_same_worker(rule, run_until_it_waits):
    small = rule(pipeline="test-refund", max_risk=Risk.HIGH)
    set_default_on_checkpoint(on_checkpoint)
    state = run_until_it_waits()
    assert (state.status, decode(state.output), uses(small)) == ("completed", "paid 420.00 by card", 1)
    [request] = ApprovalRequest.objects.filter(state=state)
    assert (request.outcome, request.resolutions.get().decision.rule) == ("approve", small)


def test_a_rule_may_reject(rule):
    rule(kind="reject", comment="Not today.")
    request = ask()
    decided(request)
    assert decode(work(request.state_id).output) == "reject: Not today."


@pytest.mark.parametrize(
    "terms",
    [
        {"pipeline": "test-refund"},
        {"pipeline": ""},
        {"action": "payments.pay"},
        {"conditions": [{"path": "amount", "is": "below", "value": 420}]},
        {"conditions": [*SMALL, {"path": "order", "is": "equals", "value": "B-1"}]},
        {"conditions": [{"path": "nothing", "is": "not_equals", "value": 1}]},
        {"starts_at": timezone.now() + DAY, "ends_at": timezone.now() + 2 * DAY},
        {"starts_at": timezone.now() - 2 * DAY, "ends_at": timezone.now() - DAY},
        {"max_uses": 3, "uses": 3},
        {"max_uses": 0},
        {"revoked_at": timezone.now() - DAY},
    ],
)
def test_a_rule_that_does_not_match_or_does_not_hold_decides_nothing(rule, terms):
    other = rule(**terms)
    request = ask()
    assert decided(request) is None
    assert (Decision.objects.count(), uses(other), failures()) == (0, other.uses, [])


@pytest.mark.parametrize(("risk", "allowed"), [("low", True), ("medium", True), ("high", False), ("critical", False)])
def test_a_rule_decides_up_to_its_risk(rule, risk, allowed):
    rule(max_risk=Risk.MEDIUM)
    assert (decided(ask(risk=risk)) is not None) == allowed


def test_a_rule_without_action_and_conditions_matches_all_of_its_pipeline(rule):
    rule(conditions=[], action="")
    assert decided(ask(proposal=None, action="")) is not None


def test_whoever_started_the_run_does_not_approve_it_by_a_rule(rule, alex, ada):
    own = rule(created_by=alex)
    assert decided(ask(by=alex)) is None
    assert uses(own) == 0
    assert decided(ask(by=ada)) is not None


def test_what_says_no_goes_before_what_says_yes(rule):
    rule(name="yes")
    rule(name="no", kind="reject")
    assert decided(ask()).decision.actor_name == "no"
    assert Decision.objects.count() == 1


def test_the_next_rule_decides_where_the_first_does_not_match(rule):
    rule(name="first", conditions=[{"path": "amount", "is": "above", "value": 1000}])
    rule(name="second")
    assert decided(ask()).decision.actor_name == "second"


def test_under_a_quorum_a_rule_is_one_vote_however_many_match(rule, ada):
    rule(name="one")
    rule(name="two")
    request = ask(Policy(needed=2))
    assert decided(request).resolution is None
    assert Decision.objects.count() == 1
    assert decide(request.pk, by=ada, kind="approve").resolution is not None


def test_a_rule_and_its_author_are_one_person(rule, alex, ada):
    rule()
    request = ask(Policy(needed=2))
    assert decided(request).resolution is None
    assert decide(request.pk, by=alex, kind="approve").resolution is None
    assert decide(request.pk, by=ada, kind="approve").resolution is not None


# ---- What goes wrong ----


def test_a_use_whose_decision_is_refused_is_not_counted_and_the_request_stays_open(rule):
    small = rule(conditions=[])
    request = ask(response_model=Address, proposal=None, action="")
    assert decided(request) is None
    [failure] = failures()
    assert failure.startswith("InvalidInput: ")
    request.refresh_from_db()
    assert (uses(small), request.is_open, Decision.objects.count()) == (0, True, 0)


@pytest.mark.parametrize(
    "conditions",
    [
        "nonsense",
        [{"path": "amount", "is": "like", "value": 1}],
        [{"path": "order", "is": "matches", "value": "(a+)+"}],
    ],
)
def test_a_rule_that_is_broken_is_audited_and_the_next_one_decides(rule, conditions):
    rule(name="a", conditions=conditions)
    rule(name="b")
    assert decided(ask()).decision.actor_name == "b"
    [entry] = AuditEntry.objects.filter(action="rule_failed")
    assert (json.loads(entry.detail)["name"], entry.actor_kind, entry.channel) == ("a", "system", "rule")
    assert list(audit.broken_links()) == []


def test_arguments_that_cannot_be_read_leave_it_to_people(rule):
    rule()
    request = ask()
    request.versions.update(args="{")
    assert decided(request) is None
    assert len(failures()) == 1
    request.refresh_from_db()
    assert request.is_open


def test_a_rule_that_rejects_one_of_a_group_is_used_once_and_nothing_went_wrong(rule):
    small = rule(kind="reject", comment="no", pipeline="test-rules-trip", conditions=[], max_risk=Risk.MEDIUM)
    set_default_on_checkpoint(on_checkpoint)
    state = work(start_run("test-rules-trip", {"order": "A-17", "amount": "1"}).pk)
    outcomes = ApprovalRequest.objects.filter(state=state).values_list("outcome", flat=True)
    assert sorted(outcomes) == ["cancel", "cancel", "reject"]
    assert (uses(small), failures()) == (1, [])


def test_what_was_decided_before_is_left_alone(rule, ada):
    small = rule()
    request = ask()
    decide(request.pk, by=ada, kind="reject", comment="no")
    assert decided(request) is None
    assert (uses(small), Decision.objects.count()) == (0, 1)


def test_what_a_rule_decided_goes_with_the_transaction_that_opened_the_request(rule):
    small = rule()
    request = ask()
    with pytest.raises(LookupError), transaction.atomic():
        decide_by_rules(request)
        raise LookupError
    request.refresh_from_db()
    assert (uses(small), request.is_open, Decision.objects.count()) == (0, True, 0)


# ---- Writing them ----


def test_what_an_admin_writes_is_audited_with_what_was_and_what_is(alex, ada, rule):
    now = timezone.now()
    made = AutoRule(name="New", pipeline="test-asking", conditions=SMALL, starts_at=now, ends_at=now + DAY, max_uses=5)
    save_rule(made, by=alex)
    assert AutoRule.objects.get().created_by == alex
    made.max_uses = 7
    save_rule(made, by=ada)
    save_rule(made, by=alex)
    assert AutoRule.objects.get().created_by == ada
    entries = list(AuditEntry.objects.order_by("number"))
    assert [(one.action, one.actor, one.channel) for one in entries] == [
        ("rule_created", "alex", "admin"),
        ("rule_changed", "ada", "admin"),
    ]
    changed = json.loads(entries[1].detail)
    assert (changed["before"]["max_uses"], changed["after"]["max_uses"]) == (5, 7)
    assert changed["before"] | {"max_uses": 7} == changed["after"]


def test_saving_a_rule_keeps_what_was_counted_meanwhile(rule, alex):
    small = rule()
    stale = AutoRule.objects.get(pk=small.pk)
    decided(ask())
    stale.name = "Other"
    save_rule(stale, by=alex)
    found = AutoRule.objects.get()
    assert (found.name, found.uses) == ("Other", 1)


def test_a_rule_is_never_left_with_more_uses_than_it_may_have(rule, alex):
    small = rule()
    decided(ask())
    small.max_uses = 0
    with pytest.raises(InvalidInput) as refused:
        save_rule(small, by=alex)
    assert refused.value.errors == {"max_uses": ["It was used 1× already."]}
    assert AutoRule.objects.get().max_uses == 10


def test_conditions_that_are_none_are_not_saved(rule, alex):
    small = rule()
    small.conditions = [{"path": "a"}]
    with pytest.raises(InvalidInput):
        save_rule(small, by=alex)
    assert AutoRule.objects.get().conditions == SMALL


def test_a_revoked_rule_decides_nothing_more(rule, alex):
    small = rule()
    assert revoke_rule(small, by=alex)
    assert decided(ask()) is None
    assert not revoke_rule(small, by=alex)
    found = AutoRule.objects.get()
    assert (found.revoked_at is not None, found.revoked_by) == (True, alex)
    assert AuditEntry.objects.filter(action="rule_revoked").count() == 1


def test_a_rule_that_has_decided_is_not_deleted(rule, alex):
    used, unused = rule(), rule(name="other", conditions=[{"path": "amount", "is": "above", "value": 1000}])
    decided(ask())
    assert [delete_unused_rule(one, by=alex) for one in (used, unused)] == [False, True]
    assert list(AutoRule.objects.all()) == [used]
    entry = AuditEntry.objects.get(action="rule_deleted")
    assert (json.loads(entry.detail)["before"]["name"], entry.actor) == ("other", "alex")


def test_the_preview_counts_open_requests_that_it_would_match_and_decides_none(rule, ada, alex):
    small = rule()
    ask()
    ask(amount="600.00")
    ask(risk="high")
    ask(by=alex)
    decide(ask().pk, by=ada, kind="approve")
    assert preview(small) == (1, 4)
    small.conditions, small.max_risk = [], Risk.CRITICAL
    assert preview(small) == (3, 4)
    assert ApprovalRequest.objects.open().count() == 4


# ---- At once ----


@pytest.mark.django_db(transaction=True)
def test_runs_at_once_never_use_a_rule_more_often_than_it_may_be(rule):
    many = 16 if connection.vendor == "postgresql" else 5
    limit = many // 2
    small = rule(max_uses=limit)
    requests = [ask() for _ in range(many)]
    barrier, failed = threading.Barrier(many), []

    def use(request):
        try:
            barrier.wait(60)
            decided(request)
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=use, args=[request]) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failed, failures()) == ([], [])
    assert uses(small) == limit
    assert (Resolution.objects.count(), Decision.objects.filter(rule=small).count()) == (limit, limit)
    assert ApprovalRequest.objects.open().count() == many - limit
    assert list(audit.broken_links()) == []


@pytest.mark.django_db(transaction=True)
def test_of_whole_runs_at_once_so_many_go_on_as_a_rule_may_decide(rule):
    set_default_on_checkpoint(on_checkpoint)
    many = 8 if connection.vendor == "postgresql" else 3
    small = rule(max_uses=many - 2)
    barrier, statuses = threading.Barrier(many), []

    def go():
        try:
            barrier.wait(60)
            statuses.append(run().status)
        except BaseException as error:
            statuses.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=go) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(statuses) == {"completed": many - 2, "awaiting": 2}
    assert (uses(small), Decision.objects.filter(rule=small).count(), failures()) == (many - 2, many - 2, [])
    assert list(audit.broken_links()) == []


@pytest.mark.django_db(transaction=True)
def test_runs_that_use_a_rule_and_an_admin_who_changes_it_never_wait_in_a_circle(rule, alex):
    small = rule(max_uses=100)
    requests = [ask() for _ in range(4)]
    barrier, failed = threading.Barrier(6), []

    def run(job):
        try:
            barrier.wait(60)
            job()
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    def use(request):
        with transaction.atomic():
            # As a checkpoint that opens a request does, before any rule is looked at.
            audit.record("opened", request_id=request.pk)
            decide_by_rules(request)

    def change(number):
        for turn in range(3):
            mine = AutoRule.objects.get(pk=small.pk)
            mine.comment = f"{number} {turn}"
            save_rule(mine, by=alex)

    jobs = [lambda request=request: use(request) for request in requests]
    jobs += [lambda number=number: change(number) for number in range(2)]
    threads = [threading.Thread(target=run, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failed, failures()) == ([], [])
    assert (uses(small), Resolution.objects.count()) == (4, 4)
