"""The page of a state: its head, the timeline and the other tabs, as it stands now and as it stood before."""

import re
import uuid
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recovery.models import Artifact, AuditEntry, Event, Resumption, State
from recovery.services.decide import decide
from recovery.services.retry import retry
from recovery.services.start_run import start_run
from tests.recovery.conftest import only_request, work
from tests.web.pages import read
from tests.web.runs import Told, failed_refund

pytestmark = pytest.mark.django_db

ORDER = {"order": "A-17", "amount": "420.00"}


@pytest.fixture
def browser(ada, signed_in):
    return signed_in(ada)


def opened(browser, told, **query):
    response = browser.get(told.url, query)
    assert response.status_code == 200
    return read(response)


def rows(page):
    """Depth, name, status and duration of each step that is shown."""
    return [
        (
            int(step.attrs["data-depth"]),
            step.one("summary").one("code").text,
            step.one("span", class_="step-status").text,
            step.one("summary").one("span", class_="step-time").text,
        )
        for step in page.all("details", class_="step")
    ]


def row(page, name):
    [found] = [
        step for step in page.all("details", class_="step") if step.one("summary").one("code").attrs["title"] == name
    ]
    return found


def tab_counts(page):
    return {
        link.text.split()[0]: link.one("span", class_="count").text for link in page.one("nav", class_="tabs").all("a")
    }


def notice_texts(page):
    return [one.text for one in page.all("div", class_="notice") if one.attrs.get("id") != "stale"]


# ---- The head ----


def test_the_head_says_how_it_went_what_it_is_and_who_began_it(browser, grace):
    told = failed_refund()
    State.objects.filter(pk=told.state_id).update(started_by=grace)
    page = opened(browser, told)
    assert page.one("h1").text == "Refund for order SE-204417"
    assert page.one("div", id="state-progress").text.startswith(
        "Failed 23.9 s of work 1 h 12 min waiting for people 14 checkpoints, newest"
    )
    head = page.one("header", class_="page-head")
    assert [tag.text for tag in head.all("span", class_="tag")] == ["eu", "vip"]
    assert head.one("button", data_copy=str(told.state_id)).attrs["aria-label"] == "Copy state id"
    assert head.one("span", class_="person").attrs["title"] == "grace"
    compare = head.one("a", class_="btn")
    assert (compare.text, compare.attrs["href"]) == ("Compare", f"/compare/?left={told.state_id}")


def test_every_tab_says_how_much_it_holds(browser):
    assert tab_counts(opened(browser, failed_refund())) == {
        "Timeline": "15",
        "Storage": "1",
        "Artifacts": "1",
        "Checkpoints": "14",
        "Requests": "1",
        "Audit": "1",
    }


@pytest.mark.parametrize("tab", ["timeline", "storage", "artifacts", "checkpoints", "requests", "audit"])
def test_each_tab_is_an_address_of_its_own_with_the_same_head(browser, tab):
    told = failed_refund()
    page = opened(browser, told, tab=tab)
    assert page.one("nav", class_="tabs").one("a", aria_current="page").text.lower().startswith(tab)
    assert "23.9 s of work 1 h 12 min waiting for people" in page.one("div", id="state-progress").text


def test_an_unknown_tab_is_the_timeline_and_says_so(browser):
    page = opened(browser, failed_refund(), tab="secrets")
    assert "There is no tab “secrets”; this is the timeline." in notice_texts(page)
    assert len(rows(page)) == 15


def test_an_unknown_state_is_not_found(browser):
    assert browser.get(f"/states/{uuid.uuid4()}/").status_code == 404
    assert browser.get("/states/not-an-id/").status_code == 404


def test_nobody_sees_it_without_signing_in(client):
    told = Told()
    told.step("a::tool_call", 0, 1).save(1, "completed")
    for url in (
        told.url,
        f"{told.url}news/",
        f"{told.url}steps/1/",
        f"{told.url}storage/1/",
        f"{told.url}artifacts/x/",
    ):
        assert client.get(url).headers["Location"].startswith("/accounts/login/"), url


