"""The page of a request: what it shows, what a decision from it comes to, and how refusals are answered."""

import uuid
from decimal import Decimal

import pytest
from django.test import Client

from recovery import pipelines
from recovery.models import (
    ApprovalRequest,
    Artifact,
    Decision,
    ProposalVersion,
    Resolution,
    Resumption,
    State,
)
from recovery.services.decide import decide
from recovery.services.open_request import add_version
from recovery.services.questions import current_version, proposal_of
from rh_agents.core.serialization import decode
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import Method, Refund, calls
from tests.web.pages import Element, entered_in, read

pytestmark = pytest.mark.django_db


@pytest.fixture
def refund(run_until_it_waits, ada):
    return only_request(run_until_it_waits())


@pytest.fixture
def ada_at(ada, signed_in):
    """Ada's browser."""
    return signed_in(ada)


def look(client: Client, request: ApprovalRequest) -> Element:
    page = client.get(f"/requests/{request.pk}/")
    assert page.status_code == 200
    return read(page)


def form_in(page: Element, form_id: str = "approve-form") -> dict[str, str]:
    """What its button sends: the form, and the fields elsewhere that belong to it."""
    form = page.one("form", id=form_id)
    elsewhere = Element("", {}, children=[one for one in page.all() if one.attrs.get("form") == form_id])
    return entered_in(elsewhere) | entered_in(form)


def post(client: Client, request: ApprovalRequest, data: dict[str, str], **options):
    return client.post(f"/requests/{request.pk}/decide/", data, **options)


def panel(page: Element, heading: str) -> Element:
    return next(one for one in page.all("section") if [two for two in one.all("h2") if two.text == heading])


def notices(page: Element) -> list[str]:
    return [one.text for one in page.all("div", class_="notice") if "hidden" not in one.attrs]


def written() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Decision, Resolution, Resumption, ProposalVersion))


# ---- What it shows ----


def test_it_shows_what_is_asked_what_will_run_and_the_evidence(refund, ada_at):
    page = look(ada_at, refund)
    assert page.one("h1").text == "Refund 420.00 for A-17?"
    assert panel(page, "Question").one("div", class_="prose").one("strong").text == "Please"
    lines = [line.text for line in panel(page, "What will run").all("span", class_="call-line")]
    assert lines == [
        "payments.refund(",
        'order = "A-17"',
        'amount = Decimal("420.00")',
        "method = Method.CARD",
        'on = date("2026-11-23")',
        ")",
    ]
    facts = panel(page, "What will run").one("dl").text
    assert facts.startswith("At refund::decision Then the run goes on from this step Pipeline test-refund, version 1")
    assert f"{refund.versions.get().digest[:16]} of version 1" in facts
    evidence = panel(page, "Evidence").one("details")
    assert evidence.one("summary").text == "events.csv 1 row, 24 B"
    assert [cell.text for cell in evidence.all("td")] == ["09:00", "sorted"]
    assert "Irreversible" in panel(page, "What will run").one("header").text


def test_only_what_may_be_edited_has_a_control(refund, ada_at):
    form = look(ada_at, refund).one("form", id="approve-form")
    assert set(entered_in(form)) == {
        "csrfmiddlewaretoken",
        "seen_version",
        "idempotency_key",
        "proposal.amount",
        "proposal.method",
    }


def test_enter_in_a_field_presses_a_button_that_decides_nothing(refund, ada_at):
    form = look(ada_at, refund).one("form", id="approve-form")
    assert form.all("button")[0].attrs["name"] == "proposal:check"


def test_the_message_can_do_nothing_but_be_read(refund, ada_at):
    ApprovalRequest.objects.filter(pk=refund.pk).update(
        message="<img src=x onerror=alert(1)> [x](javascript:alert(2))", title="<b>\u202e"
    )
    page = ada_at.get(f"/requests/{refund.pk}/")
    assert b"<img" not in page.content and b'href="javascript' not in page.content
    assert read(page).one("h1").text == "<b>⟨U+202E⟩"


