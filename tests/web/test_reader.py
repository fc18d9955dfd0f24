"""The reader's settings: zone, language, theme, density, keys and mails; saved, applied to every page, never forced."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recovery.models import Reader
from tests.web.pages import entered_in, read
from tests.web.waiting import ask, settle

pytestmark = pytest.mark.django_db

URL = "/settings/"


def sent(client, **changes):
    """The form as it is shown, with `changes`."""
    form = read(client.get(URL)).one("form", class_="settings")
    page = entered_in(form)
    for field in form.all("input", type="radio"):
        page.pop(field.attrs["name"], None)
    chosen = {
        one.attrs["name"]: one.attrs["value"] for one in form.all("input", type="radio") if "checked" in one.attrs
    }
    ticked = [one for one in form.all("input", type="checkbox") if "checked" in one.attrs]
    lists: dict = {}
    for box in ticked:
        lists.setdefault(box.attrs["name"], []).append(box.attrs.get("value", "on"))
    return client.post(URL, {**page, **chosen, **lists, **changes})


def html_of(page):
    return page.one("html").attrs


def test_they_are_in_the_menu_of_the_account(ada_at):
    links = read(ada_at.get("/")).all("a", class_="menu-item")
    assert [link.attrs["href"] for link in links if link.text == "Settings"] == [URL]


def test_nobody_sees_them_without_signing_in(client):
    assert client.get(URL)["Location"] == f"/accounts/login/?next={URL}"
    assert client.post("/settings/zone/", {"time_zone": "UTC"})["Location"].startswith("/accounts/login/")


def test_what_is_shown_and_saved_unchanged_are_the_defaults(ada, ada_at):
    assert sent(ada_at).status_code == 302
    reader = Reader.objects.get()
    expected = Reader(user=ada)
    for field in ("time_zone", "language", "density", "theme", "pipelines", "has_shortcuts", "unwanted_mails"):
        assert getattr(reader, field) == getattr(expected, field), field


def test_everything_can_be_chosen_and_stands_there_again(ada_at):
    chosen = {"time_zone": "Europe/Berlin", "language": "de", "theme": "dark", "density": "compact"}
    response = sent(ada_at, **chosen, mails=["reminder"], pipelines=["test-refund"], has_shortcuts="")
    assert response.status_code == 302
    reader = Reader.objects.get()
    assert {name: getattr(reader, name) for name in chosen} == chosen
    assert (reader.pipelines, reader.has_shortcuts) == (["test-refund"], False)
    assert sorted(reader.unwanted_mails) == ["escalation", "handed_on", "handed_over"]
    sent(ada_at)
    again = Reader.objects.get()
    assert {name: getattr(again, name) for name in chosen} == chosen
    assert (again.pipelines, again.has_shortcuts, again.unwanted_mails) == (
        reader.pipelines,
        reader.has_shortcuts,
        reader.unwanted_mails,
    )


@pytest.mark.parametrize(
    "change",
    [{"time_zone": "Europe/Atlantis"}, {"language": "xx"}, {"theme": "pink"}, {"density": ""}, {"pipelines": ["no"]}],
)
def test_what_cannot_be_is_refused_beside_its_field_and_nothing_is_saved(ada_at, change):
    response = sent(ada_at, theme="dark") if "theme" not in change else None
    before = list(Reader.objects.values())
    response = sent(ada_at, **change)
    assert response.status_code == 422
    assert len(read(response).all("p", class_="field-error")) == 1
    assert list(Reader.objects.values()) == before


def test_theme_density_and_keys_stand_on_the_first_element_of_every_page(ada, ada_at):
    assert set(html_of(read(ada_at.get("/")))) == {"lang"}
    Reader.objects.create(user=ada, theme="dark", density="compact", has_shortcuts=False)
    for url in ("/", "/states/", URL, "/accounts/password_change/", "/nowhere/"):
        attributes = html_of(read(ada_at.get(url)))
        assert attributes == {
            "lang": "en-gb",
            "data-theme": "dark",
            "data-density": "compact",
            "data-shortcuts": "off",
        }, url


def test_the_theme_outlives_the_session_in_its_browser(ada, ada_at):
    sent(ada_at, theme="light")
    ada_at.post("/accounts/logout/")
    assert html_of(read(ada_at.get("/accounts/login/")))["data-theme"] == "light"
    assert "data-theme" not in html_of(read(Client().get("/accounts/login/")))


def test_another_browser_learns_the_theme_with_the_first_page(ada, ada_at):
    Reader.objects.create(user=ada, theme="dark")
    assert ada_at.get("/").cookies["theme"].value == "dark"
    assert "theme" not in ada_at.get("/").cookies


def test_a_made_up_theme_in_the_cookie_is_none(client):
    client.cookies["theme"] = '"><script>'
    assert "data-theme" not in html_of(read(client.get("/accounts/login/")))


def test_times_are_those_of_the_reader_with_the_zone(ada, grace, ada_at, signed_in):
    at = datetime(2026, 1, 20, 23, 30, tzinfo=UTC)
    settle(ask("Refund"), grace, at=at)
    Reader.objects.create(user=ada, time_zone="Asia/Tokyo")

    def shown(client):
        [time] = read(client.get("/?tab=decided")).all("time")
        return time.attrs["datetime"], time.attrs["title"], time.text

    assert shown(ada_at) == ("2026-01-20T23:30:00+00:00", "decided 2026-01-21 08:30:00 JST", "21 Jan 2026")
    assert shown(signed_in(grace)) == ("2026-01-20T23:30:00+00:00", "decided 2026-01-20 23:30:00 UTC", "20 Jan 2026")
    assert timezone.get_current_timezone_name() == "UTC"


def test_a_zone_that_this_machine_does_not_know_is_the_servers_and_can_be_kept(ada, ada_at):
    Reader.objects.create(user=ada, time_zone="Europe/Atlantis")
    assert ada_at.get("/").status_code == 200
    assert sent(ada_at).status_code == 302
    assert Reader.objects.get().time_zone == "Europe/Atlantis"


def test_times_that_are_entered_are_those_of_the_reader_too(ada, grace, ada_at):
    Reader.objects.create(user=ada, time_zone="America/New_York")
    page = read(ada_at.get("/delegations/"))
    assert "Times are those of America/New_York." in page.text
    until = timezone.now() + timezone.timedelta(days=3)
    local = until.astimezone(Reader.objects.get().zone)
    form = {"taker": grace.pk, "starts_at": f"{local:2026-01-01T00:00}", "ends_at": f"{local:%Y-%m-%dT%H:%M}"}
    ada_at.post("/delegations/", form)
    given = ada.delegations_given.get()
    assert given.ends_at == until.replace(second=0, microsecond=0)
    assert given.starts_at == datetime(2026, 1, 1, 5, tzinfo=UTC)


# ---- The zone of the browser, offered ----


def offer(client):
    return read(client.get("/states/")).all("form", class_="zone-offer")


def test_the_zone_of_the_browser_is_offered_until_somebody_says_which_they_want(ada_at):
    assert offer(ada_at) == []
    ada_at.cookies["browser_zone"] = "Europe%2FBerlin"
    [form] = offer(ada_at)
    assert "Times are shown in UTC. Your browser is in Europe/Berlin." in form.text
    [use, _] = form.all("button")
    values = {**entered_in(form), use.attrs["name"]: use.attrs["value"]}
    response = ada_at.post(form.attrs["action"], values)
    assert response["Location"] == "/states/"
    assert Reader.objects.get().time_zone == "Europe/Berlin"
    assert offer(ada_at) == []


def test_who_keeps_the_time_of_the_server_is_not_asked_again(ada_at):
    ada_at.cookies["browser_zone"] = "Europe%2FBerlin"
    [_, keep] = offer(ada_at)[0].all("button")
    ada_at.post("/settings/zone/", {"time_zone": keep.attrs["value"], "next": "/"})
    assert Reader.objects.get().time_zone == "UTC"
    assert offer(ada_at) == []


@pytest.mark.parametrize("zone", ["", "UTC", "Europe/Atlantis", "../../etc/passwd", '"><b>', "x" * 5000])
def test_nothing_is_offered_that_is_none_or_the_same(ada_at, zone):
    ada_at.cookies["browser_zone"] = zone
    assert offer(ada_at) == []


def test_an_answer_with_an_unknown_zone_saves_nothing_and_leads_nowhere_else(ada_at):
    response = ada_at.post("/settings/zone/", {"time_zone": "Mars/Olympus", "next": "https://evil.example/"})
    assert response["Location"] == URL
    assert not Reader.objects.exists()
    assert "That time zone is unknown here." in read(ada_at.get(URL)).text


# ---- What it costs ----


@pytest.mark.parametrize("url", ["/", "/states/", "/notices/"])
def test_settings_and_bell_cost_no_query(ada, ada_at, url, django_assert_num_queries):
    ada_at.get(url)

    with CaptureQueriesContext(connection) as without:
        ada_at.get(url)
    budget = len(without)
    Reader.objects.create(user=ada, time_zone="Asia/Tokyo", theme="dark", unread=3)
    ada_at.get(url)
    with django_assert_num_queries(budget):
        page = read(ada_at.get(url))
    assert page.one("a", class_="bell").text == "3 unread notices"


def test_programs_without_a_session_are_not_asked_who_they_are(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        client.get("/accounts/login/")
