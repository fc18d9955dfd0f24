"""Deciding from the page of a request: what is accepted, what is asked for again, and that nothing typed is lost."""

from decimal import Decimal

import pytest
from django.test import Client

from recovery.models import Decision, ProposalVersion
from recovery.services.questions import current_version, proposal_of
from rh_agents.core.serialization import decode
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import Method, Refund, calls
from tests.web.pages import read
from tests.web.request_pages import form_in, look, panel, post, written

pytestmark = pytest.mark.django_db


def test_each_way_to_decide_has_its_own_comment_and_says_whether_it_needs_one(run_until_it_waits, ada_at):
    request = only_request(run_until_it_waits("test-either"))
    page = look(ada_at, request)
    said = {one.one("h3").text: one.one("textarea") for one in page.all("div", class_="decision-with")}
    assert {words: field.attrs["form"] for words, field in said.items()} == {
        "With “Approve”": "approve-form",
        "With “Send answer”": "respond-form",
    }
    labels = [one.all("label")[0].text for one in page.all("div", class_="decision-with")]
    assert [words.startswith("Reason") for words in labels] == [False, True]
    words = [one.all("label")[-1].text for one in page.all("div", class_="decision-with")]
    assert ["(required)" in one for one in words] == [False, True]
    sent = form_in(page, "respond-form") | {"kind": "respond", "response.street": "Oak"}
    refused = post(ada_at, request, sent)
    assert refused.status_code == 422
    note = read(refused).one("div", id="decision-note")
    assert note.one("a").attrs["href"] == "#answer-comment"
    assert read(refused).one("input", name="response.street").attrs["value"] == "Oak"
    assert post(ada_at, request, sent | {"comment": "They moved"}).status_code == 302
    assert [(one.kind, one.comment) for one in Decision.objects.all()] == [("respond", "They moved")]


# ---- Deciding ----


def test_approving_runs_the_proposal_as_it_was_shown(refund, ada, ada_at):
    answer = post(ada_at, refund, form_in(look(ada_at, refund)) | {"kind": "approve", "comment": "fine"})
    assert (answer.status_code, answer["Location"]) == (302, f"/requests/{refund.pk}/")
    decision = Decision.objects.get()
    assert (decision.kind, decision.actor, decision.comment, decision.version) == ("approve", ada, "fine", 1)
    assert decode(work(refund.state_id).output) == "paid 420.00 by card"
    assert ProposalVersion.objects.count() == 1


def test_the_one_button_approves_with_edits_when_something_was_edited(refund, ada_at):
    data = form_in(look(ada_at, refund)) | {"kind": "approve", "proposal.amount": "100.50", "proposal.method": "credit"}
    assert post(ada_at, refund, data).status_code == 302
    assert Decision.objects.get().kind == "edit"
    assert proposal_of(current_version(refund)) == Refund(order="A-17", amount=Decimal("100.50"), method=Method.CREDIT)
    assert decode(work(refund.state_id).output) == "paid 100.50 by credit"


def test_what_is_fixed_cannot_be_edited_by_sending_it(refund, ada_at):
    data = form_in(look(ada_at, refund)) | {"kind": "edit", "proposal.order": "B-99", "proposal.on": "2030-01-01"}
    assert post(ada_at, refund, data).status_code == 302
    assert Decision.objects.get().kind == "approve"
    assert proposal_of(current_version(refund)).order == "A-17"


def test_a_rejection_brings_the_reason_to_the_run(refund, ada_at):
    data = form_in(look(ada_at, refund), "reject-form") | {"kind": "reject", "reject_comment": "too much"}
    assert post(ada_at, refund, data).status_code == 302
    assert decode(work(refund.state_id).output) == "refused: too much"
    assert calls == ["look_up"]


def test_an_answer_reaches_the_run_as_its_model(run_until_it_waits, ada_at):
    request = only_request(run_until_it_waits("test-question"))
    data = form_in(look(ada_at, request), "respond-form")
    data |= {"kind": "respond", "response.street": "Storgatan 19", "response.zip": "21142"}
    assert post(ada_at, request, data).status_code == 302
    assert decode(work(request.state_id).output).street == "Storgatan 19"


def test_a_pause_by_hand_is_approved_with_a_comment(run_until_it_waits, ada_at):
    request = only_request(run_until_it_waits("test-manual"))
    post(ada_at, request, form_in(look(ada_at, request)) | {"kind": "approve", "comment": "go"})
    assert decode(work(request.state_id).output) == "approve: go"