def test_a_pause_by_hand_shows_what_its_author_put_beside_it(run_until_it_waits, ada_at):
    page = look(ada_at, only_request(run_until_it_waits("test-manual")))
    assert page.one("h1").text == "Approve the order A-17"
    assert 'user_id: "123"' in panel(page, "Question").text
    assert "awaiting-user-approval" in page.one("header", class_="page-head").text
    assert [button.text for button in page.one("div", class_="decision-actions").all("button")] == [
        "Approve",
        "Reject",
        "Approve",
    ]


def test_a_question_for_a_value_has_a_form_of_that_type(run_until_it_waits, ada_at):
    page = look(ada_at, only_request(run_until_it_waits("test-question")))
    assert {"response.street", "response.zip"} <= set(form_in(page, "respond-form"))
    assert page.one("button", id="decide-respond").text == "Send answer"


@pytest.mark.parametrize("unknown", [uuid.uuid4(), "x"])
def test_a_request_that_does_not_exist_is_not_found(ada_at, unknown):
    for address in (f"/requests/{unknown}/", f"/requests/{unknown}/decide/", f"/requests/{unknown}/progress/"):
        method = ada_at.post if address.endswith("decide/") else ada_at.get
        assert method(address, headers={"HX-Request": "true"}).status_code == 404


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
    note = page.one("div", id="to-correct")
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
    assert said in read(answer).one("div", id="to-correct").text
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


# ---- Refusals ----


def test_the_second_decider_is_told_who_was_first_and_keeps_what_they_wrote(refund, ada_at, grace):
    page = look(ada_at, refund)
    decide(refund.pk, by=grace, kind="reject", comment="no")
    answer = post(ada_at, refund, form_in(page) | {"kind": "approve", "comment": "my words", "proposal.amount": "5"})
    assert answer.status_code == 409
    page = read(answer)
    [notice] = notices(page)
    assert notice.startswith("grace rejected this just now. Your decision was not used; nothing runs twice.")
    assert "my words" in notice and "amount: 5" in notice
    assert not page.all("form", id="approve-form")
    votes = [vote.text for vote in page.one("ul", class_="votes").all("li")]
    assert votes == ["grace Rejected just now no", "You Came second just now my words"]
    assert Resolution.objects.count() == 1


def test_an_invalid_form_for_something_decided_is_told_who_was_first_all_the_same(refund, ada_at, grace):
    page = look(ada_at, refund)
    decide(refund.pk, by=grace, kind="approve")
    answer = post(ada_at, refund, form_in(page) | {"kind": "approve", "proposal.amount": "lots"})
    assert answer.status_code == 409
    assert notices(read(answer))[0].startswith("grace approved this")


def test_who_looked_at_an_older_version_is_shown_the_difference_and_the_way_to_the_new_one(refund, ada_at, grace):
    page = look(ada_at, refund)
    newer = Refund(order="A-17", amount=Decimal("300"))
    add_version(refund, 2, newer, by=grace, by_name="Grace")
    answer = post(ada_at, refund, form_in(page) | {"kind": "approve", "comment": "mine"})
    assert answer.status_code == 412
    page = read(answer)
    [notice] = page.all("div", class_="notice-warn", id="refusal")
    assert "You were looking at version 1, now it is version 2. Nothing was decided." in notice.text
    assert [one.text for one in notice.all("del")] == ["was amount: 420.00"]
    assert [one.text for one in notice.all("ins")] == ["now amount: 300"]
    assert "mine" in notice.one("p", class_="kept").text
    assert notice.one("a").attrs["href"] == f"/requests/{refund.pk}/"
    assert not page.all("form", id="approve-form")
    assert not Resolution.objects.exists()
    # Having looked, the same person decides about version 2; it is no edit of theirs.
    assert post(ada_at, refund, form_in(look(ada_at, refund)) | {"kind": "approve"}).status_code == 302
    assert [(one.kind, one.version) for one in Decision.objects.filter(refusal="")] == [("approve", 2)]


