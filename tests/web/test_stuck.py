"""The page of stuck runs: what is listed, acting on one or on several, and the requests that nobody can decide."""

import uuid
from datetime import timedelta

import pytest

from recovery.models import ApprovalRequest, AuditEntry, RequestDecider, Resumption, State
from recovery.services.decide import decide
from tests.recovery.conftest import only_request, work
from tests.recovery.stuck_runs import NOON, job_of, stuck
from tests.web.pages import read
from tests.web.request_pages import form_in, look, notices, post

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def titles(page):
    return [one.text for one in page.one("section", aria_label="Stuck runs").all("a", class_="row-title")]


def opened(client, **query):
    answer = client.get("/stuck/", query)
    assert answer.status_code == 200
    return read(answer)


def rows(page):
    return page.all("li", class_="stuck-row")


def send(client, act, *jobs, headers=None, **more):
    return client.post("/stuck/", {"act": act, "job": [job.pk for job in jobs], **more}, headers=headers or {})


def said(answer):
    return read(answer).one("div", id="stuck-done").text


# ---- What is listed ----


def test_a_row_says_what_failed_why_how_often_and_since_when(ada_at):
    job = stuck("Refund A-17\nsecond line", error="GatewayError: 502 upstream", attempts=3)
    [row] = rows(opened(ada_at))
    assert row.one("a", class_="row-title").text == "Refund A-17"
    assert row.one("a", class_="row-title").attrs["href"] == f"/states/{job.state_id}/"
    assert row.one("span", class_="badge").text == "Failed"
    assert row.one("p", class_="stuck-error").text == "GatewayError: 502 upstream"
    assert "3 tries" in row.text
    assert row.one("time").attrs["datetime"] == NOON.isoformat(timespec="seconds")
    assert [button.text for button in row.all("button") if "data-copy" not in button.attrs] == ["Retry", "Dismiss"]


def test_a_row_names_the_decision_that_could_not_be_carried_out(run_until_it_waits, grace, ada_at, monkeypatch):
    state = run_until_it_waits()
    request = only_request(state)
    decide(request.pk, by=grace, kind="approve")
    with monkeypatch.context() as patch:
        patch.setattr("recovery.pipelines._registry", {})
        work(state.pk)
    [row] = rows(opened(ada_at))
    assert row.one("p", class_="stuck-carries").text == "Approved grace Refund 420.00 for A-17?"
    assert row.one("p", class_="stuck-carries").one("a").attrs["href"] == f"/requests/{request.pk}/"
    assert row.one("p", class_="stuck-error").text.startswith("The pipeline test-refund is not installed any more.")


def test_hidden_characters_are_written_out(ada_at):
    stuck("pay \u202eecila", error="Error: \u202ex")
    page = opened(ada_at)
    assert titles(page) == ["pay ⟨U+202E⟩ecila"]
    assert rows(page)[0].one("p", class_="stuck-error").text == "Error: ⟨U+202E⟩x"


def test_without_any_stuck_run_the_page_says_what_would_be_here(ada_at):
    empty = opened(ada_at).one("div", class_="empty")
    assert empty.one("h2").text == "No run is stuck"
    assert "when it failed, when its workers died of it, when its pipeline is not installed" in empty.text


def test_the_list_is_narrowed_to_a_pipeline_in_the_address(ada_at):
    stuck("a", pipeline="imports")
    stuck("b", pipeline="refunds", after=MINUTE)
    assert titles(opened(ada_at)) == ["b", "a"]
    page = opened(ada_at, pipeline="imports")
    assert titles(page) == ["a"]
    assert page.one("form", role="search").one("option", selected="").text == "imports"
    assert opened(ada_at, pipeline="gone").one("div", class_="empty").one("h2").text == "Nothing is stuck here"