def test_a_fork_names_its_parent_and_the_parent_its_forks(browser):
    parent, fork = failed_refund(), failed_refund()
    State.objects.filter(pk=fork.state_id).update(parent_id=parent.state_id, forked_from_address="draft::llm_call")
    assert f"forked from {str(parent.state_id)[:8]} at draft::llm_call" in opened(browser, fork).text
    assert f"forks: {str(fork.state_id)[:8]}" in opened(browser, parent).text


def test_a_parent_that_this_database_never_held_is_named_without_a_link(browser):
    fork, gone = failed_refund(), uuid.uuid4()
    State.objects.filter(pk=fork.state_id).update(parent_id=gone)
    page = opened(browser, fork)
    assert str(gone)[:8] in page.text
    assert not [link for link in page.all("a") if str(gone) in link.attrs["href"]]


# ---- Runs of our own: queued, waiting, failed, blocked, done ----


def test_a_run_that_no_worker_took_yet_is_queued_and_the_page_asks_again(browser, ada):
    state = start_run("test-refund", ORDER, by=ada)
    page = read(browser.get(f"/states/{state.pk}/"))
    assert page.one("div", id="state-progress").text == "Queued"
    assert page.one("div", class_="empty").one("h2").text == "Nothing is recorded yet"
    poll = page.one("div", id="poll")
    assert poll.attrs["hx-trigger"] == "every 2s"
    assert poll.attrs["hx-get"].startswith(f"/states/{state.pk}/news/?")
    assert "Load the page again" in page.one("noscript").text


def test_a_run_that_waits_links_to_its_request(browser, run_until_it_waits):
    state = run_until_it_waits()
    request = only_request(state)
    page = read(browser.get(f"/states/{state.pk}/"))
    assert "Waits for a decision: Refund 420.00 for A-17?" in notice_texts(page)
    link = page.one("a", class_="btn-primary")
    assert (link.text, link.attrs["href"]) == ("Open the request", f"/requests/{request.pk}/")
    assert "hx-get" not in page.one("div", id="poll").attrs


def test_a_failed_run_says_what_failed_where_and_offers_a_retry(browser, run_until_it_waits):
    state = run_until_it_waits("test-failing")
    page = read(browser.get(f"/states/{state.pk}/"))
    [notice, _] = notice_texts(page)
    assert notice.startswith(
        "ConnectionError: the gateway is away In break_once::tool_call. A retry skips what is done."
    )
    form = page.one("form", action=f"/states/{state.pk}/retry/")
    assert (form.attrs["method"], form.one("button").text) == ("post", "Retry")
    opened_row = row(page, "break_once::tool_call")
    assert "open" in opened_row.attrs
    assert opened_row.one("pre", class_="traceback").one("strong").text == "ConnectionError: the gateway is away"
    assert "sample_pipelines.py" in opened_row.one("pre", class_="traceback").all("span", class_="own")[0].text
    # The others stay folded, and their tracebacks where they are.
    assert "open" not in row(page, "look_up::tool_call").attrs


def test_a_retry_from_the_page_queues_the_run_and_leads_back(browser, run_until_it_waits):
    state = run_until_it_waits("test-failing")
    answer = browser.post(f"/states/{state.pk}/retry/")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/states/{state.pk}/")
    page = read(browser.get(f"/states/{state.pk}/"))
    assert page.one("div", id="state-progress").text.startswith("Queued Failed")
    assert not page.all("form", action=f"/states/{state.pk}/retry/")
    assert work(state.pk).status == "completed"
    page = read(browser.get(f"/states/{state.pk}/"))
    assert page.one("div", id="state-progress").text.startswith("Completed")
    assert '"mended"' in page.one("section", aria_label="Input and output").text


