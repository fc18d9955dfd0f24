"""The API of dead letters: listed page by page, tried again, cancelled, dismissed, and let go on with a new version."""

import uuid
from datetime import timedelta

import pytest

from recovery import pipelines
from recovery.models import AuditEntry, Resumption, State
from recovery.services.decide import decide
from recovery.services.lease import claim
from tests.api.conftest import iso, written
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import calls
from tests.recovery.stuck_runs import NOON, job_of, stuck

MINUTE = timedelta(minutes=1)


@pytest.fixture
def as_vera(call, make_user):
    """Somebody who decides, and starts no runs."""
    return call(make_user("vera", starts=False))


def test_a_decision_that_could_not_be_carried_out_is_listed_with_its_run_and_its_job(
    as_ada, ada, run_until_it_waits, monkeypatch
):
    state = run_until_it_waits(tags=["eu"])
    request = only_request(state)
    resolution = decide(request.pk, by=ada, kind="approve").resolution
    with monkeypatch.context() as patch:
        patch.setattr(pipelines, "_registry", {})
        work(state.pk)
    job = Resumption.objects.get(kind="resume")
    status, body = as_ada.get("/dead-letters")
    assert (status, body) == (
        200,
        {
            "items": [
                {
                    "state": as_ada.get("/states")[1]["items"][0],
                    "job": as_ada.get(f"/states/{state.pk}")[1]["job"],
                    "since": iso(job.finished_at),
                    "carries": {
                        "request_id": str(request.pk),
                        "title": "Refund 420.00 for A-17?",
                        "outcome": "approve",
                        "by": "ada",
                        "at": iso(resolution.created_at),
                    },
                    "version": "",
                }
            ],
            "next_cursor": None,
        },
    )


