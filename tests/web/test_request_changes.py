"""A request whose page is open while others are at it: what they did arrives, what somebody types is left alone."""

import pytest

from recovery.services.decide import decide
from recovery.services.undo import undo
from rh_agents import Policy
from tests.recovery.asking import ask
from tests.web.pages import as_of_now, read

pytestmark = pytest.mark.django_db


@pytest.fixture
def shown(ada_at, htmx):
    """Ada's page of a request: what arrives at it, and what it has to say in the end."""

    class Page:
        def __init__(self, request):
            self.request = request
            self.part = self.opened = read(ada_at.get(f"/requests/{request.pk}/"))

        def look(self):
            url = self.part.one("div", id="request-changes").attrs["hx-get"]
            answer = ada_at.get(url, headers=htmx)
            if answer.status_code == 200:
                self.part = read(answer)
            return answer.status_code

        @property
        def notice(self):
            return self.part.one("div", id="request-changes").text

    return Page


def test_it_listens_to_its_request_and_has_nothing_to_say_at_first(shown):
    request = ask()
    page = shown(request)
    part = page.opened.one("div", id="request-changes")
    assert (part.attrs["data-live"], part.attrs["hx-trigger"]) == (f"request:{request.pk}", "live")
    assert part.text == ""
    assert page.look() == 204


def test_a_decision_of_somebody_else_is_said_and_the_forms_stay(shown, grace):
    page = shown(ask(Policy(undo_window_s=60)))
    decide(page.request.pk, by=grace, kind="approve")
    assert page.look() == 200
    assert as_of_now(page.notice) == "grace approved this just now. What you typed stays here. Look at it"
    assert page.part.one("div", id="request-changes").one("a").attrs["href"] == f"/requests/{page.request.pk}/"
    swapped = {
        one.attrs["id"] for tag in ("div", "header", "section", "ol") for one in page.part.all(tag) if "id" in one.attrs
    }
    assert swapped == {"request-changes", "request-head", "policy", "announcer"}
    assert page.look() == 204

    undo(page.request.pk, by=grace)

    assert page.look() == 200
    assert page.notice == ""


def test_votes_holders_and_comments_of_others_arrive_without_a_notice(shown, grace):
    page = shown(ask(Policy(needed=2)))
    for kind in ("claim", "approve", "comment"):
        decide(page.request.pk, by=grace, kind=kind, comment="Mind the gap" if kind == "comment" else "")
        assert page.look() == 200
        assert page.notice == ""
    assert "held by grace" in page.part.one("header", id="request-head").text
    assert "1 of 2" in page.part.one("section", id="policy").text
    assert "Mind the gap" in page.part.one("li", class_="comment").text
    assert page.part.one("span", id="discussion-words").text == "1 comment"
    assert page.look() == 204


def test_each_comment_of_others_arrives_once_and_ones_own_with_its_own_answer(shown, ada, grace):
    page = shown(ask())
    for by, words in ((grace, "First"), (ada, "Mine"), (grace, "Second")):
        decide(page.request.pk, by=by, kind="comment", comment=words)
        assert page.look() == 200
        arrived = [one.one("p", class_="comment-text").text for one in page.part.all("li", class_="comment")]
        assert arrived == ([words] if by is grace else [])


def test_a_newer_proposal_is_said_until_the_page_is_loaded_again(shown, grace, ada):
    page = shown(ask(Policy(needed=2), editable=["amount"]))
    decide(page.request.pk, by=grace, kind="edit", proposal={"order": "A-17", "amount": "7.00"})
    assert page.look() == 200
    assert page.notice == "There is a newer version of the proposal. What you typed stays here. Look at it"
    decide(page.request.pk, by=grace, kind="comment", comment="so")
    assert page.look() == 200
    assert page.notice.startswith("There is a newer version")
    assert shown(page.request).notice == ""


@pytest.mark.parametrize("query", ["", "?seen=x&version=x", "?version=99999999999999999999"])
def test_what_it_is_asked_does_not_matter(refund, ada_at, htmx, query):
    answer = ada_at.get(f"/requests/{refund.pk}/changes/{query}", headers=htmx)
    assert answer.status_code == 200
    assert ada_at.get(f"/requests/{refund.pk}/changes/{query}").url == f"/requests/{refund.pk}/"


def test_of_a_request_that_is_not_there_there_is_nothing(ada_at, htmx):
    answer = ada_at.get("/requests/6f0b1c5e-0000-4000-8000-00000000000a/changes/", headers=htmx)
    assert answer.status_code == 404