def test_who_may_not_start_runs_is_offered_no_retry(make_user, signed_in, run_until_it_waits):
    state = run_until_it_waits("test-failing")
    page = read(signed_in(make_user("eve", starts=False)).get(f"/states/{state.pk}/"))
    assert not page.all("form", action=f"/states/{state.pk}/retry/")


def test_a_run_whose_pipeline_is_another_version_says_so_and_stays(browser, run_until_it_waits, ada):
    state = run_until_it_waits()
    State.objects.filter(pk=state.pk).update(pipeline_version="0")
    decide_later = only_request(state)
    page = read(browser.get(f"/states/{state.pk}/"))
    assert any(
        "No worker can go on with this run. The pipeline test-refund is now version 1" in one
        for one in notice_texts(page)
    )
    assert decide_later.is_open


def test_a_job_that_will_be_tried_again_says_when_and_why(browser, ada):
    state = start_run("test-refund", ORDER, by=ada)
    Resumption.objects.filter(state=state).update(attempts=1, last_error="OperationalError: disk is full")
    [notice] = notice_texts(read(browser.get(f"/states/{state.pk}/")))
    assert notice.startswith("OperationalError: disk is full It is tried again")
    assert notice.endswith("after 1 try.")


def test_the_input_and_the_output_of_a_run_are_shown(browser, run_until_it_waits, ada):
    state = run_until_it_waits()
    decide(only_request(state).pk, by=ada, kind="approve")
    work(state.pk)
    shown = read(browser.get(f"/states/{state.pk}/")).one("section", aria_label="Input and output").text
    assert 'order: "A-17"' in shown
    assert '"paid 420.00 by card"' in shown


# ---- The timeline ----


def test_the_timeline_is_the_tree_of_steps_with_their_durations(browser):
    assert rows(opened(browser, failed_refund())) == [
        (0, "collect::agent_call", "Completed", "6.8 s"),
        (1, "order_lookup::tool_call", "Completed", "0.8 s"),
        (1, "carrier_lookup::tool_call", "Completed, 2×", "2.5 s"),
        (1, "ledger::tool_call", "Completed", "0.4 s"),
        (1, "assess_claim_history_of_customer_across_regions::agent_call", "Completed", "3.1 s"),
        (2, "fraud_score[0]::llm_call", "Completed", "1.9 s"),
        (2, "fraud_score[1]::llm_call", "Completed", "2.6 s"),
        (2, "fraud_score[2]::llm_call", "Completed", "1.2 s"),
        (0, "draft::llm_call", "Completed", "2.5 s"),
        (0, "refund::decision", "Waited", "1 h 12 min"),
        (0, "issue::agent_call", "Failed", "14.4 s"),
        (1, "reserve::tool_call", "Completed", "0.9 s"),
        (1, "ledger_entry::tool_call", "Completed", "0.6 s"),
        (1, "card_refund::tool_call", "Failed, 3×", "11.2 s"),
        (2, "fallback_bank_transfer::tool_call", "Completed", "0.2 s"),
    ]


def test_the_waterfall_needs_no_style_and_says_in_words_what_it_draws(browser):
    page = opened(browser, failed_refund())
    head = page.one("div", class_="timeline-head").one("svg")
    assert head.attrs["aria-label"] == "23.9 s of work, and not to scale: 1 h 12 min waiting for people"
    failed = row(page, "issue::card_refund::tool_call").one("summary").all("rect", class_="bar-failed")
    assert len(failed) == 3
    assert all(re.fullmatch(r"\d+\.\d\d%", bar.attrs[name]) for bar in failed for name in ("x", "width"))
    assert not [element for element in page.walk() if "style" in element.attrs]