def test_pages_follow_each_other_and_keep_the_filter(ada_at):
    for number in range(31):
        stuck(f"{number:02}", pipeline="imports", after=number * MINUTE)
    stuck("other", pipeline="refunds")
    page = opened(ada_at, pipeline="imports")
    assert titles(page) == [f"{number:02}" for number in range(30, 0, -1)]
    page = read(ada_at.get(page.one("a", rel="next").attrs["href"]))
    assert titles(page) == ["00"]
    assert page.one("nav", aria_label="Pages").one("a").attrs["href"] == "/stuck/?pipeline=imports"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"after": "nowhere"}, "That place in the list is unknown; this is its top."),
        ({"after": "2026-11-20T12:00:00~1"}, "That place in the list is unknown; this is its top."),
        ({"after": f"2026-11-20T12:00:00Z~{2**63}"}, "That place in the list is unknown; this is its top."),
        ({"pipeline": "a\x00b"}, "No pipeline is named like that; the filter was left out."),
        ({"pipeline": "p" * 201}, "No pipeline is named like that; the filter was left out."),
    ],
)
def test_an_address_that_means_nothing_is_left_out_and_said(ada_at, query, says):
    stuck("still here")
    page = opened(ada_at, **query)
    assert (notices(page), titles(page)) == ([says], ["still here"])


@pytest.mark.parametrize("count", [1, 30])
def test_the_page_takes_the_same_few_queries_however_long_the_list_is(ada_at, count, django_assert_num_queries):
    for number in range(count):
        stuck(f"{number}")
    # Session, user, two of permissions; jobs with their states, tags, what they carry; open requests; the two counts.
    with django_assert_num_queries(7):
        assert len(rows(opened(ada_at))) == count


def test_whoever_acts_sees_how_many_there_are_on_every_page_and_nobody_else_does(ada_at, make_user, signed_in):
    def entry(client):
        return [link.text for link in read(client.get("/states/")).one("nav", aria_label="Main").all("a")]

    assert "Stuck to be looked at" in entry(ada_at)
    assert "hidden" in read(ada_at.get("/states/")).one("b", id="stuck-count").attrs
    stuck()
    stuck()
    assert "Stuck2 to be looked at" in entry(ada_at)
    assert not [text for text in entry(signed_in(make_user("vera", starts=False))) if text.startswith("Stuck")]


# ---- Acting ----


def test_the_ticked_runs_are_tried_again_and_whatever_was_refused_is_told_why(ada_at):
    jobs = [stuck(f"run {number}", after=number * MINUTE) for number in range(3)]
    later = job_of(jobs[1].state, "failed", NOON + 9 * MINUTE)
    answer = send(ada_at, "retry", *jobs)
    assert answer.status_code == 200
    assert said(answer) == "2 runs are tried again. run 1: It was tried again since you looked."
    assert set(Resumption.objects.filter(status="pending").values_list("state", flat=True)) == {
        jobs[0].state_id,
        jobs[2].state_id,
    }
    assert [row.one("input", name="job").attrs["value"] for row in rows(read(answer))] == [str(later.pk)]


def test_one_run_is_tried_again_by_the_button_of_its_row_whatever_is_ticked(ada_at):
    ticked, other = stuck("ticked"), stuck("other")
    button = rows(opened(ada_at))[0].one("button", aria_label="Retry other")
    assert said(send(ada_at, button.attrs["value"], ticked)) == "1 run is tried again."
    assert Resumption.objects.get(status="pending").state_id == other.state_id


def test_a_click_that_is_sent_twice_acts_once(ada_at):
    job = stuck("run")
    assert said(send(ada_at, "dismiss", job)) == "1 run was dismissed."
    assert said(send(ada_at, "dismiss", job)) == "No runs were dismissed. run: It was dismissed already."
    assert AuditEntry.objects.filter(action="dismissed").count() == 1


def test_htmx_is_given_the_list_and_the_count_that_is_left(ada_at, htmx):
    job = stuck()
    stuck()
    part = read(send(ada_at, "dismiss", job, headers=htmx))
    assert not part.all("header")
    assert len(rows(part)) == 1
    count = part.one("b", id="stuck-count")
    assert (count.text, count.attrs["hx-swap-oob"]) == ("1 to be looked at", "true")


