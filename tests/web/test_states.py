"""The list of states: newest first, narrowed by filters in the address, page by page, and choosing two to compare."""

import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recovery.models import State, Tag
from tests.web.pages import read

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def ran(description="A run", *, after=timedelta(0), tags=(), pipeline="refunds", status="completed", **more):
    when = NOON + after
    state = State.objects.create(
        description=description, created_at=when, updated_at=when, pipeline=pipeline, status=status, **more
    )
    Tag.objects.bulk_create([Tag(state=state, tag=tag) for tag in tags])
    return state


def titles(page):
    return [link.text for link in read(page).all("a", class_="row-title")]


@pytest.fixture
def browser(ada, signed_in):
    return signed_in(ada)


def listed(browser, **query):
    page = browser.get("/states/", query)
    assert page.status_code == 200
    return titles(page)


# ---- What is listed ----


def test_every_state_is_listed_the_newest_first(browser):
    for hours in (2, 5, 1):
        ran(f"{hours} hours later", after=timedelta(hours=hours))
    assert listed(browser) == ["5 hours later", "2 hours later", "1 hours later"]


def test_states_of_one_moment_have_one_order(browser):
    states = [ran(f"run {n}") for n in range(5)]
    newest_id_first = sorted(states, key=lambda state: state.pk, reverse=True)
    assert listed(browser) == [state.description for state in newest_id_first]


def test_a_row_says_what_ran_how_it_stands_and_how_often_it_was_saved(browser):
    state = ran("Refund A-17\nsecond line", tags=["eu", "vip"], status="failed", head=41)
    [row] = [item for item in read(browser.get("/states/")).all("li") if item.all("a", class_="row-title")]
    assert row.one("a", class_="row-title").attrs["href"] == f"/states/{state.pk}/"
    assert row.one("a", class_="row-title").text == "Refund A-17"
    assert row.one("span", class_="badge").text == "Failed"
    assert [tag.text for tag in row.all("span", class_="tag")] == ["eu", "vip"]
    assert row.one("button", data_copy=str(state.pk)).attrs["aria-label"] == "Copy state id"
    assert "refunds" in row.text
    assert "41 checkpoints" in row.text
    assert row.one("time").attrs["datetime"] == NOON.isoformat(timespec="seconds")


def test_a_state_without_description_goes_by_its_pipeline_and_id(browser):
    state = ran("", pipeline="nightly")
    assert listed(browser) == [f"nightly {state.short_id}"]


def test_runs_that_are_named_after_their_pipeline_go_by_what_they_ask_or_by_their_id(browser, run_until_it_waits):
    asking, done = run_until_it_waits(description="Refund"), ran("Refund", pipeline="test-refund")
    assert asking.description == "Refund"
    assert listed(browser) == ["Refund 420.00 for A-17?", f"Refund {done.short_id}"]


def test_hidden_characters_of_a_title_are_written_out(browser):
    ran("pay \u202eecila")
    assert listed(browser) == ["pay ⟨U+202E⟩ecila"]


def test_without_any_state_the_page_says_how_to_get_one(browser):
    page = read(browser.get("/states/"))
    assert page.one("div", class_="empty").one("h2").text == "Nothing ran yet"
    assert page.one("div", class_="empty").one("a").attrs["href"] == "/pipelines/"


def test_nobody_sees_it_without_signing_in(client):
    assert client.get("/states/").headers["Location"] == "/accounts/login/?next=/states/"