def test_a_step_says_its_address_its_attempts_and_where_its_result_is(browser):
    told = failed_refund()
    page = opened(browser, told)
    detail = row(page, "collect::carrier_lookup::tool_call").one("div", class_="step-detail")
    assert detail.one("button", data_copy="collect::carrier_lookup::tool_call").attrs["aria-label"] == "Copy address"
    assert "attempt 1 failed after 0.8 s, attempt 2 completed after 1.2 s" in detail.text
    [result] = [link for link in detail.all("a") if "hx-get" in link.attrs]
    assert result.attrs["href"] == result.attrs["hx-get"]
    assert re.fullmatch(rf"/states/{told.state_id}/steps/\d+/", result.attrs["href"])
    at = next(link for link in detail.all("a") if link.text == "Storage at this point").attrs["href"]
    assert parse_qs(urlsplit(at).query) == {"tab": ["storage"], "checkpoint": ["2"]}


def test_a_question_leads_to_its_request(browser):
    told = failed_refund()
    request = told.state.requests.get()
    detail = row(opened(browser, told), "refund::decision").one("div", class_="step-detail")
    assert f"/requests/{request.pk}/" in [link.attrs["href"] for link in detail.all("a")]


def test_a_caller_that_did_not_end_yet_is_inferred_from_its_children(browser):
    told = Told().step("plan::look::tool_call", 0, 2).save(2)
    page = opened(browser, told)
    assert rows(page) == [(0, "plan", "Running", "2.0 s"), (1, "look::tool_call", "Completed", "2.0 s")]
    assert "All 1 step, and 1 that did not end yet." in page.one("section", aria_label="Timeline").text
    told.asked("plan::sure::decision", 2)
    assert [status for _, _, status, _ in rows(opened(browser, told))] == ["Waiting", "Completed", "Waiting"]


def test_addresses_of_strangers_are_shown_as_text(browser):
    told = Told("<script>alert(1)</script>").step("a<b>\u202e::tool_call", 0, 1, error="<img src=x>").save(1, "failed")
    page = opened(browser, told)
    assert page.one("h1").text == "<script>alert(1)</script>"
    [(_, name, _, _)] = rows(page)
    assert name == "a<b>⟨U+202E⟩::tool_call"
    assert not page.all("img")


# ---- Windows ----


@pytest.fixture
def long_run():
    told = Told("Long")
    for number in range(450):
        told.step("load::tool_call" + (f"#{number + 1}" if number else ""), number, 0.5)
    return told.save(500, "completed")


def test_a_long_run_comes_in_windows_that_follow_each_other(browser, long_run):
    seen, url = [], long_run.url
    while url:
        page = read(browser.get(url))
        seen.append([name for _, name, _, _ in rows(page)])
        more = [link for link in page.all("a") if link.text == "More steps"]
        url = more[0].attrs["href"] if more else ""
    assert [len(window) for window in seen] == [200, 200, 50]
    assert len({name for window in seen for name in window}) == 450
    assert "450 steps in all." in page.one("section", aria_label="Timeline").text


def test_htmx_gets_the_next_rows_alone(browser, long_run, htmx):
    response = browser.get(f"{long_run.url}?from=200", headers=htmx)
    page = read(response)
    assert len(rows(page)) == 200
    assert not page.all("h1")
    assert "HX-Request" in response.headers["Vary"]


def test_a_step_can_be_linked_to_wherever_it_stands(browser, long_run):
    page = opened(browser, long_run, step="load::tool_call#333")
    assert len(rows(page)) == 200
    assert "open" in row(page, "load::tool_call#333").attrs


def test_ten_thousand_steps_are_a_page_like_any_other(browser):
    told = Told("Ten thousand")
    for batch in range(100):
        position = told.tick()
        for number in range(99):
            suffix = f"#{number + 1}" if number else ""
            told.step(f"batch#{batch + 1}::load::tool_call{suffix}", batch * 10 + number / 10, 0.09)
        told.step(f"batch::agent_call#{batch + 1}", batch * 10, 9.95, position=position)
    told.save(1000, "completed")
    response = browser.get(told.url, {"step": "batch#77::load::tool_call#50"})
    page = read(response)
    assert len(rows(page)) == 200
    assert "open" in row(page, "batch#77::load::tool_call#50").attrs
    assert "10,000 steps in all." in page.one("section", aria_label="Timeline").text
    assert len(response.content) < 500_000


