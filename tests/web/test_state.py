"""The page of a state: its head, what a run of ours is at, and what is new while it goes on."""

import uuid

import pytest

from recovery.models import Artifact, Resumption, State
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from tests.recovery.conftest import only_request, work
from tests.web.pages import as_of_now, entered_in, read
from tests.web.runs import Told, failed_refund
from tests.web.state_page import notice_texts, opened, row, rows, tab_counts

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(ada, signed_in):
    return signed_in(ada)


ORDER = {"order": "A-17", "amount": "420.00"}


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
    assert (poll.attrs["data-live"], poll.attrs["data-live-every"]) == (f"state:{state.pk}", "2")
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


def test_a_run_whose_pipeline_is_another_version_asks_whether_it_may_go_on_with_that(browser, run_until_it_waits):
    state = run_until_it_waits()
    State.objects.filter(pk=state.pk).update(pipeline_version="0")
    notice = read(browser.get(f"/states/{state.pk}/")).one("div", id="version-question")
    assert notice.text == (
        "The pipeline test-refund is now version 1, this run began with version 0. Go on with version 1? "
        "Finished steps are not run again; a step that is not there any more is left out. "
        "Until then the run stays as it is. Go on with version 1"
    )
    form = notice.one("form")
    answer = browser.post(form.attrs["action"], entered_in(form))
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/states/{state.pk}/")
    assert State.objects.get(pk=state.pk).pipeline_version == "1"
    page = read(browser.get(f"/states/{state.pk}/"))
    assert not page.all("div", id="version-question")
    assert only_request(state).is_open


def test_who_may_not_start_runs_is_told_who_may_say_that_a_run_goes_on_with_another_version(
    ada, make_user, signed_in, run_until_it_waits
):
    state = run_until_it_waits()
    State.objects.filter(pk=state.pk).update(pipeline_version="0")
    notice = read(signed_in(make_user("eve", starts=False)).get(f"/states/{state.pk}/")).one(
        "div", id="version-question"
    )
    assert notice.text.endswith("That is for those to say who start runs: ada.")
    assert not notice.all("form")


def test_a_failed_run_whose_pipeline_is_another_version_is_tried_again_with_that(browser, run_until_it_waits):
    state = run_until_it_waits("test-failing")
    State.objects.filter(pk=state.pk).update(pipeline_version="0")
    page = read(browser.get(f"/states/{state.pk}/"))
    assert not page.all("form", action=f"/states/{state.pk}/retry/")
    form = page.one("div", id="version-question").one("form")
    browser.post(form.attrs["action"], entered_in(form))
    assert work(state.pk).status == "completed"


def test_a_run_is_cancelled_from_its_page_with_a_reason(browser, run_until_it_waits):
    state = run_until_it_waits()
    form = read(browser.get(f"/states/{state.pk}/")).one("form", action=f"/states/{state.pk}/cancel/")
    answer = browser.post(form.attrs["action"], entered_in(form), follow=True)
    assert notice_texts(read(answer))[0] == "Say why: it stays in the record."
    assert State.objects.get(pk=state.pk).status == "awaiting"
    page = read(browser.post(form.attrs["action"], entered_in(form) | {"reason": "The customer called."}, follow=True))
    assert page.one("div", id="state-progress").text.startswith("Cancelled")
    assert as_of_now(page.one("div", id="cancellation").text) == "Cancelled by ada just now: The customer called."
    assert not page.all("form", action=f"/states/{state.pk}/cancel/")
    assert not page.all("a", class_="btn-primary")


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