# ---- Filters ----


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "failed"}, ["c"]),
        ({"pipeline": "imports"}, ["d", "c"]),
        ({"tags": "eu"}, ["d", "b", "a"]),
        ({"tags": "eu,vip"}, ["b"]),
        ({"tags": " vip , eu ,eu,"}, ["b"]),
        ({"tags": "eu,nobody"}, []),
        ({"text": "IMPORT"}, ["d", "c"]),
        ({"text": "vip"}, ["b"]),
        ({"from": "2026-11-21"}, ["d", "c"]),
        ({"to": "2026-11-21"}, ["c", "b", "a"]),
        ({"from": "2026-11-21", "to": "2026-11-21"}, ["c"]),
        ({"to": "9999-12-31"}, ["d", "c", "b", "a"]),
        ({"status": "completed", "tags": "eu", "pipeline": "refunds"}, ["b", "a"]),
    ],
)
def test_filters_narrow_the_list_and_all_of_them_have_to_fit(browser, query, expected):
    ran("a", tags=["eu"])
    ran("b", tags=["eu", "vip"], after=timedelta(hours=1))
    ran("c", pipeline="imports", status="failed", after=timedelta(days=1))
    ran("d", pipeline="imports", tags=["eu"], after=timedelta(days=2))
    assert listed(browser, **query) == expected


def test_each_filter_is_a_chip_that_takes_it_away_again(browser):
    page = read(browser.get("/states/", {"status": "failed", "tags": "eu,vip", "from": "2026-11-20", "text": "a b"}))
    chips = {chip.text: chip.one("a").attrs["href"] for chip in page.all("span", class_="chip")}
    assert {words: parse_qs(urlsplit(url).query) for words, url in chips.items()} == {
        "text: a b": {"status": ["failed"], "tags": ["eu, vip"], "from": ["2026-11-20"]},
        "status: failed": {"text": ["a b"], "tags": ["eu, vip"], "from": ["2026-11-20"]},
        "tag: eu": {"text": ["a b"], "status": ["failed"], "tags": ["vip"], "from": ["2026-11-20"]},
        "tag: vip": {"text": ["a b"], "status": ["failed"], "tags": ["eu"], "from": ["2026-11-20"]},
        "updated from: 2026-11-20": {"text": ["a b"], "status": ["failed"], "tags": ["eu, vip"]},
    }


def test_the_form_shows_what_is_filtered(browser):
    page = read(browser.get("/states/", {"status": "paused", "pipeline": "x", "tags": "a, b", "to": "2026-11-20"}))
    form = page.one("form", role="search")
    assert form.one("option", selected="").text == "Paused"
    values = {field.attrs["name"]: field.attrs["value"] for field in form.all("input")}
    assert values == {"text": "", "pipeline": "x", "tags": "a, b", "from": "", "to": "2026-11-20"}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"status": "sleeping"}, "“sleeping” is no status; there are: running, paused"),
        ({"from": "yesterday"}, "“yesterday” is no date like 2026-11-23"),
        ({"to": "2026-02-31"}, "“2026-02-31” is no date"),
        ({"text": "a\x00b"}, "The filter text holds a character that cannot be searched for"),
        ({"pipeline": "p" * 201}, "The filter pipeline is longer than 200 characters"),
        ({"tags": ",".join("abcdefghijk")}, "At most 10 tags"),
        ({"after": "nowhere"}, "That place in the list is unknown"),
        ({"after": f"0001-01-01T00:00:00+14:00~{uuid.uuid4()}"}, "That place in the list is unknown"),
        ({"after": f"2026-11-20T12:00:00~{uuid.uuid4()}"}, "That place in the list is unknown"),
        ({"before": "2026-11-20T12:00:00Z~1"}, "That place in the list is unknown"),
        ({"left": "x"}, "“x” is no id of a state to compare with"),
        ({"left": str(uuid.UUID(int=7))}, "There is no state 00000000-0000-0000-0000-000000000007 to compare with"),
    ],
)
def test_a_filter_that_means_nothing_is_left_out_and_said(browser, query, says):
    ran("still here")
    page = browser.get("/states/", query)
    assert page.status_code == 200
    [notice] = [one for one in read(page).all("div", class_="notice-warn") if "hidden" not in one.attrs]
    assert says in notice.text
    assert titles(page) == ["still here"]


def test_when_no_state_fits_the_page_offers_to_clear_the_filters(browser):
    ran("a")
    empty = read(browser.get("/states/", {"status": "failed"})).one("div", class_="empty")
    assert empty.one("h2").text == "No run is like that"
    assert empty.one("a").attrs["href"] == "/states/"