def test_the_failure_of_a_run_from_elsewhere_is_linked_to_wherever_it_stands(browser):
    told = Told("Long")
    for number in range(300):
        told.step("load::tool_call" + (f"#{number + 1}" if number else ""), number, 0.5)
    told.step("pay::tool_call", 301, 1, error="no").save(303, "failed")
    page = opened(browser, told)
    assert notice_texts(page) == ["Failed in pay::tool_call."]
    [link] = [link for link in page.one("div", id="state-notices").all("a")]
    assert "open" in row(read(browser.get(link.attrs["href"])), "pay::tool_call").attrs


@pytest.mark.parametrize("start", ["-1", "x", "99999999999999999999", "10000", "¹"])
def test_a_window_that_is_not_there_is_another_one(browser, long_run, start):
    assert rows(opened(browser, long_run, **{"from": start}))


def test_an_unknown_step_is_said(browser, long_run):
    assert "There is no step “nobody::tool_call” here." in notice_texts(
        opened(browser, long_run, step="nobody::tool_call")
    )


@pytest.mark.parametrize("tab", ["timeline", "storage", "artifacts", "checkpoints", "requests", "audit"])
def test_a_page_takes_the_same_few_queries_however_much_ran(browser, tab):
    def queries_of(steps):
        told = Told()
        for number in range(steps):
            told.step(
                f"s{number}::tool_call", number, 0.5, storage={f"k{number}": number}, artifacts={f"a{number}": "x"}
            )
            told.save(number + 0.6)
        told.asked("sure::decision", steps)
        with CaptureQueriesContext(connection) as queries:
            opened(browser, told, tab=tab)
        return [query["sql"] for query in queries]

    few, many = queries_of(1), queries_of(150)
    assert len(few) == len(many) <= 20
    for payload in ("OFFSET", '"result"', '"wrote"', '"traceback"'):
        assert payload not in " ".join(many)


# ---- One record ----


def step_url(told, address, **more):
    event = Event.objects.filter(state_id=told.state_id, address=address, **more).latest("attempt")
    return f"{told.url}steps/{event.position}/"


def test_a_record_shows_what_the_step_gave_and_wrote(browser):
    told = failed_refund()
    page = read(browser.get(step_url(told, "collect::agent_call")))
    assert page.one("h1").text == "collect::agent_call"
    record = page.one("section", aria_label="Record").text
    assert 'claim: "DHL-77120"' in record
    assert "It wrote" in record
    assert 'id: "DHL-77120"' in record


def test_a_record_links_to_the_artifacts_that_the_step_wrote(browser):
    told = failed_refund()
    page = read(browser.get(step_url(told, "collect::ledger::tool_call")))
    [link] = [link for link in page.all("a") if link.text == "ledger.csv"]
    assert browser.get(link.attrs["href"]).status_code == 200


def test_a_record_of_a_failure_shows_its_traceback_with_the_own_frames_marked(browser):
    told = failed_refund()
    page = read(browser.get(step_url(told, "issue::card_refund::tool_call")))
    trace = page.one("pre", class_="traceback")
    assert [line.text for line in trace.all("span", class_="own")] == [
        'File "/srv/app/shop/pipelines.py", line 88, in card_refund',
        "reply = await gateway.refund(order.payment_id, amount=args.amount)",
    ]
    attempts = page.one("p", class_="meta").all("a")
    assert [link.text for link in attempts] == [f"{number} failed after 2.1 s" for number in (1, 2, 3)]
    assert attempts[-1].attrs["aria-current"] == "page"


