"""Stuck runs: which are listed, how they leave the list, and several at once."""

from datetime import timedelta

import pytest

from recovery.errors import InvalidInput, NotPermitted, NotRetryable, NotStuck
from recovery.models import AuditEntry, Resumption
from recovery.queries import COUNT_AT_MOST, counts_of
from recovery.services.dead_letters import (
    AT_ONCE_AT_MOST,
    dismiss,
    each_of,
    page_of_stuck,
    stuck_jobs,
)
from recovery.services.decide import decide
from recovery.services.retry import retry
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import calls
from tests.recovery.stuck_runs import NOON, job_of, stuck
from tests.recovery.test_undo_and_back import drafted  # noqa: F401  registers its pipeline

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def listed(**options):
    return [letter.job for letter in page_of_stuck(30, **options)[0]]


# ---- What is listed ----


def test_what_failed_and_what_is_blocked_is_listed_the_newest_first():
    first, third, second = stuck(), stuck(after=2 * MINUTE), stuck(after=MINUTE, status="blocked")
    assert listed() == [third, second, first]


def test_a_run_that_failed_is_listed_with_what_it_failed_with(run_until_it_waits):
    state = run_until_it_waits("test-failing")
    [letter], _ = page_of_stuck(30)
    assert (letter.state, letter.job.last_error) == (state, "ConnectionError: the gateway is away")
    assert (letter.carries, letter.version) == (None, "")


@pytest.mark.parametrize("status", ["pending", "running", "done", "failed", "blocked"])
def test_only_the_newest_job_of_a_run_counts(status):
    job = stuck()
    later = job_of(job.state, status, NOON + MINUTE)
    assert listed() == ([later] if status in Resumption.STUCK else [])


def test_an_older_job_that_is_tried_again_keeps_its_run_from_being_stuck():
    state = stuck().state
    state.resumptions.update(status="pending", finished_at=None)
    job_of(state, "failed", NOON + MINUTE)
    assert listed() == []


def test_a_job_that_was_taken_back_does_not_hide_the_failure_before_it():
    job = stuck()
    job_of(job.state, "undone", NOON + MINUTE)
    assert listed() == [job]