# ---- Pages ----


def pages(browser, query="", rel="next"):
    """The titles of each page, following its links."""
    url = f"/states/{query}"
    while url:
        page = browser.get(url)
        yield titles(page)
        assert "offset" not in url
        links = read(page).all("a", rel=rel)
        url = links[0].attrs["href"] if links else ""


def test_pages_follow_each_other_without_a_gap_or_a_repeat(browser):
    for n in range(75):
        ran(f"{n // 10}", after=timedelta(minutes=n // 10))  # Ten share each moment.
    seen = list(pages(browser))
    assert [len(page) for page in seen] == [30, 30, 15]
    assert [title for page in seen for title in page] == sorted((str(n // 10) for n in range(75)), reverse=True)


def test_the_way_back_shows_the_same_pages(browser):
    for n in range(65):
        ran(f"{n:02}", after=timedelta(minutes=n))
    there = list(pages(browser))
    last = browser.get("/states/")
    for _ in range(2):
        last = browser.get(read(last).one("a", rel="next").attrs["href"])
    url = read(last).one("a", rel="prev").attrs["href"]
    assert titles(browser.get(url)) == there[1]
    back = read(browser.get(url)).one("a", rel="prev").attrs["href"]
    assert titles(browser.get(back)) == there[0]
    assert not read(browser.get(back)).all("a", rel="prev")


def test_the_next_page_keeps_the_filters(browser):
    for n in range(31):
        ran(f"{n}", after=timedelta(minutes=n), tags=["eu"])
        ran("other", after=timedelta(minutes=n))
    assert [len(page) for page in pages(browser, "?tags=eu")] == [30, 1]


def test_a_new_run_does_not_shift_the_pages_behind_the_first(browser):
    for n in range(40):
        ran(f"{n:02}", after=timedelta(minutes=n))
    url = read(browser.get("/states/")).one("a", rel="next").attrs["href"]
    before = titles(browser.get(url))
    ran("new", after=timedelta(days=1))
    assert titles(browser.get(url)) == before


def test_a_page_behind_the_end_leads_back(browser):
    state = ran()
    page = read(browser.get("/states/", {"after": f"{state.updated_at.isoformat()}~{state.pk}"}))
    assert page.one("div", class_="empty").one("a").attrs["href"] == "/states/"


@pytest.mark.parametrize("count", [1, 30])
def test_the_list_takes_the_same_few_queries_however_long_it_is(browser, count):
    for n in range(count):
        ran(f"{n}", after=timedelta(minutes=n), tags=["a", "b"], output="x" * 100)
    with CaptureQueriesContext(connection) as queries:
        assert len(listed(browser, status="completed", tags="a", text="b")) == count
    # Session, user, two of permissions, states, tags, what waits for the user, what is stuck.
    assert len(queries) == 5, [query["sql"] for query in queries]
    sql = " ".join(query["sql"] for query in queries)
    assert "OFFSET" not in sql
    for payload in ("recovery_event", '"output"', '"input"', '"custom_data"', '"error"'):
        assert payload not in sql, payload


# ---- Choosing two to compare ----


def test_the_first_side_is_kept_in_the_address_with_the_filters(browser):
    state = ran(tags=["eu"])
    link = read(browser.get("/states/", {"tags": "eu"})).one("a", aria_label=f"Compare {state.short_id} with another")
    assert parse_qs(urlsplit(link.attrs["href"]).query) == {"tags": ["eu"], "left": [str(state.pk)]}


def test_the_second_side_leads_to_the_comparison(browser):
    left, right = ran("one"), ran("two")
    page = read(browser.get("/states/", {"left": str(left.pk)}))
    assert "Compare one with … choose the other run below." in page.text
    hrefs = [link.attrs["href"] for link in page.all("a") if link.text.startswith("Compare with this")]
    assert hrefs == [f"/compare/?left={left.pk}&right={right.pk}"]
    assert page.one("form", role="search").one("input", name="left").attrs["value"] == str(left.pk)
