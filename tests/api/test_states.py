"""The API of runs: lists by pages, whole bodies, starting and trying again."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recovery import pipelines
from recovery.models import ArtifactRef, Checkpoint, Event, Resumption, State, Tag
from tests.api.conftest import iso, written
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import calls

NOW = timezone.now()


def make_states(count: int, **columns: object) -> list[State]:
    states = State.objects.bulk_create(
        State(
            pipeline=columns.get("pipeline", "imports"),
            status=columns.get("status", "paused"),
            description=f"Import {number}",
            created_at=NOW,
            updated_at=NOW - timedelta(minutes=number),
        )
        for number in range(count)
    )
    Tag.objects.bulk_create(
        Tag(state=state, tag=tag) for number, state in enumerate(states) for tag in ("nightly", f"n{number}")
    )
    return states


def as_row(state: State) -> dict[str, object]:
    return {
        "id": str(state.pk),
        "pipeline": state.pipeline,
        "pipeline_version": state.pipeline_version,
        "status": state.status,
        "description": state.description,
        "tags": [tag.tag for tag in state.tags.order_by("pk")],
        "checkpoint": state.head,
        "started_by": state.started_by.username if state.started_by else None,
        "parent_id": None,
        "created_at": iso(state.created_at),
        "updated_at": iso(state.updated_at),
    }


def test_states_are_listed_newest_first_with_their_tags(as_ada):
    states = make_states(3)
    assert as_ada.get("/states") == (
        200,
        {"items": [as_row(State.objects.get(pk=one.pk)) for one in states], "next_cursor": None},
    )


def test_pages_give_every_state_once(as_ada):
    states = make_states(5)
    seen, cursor = [], ""
    while cursor is not None:
        status, page = as_ada.get("/states", limit=2, cursor=cursor)
        assert status == 200
        seen += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [str(state.pk) for state in states]


def test_states_are_filtered_by_status_pipeline_all_tags_and_text(as_ada):
    nightly = make_states(3)
    refunds = make_states(1, pipeline="refunds", status="failed")

    def found(**query: object) -> list[str]:
        return [row["id"] for row in as_ada.get("/states", **query)[1]["items"]]

    assert found(status="failed") == [str(refunds[0].pk)]
    assert found(pipeline="refunds") == [str(refunds[0].pk)]
    assert found(tag=["nightly", "n2"]) == [str(nightly[2].pk)]
    assert found(tag=["n1", "n2"]) == []
    assert found(text="IMPORT 1") == [str(nightly[1].pk)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "WyIxIl0"}, "cursor"),
        ({"limit": 201}, "limit"),
        ({"limit": 0}, "limit"),
        ({"status": "sleeping"}, "status"),
        ({"text": "a\x00b"}, "text"),
        ({"tag": "a\x00b"}, "tag.0"),
    ],
)
def test_a_query_that_means_nothing_is_refused_by_its_name(as_ada, query, field):
    status, body = as_ada.get("/states", **query)
    assert (status, body["code"], [*body["errors"]]) == (422, "invalid_input", [field])


def test_a_state_is_read_with_plain_storage_artifacts_and_counts(as_ada, ada, run_until_it_waits):
    state = run_until_it_waits(by=ada, description="Refund it", tags=["vip"])
    ref, job = ArtifactRef.objects.get(), Resumption.objects.get()
    status, body = as_ada.get(f"/states/{state.pk}")
    assert (status, body) == (
        200,
        {
            **as_row(state),
            "forked_from_address": "",
            "input": {"order": "A-17", "amount": "420.00"},
            "output": None,
            "error": "",
            "storage": {"looked_up": "A-17"},
            "artifacts": [
                {
                    "key": "events.csv",
                    "artifact_id": ref.artifact_id,
                    "media_type": ref.media_type,
                    "size": len("time,event\n09:00,sorted\n"),
                }
            ],
            "counts": {
                "steps": 2,
                "checkpoints": state.head,
                "storage": 1,
                "artifacts": 1,
                "requests": 1,
                "open_requests": 1,
            },
            "job": {
                "id": job.pk,
                "kind": "start",
                "status": "done",
                "attempts": 0,
                "last_error": "",
                "not_before": iso(job.not_before),
                "started_at": iso(job.started_at),
                "finished_at": iso(job.finished_at),
            },
        },
    )


def test_the_steps_of_a_run_are_given_in_order_with_plain_results(as_ada, run_until_it_waits):
    state = run_until_it_waits()
    first = Event.objects.order_by("position").first()
    status, page = as_ada.get(f"/states/{state.pk}/steps", limit=1)
    assert (status, page["items"]) == (
        200,
        [
            {
                "position": first.position,
                "address": "look_up::tool_call",
                "generation": 1,
                "attempt": 1,
                "kind": "tool_call",
                "status": "completed",
                "actor": "look_up",
                "started_at": iso(first.started),
                "duration_s": first.duration_s,
                "result": {"order": "A-17", "paid": "420.00"},
                "result_artifact": None,
                "size": first.size,
                "error_type": "",
                "error_message": "",
                "traceback": "",
            }
        ],
    )
    status, rest = as_ada.get(f"/states/{state.pk}/steps", cursor=page["next_cursor"])
    assert [(row["address"], row["status"]) for row in rest["items"]] == [("refund::decision", "awaiting")]
    assert rest["next_cursor"] is None


def test_the_checkpoints_of_a_run_are_given_newest_first(as_ada, run_until_it_waits):
    state = run_until_it_waits()
    newest = Checkpoint.objects.get(state=state, number=state.head)
    status, page = as_ada.get(f"/states/{state.pk}/checkpoints", limit=1)
    assert (status, page["items"]) == (
        200,
        [
            {
                "number": state.head,
                "status": "awaiting",
                "author": "worker",
                "created_at": iso(newest.created_at),
                "steps": 2,
                "storage": 1,
                "artifacts": 1,
                "digest": bytes(newest.digest).hex(),
            }
        ],
    )
    _, rest = as_ada.get(f"/states/{state.pk}/checkpoints", cursor=page["next_cursor"])
    assert [row["number"] for row in rest["items"]] == [*range(state.head - 1, 0, -1)]


@pytest.mark.parametrize("path", ["", "/steps", "/checkpoints"])
def test_a_state_that_is_not_there_is_not_found_and_a_malformed_id_is_refused(as_ada, path):
    status, body = as_ada.get(f"/states/{uuid.uuid4()}{path}")
    assert (status, body["code"]) == (404, "not_found")
    status, body = as_ada.get(f"/states/nonsense{path}")
    assert (status, [*body["errors"]]) == (422, ["state_id"])


def test_a_run_is_started_and_a_worker_takes_it_on(as_ada, ada):
    status, body = as_ada.post(
        "/states",
        {
            "pipeline": "test-refund",
            "input": {"order": "A-17", "amount": "420.00"},
            "tags": ["vip"],
            "description": "x",
        },
    )
    state = State.objects.get()
    assert (status, body) == (201, as_row(state))
    assert (state.started_by, body["status"], body["tags"]) == (ada, "running", ["vip"])
    assert work(state.pk).status == "awaiting"


@pytest.mark.parametrize(
    ("body", "status", "code", "errors"),
    [
        ({"pipeline": "gone", "input": {}}, 404, "unknown_pipeline", None),
        ({"pipeline": "test-refund", "input": {"amount": "-1"}}, 422, "invalid_input", ["order", "amount"]),
        ({"pipeline": "test-refund"}, 422, "invalid_input", ["input"]),
        ({"pipeline": "test-refund", "input": [1]}, 422, "invalid_input", ["input"]),
        (
            {"pipeline": "test-refund", "input": {"order": "A", "amount": "1"}, "tags": ["a\x00b"]},
            422,
            "invalid_input",
            ["tags.0"],
        ),
    ],
)
def test_a_start_that_is_refused_starts_nothing(as_ada, body, status, code, errors):
    before = written()
    said, answer = as_ada.post("/states", body)
    assert (said, answer["code"]) == (status, code)
    assert errors is None or [*answer["errors"]] == errors
    assert written() == before


def test_a_failed_run_is_tried_again(as_ada, run_until_it_waits):
    state = run_until_it_waits("test-failing")
    assert state.status == "failed"
    status, body = as_ada.post(f"/states/{state.pk}/retry")
    job = Resumption.objects.get(kind="retry")
    assert (status, body["id"], body["kind"], body["status"]) == (202, job.pk, "retry", "pending")
    assert work(state.pk).status == "completed"
    assert calls == ["look_up", "break_once", "break_once"]


def test_a_run_that_did_not_fail_is_not_tried_again(as_ada, run_until_it_waits):
    state = run_until_it_waits()
    before = written()
    assert as_ada.post(f"/states/{state.pk}/retry") == (
        409,
        {"code": "not_retryable", "message": "Nothing failed here."},
    )
    assert written() == before


def test_a_failed_run_whose_pipeline_is_gone_is_not_tried_again(as_ada, run_until_it_waits, monkeypatch):
    state = run_until_it_waits("test-failing")
    before = written()
    monkeypatch.setattr(pipelines, "_registry", {})
    status, body = as_ada.post(f"/states/{state.pk}/retry")
    assert (status, body["code"]) == (409, "pipeline_gone")
    assert written() == before


def test_two_states_are_compared(as_ada, run_until_it_waits):
    left, right = run_until_it_waits(), run_until_it_waits()
    status, body = as_ada.get("/compare", left=left.pk, right=right.pk)
    assert (status, body["counts"]["steps"]) == (
        200,
        {"same": 2, "changed": 0, "removed": 0, "added": 0, "moved": 0},
    )
    status, body = as_ada.get("/compare", left=f"{left.pk}@1", right=left.pk)
    assert (status, body["left"]["checkpoint"], body["right"]["checkpoint"]) == (200, 1, left.head)
    assert body["counts"]["steps"]["added"] == 2 - Checkpoint.objects.get(state=left, number=1).event_count


@pytest.mark.parametrize("right", [str(uuid.UUID(int=1)), "nonsense"])
def test_a_comparison_with_what_is_not_there_names_the_side(as_ada, run_until_it_waits, right):
    state = run_until_it_waits()
    status, body = as_ada.get("/compare", left=state.pk, right=right)
    assert (status, body["code"], body["side"]) == (404, "not_found", "right")


def test_the_pipelines_are_listed_with_the_schema_of_their_input(as_ada):
    status, body = as_ada.get("/pipelines")
    [refund] = [row for row in body["items"] if row["name"] == "test-refund"]
    assert (status, refund) == (
        200,
        {
            "name": "test-refund",
            "title": "Refund",
            "description": "",
            "version": "1",
            "input_schema": pipelines.get("test-refund").input_model.model_json_schema(),
        },
    )


@pytest.mark.parametrize("path", ["/states", "/requests", "/requests?which=for_me", "/requests?which=decided"])
def test_a_list_makes_as_many_queries_for_thirty_rows_as_for_one(as_ada, run_until_it_waits, path):
    state = run_until_it_waits()
    request = only_request(state)
    is_decided = {"outcome": "approve", "resolved_at": NOW} if "decided" in path else {}
    type(request).objects.filter(pk=request.pk).update(**is_decided)
    with CaptureQueriesContext(connection) as of_one:
        assert len(as_ada.get(path)[1]["items"]) == 1
    make_states(29)
    for number in range(29):
        request.pk, request.generation = uuid.uuid4(), number + 2
        for name, value in is_decided.items():
            setattr(request, name, value)
        request._state.adding = True
        request.save()
    with CaptureQueriesContext(connection) as of_thirty:
        assert len(as_ada.get(path)[1]["items"]) == 30
    assert len(of_thirty) == len(of_one)


def test_the_steps_make_as_many_queries_for_thirty_rows_as_for_one(
    as_ada, run_until_it_waits, django_assert_num_queries
):
    state = run_until_it_waits()
    event = Event.objects.order_by("position").first()
    for number in range(30):
        event.pk = (state.pk, 1000 + number, 1)
        event.address = f"step{number}"
        event._state.adding = True
        event.save()
    # The session, the user, whether the state is there, the steps.
    with django_assert_num_queries(4):
        assert len(as_ada.get(f"/states/{state.pk}/steps")[1]["items"]) == 32
    with django_assert_num_queries(4):
        assert len(as_ada.get(f"/states/{state.pk}/steps", limit=1)[1]["items"]) == 1