def test_pages_follow_each_other_without_a_gap_or_a_repeat():
    jobs = [stuck(after=number // 3 * MINUTE) for number in range(10)]
    seen, after = [], None
    while True:
        letters, after = page_of_stuck(3, after=after)
        seen += [letter.job for letter in letters]
        if after is None:
            break
    assert seen == jobs[::-1]


def test_the_list_is_narrowed_to_a_pipeline():
    stuck(pipeline="imports")
    wanted = stuck(pipeline="refunds")
    assert listed(pipeline="refunds") == [wanted]
    assert listed(pipeline="Refunds") == []


def test_a_run_that_is_blocked_because_of_its_version_says_which_it_asks_for():
    stuck(version="14", status="blocked")
    [letter], _ = page_of_stuck(30)
    assert letter.version == "1"


def test_a_decision_that_could_not_be_carried_out_is_named_and_stays_named_when_a_retry_fails_too(
    run_until_it_waits, ada, monkeypatch
):
    state = run_until_it_waits()
    request = only_request(state)
    outcome = decide(request.pk, by=ada, kind="approve")
    monkeypatch.setattr("recovery.pipelines._registry", {})
    work(state.pk)
    [letter], _ = page_of_stuck(30)
    assert (letter.job, letter.carries) == (outcome.resumption, outcome.resolution)
    again = job_of(state, "failed", NOON + MINUTE)
    [letter], _ = page_of_stuck(30)
    assert (letter.job, letter.carries) == (again, outcome.resolution)
    assert (letter.carries.request, letter.carries.decision.actor) == (request, ada)


def test_no_more_are_counted_than_anybody_reads():
    for _ in range(3):
        stuck()
    assert counts_of([[stuck_jobs()]]) == [3]
    for _ in range(COUNT_AT_MOST):
        stuck()
    assert counts_of([[stuck_jobs()]]) == [COUNT_AT_MOST + 1]


@pytest.mark.parametrize("count", [1, 30])
def test_the_list_takes_the_same_few_queries_however_long_it_is(count, django_assert_num_queries):
    for _ in range(count):
        stuck()
    # The jobs with their states, the tags, what they carry.
    with django_assert_num_queries(3):
        assert len(listed()) == count


# ---- Leaving the list ----


def test_what_was_dismissed_comes_back_when_a_later_job_fails(ada):
    job = stuck()
    assert dismiss(job.state_id, by=ada, seen_job=job.pk) == job
    assert listed() == []
    entry = AuditEntry.objects.get(action="dismissed")
    assert (entry.actor, entry.state_id, entry.channel) == ("ada", job.state_id, "web")
    later = job_of(job.state, "failed", NOON + MINUTE)
    assert listed() == [later]


def test_what_was_dismissed_can_be_tried_again_all_the_same(run_until_it_waits, ada):
    state = run_until_it_waits("test-failing")
    dismiss(state.pk, by=ada)
    retry(state.pk, by=ada)
    assert work(state.pk).status == "completed"
    assert calls == ["look_up", "break_once", "break_once"]


def test_a_second_click_dismisses_nothing_and_says_so(ada, grace):
    job = stuck()
    dismiss(job.state_id, by=ada, seen_job=job.pk)
    with pytest.raises(NotStuck, match="It was dismissed already"):
        dismiss(job.state_id, by=grace, seen_job=job.pk)
    assert AuditEntry.objects.filter(action="dismissed").count() == 1


def test_a_failure_that_nobody_looked_at_is_not_dismissed(ada):
    seen = stuck()
    later = job_of(seen.state, "failed", NOON + MINUTE)
    with pytest.raises(NotStuck, match="tried again since you looked"):
        dismiss(seen.state_id, by=ada, seen_job=seen.pk)
    assert listed() == [later]


def test_a_run_that_waits_is_not_dismissed(run_until_it_waits, ada):
    state = run_until_it_waits()
    with pytest.raises(NotStuck, match="Nothing is stuck here"):
        dismiss(state.pk, by=ada)
    assert not AuditEntry.objects.filter(action="dismissed").exists()


def test_who_may_not_start_runs_dismisses_nothing(make_user):
    job = stuck()
    with pytest.raises(NotPermitted, match="not among those who start runs"):
        dismiss(job.state_id, by=make_user("vera", starts=False))
    assert listed() == [job]


def test_a_retry_of_a_failure_that_nobody_looked_at_is_refused(run_until_it_waits, ada):
    state = run_until_it_waits("test-failing")
    seen = Resumption.objects.get()
    later = job_of(state, "failed", NOON + MINUTE)
    with pytest.raises(NotRetryable, match="tried again since you looked"):
        retry(state.pk, by=ada, seen_job=seen.pk)
    assert Resumption.objects.exclude(pk__in=[seen.pk, later.pk]).count() == 0
    assert retry(state.pk, by=ada, seen_job=later.pk).status == "pending"


def test_a_run_that_is_tried_again_leaves_the_list_and_its_old_failure_the_index(run_until_it_waits, ada):
    state = run_until_it_waits("test-failing")
    retry(state.pk, by=ada)
    assert listed() == []
    assert not Resumption.objects.filter(status="failed", dismissed_at__isnull=True).exists()


def test_a_run_that_could_not_be_sent_back_is_sent_back_by_a_retry_and_does_not_go_on_instead(run_until_it_waits, ada):
    state = run_until_it_waits("test-drafted")
    decide(only_request(state).pk, by=ada, kind="approve")
    work(state.pk)
    decide(only_request(state).pk, by=ada, kind="request_changes", to="draft::tool_call", comment="Half of it.")
    fork = Resumption.objects.get(kind="fork")
    Resumption.objects.filter(pk=fork.pk).update(status="failed", finished_at=NOON, last_error="disk full", attempts=3)
    assert listed() == [fork]

    job = retry(state.pk, by=ada, seen_job=fork.pk)

    assert (job, job.status, job.attempts, job.last_error, job.finished_at) == (fork, "pending", 0, "", None)
    with pytest.raises(NotRetryable, match="at work or queued"):
        retry(state.pk, by=ada, seen_job=fork.pk)
    state = work(state.pk)
    assert (state.status, state.superseded_by.parent) == ("cancelled", state)
    assert (listed(), Resumption.objects.filter(kind="retry").count()) == ([], 0)


# ---- Several at once ----


def test_each_of_several_has_a_result_of_its_own(ada):
    jobs = [stuck(f"run {number}", after=number * MINUTE) for number in range(4)]
    dismiss(jobs[1].state_id, by=ada)
    job_of(jobs[2].state, "pending", NOON + MINUTE)
    results = each_of([job.pk for job in jobs], lambda job: retry(job.state_id, by=ada, seen_job=job.pk))
    assert [(one.state.description, str(one.refusal or "")) for one in results] == [
        ("run 0", ""),
        ("run 1", ""),
        ("run 2", "The run is at work or queued."),
        ("run 3", ""),
    ]
    assert Resumption.objects.filter(kind="retry", status="pending").count() == 4


def test_a_run_that_was_deleted_meanwhile_keeps_no_other_from_being_dismissed(ada):
    gone, job = stuck(), stuck()
    gone_id = gone.pk
    gone.state.delete()
    results = each_of([gone_id, job.pk, job.pk], lambda job: dismiss(job.state_id, by=ada, seen_job=job.pk))
    assert [(one.state, one.refusal) for one in results] == [(job.state, None)]


def test_more_than_a_page_of_them_is_refused_before_anything_is_done(ada):
    job = stuck()
    with pytest.raises(InvalidInput, match="At most 100"):
        each_of([job.pk, *range(10_000, 10_000 + AT_ONCE_AT_MOST)], lambda job: dismiss(job.state_id, by=ada))
    assert listed() == [job]


def test_who_may_not_act_is_refused_at_the_first(make_user):
    job, vera = stuck(), make_user("vera", starts=False)
    with pytest.raises(NotPermitted):
        each_of([job.pk], lambda job: dismiss(job.state_id, by=vera))
    assert listed() == [job]