@pytest.mark.parametrize("seen", ["", "0", "x", "99", "²", "9" * 30])
def test_a_form_that_names_no_version_that_is_current_decides_nothing(refund, ada_at, seen):
    data = form_in(look(ada_at, refund)) | {"kind": "approve", "seen_version": seen}
    assert post(ada_at, refund, data).status_code == 412
    assert not Resolution.objects.exists()


def test_who_may_not_decide_sees_the_page_without_controls_and_is_refused_with_the_reason(
    refund, make_user, signed_in, grace
):
    client = signed_in(make_user("vera", decides=False))
    page = look(client, refund)
    assert not page.all("form", id="approve-form") and not page.all("input", name="proposal.amount")
    assert "You are not among those who decide requests. Others who can: " in notices(page)[0]
    assert "grace" in notices(page)[0]
    answer = post(client, refund, {"kind": "approve", "seen_version": "1"})
    assert answer.status_code == 403
    assert "You may not decide this one. You are not among those who decide requests." in notices(read(answer))[0]
    assert [decision.refusal for decision in Decision.objects.all()] == ["not_allowed"]


def test_who_started_the_run_may_look_but_not_decide(run_until_it_waits, ada, ada_at):
    request = only_request(run_until_it_waits(by=ada))
    assert "You started this run, and the requester may not decide." in notices(look(ada_at, request))[0]
    assert post(ada_at, request, {"kind": "approve", "seen_version": "1"}).status_code == 403
    assert not Resolution.objects.exists()


@pytest.fixture
def without_its_pipeline():
    known = pipelines.get("test-refund")
    pipelines.unregister("test-refund")
    yield
    pipelines._registry["test-refund"] = known


def test_a_run_whose_pipeline_is_gone_says_so_and_the_request_stays(refund, ada_at, without_its_pipeline):
    page = look(ada_at, refund)
    assert "The pipeline test-refund is not installed any more." in notices(page)[0]
    assert not page.all("form", id="approve-form")
    answer = post(ada_at, refund, {"kind": "approve", "seen_version": "1"})
    assert answer.status_code == 409
    assert "The request stays open; nothing was decided." in notices(read(answer))[0]
    assert only_request(refund.state).is_open and not Decision.objects.exists()


def test_a_run_whose_pipeline_has_another_version_says_which(refund, ada_at):
    State.objects.filter(pk=refund.state_id).update(pipeline_version="14")
    assert "is now version 1, this run needs 14" in notices(look(ada_at, refund))[0]


def test_types_that_are_not_known_here_are_shown_as_plain_values(refund, ada_at):
    text = refund.question.replace("sample_pipelines", "deleted_module")
    assert text != refund.question
    ApprovalRequest.objects.filter(pk=refund.pk).update(question=text)
    version = refund.versions.get()
    ProposalVersion.objects.filter(pk=version.pk).update(
        args=version.args.replace("sample_pipelines", "deleted_module")
    )
    page = look(ada_at, refund)
    assert "The question cannot be read here" in notices(page)[0]
    lines = [line.text for line in page.all("span", class_="call-line")]
    assert lines[:3] == ["payments.refund(", 'order = "A-17"', 'amount = "420.00"']
    assert panel(page, "Evidence").one("summary").text == "events.csv 1 row, 24 B"
    assert post(ada_at, refund, {"kind": "approve", "seen_version": "1"}).status_code == 409
    assert only_request(refund.state).is_open


def test_a_question_that_is_damaged_still_has_a_page(refund, ada_at):
    ApprovalRequest.objects.filter(pk=refund.pk).update(question="{")
    ProposalVersion.objects.update(args="{")
    assert "The question cannot be read here" in notices(look(ada_at, refund))[0]


# ---- Evidence ----


def test_evidence_that_is_gone_or_unknown_says_so(refund, ada_at):
    Artifact.objects.all().delete()
    assert (
        "This cannot be shown: the artifact was deleted from the store." in panel(look(ada_at, refund), "Evidence").text
    )


def test_an_artifact_that_cannot_be_decoded_is_shown_as_such(refund, ada_at):
    Artifact.objects.update(media_type="text/csv; charset=utf-8", inline=b"a,\xfa", size=3, codec="bytes")
    text = panel(look(ada_at, refund), "Evidence").text
    assert "This cannot be shown: it is not utf-8 text: invalid start byte at byte 2." in text