def test_the_ticked_runs_are_cancelled_with_one_reason(ada_at):
    jobs = [stuck(), stuck()]
    assert said(send(ada_at, "cancel", *jobs, reason="Mended by hand.")) == "2 runs were cancelled."
    assert set(State.objects.values_list("status", flat=True)) == {"cancelled"}
    assert AuditEntry.objects.filter(action="run_cancelled", detail__contains="Mended by hand.").count() == 2


@pytest.mark.parametrize("reason", ["", "  ", "a\x00b", "x" * 2001])
def test_without_a_reason_that_can_be_kept_nothing_is_cancelled_and_nothing_ticked_is_lost(ada_at, reason):
    jobs = [stuck(), stuck(after=MINUTE)]
    answer = send(ada_at, "cancel", jobs[0], reason=reason)
    assert answer.status_code == 422
    page = read(answer)
    assert page.one("div", id="stuck-problem").text.startswith("Nothing was done. ")
    assert "open" in page.one("details", class_="cancel-option").attrs
    assert ["checked" in box.attrs for box in page.all("input", name="job")] == [False, True]
    assert not State.objects.filter(status="cancelled").exists()


@pytest.mark.parametrize(
    ("act", "jobs", "says"),
    [
        ("retry", [], "Tick the runs first."),
        ("retry", ["x"], "Tick the runs first."),
        ("retry", [str(2**64)], "Tick the runs first."),
        ("explode", ["1"], "Choose what to do with them."),
        ("accept", ["1"], "Choose what to do with them."),
        ("accept:1", [], "Choose what to do with them."),
        ("", ["1"], "Choose what to do with them."),
        ("dismiss", [*map(str, range(101))], "At most 100 are acted on at once; these are 101."),
    ],
)
def test_a_form_that_means_nothing_does_nothing_and_says_so(ada_at, act, jobs, says):
    stuck()
    answer = ada_at.post("/stuck/", {"act": act, "job": jobs})
    assert answer.status_code == 422
    assert read(answer).one("div", id="stuck-problem").text == f"Nothing was done. {says}"
    assert (AuditEntry.objects.count(), Resumption.objects.count()) == (0, 1)


def test_a_run_that_was_deleted_meanwhile_is_passed_over(ada_at):
    job = stuck()
    job_id = job.pk
    job.state.delete()
    assert said(ada_at.post("/stuck/", {"act": "retry", "job": [job_id]})) == "No runs are tried again."


def test_who_may_not_act_sees_the_list_without_controls(make_user, signed_in):
    stuck()
    vera = signed_in(make_user("vera", starts=False))
    page = opened(vera)
    assert len(rows(page)) == 1
    assert not page.one("form", id="stuck-form").all("input", type="checkbox")
    assert not [one for one in page.one("form", id="stuck-form").all("button") if one.attrs.get("name") == "act"]


# ---- Another version ----


def test_a_run_that_is_blocked_by_its_version_asks_for_that_and_is_tried_again_with_it(ada_at):
    stuck(status="blocked", version="0", error="The pipeline test-refund is now version 1 …")
    [row] = rows(opened(ada_at))
    assert row.one("div", class_="stuck-version").text == (
        "The pipeline test-refund is now version 1, this run began with version 0. Go on with version 1? "
        "Finished steps are not run again; a step that is not there any more is left out. "
        "The run is then tried again at once."
    )
    button = next(one for one in row.all("button") if one.text == "Go on with version 1")
    assert said(send(ada_at, button.attrs["value"])) == "1 run goes on with the new version."
    assert State.objects.get().pipeline_version == "1"
    assert Resumption.objects.filter(kind="retry", status="pending").count() == 1


def test_a_version_that_is_another_by_now_is_refused_on_the_page(ada_at):
    job = stuck("run", status="blocked", version="0")
    assert said(send(ada_at, f"accept:{job.pk}:2")) == (
        "No runs go on with the new version. "
        "run: The pipeline test-refund is version 1 by now, and not 2. Look again before the run goes on."
    )
    assert State.objects.get().pipeline_version == "0"


