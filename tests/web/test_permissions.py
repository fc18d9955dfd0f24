"""Who may do what in a browser: one table of people and addresses."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from recovery.models import ApprovalRequest, Resolution, State
from tests.recovery.conftest import only_request

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/?next="
PEOPLE = ("nobody", "viewer", "requester", "reviewer", "starter", "dismissed")

# What each of PEOPLE is answered: a status, or "login".
TABLE = {
    "GET /": ("login", 200, 200, 200, 200, "login"),
    "GET /?tab=open": ("login", 200, 200, 200, 200, "login"),
    "GET /?tab=decided": ("login", 200, 200, 200, 200, "login"),
    "GET /inbox/new/": ("login", 302, 302, 302, 302, "login"),
    "GET /next/": ("login", 302, 302, 302, 302, "login"),
    "GET /requests/{request}/": ("login", 200, 200, 200, 200, "login"),
    "GET /requests/{request}/decide/": ("login", 302, 302, 302, 302, "login"),
    "GET /requests/{request}/progress/": ("login", 302, 302, 302, 302, "login"),
    "POST /requests/{request}/decide/": ("login", 403, 403, 302, 403, "login"),
    "POST /requests/{request}/act/": ("login", 403, 403, 302, 403, "login"),
    "POST /requests/{request}/comment/": ("login", 302, 302, 302, 302, "login"),
    "POST /requests/{request}/undo/": ("login", 409, 409, 409, 409, "login"),
    "POST /states/{failed}/retry/": ("login", 403, 302, 403, 302, "login"),
    "POST /states/{failed}/accept-version/": ("login", 403, 302, 403, 302, "login"),
    "POST /states/{failed}/cancel/": ("login", 403, 302, 403, 302, "login"),
    "GET /stuck/": ("login", 200, 200, 200, 200, "login"),
    "POST /stuck/": ("login", 403, 200, 403, 200, "login"),
}
# Who of them settles the request, and who acts on the failed run; then what it comes to.
DECIDE = {"reviewer"}
ACT = {"requester", "starter"}
ACTED = {
    "POST /states/{failed}/retry/": ("failed", "pending"),
    "POST /states/{failed}/accept-version/": ("failed", "failed"),
    "POST /states/{failed}/cancel/": ("cancelled", "failed"),
    "POST /stuck/": ("failed", "pending"),
}


@pytest.fixture
def people(make_user: Callable[..., Any]) -> dict[str, Any]:
    dismissed = make_user("dismissed")
    dismissed.is_active = False
    dismissed.save()
    return {
        "nobody": None,
        "viewer": make_user("viewer", decides=False, starts=False),
        "requester": make_user("requester"),
        "reviewer": make_user("reviewer", starts=False),
        "starter": make_user("starter", decides=False),
        "dismissed": dismissed,
    }


@pytest.fixture
def waiting(run_until_it_waits: Callable[..., State], people: dict[str, Any]) -> ApprovalRequest:
    return only_request(run_until_it_waits(by=people["requester"]))


@pytest.fixture
def failed(run_until_it_waits: Callable[..., State]) -> State:
    return run_until_it_waits("test-failing")


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("action", TABLE)
def test_everybody_is_answered_as_the_table_says(people, waiting, failed, action, person):
    method, address = action.format(request=waiting.pk, failed=failed.pk).split()
    client = Client()
    if people[person] is not None:
        client.force_login(people[person])
    data = {"kind": "approve", "seen_version": "1", "version": "1", "reason": "mended", "act": "retry"}
    data |= {"comment": "Mind this."} | ({"kind": "claim"} if address.endswith("/act/") else {})
    data["job"] = str(failed.resumptions.get().pk)
    answer = client.get(address) if method == "GET" else client.post(address, data)
    expected = TABLE[action][PEOPLE.index(person)]
    if expected == "login":
        assert answer["Location"].startswith(LOGIN)
    else:
        assert answer.status_code == expected
    settled = action.endswith("decide/") and action.startswith("POST") and person in DECIDE
    assert Resolution.objects.exists() == settled
    stands = ACTED[action] if action in ACTED and person in ACT else ("failed", "failed")
    failed.refresh_from_db()
    assert (failed.status, failed.resumptions.order_by("pk").last().status) == stands


@pytest.mark.parametrize("sent", [{"kind": "approve", "proposal.amount": "x"}, {"proposal:check": ""}])
def test_who_may_not_decide_is_told_that_before_anything_about_the_form(people, waiting, signed_in, sent):
    for person in ("viewer", "requester", "starter"):
        answer = signed_in(people[person]).post(f"/requests/{waiting.pk}/decide/", sent | {"seen_version": "1"})
        assert answer.status_code == 403, person


@pytest.mark.parametrize("path", ["password_reset/", "password_reset/done/", "reset/a/b/", "reset/done/"])
def test_there_is_no_half_of_a_password_reset(client, path):
    assert client.get(f"/accounts/{path}").status_code == 404


def test_the_login_leads_back_to_the_page_and_never_to_another_site(people, waiting):
    client = Client()
    answer = client.get(f"/requests/{waiting.pk}/")
    assert answer["Location"] == f"{LOGIN}/requests/{waiting.pk}/"
    credentials = {"username": "reviewer", "password": "pw"}
    assert client.post(answer["Location"], {**credentials, "next": "https://elsewhere.example/"})["Location"] == "/"


@pytest.mark.parametrize("address", ["/", "/next/", "/requests/{request}/", "/requests/{request}/progress/"])
def test_pages_that_only_show_take_no_post(people, waiting, signed_in, address):
    assert signed_in(people["reviewer"]).post(address.format(request=waiting.pk)).status_code == 405


@pytest.mark.parametrize("act", ["retry", "accept-version", "cancel"])
def test_an_act_on_a_run_is_never_a_link(people, failed, signed_in, act):
    assert signed_in(people["starter"]).get(f"/states/{failed.pk}/{act}/").status_code == 405