def test_evidence_is_what_stood_there_when_the_question_was_asked(refund, ada_at):
    refund.state.artifact_refs.update(artifact="0" * 64)
    assert [cell.text for cell in panel(look(ada_at, refund), "Evidence").all("td")] == ["09:00", "sorted"]


# ---- After the decision ----


def steps(page: Element) -> list[tuple[str, str]]:
    listed = page.one("ol", class_="progress-steps").all("li")
    return [(one.text, one.attrs.get("class") or one.attrs.get("aria-current", "")) for one in listed]


def test_the_page_tells_decided_queued_and_done_apart(refund, ada, ada_at):
    decide(refund.pk, by=ada, kind="approve")
    bar = look(ada_at, refund).one("section", id="progress")
    assert steps(bar) == [("Decided", "is-done"), ("Queued", "step"), ("Running", ""), ("Done", "")]
    assert bar.attrs["hx-trigger"] == "every 1s"
    Resumption.objects.update(status="running")
    bar = look(ada_at, refund).one("section", id="progress")
    assert steps(bar) == [("Decided", "is-done"), ("Queued", "is-done"), ("Running", "step"), ("Done", "")]
    Resumption.objects.update(status="pending")
    work(refund.state_id)
    page = look(ada_at, refund)
    bar = page.one("section", id="progress")
    assert steps(bar) == [(word, "is-done") for word in ("Decided", "Queued", "Running", "Done")]
    assert "hx-trigger" not in bar.attrs
    assert "The run is completed." in bar.text
    assert panel(page, "Outcome").text == (
        'Outcome Approved You approved this in the browser just now. What the run gave back "paid 420.00 by card"'
    )


def test_the_outcome_of_an_edit_marks_what_was_edited(refund, ada, ada_at):
    edited = Refund(order="A-17", amount=Decimal("5"))
    decide(refund.pk, by=ada, kind="edit", proposal=edited, seen_version=1)
    page = look(ada_at, refund)
    call = panel(page, "What was approved")
    assert [line.text for line in call.all("span", class_="is-edited")] == ['edited amount = Decimal("5")']


def test_progress_is_sent_only_when_there_is_news(refund, ada, ada_at, htmx):
    decide(refund.pk, by=ada, kind="approve")
    address = look(ada_at, refund).one("section", id="progress").attrs["hx-get"]
    assert ada_at.get(address, headers=htmx).status_code == 204
    work(refund.state_id)
    part = ada_at.get(address, headers=htmx)
    assert part.status_code == 200 and b"<html" not in part.content
    part = read(part)
    assert steps(part)[-1] == ("Done", "is-done")
    assert part.one("section", id="outcome").attrs["hx-swap-oob"] == "true"
    assert part.one("div", id="announcer").text == "The run is completed."
    assert not [one for one in part.all() if "autofocus" in one.attrs]


def test_a_run_that_asks_again_leads_to_its_next_question(run_until_it_waits, ada, ada_at):
    first = only_request(run_until_it_waits("test-gates"))
    decide(first.pk, by=ada, kind="approve")
    second = only_request(work(first.state_id))
    bar = look(ada_at, first).one("section", id="progress")
    assert steps(bar)[-1] == ("Asks again", "is-done")
    assert bar.all("a")[0].attrs["href"] == f"/requests/{second.pk}/"