def test_htmx_gets_the_record_alone(browser, htmx):
    told = failed_refund()
    page = read(browser.get(step_url(told, "draft::llm_call"), headers=htmx))
    assert not page.all("h1")
    assert '"We are sorry …"' in page.text


def test_a_position_that_no_step_has_is_not_found(browser):
    told = failed_refund()
    for position in (0, 999, 10**30):
        assert browser.get(f"{told.url}steps/{position}/").status_code == 404


def test_a_record_that_was_closed_since_says_so(browser):
    told = failed_refund()
    question = Event.objects.get(state_id=told.state_id, status="awaiting")
    Event.objects.filter(state_id=told.state_id, position=question.position, status="completed").delete()
    assert "Closed since" in read(browser.get(f"{told.url}steps/{question.position}/")).text


def test_a_result_that_cannot_be_read_is_shown_as_it_stands(browser):
    told = Told().step("a::tool_call", 0, 1, result=1).save(1, "completed")
    Event.objects.filter(state_id=told.state_id).update(result='{"$t":"model","c":"gone:Model","v":')
    page = read(browser.get(step_url(told, "a::tool_call")))
    assert "gone:Model" in page.one("section", aria_label="Record").text


# ---- Storage ----


def test_storage_shows_each_key_as_a_tree_with_the_step_that_wrote_it(browser):
    told = failed_refund()
    panel = opened(browser, told, tab="storage").one("section", aria_label="Storage")
    [item] = panel.all("details", class_="evidence-item")
    assert item.all("summary")[0].text.startswith("claim")
    assert 'id: "DHL-77120"' in item.text
    [writer] = [link for link in item.all("a") if link.text == "collect::agent_call"]
    assert "open" in row(read(browser.get(writer.attrs["href"])), "collect::agent_call").attrs


def test_a_long_value_is_read_when_somebody_asks(browser, htmx):
    told = Told().step("a::tool_call", 0, 1, storage={"long": ["word"] * 2000}).save(1, "completed")
    [item] = opened(browser, told, tab="storage").all("details", class_="evidence-item")
    assert "word" not in item.text
    [link] = [one for one in item.all("a") if "hx-get" in one.attrs]
    assert '"word"' in read(browser.get(link.attrs["hx-get"], headers=htmx)).text
    page = read(browser.get(link.attrs["href"]))
    assert page.one("h1").text == "long"
    assert "1,900 more" in page.text


def test_a_value_of_another_state_is_not_found(browser):
    told = failed_refund()
    other = Told().step("a::tool_call", 0, 1, storage={"k": 1}).save(1, "completed")
    entry = told.state.storage_entries.get()
    assert browser.get(f"{other.url}storage/{entry.pk}/").status_code == 404


def test_many_keys_come_in_pages(browser):
    told = Told().step("a::tool_call", 0, 1, storage={f"k{n:03}": n for n in range(205)}).save(1, "completed")
    page = opened(browser, told, tab="storage")
    assert len(page.all("details", class_="evidence-item")) == 200
    [more] = [link for link in page.all("a") if link.text == "More keys"]
    rest = read(browser.get(more.attrs["href"]))
    assert [
        item.one("summary").one("span", class_="mono").text for item in rest.all("details", class_="evidence-item")
    ] == [f"k{n}" for n in range(200, 205)]


# ---- Checkpoints ----


def test_checkpoints_lead_to_what_each_changed_and_to_the_newest(browser):
    told = failed_refund()
    panel = opened(browser, told, tab="checkpoints").one("section", aria_label="Checkpoints")
    assert [link.text for link in panel.all("a", class_="row-title")][:2] == ["Checkpoint 14 newest", "Checkpoint 13"]
    newest, thirteenth, *_, first = panel.all("li")
    links = {link.text.split(":")[0]: link.attrs["href"] for link in thirteenth.all("a")}
    assert links["What it changed"] == f"/compare/?left={told.state_id}@12&right={told.state_id}@13&only=changes"
    assert links["Compare with newest"] == f"/compare/?left={told.state_id}@13&right={told.state_id}&only=changes"
    assert "Compare with newest" not in newest.text
    assert "What it changed" not in first.text
    for url in links.values():
        assert browser.get(url).status_code == 200
    assert "18 records 1 key 1 artifact by worker" in newest.text


