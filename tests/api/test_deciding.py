"""The API of the whole protocol: votes, ways back, several at once, and what a request says about all that."""

import pytest

from recovery.models import ApprovalRequest, Decision, Resumption, Risk, State
from rh_agents import Policy
from rh_agents.core.serialization import decode
from tests.api.conftest import written
from tests.recovery.conftest import only_request, work
from tests.recovery.test_undo_and_back import OPTIONS, let_it_go_on
from tests.recovery.test_votes import POLICIES


@pytest.fixture
def quorum(run_until_it_waits) -> ApprovalRequest:
    POLICIES["now"] = Policy(needed=2, undo_window_s=60)
    return only_request(run_until_it_waits("test-quorum"))


@pytest.fixture
def drafted(run_until_it_waits, as_ada) -> ApprovalRequest:
    OPTIONS.clear()
    state = run_until_it_waits("test-drafted")
    assert as_ada.post(f"/requests/{only_request(state).pk}/decide", {"kind": "approve"})[0] == 200
    return only_request(work(state.pk))


def test_a_vote_that_is_not_enough_settles_nothing_and_the_request_says_how_far_it_is(quorum, as_ada, grace, call):
    path = f"/requests/{quorum.pk}"
    status, body = as_ada.post(f"{path}/decide", {"kind": "approve", "digest": quorum.digest})
    assert (status, body["resolution"], body["job"]) == (200, None, None)
    detail = as_ada.get(path)[1]
    assert detail["rules"] == [{"group": "", "needed": 2, "have": 1}]
    assert [(act["kind"], act["by"], act["refusal"]) for act in detail["acts"]] == [("approve", "ada", "")]
    status, body = call(grace).post(f"{path}/decide", {"kind": "approve", "digest": "0" * 64})
    assert (status, body["code"]) == (412, "stale")
    status, body = call(grace).post(f"{path}/decide", {"kind": "approve", "version": 1, "digest": quorum.digest})
    assert (status, body["resolution"]["outcome"]) == (200, "approve")


def test_a_decision_is_taken_back_by_whoever_made_it(quorum, as_ada, grace, call):
    path = f"/requests/{quorum.pk}"
    as_ada.post(f"{path}/decide", {"kind": "reject", "comment": "no"})
    assert (as_ada.get(path)[1]["may_undo"], call(grace).get(path)[1]["may_undo"]) == (True, False)
    status, body = call(grace).post(f"{path}/undo")
    assert (status, body["code"]) == (409, "not_undoable")
    status, body = as_ada.post(f"{path}/undo")
    assert (status, body["outcome"], body["resolution"]) == (200, "", None)
    assert Resumption.objects.get(resolution__request=quorum).status == "undone"


def test_a_run_is_sent_back_with_instructions_and_input(drafted, as_ada):
    path = f"/requests/{drafted.pk}"
    detail = as_ada.get(path)[1]
    assert detail["change_targets"] == [{"address": "draft::tool_call", "label": "Write the proposal"}]
    act = {"kind": "request_changes", "to": "draft::tool_call", "comment": "Half.", "inputs": {"order": ""}}
    before = written()
    status, body = as_ada.post(f"{path}/decide", act)
    assert (status, sorted(body["errors"])) == (422, ["inputs.amount", "inputs.order"])
    assert written() == before
    status, body = as_ada.post(f"{path}/decide", act | {"inputs": {"order": "B-2", "amount": "10"}})
    assert (status, body["resolution"]["outcome"], body["job"]["kind"]) == (200, "request_changes", "fork")
    fork = State.objects.get(parent=let_it_go_on(drafted))
    assert as_ada.get(f"/requests/{only_request(work(fork.pk)).pk}")[1]["proposal"]["amount"] == "5"


def test_a_request_is_claimed_handed_on_and_talked_about(quorum, as_ada, grace, boss, call):
    path = f"/requests/{quorum.pk}"
    assert as_ada.post(f"{path}/decide", {"kind": "claim"})[0] == 200
    status, body = call(grace).post(f"{path}/decide", {"kind": "claim"})
    assert (status, body["code"]) == (409, "held")
    assert call(boss).post(f"{path}/decide", {"kind": "comment", "comment": "Please look."})[0] == 200
    for whom, words in (("nobody", "Nobody is called 'nobody'."), ("boss", "boss may not decide it")):
        status, body = as_ada.post(f"{path}/decide", {"kind": "delegate", "delegate_to": whom})
        assert (status, [*body["errors"]]) == (422, ["delegate_to"])
        assert words in body["errors"]["delegate_to"][0]
    assert as_ada.post(f"{path}/decide", {"kind": "delegate", "delegate_to": "grace"})[0] == 200
    detail = call(grace).get(path)[1]
    assert (detail["holder"], detail["outcome"]) == ("grace", "")
    assert [(act["kind"], act["by"]) for act in detail["acts"] if not act["refusal"]] == [
        ("claim", "ada"),
        ("comment", "boss"),
        ("delegate", "ada"),
    ]
    assert call(grace).post(f"{path}/decide", {"kind": "release"})[0] == 200
    assert ApprovalRequest.objects.get(pk=quorum.pk).holder is None


def test_several_are_decided_with_a_result_for_each(run_until_it_waits, as_ada, grace, call):
    first, second, third, fourth = (only_request(run_until_it_waits("test-question")) for _ in range(4))
    ApprovalRequest.objects.filter(pk=second.pk).update(risk=Risk.CRITICAL)
    assert call(grace).post(f"/requests/{third.pk}/decide", {"kind": "reject", "comment": "no"})[0] == 200
    act = {
        "kind": "reject",
        "comment": "none of these",
        "requests": [{"id": str(one.pk), "version": 1} for one in (first, second, third)]
        + [{"id": str(fourth.pk), "version": 7}, {"id": "5f0f3b1e-0000-4000-8000-000000000000"}],
    }
    status, body = as_ada.post("/requests/decide", act)
    assert status == 200
    came = {item["request_id"]: item for item in body["items"]}
    assert set(came) == {str(one.pk) for one in (first, second, third, fourth)}
    assert came[str(first.pk)]["decided"]["resolution"]["outcome"] == "reject"
    refusals = [came[str(one.pk)]["refusal"] for one in (second, third, fourth)]
    assert [(refusal["status"], refusal["code"]) for refusal in refusals] == [
        (409, "one_by_one"),
        (409, "already_resolved"),
        (412, "stale"),
    ]
    assert decode(work(first.state_id).output) is None
    assert ApprovalRequest.objects.open().count() == 2
    assert Decision.objects.filter(refusal="one_by_one").count() == 1


def test_what_cannot_be_done_to_several_is_refused_before_any_is_touched(quorum, as_ada):
    before = written()
    for act in ({"kind": "edit", "requests": [{"id": str(quorum.pk)}]}, {"kind": "approve", "requests": []}):
        assert as_ada.post("/requests/decide", act)[0] == 422
    many = [{"id": str(quorum.pk)}] * 101
    assert as_ada.post("/requests/decide", {"kind": "approve", "requests": many})[0] == 422
    assert written() == before
