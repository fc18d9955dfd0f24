"""A worker's part: claiming, running, failing, taking over, trying again."""

from datetime import timedelta

import pytest
from django.utils import timezone

from recovery.errors import InvalidInput, NotPermitted, NotRetryable, UnknownPipeline
from recovery.models import Event, Resumption, State
from recovery.pipelines import pipeline
from recovery.services.decide import decide
from recovery.services.lease import claim
from recovery.services.retry import retry
from recovery.services.start_run import start_run
from recovery.services.sweep import sweep
from recovery.services.work import work_on_state
from rh_agents import ExecutionState
from rh_agents.core.serialization import decode
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import RefundInput, calls, look_up

ORDER = {"order": "A-17", "amount": "420.00"}


@pipeline("test-saves-itself", input_model=RefundInput, title="Saves itself", version="1")
async def saves_itself(order: RefundInput, state: ExecutionState) -> str:
    """As the migration guide does after its steps."""
    found = await look_up(order, None, state)
    state.save_checkpoint()
    return f"found {found.result['order']}"


@pytest.mark.django_db
def test_an_unknown_pipeline_is_refused_with_the_names_there_are():
    with pytest.raises(UnknownPipeline, match=r"no pipeline is named 'refnuds'; there are: .*test-refund"):
        start_run("refnuds", ORDER)
    assert not State.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({}, {"order", "amount"}),
        ({"order": "", "amount": "1"}, {"order"}),
        ({"order": "A", "amount": "-1"}, {"amount"}),
        ([], {""}),
    ],
)
def test_an_input_that_does_not_validate_starts_nothing_and_names_its_fields(given, errors):
    with pytest.raises(InvalidInput) as refused:
        start_run("test-refund", given)
    assert set(refused.value.errors) == errors
    assert not State.objects.exists()
    assert not Resumption.objects.exists()


@pytest.mark.django_db
def test_a_tag_that_no_database_could_hold_starts_nothing():
    with pytest.raises(InvalidInput, match="NUL"):
        start_run("test-refund", ORDER, tags=["a\x00b"])
    assert not State.objects.exists()


def test_working_on_a_state_twice_runs_it_once(run_until_it_waits, ada):
    state = run_until_it_waits()
    decide(only_request(state).pk, by=ada, kind="approve")
    for _ in range(3):
        work(state.pk)
    assert calls == ["look_up", "pay"]


def test_a_state_that_somebody_holds_is_left_alone(run_until_it_waits, ada):
    state = run_until_it_waits()
    decide(only_request(state).pk, by=ada, kind="approve")
    held = claim(state.pk)
    assert held is not None
    assert claim(state.pk) is None
    work(state.pk)
    assert calls == ["look_up"]
    assert sweep() == 0


def test_a_lease_that_ran_out_is_taken_over_and_its_holder_can_no_longer_write(run_until_it_waits, ada):
    state = run_until_it_waits()
    decide(only_request(state).pk, by=ada, kind="approve")
    stale = claim(state.pk)
    State.objects.filter(pk=state.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sweep() == 1
    state = work(state.pk)
    assert state.status == "completed"
    assert state.fence == stale.fence + 1
    assert stale.renew() is False


def test_a_failed_run_says_what_failed_and_a_retry_skips_what_was_done(run_until_it_waits, ada):
    state = run_until_it_waits("test-failing")
    assert state.status == "failed"
    assert "ConnectionError: the gateway is away" in state.error
    failed = Event.objects.get(state=state, status="failed")
    assert (failed.error_type, failed.error_message) == ("ConnectionError", "the gateway is away")
    retry(state.pk, by=ada)
    state = work(state.pk)
    assert (state.status, decode(state.output), state.error) == ("completed", "mended", "")
    assert calls == ["look_up", "break_once", "break_once"]


def test_a_run_that_saves_itself_and_returns_is_complete(run_until_it_waits):
    state = run_until_it_waits("test-saves-itself")
    assert (state.status, decode(state.output)) == ("completed", "found A-17")
    assert Resumption.objects.get().status == "done"


def test_a_run_that_did_not_fail_cannot_be_retried(run_until_it_waits, ada, make_user):
    state = run_until_it_waits()
    with pytest.raises(NotRetryable, match="Nothing failed here"):
        retry(state.pk, by=ada)
    failed = run_until_it_waits("test-failing")
    with pytest.raises(NotPermitted, match="not among those who start runs"):
        retry(failed.pk, by=make_user("bob", starts=False))


def test_a_job_that_is_not_due_yet_is_not_claimed(run_until_it_waits, ada, settings):
    settings.RECOVERY = {**settings.RECOVERY, "UNDO_WINDOW_S": 60}
    state = run_until_it_waits()
    decide(only_request(state).pk, by=ada, kind="approve")
    assert sweep() == 0
    work_on_state(state.pk)
    assert calls == ["look_up"]


def test_the_lease_is_given_back_when_the_run_pauses(run_until_it_waits):
    state = run_until_it_waits()
    assert (state.lease_until, state.lease_owner) == (None, "")
