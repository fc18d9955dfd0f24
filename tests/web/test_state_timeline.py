"""The timeline of a state: the tree of its steps, by windows, and each record whole."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recovery.models import Event
from tests.web.pages import read
from tests.web.runs import Told, failed_refund
from tests.web.state_page import notice_texts, opened, row, rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(ada, signed_in):
    return signed_in(ada)


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
