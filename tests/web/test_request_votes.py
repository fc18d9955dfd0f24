"""A request that takes several people: what the policy asks for, who voted, and what an edit does to their votes."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import Group

from recovery.models import ApprovalRequest, Decision, Delegation, Resolution
from recovery.services.actors import SYSTEM
from recovery.services.decide import decide
from rh_agents import Policy
from tests.recovery.conftest import only_request
from tests.recovery.sample_pipelines import Refund
from tests.web.decision_pipelines import POLICIES
from tests.web.pages import Element, as_of_now, entered_in, read
from tests.web.request_pages import form_in, look, notices, panel, post

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(run_until_it_waits):
    def ask(policy: Policy, **options) -> ApprovalRequest:
        POLICIES["now"] = policy
        return only_request(run_until_it_waits("test-decided", **options))

    yield ask
    POLICIES.clear()


@pytest.fixture
def lin(make_user):
    return make_user("lin")


def member(user, name):
    user.groups.add(Group.objects.get_or_create(name=name)[0])
    return user


def votes(page: Element) -> list[str]:
    return [as_of_now(one.text) for one in panel(page, "Policy and votes").one("ul", class_="votes").all("li")]


def head(page: Element) -> str:
    return panel(page, "Policy and votes").one("header").text


def test_each_rule_says_how_many_there_are_and_whether_you_can(asked, ada, grace, lin, ada_at, signed_in):
    member(ada, "finance"), member(grace, "ops"), member(lin, "ops")
    request = asked(Policy(from_groups={"finance": 1, "ops": 2}))
    page = look(ada_at, request)
    assert head(page) == "Policy and votes 0 of 3 approvals"
    assert votes(page) == ["One of finance 0 of 1, you can", "Two of ops 0 of 2"]
    decide(request.pk, by=grace, kind="approve", comment="fine")
    page = look(ada_at, request)
    assert votes(page) == [
        "One of finance 0 of 1, you can",
        "Two of ops 1 of 2",
        "grace Approved just now fine",
    ]
    assert head(page) == "Policy and votes 1 of 3 approvals"
    assert "1 of 3 approvals" in page.one("header", class_="page-head").text
    assert votes(look(signed_in(grace), request))[1] == "Two of ops 1 of 2, you did"


def test_a_vote_that_is_not_enough_counts_and_the_page_stays_open(asked, grace, ada_at, htmx):
    request = asked(Policy(needed=3))
    answer = post(ada_at, request, form_in(look(ada_at, request)) | {"kind": "approve"}, headers=htmx)
    part = read(answer)
    assert part.one("div", id="decision-note").text == "Your vote counts: 1 of 3. Two more approvals are needed."
    assert "autofocus" in part.one("div", id="decision-note").attrs
    assert part.one("form", id="approve-form")
    assert not Resolution.objects.exists()
    decide(request.pk, by=grace, kind="approve")
    answer = post(ada_at, request, form_in(look(ada_at, request)) | {"kind": "approve"}, follow=True)
    assert notices(read(answer)) == ["Your vote counts: 2 of 3. One more approval is needed."]


def test_a_vote_says_which_group_is_still_missing(asked, ada, grace, lin, ada_at):
    member(ada, "ops"), member(grace, "finance"), member(lin, "finance")
    request = asked(Policy(from_groups={"finance": 2, "ops": 1}))
    answer = post(ada_at, request, form_in(look(ada_at, request)) | {"kind": "approve"}, follow=True)
    assert notices(read(answer)) == ["Your vote counts: 1 of 3. Two more approvals are needed: two of finance."]


def test_one_s_own_vote_is_taken_back_and_what_is_typed_stays(asked, ada, ada_at, htmx):
    request = asked(Policy(needed=2))
    decide(request.pk, by=ada, kind="approve")
    form = look(ada_at, request).one("form", class_="vote-back")
    data = entered_in(form) | {"kind": "withdraw"}
    part = read(ada_at.post(form.attrs["action"], data, headers=htmx))
    swapped = {one.attrs["id"] for one in part.all() if "hx-swap-oob" in one.attrs}
    assert swapped == {"request-head", "policy", "decision-note", "more"}
    assert not [one for one in part.children if isinstance(one, Element) and one.attrs["id"] not in swapped]
    assert part.one("div", id="decision-note").text == "Your vote is taken back."
    assert votes(look(ada_at, request))[0] == "Two of those who decide requests 0 of 2, you can"
    assert not look(ada_at, request).all("form", class_="vote-back")
    # Sent twice it is one act.
    ada_at.post(form.attrs["action"], data)
    assert Decision.objects.filter(kind="withdraw").count() == 1


def test_an_edit_says_whose_votes_fall_with_it_before_it_is_made(asked, grace, lin, ada_at, htmx):
    request = asked(Policy(needed=3))
    decide(request.pk, by=grace, kind="approve")
    data = form_in(look(ada_at, request))
    assert "hidden" in look(ada_at, request).one("p", id="votes-fall").attrs
    edited = data | {"proposal.amount": "7", "proposal:check": ""}
    fall = read(post(ada_at, request, edited | {"live": ""}, headers=htmx)).one("p", id="votes-fall")
    assert fall.text == "Your edit makes version 2: grace’s vote for version 1 falls."
    decide(request.pk, by=lin, kind="approve")
    fall = read(post(ada_at, request, edited)).one("p", id="votes-fall")
    assert fall.text == "Your edit makes version 2: grace’s and lin’s votes for version 1 fall."
    post(ada_at, request, data | {"proposal.amount": "7", "kind": "approve"})
    page = look(ada_at, request)
    assert votes(page)[1:3] == [
        "grace Approved version 1 fell just now",
        "lin Approved version 1 fell just now",
    ]
    assert votes(page)[3].startswith("You Approved with changes version 2")
    assert head(page).endswith("1 of 3 approvals")


def test_the_policy_is_said_in_words(asked, ada_at):
    policy = Policy(needed=2, reject_by="majority", undo_window_s=60, expires_after_s=7200, on_expire="cancel")
    page = look(ada_at, asked(policy))
    words = panel(page, "Policy and votes").one("p", class_="field-help").text
    assert words.startswith("Who started the run may not decide. Rejecting and sending it back need a comment.")
    assert "Two rejections settle it. If nobody decides by " in words
    assert words.endswith("the run is cancelled. A decision can be undone for 1 min. Every attempt is kept.")
    assert ", then cancelled" in page.one("header", class_="page-head").text


def test_a_request_that_nobody_can_settle_says_why(asked, ada_at):
    page = look(ada_at, asked(Policy(needed=9)))
    assert "It needs 9 people, and only one may decide." in panel(page, "Policy and votes").text


def test_whoever_stands_in_for_somebody_is_shown_with_them(asked, ada, grace, signed_in):
    member(ada, "legal")
    Delegation.objects.create(giver=ada, taker=grace, starts_at="2020-01-01T00:00Z", ends_at="2100-01-01T00:00Z")
    request = asked(Policy(from_groups={"legal": 1}, needed=2))
    page = look(signed_in(grace), request)
    assert "You stand in for ada." in panel(page, "Policy and votes").text
    assert votes(page)[0] == "One of legal 0 of 1, you can"
    decide(request.pk, by=grace, kind="approve")
    assert votes(look(signed_in(grace), request))[-1] == "You for ada Approved just now"


def test_what_expired_is_said_as_such(asked, ada_at):
    request = asked(Policy(expires_after_s=60))
    decide(request.pk, by=SYSTEM, kind="expire")
    page = look(ada_at, request)
    assert (
        as_of_now(panel(page, "Outcome").text)
        == "Outcome Expired Nobody decided in time. It expired just now and counts as rejected."
    )


def test_which_proposal_was_seen_is_sent_by_number_and_by_digest(asked, grace, ada_at):
    request = asked(Policy(needed=2))
    data = form_in(look(ada_at, request))
    assert (data["seen_version"], data["seen_digest"]) == ("1", request.digest)
    decide(request.pk, by=grace, kind="edit", proposal=Refund(order="A-17", amount=Decimal(3)))
    assert post(ada_at, request, data | {"kind": "approve", "seen_version": "2"}).status_code == 412
    assert post(ada_at, request, data | {"kind": "approve"}).status_code == 412
    assert Decision.objects.filter(refusal="").count() == 1
