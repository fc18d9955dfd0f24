"""Signing in: whoever guesses has to wait, whoever mistypes has not."""

from datetime import timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from tests.web.pages import read

pytestmark = pytest.mark.django_db

URL = "/accounts/login/"
WRONG = "Please enter a correct username and password. Note that both fields may be case-sensitive."
TOO_MANY = "Too many tries went wrong. Wait 15 min, then try again."


@pytest.fixture(autouse=True)
def _nobody_has_tried():
    cache.clear()
    yield
    cache.clear()


def try_to(name="ada", password="wrong", address="192.0.2.1"):
    """What the page says; "in" for somebody who is signed in."""
    client = Client(REMOTE_ADDR=address)
    response = client.post(URL, {"username": name, "password": password})
    return "in" if response.status_code == 302 else read(response).one("div", id="login-error").text


def test_who_mistypes_some_times_signs_in_and_begins_anew(ada):
    for _ in range(2):
        assert [try_to() for _ in range(9)] == [WRONG] * 9
        assert try_to(password="pw") == "in"


def test_who_guesses_has_to_wait_and_the_right_password_does_not_help(ada):
    assert [try_to() for _ in range(11)] == [WRONG] * 10 + [TOO_MANY]
    assert try_to(password="pw") == TOO_MANY
    assert try_to(name="ADA", password="pw") == TOO_MANY


def test_the_wait_ends_by_itself_and_more_tries_do_not_prolong_it(ada):
    now = timezone.now()
    with time_machine.travel(now, tick=False) as clock:
        [try_to() for _ in range(12)]
        clock.move_to(now + timedelta(minutes=14))
        assert try_to(password="pw") == TOO_MANY
        clock.move_to(now + timedelta(minutes=16))
        assert try_to(password="pw") == "in"


def test_others_are_not_kept_out_by_it(ada, grace):
    [try_to() for _ in range(11)]
    assert try_to(password="pw", address="192.0.2.2") == "in"
    assert try_to(name="grace", password="pw") == "in"


def test_one_address_cannot_try_many_names(ada, settings):
    settings.SIGN_IN_TRIES = 2
    for number in range(20):
        assert try_to(name=f"nobody-{number}") == WRONG
    assert try_to(password="pw") == TOO_MANY
    assert try_to(password="pw", address="192.0.2.2") == "in"


def test_a_form_without_a_name_counts_for_nobody():
    for _ in range(12):
        response = Client().post(URL, {"username": "", "password": "x"})
        assert response.status_code == 200
    assert not any(key for key in getattr(cache, "_cache", {}))


def test_the_admin_has_no_way_in_that_does_not_count(ada):
    ada.is_staff = ada.is_superuser = True
    ada.save()
    outside = Client()
    answer = outside.post("/admin/login/?next=/admin/", {"username": "ada", "password": "pw"}, follow=True)
    assert answer.redirect_chain == [(f"{URL}?next=/admin/", 302)]
    assert outside.get("/admin/").status_code == 302

    answer = outside.post(f"{URL}?next=/admin/", {"username": "ada", "password": "pw"})
    assert answer["Location"] == "/admin/"
    assert outside.get("/admin/").status_code == 200


def test_who_is_in_and_is_not_staff_is_told_so_instead_of_being_asked_for_another_password(signed_in, grace):
    assert signed_in(grace).get("/admin/", follow=True).status_code == 403


def test_behind_a_proxy_everybody_counts_for_themselves_where_it_says_who_they_are(ada, grace, settings):
    settings.SIGN_IN_TRIES = 1

    def come_from(client, name, password="wrong"):
        header = {"x-forwarded-for": f"198.51.100.9, {client}"}
        return Client(REMOTE_ADDR="127.0.0.1", headers=header).post(URL, {"username": name, "password": password})

    settings.TRUST_X_FORWARDED_FOR = True
    for number in range(12):
        come_from("192.0.2.66", f"name-{number}")
    assert come_from("192.0.2.66", "grace", "pw").status_code == 200
    assert come_from("192.0.2.67", "grace", "pw").status_code == 302

    # Whom it does not name it cannot keep out together: only the name counts.
    settings.TRUST_X_FORWARDED_FOR = False
    for number in range(12):
        come_from("192.0.2.68", f"other-{number}")
    assert come_from("192.0.2.69", "ada", "pw").status_code == 302
