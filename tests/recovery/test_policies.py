"""Policies: what applies to a request, what an admin's change does to open ones, and who could meet it at all."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.utils import timezone
from pydantic import ValidationError as Invalid

from recovery.errors import NotAllowed
from recovery.models import ApprovalRequest, AuditEntry, PipelinePolicy
from recovery.permissions import policy_of
from recovery.pipelines import pipeline
from recovery.services.actors import SYSTEM
from recovery.services.decide import decide
from recovery.services.policies import effective_policy, tighten_open_requests, why_stuck
from rh_agents import ExecutionState, Policy, Question
from rh_agents.core.serialization import decode
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import RefundInput, calls
from tests.recovery.test_votes import POLICIES, member


@pipeline("test-coded", input_model=RefundInput, version="1", policy=Policy(needed=2, bulk_up_to="low"))
async def coded(order: RefundInput, state: ExecutionState) -> None:
    await state.ask(Question(key="q", title="Q?"))


@pytest.fixture
def asked(run_until_it_waits):
    def ask(policy: Policy, **options: Any) -> ApprovalRequest:
        POLICIES["now"] = policy
        return only_request(run_until_it_waits("test-quorum", **options))

    return ask


def effective(pipeline: str = "test-coded", **asked: Any) -> dict[str, Any]:
    given = effective_policy(pipeline, Question(key="q", title="Q?", policy=Policy(**asked))).given()
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in given.items()}


def said_by_admin(pipeline: str, **rules: Any) -> None:
    PipelinePolicy.objects.create(pipeline=pipeline, rules=rules)


@pytest.mark.django_db
def test_without_an_admin_the_question_goes_before_the_pipeline():
    assert effective() == {"needed": 2, "bulk_up_to": "low"}
    assert effective(needed=1, groups={"ops"}) == {"needed": 1, "bulk_up_to": "low", "groups": ["ops"]}


@pytest.mark.django_db
def test_an_admin_goes_before_the_pipeline_and_a_question_may_only_be_stricter_then():
    said_by_admin("", needed=3, reject_by="majority")
    said_by_admin("test-coded", needed=1)
    assert effective() == {"needed": 1, "bulk_up_to": "low", "reject_by": "majority"}
    assert effective(needed=4)["needed"] == 4
    said_by_admin("other", needed=3)
    assert effective("other", needed=1)["needed"] == 3
    assert effective("other", self_approval=True)["self_approval"] is True


@pytest.mark.django_db
def test_a_question_cannot_let_decide_whom_an_admin_does_not(make_user):
    said_by_admin("test-coded", groups=["legal"])
    Group.objects.create(name="legal")
    assert effective(groups={"legal", "ops"})["groups"] == ["legal"]
    assert effective(users={"mallory"})["groups"] == ["legal"]
    both = member(make_user("both"), "legal", "ops")
    member(make_user("one"), "ops")
    assert effective(groups={"ops"}, needed=1)["users"] == [both.username]


@pytest.mark.django_db
def test_a_question_does_not_escalate_to_whom_an_admin_does_not_let_decide():
    said_by_admin("test-coded", groups=["legal", "ops"])
    later = {"escalate_after_s": 60, "escalate_to": {"interns"}}
    assert "escalate_to" not in effective(**later)
    assert effective(**later | {"escalate_to": {"ops"}})["escalate_to"] == ["ops"]
    assert effective_policy("other", Question(key="q", title="Q?", policy=Policy(**later))).escalate_to == {"interns"}


@pytest.mark.django_db
def test_a_question_is_not_approved_by_nobody_where_an_admin_says_otherwise():
    said_by_admin("test-coded", expires_after_s=3600, on_expire="reject")
    sooner = effective(expires_after_s=60, on_expire="approve")
    assert (sooner["expires_after_s"], sooner["on_expire"]) == (60, "reject")
    assert effective_policy("test-coded", Question(key="q", title="Q?", on_expire="approve")).on_expire == "reject"
    assert effective_policy("other", Question(key="q", title="Q?", on_expire="approve")).on_expire == "approve"


def test_what_applied_is_kept_with_the_request(asked):
    request = asked(Policy(needed=2, expires_after_s=3600, on_expire="approve", self_approval=True))
    assert policy_of(request) == Policy.model_validate(request.policy)
    assert (request.policy["needed"], request.self_approval, request.on_expire) == (2, True, "approve")
    assert (request.expires_at - request.opened_at).total_seconds() == 3600
    assert request.attend_at == request.expires_at


def test_a_change_tightens_open_requests_and_loosens_none(asked, ada, grace):
    strict = asked(Policy(needed=3, comment_required={"approve"}))
    lax = asked(Policy(self_approval=True))
    member(ada, "legal")
    changed = tighten_open_requests(
        "test-quorum", Policy(needed=2, groups={"legal"}, comment_required=frozenset(), expires_after_s=60), by=grace
    )
    assert changed == 2
    strict.refresh_from_db(), lax.refresh_from_db()
    assert [(policy_of(one).needed, sorted(policy_of(one).groups)) for one in (strict, lax)] == [
        (3, ["legal"]),
        (2, ["legal"]),
    ]
    assert policy_of(strict).comment_required == {"approve"}
    assert lax.self_approval
    # They have the whole time of the new policy, however old they are.
    assert all(one.expires_at > timezone.now() for one in (strict, lax))
    with pytest.raises(NotAllowed):
        decide(lax.pk, by=grace, kind="approve")
    assert AuditEntry.objects.filter(action="policy_tightened").count() == 2
    assert tighten_open_requests("other", Policy(needed=9), by=grace) == 0


def test_a_request_that_nobody_can_settle_says_why(asked, ada, grace):
    assert why_stuck(asked(Policy(needed=2))) == ""
    assert why_stuck(asked(Policy(needed=3))) == "It needs 3 people, and only 2 may decide."
    assert why_stuck(asked(Policy(needed=2), by=ada)) == "It needs 2 people, and only one may decide."
    legal = asked(Policy(from_groups={"legal": 1}))
    assert why_stuck(legal) == "It needs 1 of legal, where nobody may decide."
    member(ada, "legal")
    assert why_stuck(legal) == ""


def test_escalation_lets_more_people_decide(asked, ada, grace):
    request = asked(Policy(users={"ada"}, escalate_after_s=60, escalate_to={"leads"}))
    member(grace, "leads")
    assert request.attend_at == request.escalate_at
    with pytest.raises(NotAllowed):
        decide(request.pk, by=grace, kind="approve")
    decide(request.pk, by=SYSTEM, kind="escalate")
    request.refresh_from_db()
    assert (request.is_open, request.escalate_at, request.attend_at) == (True, None, None)
    assert ApprovalRequest.objects.decidable_by(grace).get() == request
    assert decide(request.pk, by=grace, kind="approve").resolution.outcome == "approve"


@pytest.mark.parametrize(
    "rules",
    [
        {"needed": 0},
        {"needed": 2, "users": ["ada"]},
        {"escalate_after_s": 60},
        {"on_expire": "explode"},
        {"quorum": 2},
        {"permission": "no dot"},
        {"expires_after_s": float("inf")},
        {"groups": ["a\x00"]},
    ],
)
def test_a_policy_that_means_nothing_is_refused(rules):
    with pytest.raises(Invalid):
        Policy.model_validate(rules)
    with pytest.raises(ValidationError):
        PipelinePolicy(pipeline="x", rules=rules).clean_fields()


def test_what_is_irreversible_is_approved_by_nobody_whatever_a_policy_says(run_until_it_waits):
    PipelinePolicy.objects.create(rules={"expires_after_s": 60, "on_expire": "approve"})
    request = only_request(run_until_it_waits())
    assert (request.effect, request.on_expire) == ("irreversible", "reject")


def test_what_an_admin_and_a_question_say_may_ask_for_more_people_than_there_are_and_the_run_waits(asked, ada, grace):
    PipelinePolicy.objects.create(pipeline="test-quorum", rules={"needed": 2})
    request = asked(Policy(users={"ada"}))
    assert (policy_of(request).users, policy_of(request).needed) == ({"ada"}, 2)
    assert why_stuck(request) == "It needs 2 people, and only one may decide."
    assert decide(request.pk, by=ada, kind="approve").resolution is None


def test_one_request_that_would_need_too_many_people_keeps_no_other_from_being_tightened(asked, ada, grace):
    small, other = asked(Policy(users={"ada"})), asked(Policy())
    assert tighten_open_requests("test-quorum", Policy(needed=2), by=ada) == 2
    for request in (small, other):
        request.refresh_from_db()
        assert policy_of(request).needed == 2


def test_a_tightening_lets_nobody_decide_who_could_not():
    ops = Policy(groups={"ops"})
    assert ops.tightened_by(Policy(from_groups={"legal": 1})).given() == {"groups": {"ops"}, "from_groups": {}}
    assert ops.tightened_by(Policy(from_groups={"ops": 2})).from_groups == {"ops": 2}
    assert Policy().tightened_by(Policy(from_groups={"legal": 1})).from_groups == {"legal": 1}
    assert Policy().tightened_by(Policy(undo_window_s=0)).undo_window_s is None
    assert Policy(undo_window_s=5).tightened_by(Policy(undo_window_s=60)).undo_window_s == 60


def test_an_edit_that_not_enough_people_agreed_on_is_approved_by_nobody(asked, ada):
    request = asked(Policy(needed=2, expires_after_s=60, on_expire="approve"))
    edited = {"order": "A-17", "amount": "7", "method": "card", "on": "2026-11-23"}
    assert decide(request.pk, by=ada, kind="edit", proposal=edited).resolution is None
    decide(request.pk, by=SYSTEM, kind="expire")
    assert decode(work(request.state_id).output) == "refused: Nobody decided in time."
    assert calls == ["look_up"]
