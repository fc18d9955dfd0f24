"""Quorums: how many people it takes, from which groups, and what becomes of votes when the proposal changes."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from recovery.errors import AlreadyResolved, InvalidInput, NotAllowed, StaleProposal
from recovery.models import ApprovalRequest, AuditEntry, Decision, Delegation, Resolution, Resumption
from recovery.pipelines import pipeline
from recovery.services.decide import decide
from recovery.services.policies import tighten_open_requests
from recovery.services.undo import undo
from recovery.services.votes import standing_of
from rh_agents import ExecutionState, Policy, Question
from rh_agents.core.serialization import decode
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import Address, Refund, RefundInput, calls, look_up, pay

POLICIES: dict[str, Policy] = {}


@pipeline("test-quorum", input_model=RefundInput, title="Quorum", version="1")
async def quorum(order: RefundInput, state: ExecutionState) -> Any:
    """Asks under the policy that the test put up."""
    await look_up(order, None, state)
    proposal = Refund(order=order.order, amount=order.amount)
    answer = await state.ask(Question(key="q", title="Pay?", proposal=proposal, policy=POLICIES["now"]))
    if not answer.approved:
        return f"refused: {answer.comment}"
    await pay(answer.proposal, None, state)
    return [answer.proposal.amount, answer.by]


@pipeline("test-quorum-answer", input_model=RefundInput, title="Quorum of answers", version="1")
async def quorum_of_answers(order: RefundInput, state: ExecutionState) -> Any:
    return (
        await state.ask(Question(key="q", title="Where?", response_model=Address, policy=Policy(needed=2)))
    ).response


@pytest.fixture
def asked(run_until_it_waits):
    def ask(policy: Policy, pipeline: str = "test-quorum", **options: Any) -> ApprovalRequest:
        POLICIES["now"] = policy
        return only_request(run_until_it_waits(pipeline, **options))

    return ask


@pytest.fixture
def lin(make_user):
    return make_user("lin")


def member(user: Any, *groups: str) -> Any:
    user.groups.add(*(Group.objects.get_or_create(name=name)[0] for name in groups))
    return user


def output(request: ApprovalRequest) -> Any:
    return decode(work(request.state_id).output)


def rules(request: ApprovalRequest) -> list[tuple[str, int, int]]:
    request.refresh_from_db()
    return [(rule.group, rule.have, rule.needed) for rule in standing_of(request).rules]


def test_a_request_under_a_quorum_is_open_until_so_many_people_agree(asked, ada, grace):
    request = asked(Policy(needed=2))
    first = decide(request.pk, by=ada, kind="approve")
    assert (first.resolution, first.resumption, first.decision.refusal) == (None, None, "")
    assert (rules(request), request.is_open) == ([("", 1, 2)], True)
    assert work(request.state_id).status == "awaiting"
    second = decide(request.pk, by=grace, kind="approve")
    assert (second.resolution.outcome, second.resumption.status) == ("approve", "pending")
    assert output(request) == [Decimal("420.00"), ["ada", "grace"]]
    acts = AuditEntry.objects.filter(request_id=request.pk).order_by("number").values_list("action", flat=True)
    assert list(acts) == ["opened", "voted", "decided"]


def test_one_person_counts_once_however_often_they_vote(asked, ada, grace):
    request = asked(Policy(needed=2))
    for _ in range(3):
        assert decide(request.pk, by=ada, kind="approve").resolution is None
    assert rules(request) == [("", 1, 2)]
    assert not Resolution.objects.exists()
    assert decide(request.pk, by=grace, kind="approve").resolution is not None


def test_the_same_click_twice_is_one_vote(asked, ada):
    request = asked(Policy(needed=2))
    first = decide(request.pk, by=ada, kind="approve", idempotency_key="k")
    again = decide(request.pk, by=ada, kind="approve", idempotency_key="k")
    assert again.decision == first.decision
    assert Decision.objects.count() == 1


def test_another_act_under_a_used_key_is_refused_by_name(asked, ada):
    request = asked(Policy(needed=2))
    decide(request.pk, by=ada, kind="approve", idempotency_key="k")
    with pytest.raises(InvalidInput) as refused:
        decide(request.pk, by=ada, kind="reject", comment="no", idempotency_key="k")
    assert list(refused.value.errors) == ["idempotency_key"]
    assert Decision.objects.count() == 1


def test_a_later_vote_of_the_same_person_goes_before_their_earlier_one(asked, ada, grace, lin):
    request = asked(Policy(needed=2, reject_by="majority"))
    decide(request.pk, by=ada, kind="approve")
    decide(request.pk, by=ada, kind="reject", comment="on second thought")
    assert decide(request.pk, by=grace, kind="approve").resolution is None
    assert decide(request.pk, by=lin, kind="approve").resolution.outcome == "approve"


def test_a_withdrawn_vote_does_not_count(asked, ada, grace):
    request = asked(Policy(needed=2))
    decide(request.pk, by=ada, kind="approve")
    decide(request.pk, by=ada, kind="withdraw")
    assert decide(request.pk, by=grace, kind="approve").resolution is None
    assert rules(request) == [("", 1, 2)]
    with pytest.raises(InvalidInput, match="You have no vote here to take back"):
        decide(request.pk, by=ada, kind="withdraw")


def test_an_edit_makes_earlier_votes_fall_and_counts_for_its_own_version(asked, ada, grace, lin):
    request = asked(Policy(needed=2))
    decide(request.pk, by=ada, kind="approve", seen_version=1)
    edited = {"order": "A-17", "amount": "7", "method": "card", "on": "2026-11-23"}
    assert decide(request.pk, by=grace, kind="edit", proposal=edited, seen_version=1).resolution is None
    assert rules(request) == [("", 1, 2)]
    assert [vote.actor.username for vote in standing_of(request).fallen] == ["ada"]
    with pytest.raises(StaleProposal) as stale:
        decide(request.pk, by=lin, kind="approve", seen_version=1)
    assert stale.value.changes == [("amount", "420.00", "7")]
    decide(request.pk, by=ada, kind="approve", seen_version=2)
    assert output(request) == [Decimal(7), ["grace", "ada"]]
    assert calls == ["look_up", "pay"]


def test_an_approval_by_digest_runs_that_very_proposal_or_nothing(asked, ada, grace):
    request = asked(Policy(needed=2))
    edited = {"order": "A-17", "amount": "7", "method": "card", "on": "2026-11-23"}
    decide(request.pk, by=grace, kind="edit", proposal=edited, seen_digest=request.digest)
    with pytest.raises(StaleProposal):
        decide(request.pk, by=ada, kind="approve", seen_digest=request.digest)
    request.refresh_from_db()
    assert decide(request.pk, by=ada, kind="approve", seen_digest=request.digest).resolution.digest == request.digest


def test_one_rejection_settles_it_unless_the_policy_asks_for_a_majority(asked, ada, grace, lin):
    one = asked(Policy(needed=3))
    decide(one.pk, by=ada, kind="approve")
    assert decide(one.pk, by=grace, kind="reject", comment="no").resolution.outcome == "reject"

    most = asked(Policy(needed=3, reject_by="majority"))
    assert decide(most.pk, by=ada, kind="reject", comment="no").resolution is None
    assert decide(most.pk, by=grace, kind="approve").resolution is None
    assert decide(most.pk, by=lin, kind="reject", comment="no").resolution.outcome == "reject"
    assert output(most) == "refused: no"


def test_each_group_has_its_say_and_a_person_counts_for_one_of_them(asked, ada, grace, lin, make_user):
    member(ada, "legal", "ops"), member(grace, "ops"), member(lin, "legal")
    request = asked(Policy(from_groups={"legal": 1, "ops": 2}))
    decide(request.pk, by=ada, kind="approve")
    decide(request.pk, by=grace, kind="approve")
    # Ada could be counted for either; two people are not three.
    assert sum(have for _, have, _ in rules(request)) == 2
    assert request.is_open
    assert decide(request.pk, by=lin, kind="approve").resolution is not None


def test_who_is_counted_for_a_group_moves_when_that_lets_more_people_count(asked, ada, grace):
    member(ada, "legal", "ops"), member(grace, "legal")
    request = asked(Policy(from_groups={"legal": 1, "ops": 1}))
    decide(request.pk, by=ada, kind="approve")
    assert decide(request.pk, by=grace, kind="approve").resolution is not None


def test_who_is_not_named_may_not_decide_and_that_is_recorded(asked, ada, grace, lin):
    member(ada, "legal")
    request = asked(Policy(groups={"legal"}, users={"grace"}))
    with pytest.raises(NotAllowed, match="The policy leaves this to"):
        decide(request.pk, by=lin, kind="approve")
    assert Decision.objects.get().refusal == "not_allowed"
    mine = {who.username: ApprovalRequest.objects.decidable_by(who).count() for who in (ada, grace, lin)}
    assert mine == {"ada": 1, "grace": 1, "lin": 0}
    assert decide(request.pk, by=grace, kind="approve").resolution is not None


def test_the_requester_may_not_decide_unless_the_policy_says_so(asked, ada):
    own = asked(Policy(), by=ada)
    with pytest.raises(NotAllowed, match="the requester may not decide"):
        decide(own.pk, by=ada, kind="approve")
    assert decide(asked(Policy(self_approval=True), by=ada).pk, by=ada, kind="approve").resolution is not None


def test_equal_answers_make_a_quorum_and_different_ones_do_not(asked, ada, grace, lin):
    request = asked(Policy(), "test-quorum-answer")
    here, there = {"street": "Here 1", "zip": "12345"}, {"street": "There 2", "zip": "12345"}
    assert decide(request.pk, by=ada, kind="respond", response=here).resolution is None
    assert decide(request.pk, by=grace, kind="respond", response=there).resolution is None
    assert decide(request.pk, by=lin, kind="respond", response=here).resolution.outcome == "respond"
    assert output(request) == Address(**here)


def test_kinds_that_need_words_are_those_that_the_policy_names(asked, ada, grace):
    request = asked(Policy(comment_required={"approve"}))
    with pytest.raises(InvalidInput, match="needs a comment"):
        decide(request.pk, by=ada, kind="approve")
    assert decide(request.pk, by=ada, kind="reject").resolution.outcome == "reject"


def test_a_vote_after_the_end_is_refused(asked, ada, grace, lin):
    request = asked(Policy(needed=2))
    decide(request.pk, by=ada, kind="approve")
    decide(request.pk, by=grace, kind="approve")
    with pytest.raises(AlreadyResolved):
        decide(request.pk, by=lin, kind="approve")
    assert (Resolution.objects.count(), Resumption.objects.filter(kind="resume").count()) == (1, 1)


def test_undoing_the_last_vote_leaves_the_others(asked, ada, grace, lin):
    request = asked(Policy(needed=2, undo_window_s=60))
    decide(request.pk, by=ada, kind="approve")
    decide(request.pk, by=grace, kind="approve")
    undo(request.pk, by=grace)
    assert (rules(request), request.is_open) == ([("", 1, 2)], True)
    assert decide(request.pk, by=lin, kind="approve").resolution.outcome == "approve"


def test_whoever_stands_in_for_somebody_counts_for_their_group(asked, ada, grace, lin):
    member(ada, "legal")
    now = timezone.now()
    Delegation.objects.create(
        giver=ada, taker=grace, starts_at=now - timedelta(hours=1), ends_at=now + timedelta(hours=1)
    )
    request = asked(Policy(from_groups={"legal": 1}))
    assert ApprovalRequest.objects.decidable_by(grace).count() == 1
    with pytest.raises(NotAllowed):
        decide(request.pk, by=lin, kind="approve")
    vote = decide(request.pk, by=grace, kind="approve").decision
    assert vote.on_behalf_of == ada
    assert output(request)[1] == ["grace"]


def test_the_say_of_one_person_counts_once_however_many_stand_in_for_them(asked, ada, grace, lin):
    member(ada, "legal")
    now = timezone.now()
    for taker in (grace, lin):
        Delegation.objects.create(giver=ada, taker=taker, starts_at=now, ends_at=now + timedelta(hours=1))
    request = asked(Policy(from_groups={"legal": 2}))
    for person in (grace, lin, ada):
        assert decide(request.pk, by=person, kind="approve").resolution is None
    [counted] = standing_of(request).counted
    assert counted.actor == ada


def test_a_vote_counts_only_as_long_as_its_person_may_decide(asked, ada, grace, lin):
    member(grace, "legal")
    request = asked(Policy(needed=2, self_approval=True), by=lin)
    for person, stricter in ((lin, Policy(self_approval=False)), (ada, Policy(groups={"legal"}))):
        decide(request.pk, by=person, kind="approve")
        tighten_open_requests(request.pipeline, stricter, by=ada)
    assert decide(request.pk, by=grace, kind="approve").resolution is None
    request.refresh_from_db()
    assert [vote.actor for vote in standing_of(request).counted] == [grace]


@pytest.mark.parametrize("kind", ["approve", "edit", "reject", "approve in groups"])
def test_accepting_a_decision_takes_at_most_twelve_queries(
    asked, ada, django_assert_max_num_queries, kind, django_user_model
):
    is_in_groups, kind = kind == "approve in groups", kind.removesuffix(" in groups")
    person = member(django_user_model.objects.create_user("fresh"), "ops")
    request = asked(Policy(from_groups={"ops": 1, "legal": 1}) if is_in_groups else Policy(needed=2))
    decide(request.pk, by=member(ada, "legal") if is_in_groups else ada, kind="approve")
    edited = {"order": "A-17", "amount": "7", "method": "card", "on": "2026-11-23"}
    person.user_permissions.set(ada.user_permissions.all())
    person = django_user_model.objects.get(pk=person.pk)
    if kind == "edit" or is_in_groups:
        # These take one or two more; what the person may do at all has been looked up by the page.
        person.has_perms(["recovery.decide_approvalrequest"])
    # Of the transaction's own two, a test sees the savepoint; a policy of groups asks once more who belongs to them.
    with django_assert_max_num_queries(12 + 2 + 2 * is_in_groups):
        decide(
            request.pk,
            by=person,
            kind=kind,
            proposal=edited if kind == "edit" else None,
            comment="so",
            seen_digest=request.digest,
            idempotency_key="k",
        )
