"""Races of the whole protocol, with real threads: votes, undoing, groups, claims, sending back."""

from collections import Counter
from typing import Any

import pytest

from recovery.errors import AlreadyResolved, Held, NotUndoable
from recovery.models import ApprovalRequest, Decision, Resolution, Resumption, State
from recovery.services import audit
from recovery.services.actors import SYSTEM
from recovery.services.decide import Outcome, decide
from recovery.services.start_run import start_run
from recovery.services.undo import undo
from recovery.services.work import work_on_state
from rh_agents import Policy
from rh_agents.core.serialization import decode
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import calls
from tests.recovery.test_races import ORDER, at_once, many, reviewers
from tests.recovery.test_undo_and_back import OPTIONS, let_it_go_on
from tests.recovery.test_votes import POLICIES

__all__ = ["reviewers"]

pytestmark = pytest.mark.django_db(transaction=True)


def asked(policy: Policy) -> ApprovalRequest:
    POLICIES["now"] = policy
    return only_request(work(start_run("test-quorum", ORDER).pk))


def drafted(by: Any) -> ApprovalRequest:
    OPTIONS.clear()
    state = work(start_run("test-drafted", ORDER).pk)
    decide(only_request(state).pk, by=by, kind="approve")
    return only_request(work(state.pk))


def test_of_many_votes_just_enough_are_counted_and_the_others_are_told(reviewers):
    needed = many() // 2
    request = asked(Policy(needed=needed))
    outcomes = at_once(*(lambda one=one: decide(request.pk, by=one, kind="approve") for one in reviewers))
    assert Counter(type(one) for one in outcomes) == {Outcome: needed, AlreadyResolved: many() - needed}
    settled = [one for one in outcomes if isinstance(one, Outcome) and one.resolution]
    assert (len(settled), Resolution.objects.count()) == (1, 1)
    assert Resumption.objects.filter(kind="resume").count() == 1
    at_once(*[lambda: work_on_state(request.state_id)] * 4)
    assert len(decode(State.objects.get(pk=request.state_id).output)[1]) == needed
    assert calls == ["look_up", "pay"]
    assert list(audit.broken_links()) == []


def test_a_decision_that_is_undone_while_workers_come_runs_or_is_undone_and_never_both(reviewers):
    for _ in range(6):
        calls.clear()
        request = asked(Policy(undo_window_s=0))
        decide(request.pk, by=reviewers[0], kind="approve")
        outcomes = at_once(
            lambda request=request: undo(request.pk, by=reviewers[0]),
            *[lambda request=request: work_on_state(request.state_id)] * 3,
        )
        work_on_state(request.state_id)
        request.refresh_from_db()
        if isinstance(outcomes[0], NotUndoable):
            assert (request.outcome, calls) == ("approve", ["look_up", "pay"])
        else:
            assert (request.outcome, calls) == ("", ["look_up"])
        assert outcomes[1:] == [None] * 3


def test_an_answer_and_the_expiry_at_the_same_instant_are_one_outcome(reviewers):
    for _ in range(4):
        calls.clear()
        request = asked(Policy())
        outcomes = at_once(
            lambda request=request: decide(request.pk, by=reviewers[0], kind="approve"),
            lambda request=request: decide(request.pk, by=SYSTEM, kind="expire"),
        )
        assert Counter(type(one) for one in outcomes) == {Outcome: 1, AlreadyResolved: 1}
        request.refresh_from_db()
        work_on_state(request.state_id)
        assert calls == (["look_up", "pay"] if request.outcome == "approve" else ["look_up"])
        # Whoever was too late is told who was first.
        assert Decision.objects.filter(request=request, refusal="already_resolved").count() == 1


def test_a_group_whose_members_are_decided_at_once_has_one_outcome_each(reviewers):
    state = work(start_run("test-grouped", ORDER).pk)
    requests = list(ApprovalRequest.objects.filter(state=state).order_by("title"))
    kinds = ["approve", "reject", "reject"]
    outcomes = at_once(
        *(
            lambda one=one, kind=kind, person=person: decide(one.pk, by=person, kind=kind, comment="so")
            for one, kind, person in zip(requests, kinds, reviewers, strict=False)
        )
    )
    accepted = [one for one in outcomes if isinstance(one, Outcome)]
    came = {one.title: one.outcome for one in ApprovalRequest.objects.filter(state=state)}
    # The first rejection has cancelled whatever was open then; nobody is counted twice.
    assert Counter(type(one) for one in outcomes) == {
        Outcome: len(accepted),
        **({AlreadyResolved: 3 - len(accepted)} if len(accepted) < 3 else {}),
    }
    assert Counter(came.values())["reject"] == 1
    assert Resolution.objects.filter(request__state=state, undone_at=None).count() == 3
    assert decode(let_it_go_on(requests[0]).output) == [came[f"Book {name}?"] for name in ("flight", "hotel", "dinner")]


def test_a_request_has_one_holder(reviewers):
    request = asked(Policy())
    outcomes = at_once(*(lambda one=one: decide(request.pk, by=one, kind="claim") for one in reviewers[:8]))
    assert Counter(type(one) for one in outcomes) == {Outcome: 1, Held: 7}


def test_a_run_that_is_sent_back_is_forked_once_however_many_workers_come(reviewers):
    request = drafted(reviewers[0])
    decide(request.pk, by=reviewers[0], kind="request_changes", to="draft::tool_call", comment="Half.")
    Resumption.objects.filter(status="pending").update(not_before="2026-01-01T00:00Z")
    assert at_once(*[lambda: work_on_state(request.state_id)] * 6) == [None] * 6
    fork = State.objects.get(parent=request.state_id)
    assert at_once(*[lambda: work_on_state(fork.pk)] * 6) == [None] * 6
    assert calls == ["look_up", "draft", "draft"]
    assert only_request(fork).title == "Pay?"
    assert list(audit.broken_links()) == []


def test_a_decision_in_its_undo_window_is_not_carried_along_by_another_one(reviewers):
    state = work(start_run("test-grouped", ORDER).pk)
    flight, hotel, dinner = (
        ApprovalRequest.objects.get(title=f"Book {name}?") for name in ("flight", "hotel", "dinner")
    )
    for request in (flight, hotel):
        decide(request.pk, by=reviewers[0], kind="approve")
    Resumption.objects.filter(resolution__request=hotel).update(not_before="2026-01-01T00:00Z")
    assert work(state.pk).status == "awaiting"
    assert Resumption.objects.get(resolution__request=hotel).status == "done"
    # The one that still waits can be taken back, and decided otherwise.
    undo(flight.pk, by=reviewers[0])
    decide(dinner.pk, by=reviewers[0], kind="approve")
    decide(flight.pk, by=reviewers[1], kind="reject", comment="too far")
    assert decode(let_it_go_on(flight).output) == ["reject", "approve", "approve"]
