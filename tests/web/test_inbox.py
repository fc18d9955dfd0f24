"""The inbox: what is listed for whom, in which order, narrowed by what, page by page, and what is new."""

import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from recovery.models import ApprovalRequest, Decision, RequestDecider, Risk, State
from recovery.services.undecidable import undecidable_requests
from tests.recovery.conftest import only_request
from tests.web.pages import read
from tests.web.waiting import ask, settle

pytestmark = pytest.mark.django_db

NOW = timezone.now()
LOST = "That place in the list is unknown; it starts at the top."


def titles(page):
    return [link.text for link in read(page).all("a", class_="inbox-row-title")]


# ---- What is listed ----


def test_for_me_lists_what_i_may_decide_most_urgent_first(ada, grace, signed_in):
    soon, later = NOW + timedelta(hours=1), NOW + timedelta(days=1)
    ask("low", risk=Risk.LOW)
    ask("medium, due later", due=later)
    ask("medium, due soon", due=soon)
    ask("medium, older", age=timedelta(hours=2))
    ask("medium, newer")
    ask("critical", risk=Risk.CRITICAL)
    ask("mine", risk=Risk.CRITICAL, started_by=ada)
    ask("mine, and I may", risk=Risk.HIGH, started_by=ada, self_approval=True)
    ask("of Grace", risk=Risk.LOW, started_by=grace, due=soon)
    settle(ask("decided", risk=Risk.CRITICAL), grace)
    assert titles(signed_in(ada).get("/")) == [
        "critical",
        "mine, and I may",
        "medium, due soon",
        "medium, due later",
        "medium, older",
        "medium, newer",
        "of Grace",
        "low",
    ]


def test_all_open_lists_what_others_have_to_decide_too(ada, signed_in):
    ask("mine", started_by=ada)
    ask("another")
    client = signed_in(ada)
    assert titles(client.get("/")) == ["another"]
    assert sorted(titles(client.get("/?tab=open"))) == ["another", "mine"]


def test_decided_lists_the_newest_first_with_the_outcome_and_by_whom(ada, grace, signed_in):
    settle(ask("first"), ada, at=NOW - timedelta(hours=2))
    settle(ask("second"), grace, "reject", at=NOW - timedelta(hours=1))
    ask("open")
    page = signed_in(ada).get("/?tab=decided")
    assert titles(page) == ["second", "first"]
    rows = [row.text for row in read(page).all("li", class_="inbox-row")]
    assert "grace Rejected 1 h ago" in rows[0]
    assert "You Approved 2 h ago" in rows[1]


def test_a_row_shows_title_risk_pipeline_age_tags_holder_and_due(ada, grace, signed_in):
    request = ask(
        "Refund 1 240", risk=Risk.HIGH, tags=["eu", "vip"], due=timezone.now() + timedelta(minutes=12, seconds=30)
    )
    ApprovalRequest.objects.filter(pk=request.pk).update(holder=grace)
    row = read(signed_in(ada).get("/")).one("li", class_="inbox-row")
    assert row.text.split() == "Refund 1 240 High refunds 5 min eu vip grace Due in 12 min".split()
    assert row.one("a").attrs["href"] == f"/requests/{request.pk}/"


def test_text_of_runs_is_shown_as_text(ada, signed_in):
    ask("<script>alert(1)</script> \u202egnp.exe", pipeline="<b>", tags=["<i>"])
    page = signed_in(ada).get("/")
    assert titles(page) == ["<script>alert(1)</script> ⟨U+202E⟩gnp.exe"]
    assert not any(text in page.content for text in (b"<script>alert", b"<b>", b"<i>", "\u202e".encode()))


# ---- Filters ----


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("text=LIND", ["Refund to Lindqvist"]),
        ("text=100%25", ["100% sure"]),
        ("text=legal", ["Sanctions match"]),
        ("pipeline=kyc", ["Sanctions match"]),
        ("risk=high", ["Refund to Lindqvist"]),
        ("tag=legal", ["Sanctions match"]),
        ("tag=leg", []),
        ("age=1h", ["Sanctions match"]),
        ("age=1d", []),
        ("risk=medium&text=s", ["100% sure", "Sanctions match"]),
        ("text=lind&risk=low", []),
        ("due=over", ["100% sure"]),
        ("due=1h", ["Refund to Lindqvist", "100% sure"]),
        ("due=none", ["Sanctions match"]),
        ("held=nobody", ["Refund to Lindqvist", "Sanctions match"]),
        ("held=me", []),
        ("held=others", ["100% sure"]),
        ("held=grace", ["100% sure"]),
        ("held=nobody-of-that-name", []),
    ],
)
def test_filters_narrow_the_list_and_stand_in_the_address(ada, grace, signed_in, query, expected):
    ask("Refund to Lindqvist", risk=Risk.HIGH, due=timezone.now() + timedelta(minutes=40))
    ask("Sanctions match", pipeline="kyc", tags=["legal"], age=timedelta(hours=3))
    ask("100% sure", due=timezone.now() - timedelta(minutes=40), holder=grace)
    assert titles(signed_in(ada).get(f"/?{query}")) == expected


