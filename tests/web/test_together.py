"""Several requests decided with one act in a browser: what would happen is shown first, then what became of each."""

from datetime import timedelta

import pytest

from recovery.models import ApprovalRequest, Decision, Resolution, Risk
from recovery.services.decide import decide
from recovery.services.open_request import add_version
from tests.recovery.conftest import only_request
from tests.web.pages import entered_in, read
from tests.web.waiting import ask, settle

pytestmark = pytest.mark.django_db

URL = "/inbox/together/"


@pytest.fixture
def refunds(run_until_it_waits):
    asked = [only_request(run_until_it_waits()) for _ in range(3)]
    ApprovalRequest.objects.update(risk=Risk.MEDIUM)
    return [ApprovalRequest.objects.get(pk=one.pk) for one in asked]


def chosen(*requests):
    return [f"{one.pk}:{one.version}:{one.digest}" for one in requests]


def titles_in(page, heading):
    """The titles and words under one heading."""
    section = page.one("section", aria_labelledby=heading)
    return [row.text for row in section.all("li")]


def confirm(client, kind, requests, **more):
    """The page that asks, and what came after its button was pressed."""
    asked = client.post(URL, {"kind": kind, "request": chosen(*requests)})
    form = read(asked).one("form", class_="together-form")
    sent = entered_in(form) | {"request": [one.attrs["value"] for one in form.all("input", name="request")]}
    return asked, client.post(form.attrs["action"], sent | {"kind": kind} | more)


def results(page):
    return [row.text for row in read(page).one("section", aria_label="What became of each").all("li")]


def test_what_would_happen_is_named_and_nothing_is_decided_yet(ada, refunds, signed_in):
    page = read(signed_in(ada).post(URL, {"kind": "approve", "request": chosen(*refunds)}))
    assert page.one("h1").text == "Approve 3 requests?"
    rows = titles_in(page, "ready-h")
    assert len(rows) == 3
    assert all("Refund 420.00 for A-17?" in row and 'amount = Decimal("420.00")' in row for row in rows)
    assert not Decision.objects.exists()


def test_confirmed_each_is_decided_and_its_result_shown(ada, refunds, signed_in):
    _, page = confirm(signed_in(ada), "approve", refunds, comment="all fine")
    assert read(page).one("h1").text == "Approved: 3 of 3"
    assert results(page) == ["Refund 420.00 for A-17? Approved"] * 3
    assert sorted(Resolution.objects.values_list("outcome", flat=True)) == ["approve"] * 3
    assert set(Decision.objects.values_list("comment", "channel")) == {("all fine", "web")}


def test_sent_twice_it_is_done_once(ada, refunds, signed_in):
    client = signed_in(ada)
    sent = {"kind": "approve", "confirmed": "yes", "idempotency_key": "once", "request": chosen(*refunds)}
    first, second = client.post(URL, sent), client.post(URL, sent)
    assert results(first) == results(second)
    assert Decision.objects.count() == 3


def test_what_changed_meanwhile_is_refused_alone_and_the_others_are_decided(ada, grace, refunds, signed_in):
    stale, taken, fine = refunds
    seen = chosen(stale, taken, fine)
    decide(stale.pk, by=grace, kind="claim")
    decide(taken.pk, by=grace, kind="approve")
    add_version(stale, 2, {"amount": 1}, by=grace, by_name="grace")
    client = signed_in(ada)
    page = read(client.post(URL, {"kind": "approve", "request": seen}))
    assert page.one("h1").text == "Approve 1 request?"
    left = titles_in(page, "left-h")
    assert "The proposal changed since you chose it: it is version 2 now." in left[0]
    assert "It was decided meanwhile." in left[1]
    # Somebody who confirmed before that sees the same.
    answer = client.post(URL, {"kind": "approve", "confirmed": "yes", "request": seen})
    assert read(answer).one("h1").text == "Approved: 1 of 3"
    said = results(answer)
    assert "grace changed the proposal." in said[0] and "Refused" in said[0]
    assert "grace approved this." in said[1] and "Refused" in said[1]
    assert said[2] == "Refund 420.00 for A-17? Approved"
    assert [one.outcome for one in (ApprovalRequest.objects.get(pk=one.pk) for one in refunds)] == [
        "",
        "approve",
        "approve",
    ]


