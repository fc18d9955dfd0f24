"""Who may call what of the API, its documentation, and the headers that come with it."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from recovery.models import ApprovalRequest, State
from tests.api.conftest import Caller, written
from tests.recovery.conftest import only_request

READS = [
    "/states",
    "/states/{state}",
    "/states/{state}/steps",
    "/states/{state}/checkpoints",
    "/requests",
    "/requests/{request}",
    "/compare?left={state}&right={state}",
    "/dead-letters",
    "/pipelines",
]
START = ("/states", {"pipeline": "test-refund", "input": {"order": "A", "amount": "1"}})
RETRY = ("/states/{failed}/retry", {})
DECIDE = ("/requests/{request}/decide", {"kind": "approve"})


@pytest.fixture
def paths(run_until_it_waits: Callable[..., State]) -> dict[str, Any]:
    state, failed = run_until_it_waits(), run_until_it_waits("test-failing")
    return {"state": state.pk, "request": only_request(state).pk, "failed": failed.pk}


@pytest.fixture
def people(ada: Any, make_user: Callable[..., Any], boss: Any) -> dict[str, Any]:
    return {
        "anonymous": None,
        "nobody in particular": make_user("bob", decides=False, starts=False),
        "reviewer": ada,
        "staff": boss,
    }


@pytest.mark.parametrize(
    ("who", "status"), [("anonymous", 401), ("nobody in particular", 200), ("reviewer", 200), ("staff", 200)]
)
def test_whoever_is_signed_in_reads(paths, people, who, status):
    caller = Caller(people[who])
    assert {path: caller.get(path.format(**paths))[0] for path in READS} == dict.fromkeys(READS, status)


@pytest.mark.parametrize(
    ("who", "statuses"),
    [
        ("anonymous", (401, 401, 401)),
        ("nobody in particular", (403, 403, 403)),
        ("reviewer", (201, 202, 200)),
        ("staff", (403, 403, 403)),
    ],
)
def test_only_those_who_are_permitted_start_retry_and_decide(paths, people, who, statuses):
    caller = Caller(people[who])
    states, before = State.objects.count(), written()
    said = tuple(caller.post(path.format(**paths), body) for path, body in (START, RETRY, DECIDE))
    assert tuple(status for status, _ in said) == statuses
    if who == "reviewer":
        return
    code = "not_signed_in" if who == "anonymous" else "not_allowed"
    assert [body["code"] for _, body in said] == [code] * 3
    assert (State.objects.count(), ApprovalRequest.objects.get().is_open) == (states, True)
    # The refused decision is kept, and nothing else.
    refused = 0 if who == "anonymous" else 1
    assert written() == tuple(n + extra for n, extra in zip(before, (0, refused, 0, 0, 0, refused), strict=True))


def test_without_the_token_of_its_session_nothing_is_written(paths, ada):
    client = Client(enforce_csrf_checks=True)
    path = f"/api/v1/requests/{paths['request']}/decide"
    assert client.post(path, {"kind": "approve"}, "application/json").status_code == 401
    client.force_login(ada)
    response = client.post(path, {"kind": "approve"}, "application/json")
    assert (response.status_code, response.json()["code"]) == (403, "csrf_failed")
    assert ApprovalRequest.objects.get().is_open
    client.get("/api/v1/docs")
    token = client.cookies[settings.CSRF_COOKIE_NAME].value
    response = client.post(path, {"kind": "approve"}, "application/json", headers={"X-CSRFToken": token})
    assert response.status_code == 200


def test_get_never_decides(paths, as_ada):
    assert as_ada.client.get(f"/api/v1/requests/{paths['request']}/decide").status_code == 405
    assert ApprovalRequest.objects.get().is_open


@pytest.mark.parametrize("path", ["/api/v1/docs", "/api/v1/openapi.json"])
def test_the_documentation_is_for_those_who_are_signed_in(db, ada, path):
    client = Client()
    assert client.get(path).url == f"/accounts/login/?next={path}"
    client.force_login(ada)
    assert client.get(path).status_code == 200


def test_the_documentation_comes_from_this_server_with_an_exception_of_its_own(as_ada):
    assert as_ada.client.get("/api/docs").url == "/api/v1/docs"
    page = as_ada.client.get("/api/v1/docs")
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.content.decode())
    assert "/static/ninja/swagger-ui-bundle.js" in addresses
    assert [one for one in addresses if not one.startswith("/static/")] == []
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in f"{policy};"
    assert "style-src 'self' 'unsafe-inline'" in policy
    others = as_ada.client.get("/api/v1/pipelines").headers["Content-Security-Policy"]
    assert "unsafe-inline" not in others


def test_every_call_is_described_with_its_refusals(as_ada):
    schema = as_ada.client.get("/api/v1/openapi.json").json()
    calls = {
        (method.upper(), path.removeprefix("/api/v1")): sorted(operation["responses"])
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }
    assert calls == {
        ("GET", "/states"): ["200"],
        ("POST", "/states"): ["201", "403", "404", "422"],
        ("GET", "/states/{state_id}"): ["200", "404"],
        ("GET", "/states/{state_id}/steps"): ["200", "404"],
        ("GET", "/states/{state_id}/checkpoints"): ["200", "404"],
        ("POST", "/states/{state_id}/retry"): ["202", "403", "404", "409"],
        ("POST", "/states/{state_id}/accept-version"): ["200", "403", "404", "409", "422"],
        ("POST", "/states/{state_id}/cancel"): ["200", "403", "404", "409", "422"],
        ("POST", "/states/{state_id}/dismiss"): ["200", "403", "404", "409"],
        ("GET", "/dead-letters"): ["200"],
        ("POST", "/dead-letters"): ["200", "403", "422"],
        ("GET", "/requests"): ["200"],
        ("GET", "/requests/{request_id}"): ["200", "404"],
        ("POST", "/requests/decide"): ["200", "422"],
        ("POST", "/requests/{request_id}/undo"): ["200", "404", "409"],
        ("POST", "/requests/{request_id}/decide"): ["200", "403", "404", "409", "412", "422"],
        ("GET", "/compare"): ["200", "404"],
        ("GET", "/pipelines"): ["200"],
    }
    assert json.dumps(schema).count('"description"') > len(calls)