def test_a_run_that_is_blocked_says_why_and_is_tried_again_from_the_page(refund, ada, ada_at, without_its_pipeline):
    known = refund.state.pipeline
    Resumption.objects.filter(state=refund.state).delete()
    Decision.objects.create(request=refund, kind="approve", actor=ada, actor_name="ada", created_at=refund.opened_at)
    Resolution.objects.create(
        request=refund,
        decision=Decision.objects.get(),
        outcome="approve",
        answer='{"$t":"x"}',
        created_at=refund.opened_at,
    )
    Resumption.objects.create(
        state=refund.state,
        resolution=Resolution.objects.get(),
        kind="resume",
        status="blocked",
        last_error=f"The pipeline {known} is not installed any more.",
        not_before=refund.opened_at,
        created_at=refund.opened_at,
    )
    ApprovalRequest.objects.filter(pk=refund.pk).update(outcome="approve", resolved_at=refund.opened_at)
    bar = look(ada_at, refund).one("section", id="progress")
    assert steps(bar) == [("Decided", "is-done"), ("Blocked", "is-failed")]
    assert "is not installed any more." in bar.one("p", class_="progress-error").text
    retry = bar.one("form")
    answer = ada_at.post(retry.attrs["action"], entered_in(retry), follow=True)
    assert answer.redirect_chain == [(f"/requests/{refund.pk}/", 302)]
    assert any("is not installed any more" in notice for notice in notices(read(answer)))
    assert Resumption.objects.filter(kind="retry").count() == 0


def test_a_failed_run_is_tried_again_and_done(run_until_it_waits, ada, ada_at):
    state = run_until_it_waits("test-failing")
    assert state.status == "failed"
    answer = ada_at.post(f"/states/{state.pk}/retry/", {"next": "/?tab=open"})
    assert (answer.status_code, answer["Location"]) == (302, "/?tab=open")
    assert decode(work(state.pk).output) == "mended"


def test_a_retry_never_leads_to_another_site(run_until_it_waits, ada_at):
    state = run_until_it_waits("test-failing")
    answer = ada_at.post(f"/states/{state.pk}/retry/", {"next": "https://elsewhere.example/"})
    assert answer["Location"] == f"/states/{state.pk}/"


# ---- htmx ----


def test_htmx_is_given_the_request_alone_with_the_same_status(refund, ada_at, htmx):
    data = form_in(look(ada_at, refund))
    for change, status in (
        ({"proposal:check": ""}, 200),
        ({"kind": "approve", "proposal.amount": "x"}, 422),
        ({"kind": "approve", "seen_version": "7"}, 412),
        ({"kind": "approve"}, 200),
    ):
        answer = post(ada_at, refund, data | change, headers=htmx)
        assert answer.status_code == status
        assert b"<html" not in answer.content
        assert "HX-Request" in answer["Vary"]
        assert read(answer).one("article").attrs["id"] == "request"
    assert read(answer).one("section", id="progress").one("div", id="progress-note").attrs["autofocus"] == ""


def test_an_expired_session_sends_the_page_to_the_login_and_back(refund, htmx):
    headers = {**htmx, "HX-Current-URL": f"http://testserver/requests/{refund.pk}/"}
    answer = Client().post(f"/requests/{refund.pk}/decide/", {"kind": "approve"}, headers=headers)
    assert answer.status_code == 200
    assert answer["HX-Redirect"] == f"/accounts/login/?next=%2Frequests%2F{refund.pk}%2F"
    assert not Decision.objects.exists()


def test_a_page_that_says_no_is_never_put_into_a_part(refund, ada, htmx):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    answer = post(client, refund, {"kind": "approve"}, headers=htmx)
    assert (answer.status_code, answer["HX-Retarget"], answer["HX-Reswap"]) == (403, "body", "innerHTML")


# ---- Cost ----


def test_the_page_asks_the_database_at_most_fourteen_times(
    refund, ada, grace, ada_at, make_user, signed_in, django_assert_max_num_queries
):
    with django_assert_max_num_queries(14):
        look(ada_at, refund)
    viewer = signed_in(make_user("vera", decides=False))
    with django_assert_max_num_queries(14):
        look(viewer, refund)
    page = look(ada_at, refund)
    with django_assert_max_num_queries(14):
        post(ada_at, refund, form_in(page) | {"kind": "approve", "proposal.amount": "x"})
    decide(refund.pk, by=grace, kind="approve")
    for _ in range(30):
        post(ada_at, refund, form_in(page) | {"kind": "approve"})
    with django_assert_max_num_queries(14):
        assert len(look(ada_at, refund).one("ul", class_="votes").all("li")) == 31
    work(refund.state_id)
    with django_assert_max_num_queries(14):
        look(ada_at, refund)
