"""The page of delegations: what somebody handed over or took, the form to hand over, and ending one."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recovery.models import AuditEntry, Delegation
from recovery.services.delegations import give
from tests.web.pages import entered_in, read

pytestmark = pytest.mark.django_db

URL = "/delegations/"
NOW = timezone.now()


@pytest.fixture
def given(ada, grace):
    return give(
        giver=ada, taker=grace, starts_at=NOW, ends_at=NOW + timedelta(days=7), pipeline="test-refund", reason="Leave"
    )


def minutes(days):
    return f"{NOW + timedelta(days=days):%Y-%m-%dT%H:%M}"


def rows(page, heading):
    [panel] = [one for one in page.all("section", class_="panel") if one.all("h2")[0].text == heading]
    return [row.text for row in panel.all("li")]


def test_it_is_in_the_menu_of_the_account(ada_at):
    [menu] = read(ada_at.get("/")).one("header", class_="topbar").all("div", class_="menu-panel")
    assert [link.attrs["href"] for link in menu.all("a", class_="menu-item") if link.text == "Delegations"] == [URL]


def test_nobody_sees_it_without_signing_in(client, given):
    assert client.get(URL)["Location"] == f"/accounts/login/?next={URL}"
    assert client.post(f"{URL}{given.pk}/revoke/")["Location"].startswith("/accounts/login/")
    assert Delegation.objects.active().exists()


def test_each_of_the_two_sees_it_on_their_side(ada_at, grace, signed_in, given):
    page = read(ada_at.get(URL))
    [row] = rows(page, "What you handed over")
    assert row.startswith("grace: Leave Refund ")
    assert "Active" in row
    assert rows(page, "What you took over") == []
    page = read(signed_in(grace).get(URL))
    assert rows(page, "What you handed over") == []
    [row] = rows(page, "What you took over")
    assert row.startswith("ada: Leave Refund ")


def test_others_do_not_see_it_and_cannot_end_it(make_user, signed_in, given):
    browser = signed_in(make_user("eve"))
    page = read(browser.get(URL))
    assert rows(page, "What you handed over") == rows(page, "What you took over") == []
    assert browser.post(f"{URL}{given.pk}/revoke/").status_code == 404
    assert Delegation.objects.active().get() == given


def test_what_the_form_says_is_handed_over(ada_at, ada, grace):
    form = read(ada_at.get(URL)).one("section", id="give").one("form")
    assert [label.text for label in form.all("label")] == ["Person", "Pipeline", "From", "Until", "Reason (optional)"]
    sent = entered_in(form) | {"taker": str(grace.pk), "ends_at": minutes(3), "reason": "Leave"}
    answer = ada_at.post(URL, sent, follow=True)
    assert read(answer).one("div", class_="messages").text == "grace may decide for you."
    given = Delegation.objects.active().get()
    assert (given.giver, given.taker, given.pipeline, given.reason) == (ada, grace, "", "Leave")
    assert f"{given.ends_at:%Y-%m-%dT%H:%M}" == minutes(3)
    assert AuditEntry.objects.get().action == "delegation_given"


@pytest.mark.parametrize(
    ("sent", "field", "says"),
    [
        ({"taker": ""}, "taker", "This field is required."),
        ({"taker": "eve"}, "taker", "Select a valid choice. That choice is not one of the available choices."),
        ({"taker": "ada"}, "taker", "Select a valid choice. That choice is not one of the available choices."),
        ({"pipeline": "nowhere"}, "pipeline", "Select a valid choice. nowhere is not one of the available choices."),
        ({"ends_at": minutes(-1)}, "ends_at", "It ends before it begins."),
        ({"starts_at": minutes(-2), "ends_at": minutes(-1)}, "ends_at", "That is over already."),
        ({"ends_at": minutes(400)}, "ends_at", "It lasts longer than a year (366 days)."),
        ({"ends_at": "soon"}, "ends_at", "Enter a valid date/time."),
        ({"reason": "a\0b"}, "reason", "Null characters are not allowed."),
    ],
)
def test_what_cannot_be_handed_over_is_said_at_its_field_and_the_rest_is_kept(
    ada_at, ada, grace, make_user, sent, field, says
):
    people = {"ada": str(ada.pk), "eve": str(make_user("eve", decides=False).pk)}
    whole = {"taker": str(grace.pk), "pipeline": "", "starts_at": minutes(0), "ends_at": minutes(3), "reason": "Leave"}
    whole |= {name: people.get(value, value) for name, value in sent.items()}
    answer = ada_at.post(URL, whole)
    assert answer.status_code == 422
    page = read(answer)
    assert page.one("div", role="alert").text == "Nothing was handed over."
    assert page.one(id=f"id_{field}_error").text == says
    assert page.one(id=f"id_{field}").attrs["aria-invalid"] == "true"
    if field != "reason":
        assert page.one("input", name="reason").attrs["value"] == "Leave"
    assert (Delegation.objects.count(), AuditEntry.objects.count()) == (0, 0)


def test_who_may_not_decide_has_nothing_to_hand_over(make_user, signed_in, grace):
    browser = signed_in(make_user("eve", decides=False))
    page = read(browser.get(URL))
    assert not page.one("section", id="give").all("form")
    assert "You are not among those who decide requests" in page.one("section", id="give").text
    assert browser.post(URL, {"taker": grace.pk, "starts_at": minutes(0), "ends_at": minutes(3)}).status_code == 403
    assert not Delegation.objects.exists()


@pytest.mark.parametrize("who", ["ada", "grace"])
def test_either_of_the_two_ends_it(ada, grace, signed_in, given, who):
    browser = signed_in({"ada": ada, "grace": grace}[who])
    [form] = [one for one in read(browser.get(URL)).all("form") if one.attrs.get("action", "").endswith("/revoke/")]
    assert (
        form.one("button").text
        == {
            "ada": "Revoke what grace took over",
            "grace": "Give back what ada handed over",
        }[who]
    )
    page = read(browser.post(form.attrs["action"], follow=True))
    assert page.one("div", class_="messages").text == "The delegation is over."
    assert not Delegation.objects.active().exists()
    assert not [one for one in page.all("form") if one.attrs.get("action", "").endswith("/revoke/")]


def test_ending_it_twice_is_told(ada_at, given):
    ada_at.post(f"{URL}{given.pk}/revoke/")
    page = read(ada_at.post(f"{URL}{given.pk}/revoke/", follow=True))
    assert page.one("div", class_="messages").all("p")[-1].text == "This delegation is over already."
    assert AuditEntry.objects.filter(action="delegation_revoked").count() == 1


def test_a_link_ends_nothing(ada_at, given):
    assert ada_at.get(f"{URL}{given.pk}/revoke/").status_code == 405
    assert Delegation.objects.active().exists()


def test_a_form_from_another_site_is_refused(ada, grace, given):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    sent = {"taker": grace.pk, "starts_at": minutes(0), "ends_at": minutes(3)}
    assert [strict.post(url, sent).status_code for url in (URL, f"{URL}{given.pk}/revoke/")] == [403, 403]
    assert Delegation.objects.active().get() == given


def test_many_cost_as_many_queries_as_one(ada, grace, ada_at, given):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            ada_at.get(URL)
        return len(captured)

    queries()
    with_one = queries()
    for days in range(2, 31):
        give(giver=ada, taker=grace, starts_at=NOW, ends_at=NOW + timedelta(days=days))
    assert len(rows(read(ada_at.get(URL)), "What you handed over")) == 30
    assert queries() == with_one


def test_names_and_reasons_are_shown_as_they_stand(ada, grace, ada_at):
    give(giver=ada, taker=grace, starts_at=NOW, ends_at=NOW + timedelta(days=1), reason="<b>x</b>\u202eevil")
    [row] = rows(read(ada_at.get(URL)), "What you handed over")
    assert "<b>x</b>⟨U+202E⟩evil" in row