def test_each_active_filter_is_a_chip_with_a_link_to_the_list_without_it(ada, signed_in):
    ask()
    page = read(signed_in(ada).get("/?tab=open&text=go&risk=high&age=1h"))
    chips = {chip.text: chip.one("a").attrs["href"] for chip in page.all("span", class_="chip")}
    assert chips == {
        "text: go": "/?tab=open&risk=high&age=1h",
        "risk: high": "/?tab=open&text=go&age=1h",
        "over 1 h old": "/?tab=open&text=go&risk=high",
    }
    assert page.one("a", class_="btn-plain").attrs["href"] == "/?tab=open"


def options_of(page, name):
    return [option.text for option in page.one("select", name=name).all("option")]


def test_the_filter_form_shows_what_is_chosen(ada, signed_in):
    ask("a", pipeline="refunds", tags=["eu"])
    page = read(signed_in(ada).get("/?pipeline=elsewhere&tag=legal&text=%22x%22&held=grace&due=over"))
    assert {"elsewhere", "test-refund"} < set(options_of(page, "pipeline"))
    chosen = [option.text for option in page.all("option", selected="")]
    assert chosen == ["elsewhere", "legal", "Any risk", "Overdue", "Any age", "Held by grace"]
    assert page.one("input", name="text").attrs["value"] == '"x"'


def test_what_open_requests_can_be_narrowed_to_comes_after_the_page(ada, grace, signed_in, htmx):
    ask("a", pipeline="refunds", tags=["eu"], holder=grace)
    ask("b", pipeline="kyc", tags=["legal", "eu"])
    settle(ask("c", pipeline="gone", tags=["old"]), ada)
    client = signed_in(ada)
    for page in (client.get("/inbox/options/?tag=rare", headers=htmx), client.get("/inbox/options/?tag=rare")):
        shown = read(page)
        assert {"kyc", "refunds", "test-refund"} < set(options_of(shown, "pipeline"))
        assert "gone" not in options_of(shown, "pipeline")
        assert options_of(shown, "tag") == ["Any tag", "eu", "legal", "rare"]
        assert options_of(shown, "held")[-1] == "Held by grace"
        assert shown.one("select", name="tag").one("option", selected="").text == "rare"


@pytest.mark.parametrize(
    ("query", "notice"),
    [
        ("risk=purple", "“purple” is no risk; there are: critical, high, medium, low. It was left out."),
        ("age=soon", "“soon” is no age; there are: 1h, 1d, 1w. It was left out."),
        ("tab=theirs", "“theirs” is no tab; there are: mine, open, decided. It was left out."),
        ("text=%27%25", "There is no word in “'%” to look for; it was left out."),
        ("due=soon", "“soon” is no due; there are: over, 1h, 1d, 1w, none. It was left out."),
        ("text=%00", "The filter text holds a character that cannot be searched for; it was left out."),
        ("tag=" + "x" * 201, "The filter tag is longer than 200 characters; it was left out."),
        ("after=yesterday", LOST),
        ("after=9~x~y~z", LOST),
        (f"after=1~0001-01-01T00:00%2B14:00~0001-01-01T00:00%2B14:00~{uuid.UUID(int=1)}", LOST),
        (
            f"after=1~2026-01-01~2026-01-01~{uuid.UUID(int=1)}",
            LOST,
        ),
    ],
)
def test_a_value_that_means_nothing_is_left_out_and_said(ada, signed_in, query, notice):
    ask("still there")
    page = signed_in(ada).get(f"/?{query}")
    assert page.status_code == 200
    assert titles(page) == ["still there"]
    assert [one.text for one in read(page).all("div", class_="notice-warn") if "hidden" not in one.attrs] == [notice]


# ---- Page by page ----