def test_sending_the_same_form_twice_is_one_decision(refund, ada_at):
    data = form_in(look(ada_at, refund)) | {"kind": "approve"}
    answers = [post(ada_at, refund, data) for _ in range(2)]
    assert [answer["Location"] for answer in answers] == [f"/requests/{refund.pk}/"] * 2
    assert Decision.objects.count() == 1


def test_a_link_never_decides(refund, ada_at):
    query = form_in(look(ada_at, refund)) | {"kind": "approve"}
    before = written()
    answer = ada_at.get(f"/requests/{refund.pk}/decide/", query)
    assert (answer.status_code, answer["Location"]) == (302, f"/requests/{refund.pk}/")
    assert written() == before


def test_a_decision_without_the_token_of_the_page_is_refused(refund, ada):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    before = written()
    assert post(client, refund, {"kind": "approve", "seen_version": "1"}).status_code == 403
    assert written() == before


# ---- What does not validate ----


def test_an_invalid_edit_is_shown_at_its_field_and_nothing_typed_is_lost(refund, ada_at):
    before = written()
    data = form_in(look(ada_at, refund))
    data |= {"kind": "approve", "proposal.amount": "lots", "proposal.method": "credit", "comment": "because"}
    answer = post(ada_at, refund, data)
    assert answer.status_code == 422
    page = read(answer)
    field = page.one("input", id="proposal-amount")
    assert (field.attrs["value"], field.attrs["aria-invalid"]) == ("lots", "true")
    sent = form_in(page)
    assert {name: sent[name] for name in ("proposal.amount", "proposal.method", "comment", "seen_version")} == {
        "proposal.amount": "lots",
        "proposal.method": "credit",
        "comment": "because",
        "seen_version": "1",
    }
    note = page.one("div", id="decision-note")
    assert note.one("a").attrs["href"] == "#proposal-amount"
    assert note.text == "1 to correct: amount. Nothing was decided."
    assert written() == before and only_request(refund.state).is_open
    lines = {line.text: line.attrs["class"].split()[-1] for line in page.all("span", class_="call-line")}
    assert lines['not valid amount = "lots"'] == "is-invalid"
    assert lines["edited method = Method.CREDIT"] == "is-edited"


def test_an_invalid_answer_is_shown_at_its_field(run_until_it_waits, ada_at):
    request = only_request(run_until_it_waits("test-question"))
    data = form_in(look(ada_at, request), "respond-form")
    answer = post(ada_at, request, data | {"kind": "respond", "response.street": "Storgatan 19", "response.zip": "x"})
    assert answer.status_code == 422
    page = read(answer)
    assert page.one("input", id="response-street").attrs["value"] == "Storgatan 19"
    assert page.one("input", id="response-zip").attrs["aria-invalid"] == "true"
    assert only_request(request.state).is_open


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"kind": "respond"}, "'respond' is not offered here; there are: approve, edit, reject"),
        ({"kind": "expire"}, "'expire' is not offered here; there are: approve, edit, reject"),
        ({"kind": "x" * 300}, "is not offered here"),
        ({"kind": "reject", "reject_comment": "a\x00b"}, "It holds a NUL character."),
    ],
)
def test_what_the_request_does_not_offer_is_refused_with_the_reason(refund, ada_at, data, said):
    before = written()
    answer = post(ada_at, refund, form_in(look(ada_at, refund)) | data)
    assert answer.status_code == 422
    assert said in read(answer).one("div", id="decision-note").text
    assert written() == before


def test_checking_shows_what_would_run_and_decides_nothing(refund, ada_at):
    before = written()
    answer = post(ada_at, refund, form_in(look(ada_at, refund)) | {"proposal.amount": "7.5", "proposal:check": ""})
    assert answer.status_code == 200
    page = read(answer)
    edited = [line.text for line in page.all("span", class_="is-edited")]
    assert edited == ['edited amount = Decimal("7.5")']
    assert page.one("button", id="decide-approve").text == "Approve with 1 edit"
    assert "of version 2, once you approve it" in panel(page, "What will run").text
    assert written() == before


def test_a_rejection_that_is_refused_keeps_the_edits_that_came_along(run_until_it_waits, ada_at, refund):
    page = look(ada_at, refund)
    data = form_in(page) | form_in(page, "reject-form") | {"kind": "reject", "reject_comment": "\x00"}
    answer = post(ada_at, refund, data | {"proposal.amount": "9"})
    assert answer.status_code == 422
    assert form_in(read(answer))["proposal.amount"] == "9"
    assert "open" in read(answer).all("details", class_="decision-option")[0].attrs