def test_what_asks_something_else_and_what_is_too_risky_is_left_out(ada, refunds, order, signed_in):
    ApprovalRequest.objects.filter(pk=refunds[0].pk).update(risk=Risk.CRITICAL)
    page = read(signed_in(ada).post(URL, {"kind": "approve", "request": chosen(*refunds, order)}))
    assert page.one("h1").text == "Approve 2 requests?"
    left = titles_in(page, "left-h")
    assert "Its risk is critical; above medium each is decided by itself." in left[0]
    assert "It asks something else than the others" in left[1]


def test_a_request_of_ones_own_run_is_left_out(ada, run_until_it_waits, signed_in):
    own = only_request(run_until_it_waits(by=ada))
    page = read(signed_in(ada).post(URL, {"kind": "approve", "request": chosen(own)}))
    assert page.one("h1").text == "None of these can be decided together"
    assert "the requester may not decide" in titles_in(page, "left-h")[0]
    assert not page.all("button", value="approve")


def test_rejecting_asks_for_words_and_decides_nothing_without(ada, refunds, signed_in):
    client = signed_in(ada)
    asked, answer = confirm(client, "reject", refunds[:2])
    assert "required" in read(asked).one("textarea").attrs
    assert answer.status_code == 422
    assert "Say why: the policy asks for words." in read(answer).one("div", role="alert").text
    assert not Decision.objects.exists()
    _, answer = confirm(client, "reject", refunds[:2], comment="Too late")
    assert results(answer) == ["Refund 420.00 for A-17? Rejected"] * 2


def test_a_vote_that_is_not_enough_is_told_as_one(ada, refunds, signed_in):
    ApprovalRequest.objects.update(policy={"needed": 2})
    _, answer = confirm(signed_in(ada), "approve", refunds[:1])
    assert results(answer) == [
        "Refund 420.00 for A-17? Your vote counts: 1 of 2. One more approval is needed. Vote counted"
    ]
    assert not read(answer).all("li", data_decided=f"{refunds[0].pk}")


def test_holding_several_needs_no_second_look(ada, grace, signed_in):
    free, held = ask("free"), ask("held")
    decide(held.pk, by=grace, kind="claim")
    answer = signed_in(ada).post(URL, {"kind": "claim", "request": chosen(free, held)})
    said = results(answer)
    assert said[0] == "free Held by you"
    assert said[1].startswith("held Somebody else holds it.")
    assert ApprovalRequest.objects.get(pk=free.pk).holder == ada


@pytest.mark.parametrize(
    "values",
    [[], ["rubbish"], ["x:1:d"], [":::"], ["00000000-0000-0000-0000-000000000000:0:d"], ["\x00:1:d"]],
)
def test_where_nothing_is_chosen_that_is_said(ada, signed_in, values):
    answer = signed_in(ada).post(URL, {"kind": "approve", "request": values})
    assert (answer.status_code, read(answer).one("h1").text) == (422, "Nothing is chosen.")


def test_what_is_gone_is_counted(ada, refunds, signed_in):
    gone = ask("gone")
    values = chosen(refunds[0], gone)
    gone.state.delete()
    page = read(signed_in(ada).post(URL, {"kind": "approve", "request": values}))
    assert titles_in(page, "left-h") == ["1 is not there any more."]


def test_more_than_a_hundred_are_too_many(ada, signed_in):
    values = [f"00000000-0000-0000-0000-{number:012}:1:d" for number in range(101)]
    answer = signed_in(ada).post(URL, {"kind": "approve", "request": values})
    assert "101 are too many at once" in read(answer).one("h1").text


def test_a_link_decides_nothing_and_leads_to_the_list(ada, refunds, signed_in):
    answer = signed_in(ada).get(
        URL, {"kind": "approve", "confirmed": "yes", "request": chosen(*refunds), "tab": "open"}
    )
    assert (answer.status_code, answer["Location"]) == (302, "/?tab=open")
    assert not Decision.objects.exists()


def test_rows_that_can_be_selected_carry_what_was_seen(ada, make_user, signed_in):
    request = ask("One", age=timedelta(minutes=1))
    settle(ask("Done"), ada)
    page = read(signed_in(ada).get("/"))
    assert [one.attrs["value"] for one in page.all("input", name="request")] == chosen(request)
    assert page.one("form", id="selection").attrs["action"] == URL
    assert not read(signed_in(ada).get("/?tab=decided")).all("input", name="request")
    assert not read(signed_in(make_user("vera", decides=False)).get("/?tab=open")).all("input", name="request")