def test_an_earlier_checkpoint_is_shown_as_it_stood(browser):
    told = failed_refund()
    page = opened(browser, told, checkpoint="2")
    assert rows(page) == [
        (0, "collect", "Running", "3.3 s"),
        (1, "order_lookup::tool_call", "Completed", "0.8 s"),
        (1, "carrier_lookup::tool_call", "Completed, 2×", "2.5 s"),
    ]
    assert any(text.startswith("Checkpoint 2 of 14.") for text in notice_texts(page))
    assert page.one("div", id="state-progress").text == "Running 3.3 s of work"
    assert tab_counts(page) == tab_counts(page) | {
        "Timeline": "2",
        "Storage": "0",
        "Artifacts": "0",
        "Checkpoints": "14",
    }
    assert page.one("div", id="state-actions").one("a").attrs["href"] == f"/compare/?left={told.state_id}%402"
    storage = page.one("a", id="tab-storage").attrs["href"]
    assert parse_qs(urlsplit(storage).query) == {"tab": ["storage"], "checkpoint": ["2"]}
    assert read(browser.get(storage)).one("div", class_="empty").one("h2").text == "Storage is empty"


def test_an_open_question_of_an_earlier_checkpoint_waits_there(browser):
    page = opened(browser, failed_refund(), checkpoint="10")
    assert rows(page)[-1] == (0, "refund::decision", "Waiting", "0 ms")


@pytest.mark.parametrize("number", ["0", "15", "-1", "x", "9" * 40, "²", "1e3"])
def test_a_checkpoint_that_is_not_there_is_said_and_the_newest_shown(browser, number):
    page = opened(browser, failed_refund(), checkpoint=number)
    assert any("There is no checkpoint" in text for text in notice_texts(page))
    assert len(rows(page)) == 15


def test_many_checkpoints_come_in_pages(browser):
    told = Told()
    for number in range(60):
        told.step(f"s{number}::tool_call", number, 0.5).save(number + 0.5)
    page = opened(browser, told, tab="checkpoints")
    assert len(page.all("a", class_="row-title")) == 50
    [older] = [link for link in page.all("a", rel="next") if link.text == "Older"]
    assert [link.text for link in read(browser.get(older.attrs["href"])).all("a", class_="row-title")] == [
        f"Checkpoint {number}" for number in range(10, 0, -1)
    ]


# ---- Requests and audit ----


def test_requests_of_the_run_are_listed_with_what_came_of_them(browser):
    told = failed_refund()
    [item] = opened(browser, told, tab="requests").one("section", aria_label="Requests").all("li")
    assert item.one("a", class_="row-title").attrs["href"] == f"/requests/{told.state.requests.get().pk}/"
    assert "Approved" in item.text


def test_the_audit_of_the_state_says_who_did_what(browser, run_until_it_waits, ada):
    state = run_until_it_waits("test-failing")
    retry(state.pk, by=ada, channel="web")
    panel = read(browser.get(f"/states/{state.pk}/?tab=audit")).one("section", aria_label="Audit")
    table = [[cell.text for cell in line.all("td")][2:5] for line in panel.one("tbody").all("tr")]
    assert table == [["retried", "ada", "web"], ["started", "system", "web"]]
    assert AuditEntry.objects.filter(state_id=state.pk).count() == 2


@pytest.mark.parametrize("tab", ["storage", "artifacts", "checkpoints", "requests", "audit"])
def test_an_empty_tab_says_what_would_be_there(browser, tab):
    state = State.objects.create(created_at=timezone.now(), updated_at=timezone.now(), pipeline="x")
    page = read(browser.get(f"/states/{state.pk}/", {"tab": tab}))
    assert page.one("div", class_="empty").one("p").text