def test_pages_give_every_dead_letter_once_the_newest_first(as_ada):
    jobs = [stuck(after=number // 2 * MINUTE) for number in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        status, page = as_ada.get("/dead-letters", limit=2, cursor=cursor)
        assert status == 200
        seen += [item["job"]["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [job.pk for job in jobs[::-1]]


def test_they_are_narrowed_to_a_pipeline(as_ada):
    stuck(pipeline="imports")
    wanted = stuck(pipeline="refunds")
    assert [item["job"]["id"] for item in as_ada.get("/dead-letters", pipeline="refunds")[1]["items"]] == [wanted.pk]


@pytest.mark.parametrize("query", [{"cursor": "nonsense"}, {"limit": 0}, {"pipeline": "a\x00b"}])
def test_a_query_that_means_nothing_is_refused_by_its_name(as_ada, query):
    status, body = as_ada.get("/dead-letters", **query)
    assert (status, body["code"], [*body["errors"]]) == (422, "invalid_input", [*query])


@pytest.mark.parametrize("count", [1, 30])
def test_the_list_makes_the_same_few_queries_however_long_it_is(as_ada, count, django_assert_num_queries):
    for _ in range(count):
        stuck()
    # The session, the user, the jobs with their states, the tags, what they carry.
    with django_assert_num_queries(5):
        assert len(as_ada.get("/dead-letters")[1]["items"]) == count


def test_several_are_tried_again_each_with_a_result(as_ada):
    jobs = [stuck(version=version) for version in ("1", "0", "1")]
    job_of(jobs[2].state, "failed", NOON + MINUTE)
    status, body = as_ada.post("/dead-letters", {"act": "retry", "jobs": [*(job.pk for job in jobs), 10_000]})
    assert (status, [item["state_id"] for item in body["items"]]) == (200, [str(job.state_id) for job in jobs])
    refusals = [item["refusal"] for item in body["items"]]
    assert refusals[0] is None
    assert [(one["status"], one["code"]) for one in refusals[1:]] == [(409, "pipeline_gone"), (409, "not_retryable")]
    assert Resumption.objects.filter(status="pending").count() == 1


def test_several_are_dismissed_at_once(as_ada):
    jobs = [stuck() for _ in range(3)]
    status, body = as_ada.post("/dead-letters", {"act": "dismiss", "jobs": [job.pk for job in jobs]})
    assert (status, [item["refusal"] for item in body["items"]]) == (200, [None] * 3)
    assert as_ada.get("/dead-letters")[1]["items"] == []
    assert set(AuditEntry.objects.values_list("action", "channel")) == {("dismissed", "api")}


@pytest.mark.parametrize(
    "body", [{"act": "cancel", "jobs": [1]}, {"act": "retry", "jobs": []}, {"act": "dismiss", "jobs": [*range(101)]}]
)
def test_an_act_that_means_nothing_is_refused_before_anything_is_done(as_ada, body):
    stuck()
    before = written()
    assert as_ada.post("/dead-letters", body)[0] == 422
    assert written() == before


def test_one_is_dismissed_by_its_run_and_a_second_time_refused(as_ada):
    job = stuck()
    status, body = as_ada.post(f"/states/{job.state_id}/dismiss")
    assert (status, body["id"]) == (200, job.pk)
    assert as_ada.post(f"/states/{job.state_id}/dismiss") == (
        409,
        {"code": "not_stuck", "message": "It was dismissed already."},
    )


def test_a_run_is_cancelled_with_a_reason(as_ada, run_until_it_waits):
    state = run_until_it_waits()
    status, body = as_ada.post(f"/states/{state.pk}/cancel", {"reason": "The customer called."})
    assert (status, body["id"], body["status"]) == (200, str(state.pk), "cancelled")
    assert not State.objects.get(pk=state.pk).requests.filter(resolved_at=None).exists()
    assert AuditEntry.objects.get(action="run_cancelled").channel == "api"
    assert as_ada.post(f"/states/{state.pk}/cancel", {"reason": "again"}) == (
        409,
        {"code": "not_cancellable", "message": "The run is cancelled already."},
    )


@pytest.mark.parametrize("body", [{}, {"reason": " "}, {"reason": "a\x00b"}, {"reason": "x" * 2001}])
def test_a_run_is_not_cancelled_without_a_reason(as_ada, run_until_it_waits, body):
    state = run_until_it_waits()
    before = written()
    status, answer = as_ada.post(f"/states/{state.pk}/cancel", body)
    assert (status, answer["code"], [*answer["errors"]]) == (422, "invalid_input", ["reason"])
    assert (written(), State.objects.get(pk=state.pk).status) == (before, "awaiting")


def test_a_run_whose_version_changed_goes_on_when_that_is_accepted(as_ada, ada, run_until_it_waits):
    state = run_until_it_waits()
    request = only_request(state)
    State.objects.filter(pk=state.pk).update(pipeline_version="0")
    status, body = as_ada.post(f"/requests/{request.pk}/decide", {"kind": "approve"})
    assert (status, body["code"]) == (409, "pipeline_gone")
    assert "until somebody lets it go on with version 1" in body["message"]
    assert as_ada.post(f"/states/{state.pk}/accept-version", {"version": "1"}) == (
        200,
        {"pipeline_version": "1", "job": None},
    )
    assert as_ada.post(f"/requests/{request.pk}/decide", {"kind": "approve"})[0] == 200
    assert (work(state.pk).status, calls) == ("completed", ["look_up", "pay"])


def test_a_stuck_run_is_tried_again_when_its_version_is_accepted(as_ada):
    job = stuck(version="0", status="blocked")
    [letter] = as_ada.get("/dead-letters")[1]["items"]
    status, body = as_ada.post(f"/states/{job.state_id}/accept-version", {"version": letter["version"]})
    assert (status, body["pipeline_version"], body["job"]["kind"], body["job"]["status"]) == (
        200,
        "1",
        "retry",
        "pending",
    )


def test_a_version_that_is_another_by_now_is_refused_with_that(as_ada, run_until_it_waits):
    state = run_until_it_waits()
    State.objects.filter(pk=state.pk).update(pipeline_version="0")
    before = written()
    status, body = as_ada.post(f"/states/{state.pk}/accept-version", {"version": "2"})
    assert (status, body["code"], body["seen"], body["current"]) == (409, "other_version", "2", "1")
    assert written() == before


def test_nothing_is_done_to_a_run_that_a_worker_is_at(as_ada, ada, run_until_it_waits):
    state = run_until_it_waits()
    decide(only_request(state).pk, by=ada, kind="approve")
    assert claim(state.pk)
    before = written()
    said = {
        act: as_ada.post(f"/states/{state.pk}/{act}", body)[1]["code"]
        for act, body in {
            "cancel": {"reason": "x"},
            "accept-version": {"version": "1"},
            "dismiss": {},
            "retry": {},
        }.items()
    }
    assert said == {
        "cancel": "not_cancellable",
        "accept-version": "not_acted_on",
        "dismiss": "not_stuck",
        "retry": "not_retryable",
    }
    assert written() == before


@pytest.mark.parametrize(
    ("act", "body"),
    [("retry", {}), ("dismiss", {}), ("cancel", {"reason": "x"}), ("accept-version", {"version": "1"})],
)
def test_who_may_not_start_runs_may_look_and_do_nothing(as_vera, act, body):
    job = stuck(version="0" if act == "accept-version" else "1")
    assert len(as_vera.get("/dead-letters")[1]["items"]) == 1
    before = written()
    status, answer = as_vera.post(f"/states/{job.state_id}/{act}", body)
    assert (status, answer["code"]) == (403, "not_allowed")
    assert as_vera.post("/dead-letters", {"act": "dismiss", "jobs": [job.pk]})[0] == 403
    assert written() == before


@pytest.mark.parametrize(
    ("act", "body"), [("dismiss", {}), ("cancel", {"reason": "x"}), ("accept-version", {"version": "1"})]
)
def test_a_run_that_is_not_there_is_not_found(as_ada, act, body):
    status, answer = as_ada.post(f"/states/{uuid.uuid4()}/{act}", body)
    assert (status, answer["code"]) == (404, "not_found")
