"""Storage, checkpoints, requests and audit of a state, as it stands now and as it stood before."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone

from recovery.models import AuditEntry, State
from recovery.services.retry import retry
from tests.web.pages import read
from tests.web.runs import Told, failed_refund
from tests.web.state_page import notice_texts, opened, row, rows, tab_counts

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(ada, signed_in):
    return signed_in(ada)


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