# ---- News while it runs ----


def news(browser, page, htmx):
    return browser.get(page.one("div", id="poll").attrs["hx-get"], headers=htmx)


def test_nothing_is_sent_while_nothing_is_new(browser, htmx):
    told = Told().step("a::tool_call", 0, 1).save(1)
    answer = news(browser, opened(browser, told), htmx)
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_new_step_comes_with_counts_and_head_and_the_page_asks_on(browser, htmx):
    told = Told().step("a::tool_call", 0, 1).save(1)
    page = opened(browser, told)
    told.step("b::tool_call", 1, 2).save(3)
    part = read(news(browser, page, htmx))
    assert [name for _, name, _, _ in rows(part)] == ["a::tool_call", "b::tool_call"]
    assert part.one("section", id="timeline-panel").attrs["hx-swap-oob"] == "true"
    assert part.one("span", id="count-timeline").text == "2"
    assert part.one("div", id="state-progress").text.startswith("Running 3.0 s of work 2 checkpoints")
    assert part.one("div", id="poll").attrs["hx-get"] != page.one("div", id="poll").attrs["hx-get"]
    # What can hold the focus and did not change is left alone.
    assert not part.all("div", id="state-actions")
    assert not part.all("div", id="announcer")


def test_the_end_is_announced_and_the_page_stops_asking(browser, htmx):
    told = Told().step("a::tool_call", 0, 1).save(1)
    page = opened(browser, told)
    told.step("b::tool_call", 1, 2).save(3, "completed")
    part = read(news(browser, page, htmx))
    assert part.one("div", id="announcer").text == "The run is completed."
    assert "hx-get" not in part.one("div", id="poll").attrs
    assert part.one("div", id="state-actions").attrs["hx-swap-oob"] == "true"


def test_on_the_other_tabs_what_somebody_reads_is_left_alone(browser, htmx):
    told = Told().step("a::tool_call", 0, 1, storage={"k": 1}).save(1)
    page = opened(browser, told, tab="storage")
    told.step("b::tool_call", 1, 2, storage={"l": 1}).save(3)
    part = read(news(browser, page, htmx))
    assert part.one("span", id="count-storage").text == "2"
    assert part.one("p", id="stale-tab").one("a").attrs["href"] == f"{told.url}?tab=storage"
    assert not part.all("section")


def test_a_browser_that_asks_for_news_gets_the_page(browser):
    told = Told().step("a::tool_call", 0, 1).save(1)
    answer = browser.get(f"{told.url}news/?tab=storage")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{told.url}?tab=storage")


def test_an_earlier_checkpoint_of_a_running_state_does_not_move(browser):
    told = Told().step("a::tool_call", 0, 1).save(1).step("b::tool_call", 1, 1).save(2)
    assert "hx-get" not in opened(browser, told, checkpoint="1").one("div", id="poll").attrs


def test_the_page_of_a_real_run_shows_each_stage(browser, htmx, ada):
    """Queued, then waiting, then queued again by the decision, then done: the page follows by itself."""
    state = start_run("test-refund", ORDER, by=None)
    page = read(browser.get(f"/states/{state.pk}/"))
    work(state.pk)
    part = read(news(browser, page, htmx))
    assert part.one("div", id="state-progress").text.startswith("Waiting for a decision")
    assert "hx-get" not in part.one("div", id="poll").attrs
    decide(only_request(state).pk, by=ada, kind="approve")
    page = read(browser.get(f"/states/{state.pk}/"))
    assert page.one("div", id="state-progress").text.startswith("Queued Waiting for a decision")
    work(state.pk)
    part = read(news(browser, page, htmx))
    assert part.one("div", id="state-progress").text.startswith("Completed")
    assert part.one("div", id="announcer").text == "The run is completed."
    assert Artifact.objects.exists()
