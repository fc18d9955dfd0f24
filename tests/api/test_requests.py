"""The API of requests: lists in the order of the inbox, whole bodies, decisions and every refusal."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest

from recovery import pipelines
from recovery.models import ApprovalRequest, ProposalVersion, Resumption, State
from recovery.services.decide import decide
from recovery.services.open_request import add_version
from recovery.services.policies import as_json
from recovery.services.questions import current_version
from rh_agents import Policy
from rh_agents.core.serialization import decode
from tests.api.conftest import iso, written
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import Address, Refund, calls

EDITED = {"order": "A-17", "amount": "100.50", "method": "credit", "on": "2026-11-23"}


def as_row(request: ApprovalRequest) -> dict[str, object]:
    request = ApprovalRequest.objects.get(pk=request.pk)
    return {
        "id": str(request.pk),
        "state_id": str(request.state_id),
        "title": "Refund 420.00 for A-17?",
        "pipeline": "test-refund",
        "pipeline_version": "1",
        "reason": "tool_call",
        "action": "payments.refund",
        "effect": "irreversible",
        "risk": "high",
        "tags": [tag.tag for tag in request.state.tags.order_by("pk")],
        "requested_by": request.requested_by.username if request.requested_by else None,
        "holder": None,
        "opened_at": iso(request.opened_at),
        "due_at": iso(request.due_at),
        "outcome": request.outcome,
        "resolved_at": iso(request.resolved_at),
    }


def as_job(job: Resumption) -> dict[str, object]:
    return {
        "id": job.pk,
        "kind": job.kind,
        "status": job.status,
        "attempts": job.attempts,
        "last_error": job.last_error,
        "not_before": iso(job.not_before),
        "started_at": iso(job.started_at),
        "finished_at": iso(job.finished_at),
    }


def copies(request: ApprovalRequest, count: int, **columns: object) -> list[ApprovalRequest]:
    made = []
    for number in range(count):
        copy = ApprovalRequest.objects.get(pk=request.pk)
        copy.pk, copy.generation = uuid.uuid4(), ApprovalRequest.objects.count() + 1
        copy.opened_at += timedelta(minutes=number + 1)
        for name, value in columns.items():
            setattr(copy, name, value)
        copy._state.adding = True
        copy.save()
        made.append(copy)
    return made


# ---- Lists ----


def test_open_requests_are_listed_most_urgent_first(as_ada, run_until_it_waits):
    request = only_request(run_until_it_waits(tags=["vip", "eu"]))
    [low] = copies(request, 1, risk=0)
    [critical] = copies(request, 1, risk=3)
    status, body = as_ada.get("/requests")
    assert (status, body["next_cursor"]) == (200, None)
    assert body["items"] == [as_row(critical) | {"risk": "critical"}, as_row(request), as_row(low) | {"risk": "low"}]


@pytest.mark.parametrize("which", ["open", "decided", "for_me"])
def test_pages_give_every_request_once(as_ada, run_until_it_waits, which):
    request = only_request(run_until_it_waits())
    decided = {"outcome": "approve", "resolved_at": request.opened_at} if which == "decided" else {}
    made = {str(one.pk) for one in copies(request, 5, **decided)} | ({str(request.pk)} if not decided else set())
    seen, cursor = [], ""
    while cursor is not None:
        _, page = as_ada.get("/requests", which=which, limit=2, cursor=cursor)
        seen += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(made)
    assert set(seen) == made


def test_requests_are_filtered(as_ada, ada, grace, run_until_it_waits):
    own = only_request(run_until_it_waits(by=ada, tags=["vip"]))
    other = only_request(run_until_it_waits("test-question", by=grace))
    done = only_request(run_until_it_waits("test-manual"))
    decide(done.pk, by=ada, kind="approve")

    def found(**query: object) -> list[str]:
        return [row["id"] for row in as_ada.get("/requests", **query)[1]["items"]]

    assert found() == [str(own.pk), str(other.pk)]
    assert found(which="for_me") == [str(other.pk)]
    assert found(which="decided") == [str(done.pk)]
    assert found(pipeline="test-question") == [str(other.pk)]
    assert found(risk="high") == [str(own.pk)]
    assert found(tag="vip") == [str(own.pk)]
    assert found(text="where to") == [str(other.pk)]


@pytest.mark.parametrize(
    ("query", "field"),
    [({"which": "mine"}, "which"), ({"risk": "huge"}, "risk"), ({"cursor": "x"}, "cursor"), ({"tag": "\x00"}, "tag")],
)
def test_a_query_that_means_nothing_is_refused_by_its_name(as_ada, query, field):
    status, body = as_ada.get("/requests", **query)
    assert (status, body["code"], [*body["errors"]]) == (422, "invalid_input", [field])


# ---- One request ----


def test_a_request_brings_everything_that_a_decision_needs(as_ada, run_until_it_waits):
    state = run_until_it_waits()
    request = only_request(state)
    assert as_ada.get(f"/requests/{request.pk}") == (
        200,
        {
            **as_row(request),
            "message": "**Please** look.",
            "kinds": ["approve", "edit", "reject"],
            "is_manual": False,
            "address": "refund::decision",
            "generation": 1,
            "checkpoint": state.head,
            "checkpoint_digest": request.checkpoint_digest,
            "proposal": {"order": "A-17", "amount": "420.00", "method": "card", "on": "2026-11-23"},
            "args_schema": Refund.model_json_schema(),
            "editable": ["amount", "method"],
            "response_schema": None,
            "version": 1,
            "digest": current_version(request).digest,
            "evidence": ["events.csv"],
            "compare_to": "",
            "change_targets": [],
            "expires_at": None,
            "on_expire": "reject",
            "on_reject": "feedback",
            "group": "",
            "group_policy": "all",
            "policy": as_json(Policy()),
            "rules": [{"group": "", "needed": 1, "have": 0}],
            "acts": [],
            "why_not": "",
            "blocked": "",
            "stuck": "",
            "may_undo": False,
            "resolution": None,
            "job": None,
        },
    )


def test_a_request_for_a_value_brings_its_schema(as_ada, run_until_it_waits):
    request = only_request(run_until_it_waits("test-question"))
    _, body = as_ada.get(f"/requests/{request.pk}")
    assert (body["kinds"], body["editable"], body["proposal"], body["args_schema"], body["response_schema"]) == (
        ["respond", "reject"],
        False,
        None,
        None,
        Address.model_json_schema(),
    )


def test_a_request_says_why_somebody_may_not_decide_it(call, ada, make_user, run_until_it_waits):
    request = only_request(run_until_it_waits(by=ada))
    assert call(ada).get(f"/requests/{request.pk}")[1]["why_not"] == (
        "You started this run, and the requester may not decide."
    )
    bob = call(make_user("bob", decides=False))
    assert bob.get(f"/requests/{request.pk}")[1]["why_not"] == "You are not among those who decide requests."


def test_a_request_whose_types_are_not_known_here_is_given_plain_and_says_so(as_ada, run_until_it_waits):
    request = only_request(run_until_it_waits())
    for rows, column in ((ApprovalRequest.objects, "question"), (ProposalVersion.objects, "args")):
        text = getattr(rows.get(), column)
        rows.update(**{column: text.replace("sample_pipelines:Refund", "sample_pipelines:Gone")})
    _, body = as_ada.get(f"/requests/{request.pk}")
    assert (body["kinds"], body["proposal"]["amount"], body["evidence"]) == ([], "420.00", ["events.csv"])
    assert "Gone" in body["blocked"]


def test_a_request_that_is_not_there_is_not_found_and_a_malformed_id_is_refused(as_ada):
    for answer in (
        as_ada.get(f"/requests/{uuid.uuid4()}"),
        as_ada.post(f"/requests/{uuid.uuid4()}/decide", {"kind": "x"}),
    ):
        assert (answer[0], answer[1]["code"]) == (404, "not_found")
    status, body = as_ada.get("/requests/nonsense")
    assert (status, [*body["errors"]]) == (422, ["request_id"])


# ---- Deciding ----


def test_an_approval_is_answered_with_what_it_came_to_and_the_run_goes_on(as_ada, run_until_it_waits):
    state = run_until_it_waits()
    request = only_request(state)
    status, body = as_ada.post(f"/requests/{request.pk}/decide", {"kind": "approve", "comment": "fine", "version": 1})
    resolution = request.resolutions.get()
    said = {
        "outcome": "approve",
        "by": "ada",
        "at": iso(resolution.created_at),
        "comment": "fine",
        "version": 1,
        "digest": resolution.digest,
    }
    assert (status, body) == (
        200,
        {"request": as_row(request), "resolution": said, "job": as_job(resolution.resumption)},
    )
    assert resolution.decision.channel == "api"
    assert decode(work(state.pk).output) == "paid 420.00 by card"
    _, detail = as_ada.get(f"/requests/{request.pk}")
    assert (detail["resolution"], detail["job"]["status"]) == (said, "done")


def test_an_edit_sends_the_plain_proposal_back_with_changes(as_ada, run_until_it_waits):
    state = run_until_it_waits()
    request = only_request(state)
    proposal = as_ada.get(f"/requests/{request.pk}")[1]["proposal"]
    act = {"kind": "edit", "proposal": {**proposal, "amount": "7.5"}}
    assert as_ada.post(f"/requests/{request.pk}/decide", act)[0] == 200
    assert decode(work(state.pk).output) == "paid 7.5 by card"


def test_a_response_is_validated_by_its_model_and_reaches_the_run(as_ada, run_until_it_waits):
    state = run_until_it_waits("test-question")
    act = {"kind": "respond", "response": {"street": "Storgatan 19", "zip": "21142"}}
    assert as_ada.post(f"/requests/{only_request(state).pk}/decide", act)[0] == 200
    assert decode(work(state.pk).output) == Address(street="Storgatan 19", zip="21142")


def test_a_rejection_reaches_the_run(as_ada, run_until_it_waits):
    state = run_until_it_waits()
    act = {"kind": "reject", "comment": "too much"}
    assert as_ada.post(f"/requests/{only_request(state).pk}/decide", act)[0] == 200
    assert decode(work(state.pk).output) == "refused: too much"
    assert calls == ["look_up"]


def test_the_same_key_gives_the_first_outcome_again(as_ada, run_until_it_waits):
    path = f"/requests/{only_request(run_until_it_waits()).pk}/decide"
    act = {"kind": "approve", "idempotency_key": "k1"}
    first, before = as_ada.post(path, act), written()
    assert as_ada.post(path, act) == first
    assert written() == before


@pytest.mark.parametrize(
    ("act", "field"),
    [
        ({"kind": "edit", "proposal": {**EDITED, "amount": "-1"}}, "proposal.amount"),
        ({"kind": "edit", "proposal": {**EDITED, "order": "B-99"}}, "proposal"),
        ({"kind": "edit"}, "proposal"),
        ({"kind": "approve", "proposal": {**EDITED}}, "proposal"),
        ({"kind": "approve", "response": {"street": "x"}}, "response"),
        ({"kind": "respond", "response": {}}, "kind"),
        ({"kind": "applaud"}, "kind"),
        ({"kind": "approve", "comment": "a\x00b"}, "comment"),
        ({"kind": "approve", "comment": "\ud800"}, "comment"),
        ({"kind": "approve", "idempotency_key": "a\x00b"}, "idempotency_key"),
        ({"kind": "approve", "version": 0}, "version"),
        ({"kind": "approve", "version": 2**70}, "version"),
        ({}, "kind"),
    ],
)
def test_what_does_not_validate_is_refused_by_its_path_and_writes_nothing(as_ada, run_until_it_waits, act, field):
    request = only_request(run_until_it_waits())
    before = written()
    status, body = as_ada.post(f"/requests/{request.pk}/decide", act)
    assert (status, body["code"], [*body["errors"]]) == (422, "invalid_input", [field])
    assert written() == before
    assert ApprovalRequest.objects.get().is_open


def test_a_body_that_is_no_json_is_refused(as_ada, run_until_it_waits):
    request = only_request(run_until_it_waits())
    response = as_ada.client.post(f"/api/v1/requests/{request.pk}/decide", "{", "application/json")
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")
    assert ApprovalRequest.objects.get().is_open


def test_the_second_decider_is_told_who_what_and_when(call, ada, grace, run_until_it_waits):
    request = only_request(run_until_it_waits())
    path = f"/requests/{request.pk}/decide"
    _, first = call(ada).post(path, {"kind": "approve"})
    status, body = call(grace).post(path, {"kind": "reject", "comment": "no"})
    assert (status, body["code"], body["resolution"]) == (409, "already_resolved", first["resolution"])
    assert body["message"].startswith("ada was first: approve at ")
    assert (request.resolutions.count(), Resumption.objects.filter(kind="resume").count()) == (1, 1)
    assert ApprovalRequest.objects.get().outcome == "approve"


def test_who_looked_at_an_older_version_is_told_what_changed(as_ada, run_until_it_waits):
    request = only_request(run_until_it_waits())
    proposal = Refund(order="A-17", amount=Decimal("990.00"))
    newer = add_version(request, 2, proposal, by=None, by_name="grace")
    status, body = as_ada.post(f"/requests/{request.pk}/decide", {"kind": "approve", "version": 1})
    assert (status, body) == (
        412,
        {
            "code": "stale",
            "message": "the proposal is now version 2; nothing was decided",
            "seen": 1,
            "current": {"version": 2, "digest": newer.digest, "by": "grace", "at": iso(newer.created_at)},
            "changes": [{"field": "amount", "seen": "420.00", "current": "990.00"}],
        },
    )
    assert ApprovalRequest.objects.get().is_open
    assert request.resolutions.count() == 0


def test_a_run_whose_pipeline_is_gone_keeps_its_request(as_ada, run_until_it_waits, monkeypatch):
    request = only_request(run_until_it_waits())
    before = written()
    monkeypatch.setattr(pipelines, "_registry", {})
    status, body = as_ada.post(f"/requests/{request.pk}/decide", {"kind": "approve"})
    assert (status, body["code"]) == (409, "pipeline_gone")
    assert "is not installed any more" in as_ada.get(f"/requests/{request.pk}")[1]["blocked"]
    assert written() == before
    assert ApprovalRequest.objects.get().is_open


def test_a_program_of_its_own_that_does_not_wait_is_left_alone(as_ada, run_until_it_waits):
    state = run_until_it_waits()
    request = only_request(state)
    State.objects.filter(pk=state.pk).update(pipeline_version="", status="running")
    status, body = as_ada.post(f"/requests/{request.pk}/decide", {"kind": "approve"})
    assert (status, body["code"]) == (409, "not_waiting")
    assert "does not wait now: the run is running" in body["message"]
    assert as_ada.get(f"/requests/{request.pk}")[1]["blocked"] == body["message"]
    assert ApprovalRequest.objects.get().is_open
    assert State.objects.get(pk=state.pk).head == state.head
