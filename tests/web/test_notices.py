"""The page of notices and the bell: what they show, mark and count, for whom, at what cost."""

import pytest
from django.utils import timezone

from recovery.models import Notice, Reader
from tests.web.pages import read
from tests.web.waiting import ask

pytestmark = pytest.mark.django_db

URL = "/notices/"


@pytest.fixture
def notice(ada):
    def make(kind="commented", title="Refund <b>1 240</b>", **more):
        request = None if kind == "handed_over" else ask(title)
        Reader.objects.get_or_create(user=ada)
        made = Notice.objects.create(
            **{
                "person": ada,
                "kind": kind,
                "request": request,
                "by_name": "Grace",
                "source": f"test:{Notice.objects.count()}",
                "created_at": timezone.now(),
            }
            | more
        )
        Reader.objects.filter(user=ada).update(unread=Notice.objects.filter(person=ada, read_at=None).count())
        return made

    return make


def rows(page):
    return [row.text for row in page.one("section", class_="panel").all("li")]


@pytest.mark.parametrize("kind", Notice.Kind.values)
def test_each_kind_says_what_happened_and_leads_there(ada_at, notice, kind):
    made = notice(kind, words="Is it <i>right</i>?")
    page = read(ada_at.get(URL))
    [row] = rows(page)
    assert "{" not in row
    assert ("Refund <b>1 240</b>" in row) == (kind != "handed_over")
    assert "Is it <i>right</i>?" in row
    link = page.one("a", class_="row-title")
    assert link.attrs["href"] == (f"/requests/{made.request_id}/" if made.request_id else "/delegations/")


def test_the_newest_come_first_and_only_mine(ada_at, grace, notice):
    notice(title="One")
    notice(title="Two")
    notice(title="Of Grace", person=grace)
    assert [row.split(" on ")[1].split(" Is")[0][:3] for row in rows(read(ada_at.get(URL)))] == ["Two", "One"]


def test_one_is_marked_as_read_or_all(ada, ada_at, notice):
    _, second, _ = notice(), notice(), notice()
    assert read(ada_at.get(URL)).one("a", class_="bell").text == "3 unread notices"
    assert ada_at.post(f"{URL}read/", {"notice": second.pk})["Location"] == URL
    page = read(ada_at.get(URL))
    assert [len(row.all("button")) for row in page.one("section", class_="panel").all("li")] == [1, 0, 1]
    assert page.one("a", class_="bell").text == "2 unread notices"
    ada_at.post(f"{URL}read/")
    assert read(ada_at.get(URL)).one("a", class_="bell").text == "Notices"
    assert not Notice.objects.filter(read_at=None).exists()


@pytest.mark.parametrize("named", ["x", "-1", "9" * 30, "٣"])
def test_a_notice_that_is_none_marks_nothing(ada_at, notice, named):
    notice()
    assert ada_at.post(f"{URL}read/", {"notice": named}).status_code == 302
    assert Notice.objects.get().read_at is None


def test_looking_marks_nothing(ada_at, notice):
    notice()
    ada_at.get(URL)
    assert ada_at.get(f"{URL}read/").status_code == 405
    assert Notice.objects.get().read_at is None


def test_an_empty_page_says_what_would_be_there(ada_at):
    assert "Nothing happened yet that concerns you" in read(ada_at.get(URL)).text


def test_older_ones_are_a_page_away(ada_at, notice):
    for number in range(31):
        notice(title=f"Number {number}")
    page = read(ada_at.get(URL))
    assert len(rows(page)) == 30
    older = page.one("nav", class_="pager").one("a").attrs["href"]
    [row] = rows(read(ada_at.get(older)))
    assert "Number 0" in row
    assert len(rows(read(ada_at.get(f"{URL}?before=nonsense")))) == 30


def test_more_than_nine_are_many(ada_at, notice):
    for _ in range(10):
        notice()
    bell = read(ada_at.get(URL)).one("a", class_="bell")
    assert bell.one("b").children == ["9+"]
    assert bell.text == "10 unread notices"


def test_the_page_takes_the_same_few_queries_however_long_it_is(ada_at, notice, django_assert_max_num_queries):
    notice()
    ada_at.get(URL)
    for count in (1, 30):
        while Notice.objects.count() < count:
            notice()
        with django_assert_max_num_queries(5):
            ada_at.get(URL)


# ---- The bell by itself ----


def test_the_bell_answers_only_when_something_changed(ada, ada_at, notice, htmx):
    bell = read(ada_at.get(URL)).one("a", class_="bell")
    url = bell.attrs["hx-get"]
    assert ada_at.get(url, headers=htmx).status_code == 204
    notice()
    part = read(ada_at.get(url, headers=htmx))
    assert part.one("a", class_="bell").text == "1 unread notice"
    waiting = part.one("b", id="waiting-count")
    assert waiting.attrs["hx-swap-oob"] == "true"
    assert waiting.text == "1 waiting for you"
    assert ada_at.get(part.one("a", class_="bell").attrs["hx-get"], headers=htmx).status_code == 204


def test_the_bell_as_a_page_is_that_of_the_notices(ada_at):
    assert ada_at.get(f"{URL}bell/")["Location"] == URL


@pytest.mark.parametrize("url", [URL, f"{URL}bell/", f"{URL}read/"])
def test_nobody_comes_in_without_signing_in(client, url):
    assert client.get(url).status_code in (302, 405)
    assert client.post(url).status_code in (302, 405)


def test_what_waits_stands_on_the_tab_of_every_page_and_on_its_icon(ada_at):
    assert read(ada_at.get(URL)).one("title").text == "Notices – rhdashboard"
    assert read(ada_at.get(URL)).one("link", rel="icon").attrs["href"].endswith("/mark.svg")
    ask("One")
    ask("Two")
    for url, title in ((URL, "Notices"), ("/", "Inbox"), ("/states/", "States")):
        page = read(ada_at.get(url))
        assert page.one("title").text == f"(2) {title} – rhdashboard"
        assert page.one("link", rel="icon").attrs["href"].endswith("/mark-waiting.svg")