@pytest.mark.parametrize("tab", ["", "open", "decided"])
def test_more_leads_through_every_row_once(ada, grace, signed_in, tab):
    for number in range(105):
        # Many are alike in all but their id.
        request = ask(f"{number}", risk=number % 2, age=timedelta(minutes=number // 10))
        if tab == "decided":
            settle(request, grace, at=NOW - timedelta(minutes=number // 10))
    client, url, seen = signed_in(ada), f"/?tab={tab}" if tab else "/", []
    for expected in (50, 50, 5):
        page = client.get(url)
        assert len(titles(page)) == expected
        seen += titles(page)
        more = [link for link in read(page).all("a", class_="btn") if link.text == "More"]
        url = more[0].attrs["href"] if more else ""
    assert url == ""
    assert sorted(seen, key=int) == [str(number) for number in range(105)]


def test_more_keeps_the_filters_and_brings_htmx_only_rows(ada, signed_in, htmx):
    for number in range(51):
        ask(f"{number}", tags=["eu"])
    client = signed_in(ada)
    more = next(link for link in read(client.get("/?tag=eu&tab=open")).all("a") if link.text == "More")
    query = parse_qs(urlsplit(more.attrs["href"]).query)
    assert (query["tag"], query["tab"], len(query["after"])) == (["eu"], ["open"], 1)
    part = client.get(more.attrs["href"], headers=htmx)
    assert b"<html" not in part.content and len(titles(part)) == 1
    assert "HX-Request" in part["Vary"]
    assert read(part).one("a", class_="inbox-row-title").attrs["autofocus"] == ""
    assert b"<html" in client.get(more.attrs["href"]).content


def test_after_back_htmx_is_given_the_whole_page(ada, signed_in, htmx):
    page = signed_in(ada).get("/", headers={**htmx, "HX-History-Restore-Request": "true"})
    assert b"<html" in page.content


# ---- Counts and news ----


def counts(page):
    return {one.attrs["id"]: one.text for one in read(page).all(class_="count") if "hidden" not in one.attrs}


def test_tabs_and_navigation_count_what_waits_filters_or_not(ada, signed_in):
    ask("one")
    ask("two")
    ask("mine", started_by=ada)
    for url in ("/", "/?text=nothing", "/?tab=decided"):
        page = signed_in(ada).get(url)
        assert counts(page) == {"waiting-count": "2 waiting for you", "count-mine": "2", "count-open": "3"}
    assert read(page).one("title").text.startswith("(2) Inbox")


def test_nobody_counts_beyond_a_hundred(ada, signed_in):
    state = State.objects.create(created_at=NOW, updated_at=NOW)
    ApprovalRequest.objects.bulk_create(
        ApprovalRequest(state=state, checkpoint=1, address=str(n), title=str(n), opened_at=NOW) for n in range(101)
    )
    assert counts(signed_in(ada).get("/"))["count-mine"] == "99+"


def news(client, page, htmx, **changed):
    address = urlsplit(read(page).one("div", id="news").attrs["hx-get"])
    query = {name: values[0] for name, values in parse_qs(address.query).items()} | changed
    return client.get(address.path, query, headers=htmx)


def test_nothing_new_is_no_content_so_that_nothing_on_the_page_moves(ada, signed_in, htmx):
    ask("seen")
    client = signed_in(ada)
    answer = news(client, client.get("/"), htmx)
    assert (answer.status_code, answer.content) == (204, b"")


def test_new_requests_are_announced_by_a_link_and_leave_the_list_alone(ada, grace, signed_in, htmx):
    seen = ask("seen")
    client = signed_in(ada)
    page = client.get("/?risk=medium")
    ask("new", age=timedelta(seconds=-1))
    ask("new, but narrowed out", risk=Risk.HIGH, age=timedelta(seconds=-1))
    settle(seen, grace)
    part = news(client, page, htmx)
    link = read(part).one("a")
    assert (link.text, link.attrs["href"]) == ("1 new, 1 decided, show", "/?risk=medium")
    assert titles(part) == []
    assert counts(part) == {"waiting-count": "2 waiting for you", "count-mine": "2", "count-open": "2"}
    assert read(part).one("div", id="announcer").text == "1 new request"
    assert read(part).one("title").text == "(2) Inbox – rhdashboard"
    # Asked again with what it shows now, it says nothing.
    assert news(client, part, htmx).status_code == 204


@pytest.mark.parametrize(
    "since", ["", "yesterday", "2026-13-45T00:00:00+00:00", "2026-01-01T00:00:00", "9999-12-31T23:59-12:00"]
)
def test_news_since_no_moment_leads_to_the_inbox(ada, signed_in, htmx, since):
    answer = signed_in(ada).get("/inbox/new/", {"since": since}, headers=htmx)
    assert (answer.status_code, answer["Location"]) == (302, "/")


# ---- Too few people ----


def short(page):
    """The titles of those that are marked."""
    rows = read(page).all("li", class_="inbox-row")
    return [row.one("a").text for row in rows if row.all("span", class_="inbox-row-short")]


def test_requests_that_nobody_can_settle_are_marked_as_on_the_page_of_stuck_runs(ada, grace, make_user, signed_in):
    legal = Group.objects.create(name="legal")
    grace.groups.add(legal)
    ask("for all")
    ask("two of three", policy={"needed": 2})
    ask("four of three", policy={"needed": 4})
    ask("three of three, one of whom started it", policy={"needed": 3}, started_by=grace)
    ask("one of legal", policy={"from_groups": {"legal": 1}}, open_to_all=False)
    ask("two of legal", policy={"from_groups": {"legal": 2}}, open_to_all=False)
    ask("one of legal, who started it", policy={"groups": ["legal"]}, open_to_all=False, started_by=grace)
    ask("and they may", policy={"groups": ["legal"], "self_approval": True}, open_to_all=False, started_by=grace)
    ApprovalRequest.objects.filter(title="and they may").update(self_approval=True)
    ask("for nobody", policy={"users": ["nobody"]}, open_to_all=False)
    handed_on = ask("for nobody, and handed on", policy={"users": ["nobody"]}, open_to_all=False)
    RequestDecider.objects.create(request=handed_on, username="ada", why="delegated")
    make_user("lin")
    marked = {
        "four of three",
        "three of three, one of whom started it",
        "two of legal",
        "one of legal, who started it",
        "for nobody",
    }
    assert set(short(signed_in(ada).get("/?tab=open"))) == marked
    assert {one.request.title for one in undecidable_requests()} == marked


def test_where_nobody_decides_requests_at_all_each_is_marked(make_user, signed_in):
    vera = make_user("vera", decides=False)
    ask("for all")
    assert short(signed_in(vera).get("/?tab=open")) == ["for all"]
    make_user("ada")
    assert short(signed_in(vera).get("/?tab=open")) == []


# ---- Empty places, next ----


@pytest.mark.parametrize(
    ("url", "heading"),
    [
        ("/", "Nothing waits for you"),
        ("/?tab=open", "No request is open"),
        ("/?tab=decided", "Nothing was decided yet"),
        ("/?text=x", "No request matches these filters"),
    ],
)
def test_an_empty_list_says_what_would_be_there(ada, signed_in, url, heading):
    assert read(signed_in(ada).get(url)).one("section", id="list").one("div", class_="empty").one("h2").text == heading


def test_who_may_not_decide_is_told_so_and_shown_the_way(make_user, signed_in):
    ask("open")
    empty = (
        read(signed_in(make_user("vera", decides=False)).get("/")).one("section", id="list").one("div", class_="empty")
    )
    assert empty.one("h2").text == "You are not among those who decide requests"
    assert empty.one("a").attrs["href"] == "?tab=open"


def test_a_place_behind_which_nothing_is_left_says_so(ada, grace, signed_in):
    for number in range(51):
        ask(f"{number}")
    client = signed_in(ada)
    more = next(link for link in read(client.get("/")).all("a") if link.text == "More").attrs["href"]
    for request in ApprovalRequest.objects.open():
        settle(request, grace)
    page = read(client.get(more))
    assert page.one("section", id="list").one("h2").text == "The list ends here"


def test_next_is_the_most_urgent_one_that_i_may_decide(ada, signed_in):
    ask("low", risk=Risk.LOW)
    ask("mine", risk=Risk.CRITICAL, started_by=ada)
    high = ask("high", risk=Risk.HIGH)
    assert signed_in(ada).get("/next/")["Location"] == f"/requests/{high.pk}/"


def test_next_goes_on_behind_the_request_one_comes_from_and_begins_again_at_the_end(ada, signed_in):
    first, second, third = (ask(name, risk=risk) for name, risk in (("a", 3), ("b", 1), ("c", 1)))
    client = signed_in(ada)

    def after(request):
        return client.get("/next/", {"after": str(request.pk)})["Location"]

    assert after(first) == f"/requests/{second.pk}/"
    assert after(second) == f"/requests/{third.pk}/"
    assert after(third) == f"/requests/{first.pk}/"
    settle(second, ada)
    assert after(second) == f"/requests/{third.pk}/"
    settle(third, ada)
    assert after(first) == "/"
    assert client.get("/next/", {"after": "x\x00"})["Location"] == f"/requests/{first.pk}/"


def test_the_filters_go_along_through_the_requests_of_the_list(ada, signed_in, run_until_it_waits):
    eu = [only_request(run_until_it_waits(tags=["eu"])), ask("eu 2", tags=["eu"])]
    ask("us", tags=["us"], risk=Risk.CRITICAL)
    client = signed_in(ada)
    first = read(client.get("/?tag=eu")).all("a", class_="inbox-row-title")[0].attrs["href"]
    assert first == f"/requests/{eu[0].pk}/?tag=eu"
    page = read(client.get(first))
    assert page.one("ol", class_="breadcrumb").one("a", href="/?tag=eu").text == "Inbox"
    sent = {"kind": "approve", "seen_version": "1"}
    decided = client.post(page.one("button", id="decide-approve").attrs["formaction"], sent)
    assert decided["Location"] == first
    ahead = read(client.get(first)).one("a", id="next-request").attrs["href"]
    assert client.get(ahead)["Location"] == f"/requests/{eu[1].pk}/?tag=eu"
    settle(eu[1], ada)
    assert client.get(ahead)["Location"] == "/?tag=eu"
    assert "Nothing else in this list waits for you." in read(client.get("/?tag=eu")).one("div", class_="messages").text


def test_next_with_nothing_left_leads_to_the_inbox_and_says_so(ada, signed_in):
    page = signed_in(ada).get("/next/", follow=True)
    assert page.redirect_chain == [("/", 302)]
    assert "Nothing else waits for you." in read(page).one("div", class_="messages").text


# ---- Cost ----


EVERY_FILTER = "text=1&risk=medium&tag=eu&age=1h&pipeline=refunds&due=1d&held=others"


@pytest.mark.parametrize("query", ["", EVERY_FILTER])
@pytest.mark.parametrize("tab", ["mine", "open", "decided"])
@pytest.mark.parametrize("rows", [1, 30])
def test_the_inbox_asks_the_database_eight_times_whatever_it_lists(
    ada, grace, signed_in, django_assert_max_num_queries, tab, query, rows
):
    due = timezone.now() + timedelta(hours=3)
    for number in range(rows):
        more = {"tags": ["eu", f"{number}"], "age": timedelta(hours=2), "started_by": grace, "holder": grace}
        request = ask(f"{number} 1", due=due, policy={"needed": 2, "users": [f"{number % 7}"]}, **more)
        if tab == "decided":
            settle(request, grace)
    client = signed_in(ada)
    with django_assert_max_num_queries(8):
        assert len(titles(client.get(f"/?tab={tab}&{query}"))) == rows


@pytest.mark.parametrize("rows", [1, 30])
def test_votes_of_many_rows_cost_one_look_more(ada, grace, signed_in, django_assert_num_queries, rows):
    for number in range(rows):
        request = ask(f"{number}", policy={"needed": 3}, expires_at=datetime(2100, 1, 1, tzinfo=UTC))
        for person in (ada, grace, ada):
            Decision.objects.create(
                request=request, kind="approve", actor=person, digest="", created_at=request.opened_at
            )
    client = signed_in(ada)
    with django_assert_num_queries(5):
        page = read(client.get("/"))
    assert {one.text for one in page.all("span", class_="inbox-row-votes")} == {"2 of 3 votes"}
    assert all(one.text.startswith("expires in") for one in page.all("span", class_="inbox-row-end"))


@pytest.mark.parametrize("rows", [1, 30])
def test_more_rows_ask_the_database_no_more(ada, signed_in, htmx, django_assert_max_num_queries, rows):
    for number in range(50 + rows):
        ask(f"{number}", policy={"needed": 2})
    client = signed_in(ada)
    more = next(link for link in read(client.get("/")).all("a") if link.text == "More").attrs["href"]
    with django_assert_max_num_queries(8):
        assert len(titles(client.get(more, headers=htmx))) == rows


def test_dates_far_away_do_not_break_the_list(ada, signed_in):
    ask("far", due=datetime(9998, 12, 31, tzinfo=UTC))
    ask("long ago", due=datetime(1970, 1, 1, tzinfo=UTC))
    assert titles(signed_in(ada).get("/")) == ["long ago", "far"]
