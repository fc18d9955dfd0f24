"""Saved views: a list as it is filtered, under a name, for one person."""

import pytest
from django.db import IntegrityError, transaction

from recovery.models import SavedView
from tests.web.pages import read
from tests.web.waiting import ask

pytestmark = pytest.mark.django_db

PANEL = "views-panel"


def names(page):
    return [one.text for one in read(page).one("ul", class_="views").all("a")]


def test_a_list_is_saved_under_a_name_and_led_back_to(ada, grace, signed_in, htmx):
    client = signed_in(ada)
    saved = client.post("/inbox/views/?tab=open&risk=high&after=x&rubbish=1", {"name": "  Hot   ones "}, headers=htmx)
    link = read(saved).one("ul", class_="views").one("a")
    assert (link.text, link.attrs["href"], link.attrs["aria-current"]) == ("Hot ones", "/?tab=open&risk=high", "true")
    ask("hot", risk=2)
    assert client.get(link.attrs["href"]).status_code == 200
    assert not read(signed_in(grace).get("/inbox/options/", headers=htmx)).all("ul", class_="views")


def test_the_same_name_again_is_the_same_view(ada, signed_in, htmx):
    client = signed_in(ada)
    client.post("/inbox/views/?risk=high", {"name": "Mine"})
    answer = client.post("/inbox/views/?risk=low", {"name": "Mine"}, headers=htmx)
    assert names(answer) == ["Mine"]
    assert SavedView.objects.get().query == "risk=low"


def test_without_a_script_it_leads_back_to_the_list_and_says_so(ada, signed_in):
    client = signed_in(ada)
    answer = client.post("/inbox/views/?risk=high", {"name": "Hot"}, follow=True)
    assert answer.redirect_chain == [("/?risk=high", 302)]
    assert "The view “Hot” is saved." in read(answer).one("div", class_="messages").text
    view = SavedView.objects.get()
    answer = client.post(f"/inbox/views/{view.pk}/delete/", follow=True)
    assert "The view is deleted." in read(answer).one("div", class_="messages").text
    assert not SavedView.objects.exists()
    assert client.post(f"/inbox/views/{view.pk}/delete/").status_code == 302


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("", "A view needs a name."),
        ("   ", "A view needs a name."),
        ("x" * 61, "The name is longer than 60 characters."),
        ("a\x00b", "The name holds a character that cannot be saved."),
        ("\u202egnp", "The name holds a character that cannot be saved."),
    ],
)
def test_a_name_that_is_none_is_said_and_nothing_is_saved(ada, signed_in, htmx, name, wrong):
    answer = signed_in(ada).post("/inbox/views/?risk=high", {"name": name}, headers=htmx)
    assert (answer.status_code, read(answer).one("p", role="alert").text) == (422, wrong)
    assert not SavedView.objects.exists()


def test_nobody_saves_without_end(ada, signed_in, htmx):
    SavedView.objects.bulk_create(SavedView(user=ada, name=f"{number}") for number in range(50))
    answer = signed_in(ada).post("/inbox/views/", {"name": "one more"}, headers=htmx)
    assert (answer.status_code, SavedView.objects.count()) == (422, 50)
    answer = signed_in(ada).post("/inbox/views/?risk=low", {"name": "7"}, headers=htmx)
    assert (answer.status_code, SavedView.objects.get(name="7").query) == (200, "risk=low")


def test_the_views_of_others_are_neither_shown_nor_deleted(ada, grace, signed_in, htmx):
    theirs = SavedView.objects.create(user=grace, name="Theirs", query="risk=low")
    signed_in(ada).post(f"/inbox/views/{theirs.pk}/delete/", headers=htmx)
    assert SavedView.objects.get() == theirs


def test_a_name_is_saved_once_a_person(ada):
    SavedView.objects.create(user=ada, name="One")
    with pytest.raises(IntegrityError), transaction.atomic():
        SavedView.objects.create(user=ada, name="One")


@pytest.mark.parametrize("url", ["/inbox/views/", "/inbox/views/1/delete/"])
def test_no_link_saves_or_deletes_a_view(ada, signed_in, url):
    assert signed_in(ada).get(url).status_code == 405
