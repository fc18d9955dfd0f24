"""Developers at work in Chromium: starting a run, watching it, reading what it did, on a desk, on a phone, without a
script."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from recovery.models import State, Tag
from recovery.services.start_run import start_run
from tests.browser.axe import violations
from tests.recovery import sample_pipelines  # noqa: F401  registers its pipelines
from tests.web.runs import Told, failed_refund

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LONG = "A title that somebody wrote everything into, with-an-order-number-SE-204417 and a region, " * 3
ADDRESS = "::".join(f"a_step_with_quite_a_long_name_{n}" for n in range(6)) + "::tool_call"


@pytest.fixture
def desk(page, ada, sign_in, live_server):
    """A page of somebody who is signed in; `go` opens an address of ours."""
    sign_in(page, ada)
    page.go = lambda url: page.goto(live_server.url + url)
    return page


def step(page, name):
    return page.locator("details.step", has=page.locator(f"summary code[title='{name}']"))


def focused(page):
    return page.evaluate("(document.activeElement.closest('[id]') || {}).id + ' ' + document.activeElement.tagName")


# ---- Starting and watching a run ----


def test_a_form_that_comes_back_from_the_browsers_cache_starts_another_run(desk):
    desk.go("/pipelines/test-refund/")
    state_id = desk.locator("input[name=state_id]")
    before = state_id.input_value()
    desk.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(state_id).not_to_have_value(before)


def test_a_run_is_started_from_its_form_and_its_page_follows_it(desk, work):
    desk.go("/pipelines/")
    desk.get_by_role("link", name="Start a run of Refund").click()
    desk.get_by_label("order").fill("A-17")
    desk.get_by_label("amount").fill("-1")
    desk.get_by_role("button", name="Start the run").click()
    expect(desk.get_by_role("alert")).to_contain_text("Nothing was started.")
    assert not State.objects.exists()
    desk.get_by_role("alert").get_by_role("link", name="amount").click()
    assert focused(desk) == "input-amount INPUT"

    desk.get_by_label("amount").fill("420.00")
    desk.get_by_label("Description").fill("Refund of A-17")
    desk.get_by_label("Tags").fill("eu, vip")
    desk.get_by_role("button", name="Start the run").click()
    desk.wait_for_url(re.compile("/states/"))
    expect(desk.get_by_role("heading", level=1)).to_have_text("Refund of A-17")
    expect(desk.locator("#state-progress")).to_have_text(re.compile("Queued"))

    work(State.objects.get().pk)
    expect(desk.locator("#state-progress")).to_contain_text("Waiting for a decision")
    expect(step(desk, "look_up::tool_call")).to_contain_text("Completed")
    expect(desk.locator("#count-timeline")).to_have_text("2")
    desk.get_by_role("link", name="Open the request").click()
    expect(desk.get_by_role("heading", level=1)).to_have_text("Refund 420.00 for A-17?")


def test_a_nervous_double_click_starts_one_run(desk):
    desk.go("/pipelines/test-refund/")
    desk.get_by_label("order").fill("A-17")
    desk.get_by_label("amount").fill("420.00")
    desk.get_by_role("button", name="Start the run").dblclick()
    desk.wait_for_url(re.compile("/states/"))
    desk.wait_for_timeout(500)
    assert State.objects.count() == 1


def test_a_failed_run_is_tried_again_from_its_page(desk, work):
    state = start_run("test-failing", {"order": "A", "amount": "1"})
    work(state.pk)
    desk.go(f"/states/{state.pk}/")
    expect(desk.locator(".traceback").last).to_contain_text("ConnectionError: the gateway is away")
    desk.get_by_role("button", name="Retry").click()
    expect(desk.locator("#state-progress")).to_contain_text("Queued")
    work(state.pk)
    expect(desk.locator("#state-progress")).to_contain_text("Completed")
    expect(desk.get_by_role("region", name="Input and output")).to_contain_text("mended")
    expect(desk.get_by_role("button", name="Retry")).to_have_count(0)
    expect(desk.locator("#announcer")).to_have_text("The run is completed.")


def test_what_is_open_stays_open_and_the_focus_stays_while_a_run_goes_on(desk):
    told = Told().step("plan::look::tool_call", 0, 2, result={"found": "DHL-77120"})
    for number in range(40):
        told.step(f"plan::s{number}::tool_call", 2 + number, 1)
    told.save(50)
    desk.go(told.url)
    look = step(desk, "plan::look::tool_call")
    look.locator("summary").first.click()
    expect(look.locator(".step-result")).to_contain_text("DHL-77120")
    look.locator(".json-tree summary").click()
    last = step(desk, "plan::s39::tool_call")
    last.locator("summary").scroll_into_view_if_needed()
    last.locator("summary").focus()
    place = desk.evaluate("scrollY"), last.bounding_box()["y"]

    told.step("plan::again::tool_call", 50, 1).save(51)

    expect(step(desk, "plan::again::tool_call")).to_have_count(1)
    expect(desk.locator("#count-timeline")).to_have_text("42")
    expect(look).to_have_attribute("open", "")
    # Fetched before, folded by hand: neither is fetched or unfolded again.
    expect(look.locator(".step-result .json-tree details")).not_to_have_attribute("open", "")
    assert focused(desk) == f"{last.get_attribute('id')} SUMMARY"
    assert (desk.evaluate("scrollY"), last.bounding_box()["y"]) == place

    told.step("plan::agent_call", 0, 52, result=1).save(53, "completed")
    expect(desk.locator("#state-progress")).to_contain_text("Completed")
    expect(step(desk, "plan::agent_call")).to_have_count(1)
    assert focused(desk) == f"{last.get_attribute('id')} SUMMARY"


def test_a_step_that_is_folded_stays_folded_though_the_run_failed_in_it(desk):
    told = Told().step("pay::tool_call", 0, 1, error="no").save(1)
    desk.go(told.url)
    expect(step(desk, "pay::tool_call")).not_to_have_attribute("open", "")
    told.step("other::tool_call", 1, 1).save(2)
    expect(desk.locator("#count-timeline")).to_have_text("2")
    expect(step(desk, "pay::tool_call")).not_to_have_attribute("open", "")


# ---- Reading what it did ----


def test_results_and_artifacts_come_when_they_are_opened(desk):
    told = failed_refund()
    desk.go(told.url)
    ledger = step(desk, "collect::ledger::tool_call")
    expect(ledger.locator(".step-result")).not_to_contain_text("It wrote")
    ledger.locator("summary").first.click()
    expect(ledger.locator(".step-result")).to_contain_text("It wrote ledger.csv")
    desk.get_by_role("link", name=re.compile("^Artifacts")).click()
    desk.locator("summary", has_text="ledger.csv").click()
    expect(desk.get_by_role("cell", name="-60.00")).to_be_visible()
    with desk.expect_download() as download:
        desk.get_by_role("link", name="Download ledger.csv").click()
    assert download.value.suggested_filename == "ledger.csv"


def test_the_next_window_comes_below_without_leaving_the_page(desk):
    told = Told("Long")
    for number in range(450):
        told.step("load::tool_call" + (f"#{number + 1}" if number else ""), number, 0.5)
    told.save(500, "completed")
    desk.go(told.url)
    expect(desk.locator("details.step")).to_have_count(200)
    desk.get_by_role("link", name="More steps").click()
    expect(desk.locator("details.step")).to_have_count(400)
    desk.get_by_role("link", name="More steps").click()
    expect(desk.locator("details.step")).to_have_count(450)
    assert "from=" not in desk.url


def test_two_states_are_chosen_and_compared(desk):
    first, second = failed_refund(), failed_refund(description="The other refund")
    desk.go("/states/")
    desk.get_by_role("link", name=f"Compare {str(first.state_id)[:8]} with another").click()
    desk.get_by_role("link", name=f"Compare with this {str(second.state_id)[:8]}").click()
    desk.wait_for_url(re.compile("/compare/"))
    assert str(first.state_id) in desk.url
    assert str(second.state_id) in desk.url


def test_everything_can_be_reached_and_opened_with_the_keyboard(desk):
    told = failed_refund()
    desk.go(told.url)
    step(desk, "draft::llm_call").locator("summary").focus()
    desk.keyboard.press("Enter")
    expect(step(desk, "draft::llm_call").locator(".step-result")).to_contain_text("We are sorry")
    desk.keyboard.press("Tab")
    assert focused(desk).endswith("BUTTON")


# ---- Without a script ----


def test_all_of_it_works_without_a_script(open_page, sign_in, live_server, ada, work):
    page = sign_in(open_page(java_script_enabled=False), ada)
    page.goto(f"{live_server.url}/pipelines/test-refund/")
    page.get_by_label("order").fill("A-17")
    page.get_by_label("amount").fill("420.00")
    page.get_by_role("button", name="Start the run").click()
    expect(page.locator("#state-progress")).to_contain_text("Queued")
    work(State.objects.get().pk)
    page.get_by_role("link", name="Load the page again").click()
    expect(page.locator("#state-progress")).to_contain_text("Waiting for a decision")
    # Copy buttons would do nothing here, so none is there.
    expect(page.locator("[data-copy]").first).to_be_hidden()
    look = step(page, "look_up::tool_call")
    look.locator("summary").first.click()
    look.get_by_role("link", name="Show").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("look_up::tool_call")
    expect(page.get_by_role("region", name="Record")).to_contain_text("420.00")
    page.go_back()
    page.get_by_role("link", name=re.compile("^Artifacts")).click()
    page.locator("summary", has_text="events.csv").click()
    page.get_by_role("link", name="Show it here").click()
    expect(page.get_by_role("cell", name="sorted")).to_be_visible()
    page.goto(f"{live_server.url}/states/")
    page.get_by_label("Status").select_option("failed")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("No run is like that")).to_be_visible()
    page.get_by_role("link", name="Remove the filter status: failed").click()
    expect(page.get_by_role("link", name="Refund 420.00 for A-17?")).to_be_visible()


# ---- Small screens, both themes, everybody ----


@pytest.fixture
def crowd(db):
    """Thirty runs with long titles, and one with everything in it."""
    now = timezone.now()
    for number in range(30):
        at = now - timedelta(minutes=number)
        state = State.objects.create(
            description=f"{number} {LONG}"[:200],
            pipeline="a-pipeline-with-quite-a-long-name-for-a-phone",
            status=State.Status.values[number % 6],
            created_at=at,
            updated_at=at,
            head=number,
        )
        Tag.objects.bulk_create([Tag(state=state, tag=f"a-tag-of-some-length-{tag}") for tag in range(number % 4)])
    told = failed_refund(description=LONG[:200])
    told.step(
        ADDRESS,
        4400,
        3,
        result={"k" * 60: "v" * 300},
        storage={"key" * 60: "v" * 300},
        artifacts={"a" * 200: "x," * 300},
    )
    told.step(ADDRESS.replace("tool", "llm"), 4404, 1, error="word" * 200)
    return told.save(4500, "failed")


PAGES = [
    "/states/",
    "/states/?status=failed&tags=a-tag-of-some-length-0&text=title&from=2020-01-01&to=2999-01-01",
    "/states/?left={id}",
    "/states/{id}/",
    "/states/{id}/?checkpoint=3",
    "/states/{id}/?tab=storage",
    "/states/{id}/?tab=artifacts",
    "/states/{id}/?tab=checkpoints",
    "/states/{id}/?tab=requests",
    "/states/{id}/?tab=audit",
    "/states/{id}/steps/{position}/",
    "/states/{id}/artifacts/{artifact}/",
    "/states/{id}/storage/{entry}/",
    "/pipelines/",
    "/pipelines/test-refund/",
]


@pytest.mark.parametrize(("width", "theme"), [(1280, "dark"), (360, "light")])
def test_no_page_scrolls_sideways_and_axe_finds_nothing(open_page, sign_in, live_server, ada, crowd, width, theme):
    page = sign_in(open_page(viewport={"width": width, "height": 800}, color_scheme=theme), ada)
    state = crowd.state
    places = {
        "id": state.pk,
        "position": state.events.get(address=ADDRESS).position,
        "artifact": state.artifact_refs.get(key="a" * 200).artifact_id,
        "entry": state.storage_entries.get(key="key" * 60).pk,
    }
    for url in PAGES:
        page.goto(live_server.url + url.format(**places))
        page.evaluate(
            "[...document.querySelectorAll('main details:not([open])')].slice(0, 6).forEach(one => { one.open = true })"
        )
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, url
        found = violations(page)
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == [], url
