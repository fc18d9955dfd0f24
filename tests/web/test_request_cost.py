"""What the page of a request costs, and that it stays quick however much was done, said and named."""

import pytest
from django.contrib.auth.models import Group, Permission

from recovery.models import ApprovalRequest, Decision, Event, RequestDecider
from recovery.request_reads import COMMENTS_AT_MOST
from recovery.services.decide import decide
from tests.recovery.conftest import work
from tests.web.pages import read
from tests.web.request_pages import form_in, look, panel, post

pytestmark = pytest.mark.django_db


def steps(request, count):
    """As many finished steps more, before the question."""
    asked = Event.objects.get(state=request.state, status="awaiting")
    Event.objects.bulk_create(
        Event(
            state_id=request.state_id,
            position=asked.position + 1 + number,
            address=f"collect::look[{number}]::tool_call",
            event_type="tool_call",
            status="completed",
            result='{"a": 1}',
            added_in=asked.added_in,
        )
        for number in range(count)
    )


def comment(request, by, count):
    Decision.objects.bulk_create(
        Decision(
            request=request,
            kind="comment",
            actor=by,
            actor_name="Grace",
            comment=f"said {n}",
            created_at=request.opened_at,
        )
        for n in range(count)
    )


def needs(request, needed):
    ApprovalRequest.objects.filter(pk=request.pk).update(policy={**request.policy, "needed": needed})


def test_a_page_with_fifty_steps_votes_and_comments_takes_eight_queries(
    refund, ada, ada_at, make_user, django_assert_num_queries
):
    steps(refund, 50)
    needs(refund, 4)
    for name in ("grace", "lin"):
        decide(refund.pk, by=make_user(name), kind="approve")
    comment(refund, ada, 5)
    with django_assert_num_queries(8):
        page = look(ada_at, refund)
    assert [one.text for one in page.all("p", class_="comment-text")] == [f"said {n}" for n in range(5)]
    assert "2 of 4 approvals" in panel(page, "Policy and votes").text


def test_what_else_stands_on_the_page_costs_few_queries_more(
    refund, ada, grace, ada_at, make_user, signed_in, django_assert_max_num_queries
):
    viewer = signed_in(make_user("vera", decides=False))
    with django_assert_max_num_queries(9):
        look(viewer, refund)
    page = look(ada_at, refund)
    with django_assert_max_num_queries(9):
        post(ada_at, refund, form_in(page) | {"kind": "approve", "proposal.amount": "x"})
    decide(refund.pk, by=grace, kind="approve")
    for _ in range(30):
        post(ada_at, refund, form_in(page) | {"kind": "approve"})
    with django_assert_max_num_queries(9):
        assert len(look(ada_at, refund).one("ul", class_="votes").all("li")) == 31
    work(refund.state_id)
    with django_assert_max_num_queries(9):
        look(ada_at, refund)


def test_of_very_many_comments_the_newest_are_shown_and_the_earlier_come_by_windows(refund, ada, ada_at, htmx):
    comment(refund, ada, 2 * COMMENTS_AT_MOST + 1)
    discussion = panel(look(ada_at, refund), "Discussion")
    said = [one.text for one in discussion.all("p", class_="comment-text")]
    assert said == [f"said {n}" for n in range(COMMENTS_AT_MOST + 1, 2 * COMMENTS_AT_MOST + 1)]
    assert "the newest 20 comments" in discussion.one("header").text
    link = discussion.one("li", class_="earlier").one("a")
    part = read(ada_at.get(link.attrs["hx-get"], headers=htmx))
    assert [one.text for one in part.all("p", class_="comment-text")] == [
        f"said {n}" for n in range(1, COMMENTS_AT_MOST + 1)
    ]
    whole = panel(read(ada_at.get(link.attrs["href"])), "Discussion")
    assert [one.text for one in whole.all("p", class_="comment-text")] == [
        f"said {n}" for n in range(1, COMMENTS_AT_MOST + 1)
    ]
    first = whole.one("li", class_="earlier").one("a")
    last = panel(read(ada_at.get(first.attrs["href"])), "Discussion")
    assert [one.text for one in last.all("p", class_="comment-text")] == ["said 0"]
    assert not last.all("li", class_="earlier")
    assert "The newest comments" in last.text


@pytest.mark.parametrize("before", ["x", "-1", "9" * 30, "²", ""])
def test_a_place_among_the_comments_that_means_nothing_is_the_page(refund, ada, ada_at, before):
    comment(refund, ada, 1)
    page = read(ada_at.get(f"/requests/{refund.pk}/?before={before}"))
    assert page.one("p", class_="comment-text").text == "said 0"


def test_a_policy_that_names_thousands_is_said_in_a_few_words(
    refund, ada, ada_at, make_user, signed_in, django_assert_max_num_queries
):
    names = sorted(f"person{number:04}" for number in range(3000))
    ApprovalRequest.objects.filter(pk=refund.pk).update(
        policy={**refund.policy, "users": [*names, ada.username]}, open_to_all=False
    )
    RequestDecider.objects.bulk_create(RequestDecider(request=refund, username=name) for name in [*names, ada.username])
    with django_assert_max_num_queries(8):
        answer = ada_at.get(f"/requests/{refund.pk}/")
    assert "person0006, 2,993 others" in panel(read(answer), "Policy and votes").text
    assert len(answer.content) < 120_000
    assert read(answer).one("button", id="decide-approve")
    vera = look(signed_in(make_user("vera")), refund)
    assert "The policy leaves this to person0000" in vera.text and " and others." in vera.text


def test_a_person_comes_with_their_permissions_and_those_of_their_groups(
    make_user, signed_in, django_assert_num_queries
):
    user = make_user("vera", decides=False)
    group = Group.objects.create(name="ops")
    group.permissions.add(Permission.objects.get(codename="decide_approvalrequest"))
    client = signed_in(user)

    def seen():
        return client.get("/states/").wsgi_request.user

    assert seen().get_all_permissions() == user.get_all_permissions()
    user.groups.add(group)
    user.user_permissions.add(Permission.objects.get(codename="start_state"))
    viewer = seen()
    with django_assert_num_queries(0):
        assert viewer.has_perm("recovery.decide_approvalrequest") and viewer.has_perm("recovery.start_state")
        assert not viewer.has_perm("recovery.add_state")
    type(user).objects.filter(pk=user.pk).update(is_active=False)
    assert client.get("/states/").status_code == 302


def test_what_is_counted_for_somebody_follows_what_they_may(refund, make_user, signed_in):
    user = make_user("vera", decides=False)
    client = signed_in(user)

    def counted():
        return read(client.get("/states/")).one("b", id="waiting-count").text

    may = Permission.objects.get(codename="decide_approvalrequest")
    assert counted() == "waiting for you"
    user.user_permissions.add(may)
    assert counted() == "1 waiting for you"
    ApprovalRequest.objects.filter(pk=refund.pk).update(open_to_all=False)
    assert counted() == "waiting for you"
    RequestDecider.objects.create(request=refund, username="vera")
    assert counted() == "1 waiting for you"
    user.user_permissions.remove(may)
    assert counted() == "waiting for you"
