"""The page of a request: what it shows of the question, of what would run and of the evidence."""

import hashlib
import uuid

import pytest
from django.test import Client

from recovery.models import ApprovalRequest, Artifact, Decision
from rh_agents.core.serialization import decode, encode
from tests.recovery.conftest import only_request, work
from tests.web.pages import entered_in, read
from tests.web.request_pages import form_in, look, panel, post

pytestmark = pytest.mark.django_db


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


def test_a_line_of_the_call_isolates_what_is_read_from_right_to_left(refund, ada_at):
    refund.versions.update(args=encode({"codes": ["\u05d0\u05d1", 100, "plain", 'a"\u05d2'], "amount": 1, "method": 2}))
    [line] = [one for one in look(ada_at, refund).all("span", class_="call-line") if "codes" in one.text]
    assert line.text == 'codes = ["\u05d0\u05d1", 100, "plain", "a\\"\u05d2"]'
    assert [(one.text, one.attrs["dir"]) for one in line.all("bdi")] == [
        ('"\u05d0\u05d1"', "ltr"),
        ('"a\\"\u05d2"', "ltr"),
    ]


def test_only_what_may_be_edited_has_a_control(refund, ada_at):
    form = look(ada_at, refund).one("form", id="approve-form")
    assert set(entered_in(form)) == {
        "csrfmiddlewaretoken",
        "seen_version",
        "seen_digest",
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
        "Hold it",
    ]


def test_a_question_for_a_value_has_a_form_of_that_type(run_until_it_waits, ada_at):
    page = look(ada_at, only_request(run_until_it_waits("test-question")))
    assert {"response.street", "response.zip"} <= set(form_in(page, "respond-form"))
    assert page.one("button", id="decide-respond").text == "Send answer"


@pytest.mark.parametrize("unknown", [uuid.UUID(int=1), "x"])
def test_a_request_that_does_not_exist_is_not_found(ada_at, unknown):
    for address in (f"/requests/{unknown}/", f"/requests/{unknown}/decide/", f"/requests/{unknown}/progress/"):
        method = ada_at.post if address.endswith("decide/") else ada_at.get
        assert method(address, headers={"HX-Request": "true"}).status_code == 404


# ---- What the author of the question says ----


def test_labels_reasons_and_what_is_required_are_those_of_the_question(order, ada_at):
    page = look(ada_at, order)
    assert page.one("button", id="decide-approve").text == "Place the order"
    reject = page.one("form", id="reject-form")
    assert [option.text for option in reject.one("select").all("option")] == ["Other", "Too expensive", "Not needed"]
    assert "Rejecting needs a comment." in panel(page, "Policy and votes").text
    assert "(or a reason, required)" in reject.all("label")[-1].text
    data = form_in(page, "reject-form") | {"kind": "reject"}
    answer = post(ada_at, order, data | {"reject_comment": " "})
    assert answer.status_code == 422
    note = read(answer).one("div", id="decision-note")
    assert note.text == "1 to correct: Say why: this decision needs a comment. Nothing was decided."
    assert note.one("a").attrs["href"] == "#reject-comment"
    assert post(ada_at, order, data | {"reject_reason": "Too expensive", "reject_comment": "by far"}).status_code == 302
    assert decode(work(order.state_id).output) == "turned down: Too expensive\nby far"


def test_steps_are_evidence_too_and_another_state_is_a_comparison(order, ada_at, htmx):
    evidence = panel(look(ada_at, order), "Evidence")
    step, missing, other = evidence.all("details", class_="evidence-item")
    assert step.all("summary")[0].text.startswith("look_up::tool_call")
    assert 'order: "A-17"' in step.text and 'paid: "420.00"' in step.text
    assert "the run has neither an artifact nor a step of this name" in missing.text
    href = evidence.one("header").one("a").attrs["href"]
    assert href.startswith("/compare/?left=11111111-1111-4111-8111-111111111111%403&right=")
    assert href.endswith(f"{order.state_id}%40{order.checkpoint}&only=changes")
    assert other.text.startswith("What differs from 11111111")
    part = ada_at.get(other.one("p").attrs["hx-get"], headers=htmx).content.decode()
    assert "there is no state 11111111" in part and "<html" not in part


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


# ---- Evidence ----


def test_evidence_that_is_gone_or_unknown_says_so(refund, ada_at):
    Artifact.objects.all().delete()
    assert (
        "This cannot be shown: the artifact was deleted from the store." in panel(look(ada_at, refund), "Evidence").text
    )


def test_an_artifact_that_cannot_be_decoded_is_shown_as_such(refund, ada_at):
    odd = b"a,\xfa"
    Artifact.objects.update(
        media_type="text/csv; charset=utf-8", inline=odd, size=3, sha256=hashlib.sha256(odd).hexdigest(), codec="bytes"
    )
    text = panel(look(ada_at, refund), "Evidence").text
    assert "This cannot be shown: it is not utf-8 text: invalid start byte at byte 2." in text


@pytest.mark.parametrize("bytes_", [b"time,event\n09:00,LOST!!\n", b"time,event\n", b""])
def test_evidence_whose_bytes_are_not_those_that_were_saved_is_not_shown(refund, ada_at, bytes_):
    Artifact.objects.update(inline=bytes_)
    evidence = panel(look(ada_at, refund), "Evidence")
    assert "This cannot be shown: its bytes are not those that were saved." in evidence.text
    assert not evidence.all("td")


def test_evidence_is_what_stood_there_when_the_question_was_asked(refund, ada_at):
    refund.state.artifact_refs.update(artifact="0" * 64)
    assert [cell.text for cell in panel(look(ada_at, refund), "Evidence").all("td")] == ["09:00", "sorted"]