def test_a_request_whose_pipeline_changed_is_decided_after_somebody_said_that_the_run_may_go_on(refund, ada_at):
    State.objects.filter(pk=refund.state_id).update(pipeline_version="0")
    page = look(ada_at, refund)
    assert not page.all("form", id="approve-form")
    answer = post(ada_at, refund, {"kind": "approve", "seen_version": "1"})
    assert answer.status_code == 409
    form = read(answer).one("div", id="version-question").one("form")
    assert form.attrs["action"] == f"/states/{refund.state_id}/accept-version/"
    answer = ada_at.post(form.attrs["action"], {"version": "1", "next": f"/requests/{refund.pk}/"})
    assert answer["Location"] == f"/requests/{refund.pk}/"
    page = look(ada_at, refund)
    assert not page.all("div", id="version-question")
    post(ada_at, refund, form_in(page) | {"kind": "approve"})
    assert work(refund.state_id).status == "completed"


def test_a_decided_request_whose_run_is_blocked_by_its_version_offers_to_go_on_with_it(refund, ada, ada_at):
    decide(refund.pk, by=ada, kind="approve")
    State.objects.filter(pk=refund.state_id).update(pipeline_version="0")
    work(refund.state_id)
    bar = look(ada_at, refund).one("section", id="progress")
    assert not bar.all("button", id="retry")
    form = bar.one("button", id="accept-version").parent
    values = {one.attrs["name"]: one.attrs["value"] for one in form.all("input")}
    ada_at.post(form.attrs["action"], values)
    assert work(refund.state_id).status == "completed"


# ---- Requests that nobody can decide ----


def test_a_request_whose_policy_nobody_can_meet_is_listed_with_the_reason(refund, ada_at):
    assert "Requests that nobody can decide" not in opened(ada_at).text
    policy = {**refund.policy, "needed": 3}
    ApprovalRequest.objects.filter(pk=refund.pk).update(policy=policy)
    section = opened(ada_at).one("section", aria_labelledby="undecidable-h")
    assert section.one("a", class_="row-title").attrs["href"] == f"/requests/{refund.pk}/"
    assert "It needs 3 people, and only one may decide." in section.text
    assert "Requests that nobody can decide" not in opened(ada_at, pipeline="other").text


@pytest.mark.parametrize("count", [1, 30])
def test_requests_of_one_policy_are_looked_at_once(refund, ada_at, count, django_assert_num_queries):
    ApprovalRequest.objects.filter(pk=refund.pk).update(policy={**refund.policy, "needed": 3})
    refund.refresh_from_db()
    for number in range(2, count + 1):
        refund.pk, refund.generation = uuid.uuid4(), number
        refund._state.adding = True
        refund.save()
    with django_assert_num_queries(9):
        page = opened(ada_at)
    assert len(page.one("section", aria_labelledby="undecidable-h").all("a", class_="row-title")) == count


def test_a_request_that_only_its_starter_could_decide_is_one_that_nobody_can(
    run_until_it_waits, ada, ada_at, make_user
):
    run_until_it_waits(by=ada, description="hers")
    section = opened(ada_at).one("section", aria_labelledby="undecidable-h")
    assert "It needs 1 person, and nobody may decide." in section.text
    make_user("grace")
    assert "Requests that nobody can decide" not in opened(ada_at).text


def test_requests_of_one_policy_are_told_apart_by_who_may_decide_them_besides(
    refund, run_until_it_waits, make_user, ada_at
):
    wider = only_request(run_until_it_waits())
    ApprovalRequest.objects.update(policy={**refund.policy, "users": ["nobody"]}, open_to_all=False)
    RequestDecider.objects.create(request=wider, username=make_user("grace").username, why=RequestDecider.Why.DELEGATED)
    section = opened(ada_at).one("section", aria_labelledby="undecidable-h")
    assert [link.attrs["href"] for link in section.all("a", class_="row-title")] == [f"/requests/{refund.pk}/"]
