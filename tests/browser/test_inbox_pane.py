"""The request beside the list in Chromium: it opens there, address and Back follow, and the list stays where it is."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from recovery.models import ApprovalRequest, Decision, Risk
from recovery.services.start_run import start_run
from tests.web.waiting import ask

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def waiting(work, **options):
    state = start_run("test-refund", {"order": "A-17", "amount": "420.00"}, **options)
    work(state.pk)
    return ApprovalRequest.objects.get(state=state)


def inbox_with(live_server, request, query=""):
    return f"{live_server.url}/?{query}request={request.pk}"


def row(page, title):
    return page.locator(".inbox-row", has=page.get_by_role("link", name=title, exact=True))


def test_a_row_opens_its_request_beside_the_list_and_back_leads_through_them(page, live_server, ada, sign_in):
    first, second = ask("First", risk=Risk.HIGH), ask("Second")
    sign_in(page, ada).goto(live_server.url)
    page.get_by_role("link", name="First", exact=True).click()
    expect(page.locator("#open h1")).to_have_text("First")
    expect(page).to_have_url(inbox_with(live_server, first))
    expect(page).to_have_title("(2) First – rhdashboard")
    expect(page.get_by_role("link", name="First")).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="Second").click()
    expect(page.locator("#open h1")).to_have_text("Second")
    page.go_back()
    expect(page.locator("#open h1")).to_have_text("First")
    expect(page).to_have_url(inbox_with(live_server, first))
    page.go_back()
    expect(page.locator("#open")).to_contain_text("No request is open")
    expect(page).to_have_url(f"{live_server.url}/")
    page.go_forward()
    page.go_forward()
    expect(page.locator("#open h1")).to_have_text("Second")
    page.reload()
    expect(page.locator("#open h1")).to_have_text("Second")
    expect(row(page, "Second")).to_have_class("inbox-row is-open")
    assert page.url == inbox_with(live_server, second)


def test_the_list_keeps_its_place(page, live_server, ada, sign_in):
    for number in range(30):
        ask(f"Request {number:02}", age=timedelta(minutes=60 - number))
    sign_in(page, ada).goto(live_server.url)
    page.locator("#list").evaluate("(list) => { list.scrollTop = 300; }")
    page.get_by_role("link", name="Request 12").click()
    expect(page.locator("#open h1")).to_have_text("Request 12")
    assert page.locator("#list").evaluate("(list) => list.scrollTop") == 300
    page.go_back()
    expect(page.locator("#open")).to_contain_text("No request is open")
    assert page.locator("#list").evaluate("(list) => list.scrollTop") == 300


def test_deciding_in_the_pane_marks_the_row_and_next_opens_the_next_row(page, live_server, ada, grace, sign_in, work):
    first = waiting(work, by=grace)
    second = ask("Then this", risk=Risk.LOW)
    sign_in(page, ada).goto(live_server.url)
    page.get_by_role("link", name=first.title).click()
    page.locator("#decide-approve").click()
    expect(page.locator("#progress")).to_contain_text("Approved.")
    expect(row(page, first.title)).to_have_class("inbox-row is-open is-done")
    expect(page.locator("#waiting-count")).to_have_text("1 waiting for you")
    page.locator("#next-request").click()
    expect(page.locator("#open h1")).to_have_text("Then this")
    expect(page).to_have_url(inbox_with(live_server, second))
    assert Decision.objects.get().request == first


def test_next_at_the_end_of_the_list_goes_where_the_server_says(page, live_server, ada, grace, sign_in, work):
    asked = waiting(work, by=grace)
    sign_in(page, ada).goto(inbox_with(live_server, asked))
    page.locator("#decide-approve").click()
    page.locator("#next-request").click()
    expect(page.get_by_text("Nothing else waits for you.")).to_be_visible()


def test_what_cannot_be_loaded_says_so_and_is_tried_again(page, live_server, ada, sign_in):
    ask("Here")
    gone = ask("Gone")
    sign_in(page, ada).goto(live_server.url)
    page.route("**/requests/**", lambda route: route.abort())
    page.get_by_role("link", name="Here").click()
    expect(page.locator("#open")).to_contain_text("It could not be loaded")
    page.unroute("**/requests/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#open h1")).to_have_text("Here")
    gone.delete()
    page.get_by_role("link", name="Gone").click()
    expect(page.locator("#open")).to_contain_text("This request is not there any more")


def test_a_slow_answer_does_not_take_the_place_of_a_later_one(page, live_server, ada, sign_in):
    slow, _ = ask("Slow"), ask("Quick")
    sign_in(page, ada).goto(live_server.url)
    held = []
    page.route(f"**/requests/{slow.pk}/**", lambda route: held.append(route))
    page.get_by_role("link", name="Slow").click()
    page.get_by_role("link", name="Quick").click()
    expect(page.locator("#open h1")).to_have_text("Quick")
    for route in held:
        route.continue_()
    page.unroute(f"**/requests/{slow.pk}/**")
    expect(page.locator("#open h1")).to_have_text("Quick")
    assert held


def test_with_ctrl_a_row_opens_in_a_tab_of_its_own(page, live_server, ada, sign_in):
    asked = ask("Elsewhere")
    sign_in(page, ada).goto(live_server.url)
    with page.context.expect_page() as other:
        page.get_by_role("link", name="Elsewhere").click(modifiers=["ControlOrMeta"])
    assert other.value.url == f"{live_server.url}/requests/{asked.pk}/"
    expect(page.locator("#open")).to_contain_text("No request is open")


def test_on_a_phone_there_is_one_column_and_a_row_leads_to_its_page(open_page, live_server, ada, sign_in):
    asked = ask("On the way")
    page = sign_in(open_page(viewport={"width": 360, "height": 740}), ada)
    page.goto(live_server.url)
    expect(page.locator("#open")).to_be_hidden()
    page.get_by_role("link", name="On the way").click()
    expect(page).to_have_url(f"{live_server.url}/requests/{asked.pk}/")
    page.goto(inbox_with(live_server, asked, "tab=open&"))
    expect(page.locator("h1").last).to_have_text("On the way")
    expect(page.locator("#list")).to_be_hidden()
    page.get_by_label("Breadcrumb").get_by_role("link", name="Inbox").click()
    expect(page.locator("#list")).to_be_visible()
    expect(page).to_have_url(f"{live_server.url}/?tab=open")


def test_a_link_to_a_place_of_the_page_takes_nothing_away(page, live_server, ada, sign_in, work):
    sign_in(page, ada).goto(inbox_with(live_server, waiting(work)))
    amount = page.locator("#proposal-amount")
    amount.fill("12.50")
    with page.expect_event("framenavigated"):
        page.locator("#open").get_by_role("link", name="Edit", exact=True).click()
    expect(page.locator("#open")).not_to_have_attribute("aria-busy", "true")
    expect(amount).to_have_value("12.50")
    assert "#" in page.url
