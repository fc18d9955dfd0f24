"""Sending a run back from the page of a request, and what the pages of both runs say about it."""

import pytest

from recovery.models import ApprovalRequest, Decision, Resolution, State
from recovery.services.decide import decide
from tests.recovery.conftest import only_request, work
from tests.web import decision_pipelines  # noqa: F401  registers its pipelines
from tests.web.pages import Element, as_of_now, read
from tests.web.request_pages import form_in, look, panel, post, written

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(run_until_it_waits) -> ApprovalRequest:
    return only_request(run_until_it_waits("test-decided"))


def sent_back(client, request, data=None, **options):
    form = form_in(look(client, request), "send-back") | {"kind": "request_changes", "instructions": "Half of it."}
    return post(client, request, form | (data or {}), **options)


def test_the_panel_names_the_steps_and_needs_words(asked, ada_at):
    page = look(ada_at, asked)
    form = page.one("form", id="send-back")
    assert [one.text for one in form.one("select").all("option")] == ["draft::tool_call (Write the proposal)"]
    assert "required" in form.one("textarea", id="instructions").attrs
    assert form_in(page, "send-back")["inputs.amount"] == "420.00"
    assert "open" not in form.one("details", class_="send-back-inputs").attrs


def test_a_run_goes_on_as_a_fork_which_asks_the_next_question(asked, ada_at):
    assert sent_back(ada_at, asked).status_code == 302
    decision = Decision.objects.get()
    assert (decision.kind, decision.comment) == ("request_changes", "Half of it.")
    original = work(asked.state_id)
    fork = original.superseded_by
    assert fork.input == original.input
    bar = look(ada_at, asked).one("section", id="progress")
    assert bar.text.startswith("Sent back.")
    assert bar.one("a", id="watch-run").attrs["href"] == f"/states/{fork.pk}/"
    assert bar.attrs["data-live-every"] == "1"
    again = only_request(work(fork.pk))
    bar = look(ada_at, asked).one("section", id="progress")
    assert "data-live" not in bar.attrs
    assert (bar.all("a")[0].text, bar.all("a")[0].attrs["href"]) == ("Pay 210.00 for A-17?", f"/requests/{again.pk}/")
    outcome = as_of_now(panel(look(ada_at, asked), "Outcome").text)
    assert outcome == "Outcome Sent back You sent the run back to draft::tool_call in the browser just now. Half of it."
    told = look(ada_at, again).one("div", class_="sent-back").text
    assert told == "ada sent the run back to draft::tool_call, and wrote: Half of it."


def test_the_pages_of_both_runs_say_so(asked, ada_at):
    sent_back(ada_at, asked)
    original = work(asked.state_id)
    fork = original.superseded_by
    notice = read(ada_at.get(f"/states/{original.pk}/")).one("div", id="state-notices")
    assert f"Superseded by run {str(fork.pk)[:8]}" in notice.text
    assert f"/states/{fork.pk}/" in [one.attrs["href"] for one in notice.all("a")]
    page = read(ada_at.get(f"/states/{fork.pk}/"))
    assert f"forked from {original.short_id} at draft::tool_call" in page.one("header", class_="page-head").text
    assert (
        "ada sent the run back to draft::tool_call, and wrote: Half of it." in page.one("div", class_="sent-back").text
    )


def test_the_input_goes_along_only_where_it_was_changed(asked, ada_at):
    assert sent_back(ada_at, asked, {"inputs.amount": "10"}).status_code == 302
    fork = work(asked.state_id).superseded_by
    assert only_request(work(fork.pk)).title == "Pay 5 for A-17?"
    outcome = panel(look(ada_at, asked), "Outcome").text
    assert "With this input" in outcome and 'amount: "10"' in outcome


@pytest.mark.parametrize(
    ("data", "said", "field"),
    [
        ({"instructions": " "}, "Say what should be different: the step is told", "instructions"),
        ({"to": "look_up::tool_call"}, "is no step to go back to", "send-back-to"),
        ({"inputs.amount": "-1"}, "amount", "inputs-amount"),
    ],
)
def test_what_does_not_validate_is_said_in_the_panel_and_nothing_typed_is_lost(asked, ada_at, htmx, data, said, field):
    before = written()
    answer = sent_back(ada_at, asked, data, headers=htmx)
    assert (answer.status_code, answer["HX-Retarget"]) == (422, "#send-back")
    part = read(answer)
    assert [one.attrs["id"] for one in part.children if isinstance(one, Element)] == ["send-back", "decision-note"]
    note = part.one("div", id="decision-note")
    assert said in note.text and note.one("a").attrs["href"] == f"#{field}"
    assert form_in(part, "send-back")["instructions"].strip() == data.get("instructions", "Half of it.").strip()
    assert written() == before
    page = read(sent_back(ada_at, asked, data))
    assert [one.one("h3").text for one in page.all("details", name="decision") if "open" in one.attrs] == [
        "Send the run back"
    ]


def test_looking_at_the_input_sends_nothing_back(asked, ada_at, htmx):
    data = form_in(look(ada_at, asked), "send-back") | {"inputs:check": "", "inputs.amount": "7"}
    answer = post(ada_at, asked, data, headers=htmx)
    assert answer.status_code == 200
    assert "open" in read(answer).one("details", class_="send-back-inputs").attrs
    assert not Decision.objects.exists()


def test_a_run_that_was_decided_meanwhile_is_not_sent_back(asked, grace, ada_at):
    data = form_in(look(ada_at, asked), "send-back") | {"kind": "request_changes", "instructions": "Half of it."}
    decide(asked.pk, by=grace, kind="approve")
    answer = post(ada_at, asked, data)
    assert answer.status_code == 409
    assert "Half of it." in read(answer).one("div", id="refusal").text
    assert (Resolution.objects.count(), State.objects.count()) == (1, 1)
