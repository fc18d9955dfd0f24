"""A pipeline whose version changed while a run waited: the run stays until somebody lets it go on with the new one."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from recovery import pipelines
from recovery.errors import NotActedOn, NotPermitted, OtherVersion, PipelineGone
from recovery.models import ApprovalRequest, AuditEntry, Decision, Resumption, State
from recovery.services.accept_version import accept_version, asks_version
from recovery.services.decide import decide
from recovery.services.lease import claim
from recovery.services.retry import retry
from recovery.services.start_run import start_run
from recovery.services.supersede import supersede_open_requests
from rh_agents import ExecutionState
from rh_agents.core.serialization import decode
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import RefundInput, calls, pay

pytestmark = pytest.mark.django_db

ORDER = {"order": "A-17", "amount": "420.00"}


@pytest.fixture
def release(monkeypatch) -> Iterator[Callable[..., None]]:
    """Install version `version` of the refunds, with other code if it is given."""

    def install(version: str, function: pipelines.Function | None = None) -> None:
        known = pipelines.get("test-refund")
        new = replace(known, version=version, function=function or known.function)
        monkeypatch.setitem(pipelines._registry, "test-refund", new)

    return install


def versions_of(state):
    asked = ApprovalRequest.objects.filter(state=state).order_by("opened_at")
    return State.objects.get(pk=state.pk).pipeline_version, list(asked.values_list("pipeline_version", flat=True))


def accepted():
    return [entry.detail for entry in AuditEntry.objects.filter(action="version_accepted").order_by("number")]


def test_a_run_whose_version_changed_while_it_waited_is_decided_after_that_was_accepted_and_runs_its_steps_once(
    run_until_it_waits, release, ada
):
    state = run_until_it_waits()
    request = only_request(state)
    release("2")

    with pytest.raises(PipelineGone) as refused:
        decide(request.pk, by=ada, kind="approve")
    assert str(refused.value) == (
        "The pipeline test-refund is now version 2, this run began with version 1. "
        "It stays as it is until somebody lets it go on with version 2."
    )
    assert (only_request(state), Decision.objects.count()) == (request, 0)

    outcome = accept_version(state.pk, version="2", by=ada)
    assert (outcome.state.pipeline_version, outcome.retry) == ("2", None)
    assert versions_of(state) == ("2", ["2"])
    decide(request.pk, by=ada, kind="approve")
    state = work(state.pk)
    assert (state.status, decode(state.output), calls) == ("completed", "paid 420.00 by card", ["look_up", "pay"])
    [entry] = AuditEntry.objects.filter(action="version_accepted")
    assert (entry.actor, entry.actor_kind, entry.channel, entry.state_id) == ("ada", "user", "web", state.pk)
    assert entry.detail == '{"new": "2", "old": "1"}'


def test_new_code_that_leaves_a_step_out_goes_on_without_it(run_until_it_waits, release, ada):
    async def shorter(order: RefundInput, state: ExecutionState) -> str:
        answer = await state.ask(decode(request.question))
        return str((await pay(answer.proposal, None, state)).result)

    state = run_until_it_waits()
    request = only_request(state)
    release("2", shorter)
    accept_version(state.pk, version="2", by=ada)
    decide(request.pk, by=ada, kind="approve")
    assert decode(work(state.pk).output) == "paid 420.00 by card"
    assert calls == ["look_up", "pay"]


def test_a_run_that_was_decided_before_the_version_changed_is_blocked_and_goes_on_when_that_is_accepted(
    run_until_it_waits, release, ada, grace
):
    state = run_until_it_waits()
    resumption = decide(only_request(state).pk, by=ada, kind="approve").resumption
    release("2")
    work(state.pk)
    resumption.refresh_from_db()
    assert (resumption.status, calls) == ("blocked", ["look_up"])
    assert "is now version 2" in resumption.last_error
    with pytest.raises(PipelineGone, match="is now version 2"):
        retry(state.pk, by=grace)

    outcome = accept_version(state.pk, version="2", by=grace, channel="api")

    assert (outcome.retry.kind, outcome.retry.status) == ("retry", "pending")
    assert [(one.action, one.channel) for one in AuditEntry.objects.order_by("number")][-2:] == [
        ("version_accepted", "api"),
        ("retried", "api"),
    ]
    state = work(state.pk)
    assert (state.status, decode(state.output), calls) == ("completed", "paid 420.00 by card", ["look_up", "pay"])


def test_a_run_that_was_started_before_the_version_changed_begins_with_the_new_one(release, ada):
    state = start_run("test-refund", ORDER)
    release("2")
    work(state.pk)
    assert (Resumption.objects.get().status, calls) == ("blocked", [])
    accept_version(state.pk, version="2", by=ada)
    assert (work(state.pk).status, calls) == ("awaiting", ["look_up"])
    assert versions_of(state) == ("2", ["2"])


def test_a_second_click_changes_nothing_more(run_until_it_waits, release, ada, grace):
    state = run_until_it_waits()
    decide(only_request(state).pk, by=ada, kind="approve")
    release("2")
    work(state.pk)
    accept_version(state.pk, version="2", by=ada)
    assert accept_version(state.pk, version="2", by=grace).retry is None
    assert Resumption.objects.filter(kind="retry").count() == 1
    assert len(accepted()) == 1


def test_a_version_that_is_another_by_now_is_not_accepted(run_until_it_waits, release, ada):
    state = run_until_it_waits()
    release("3")
    with pytest.raises(OtherVersion, match="The pipeline test-refund is version 3 by now, and not 2") as refused:
        accept_version(state.pk, version="2", by=ada)
    assert (refused.value.seen, refused.value.current) == ("2", "3")
    assert (versions_of(state), accepted()) == (("1", ["1"]), [])


def test_a_pipeline_that_is_not_there_has_no_version_to_accept(run_until_it_waits, ada, monkeypatch):
    state = run_until_it_waits()
    monkeypatch.setattr(pipelines, "_registry", {})
    assert asks_version(state) == ""
    with pytest.raises(PipelineGone, match="is not installed any more"):
        accept_version(state.pk, version="2", by=ada)
    assert (versions_of(state), accepted()) == (("1", ["1"]), [])


def test_who_may_not_start_runs_accepts_nothing(run_until_it_waits, release, make_user):
    state = run_until_it_waits()
    release("2")
    with pytest.raises(NotPermitted, match="not among those who start runs"):
        accept_version(state.pk, version="2", by=make_user("vera", starts=False))
    assert (versions_of(state), accepted()) == (("1", ["1"]), [])


def test_a_run_that_a_worker_is_at_keeps_the_version_that_it_runs_with(run_until_it_waits, release, ada):
    state = run_until_it_waits()
    decide(only_request(state).pk, by=ada, kind="approve")
    assert claim(state.pk)
    release("2")
    with pytest.raises(NotActedOn, match="A worker is at the run now"):
        accept_version(state.pk, version="2", by=ada)
    assert (versions_of(state)[0], accepted()) == ("1", [])


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"status": "completed"}, "The run is completed."),
        ({"status": "cancelled"}, "The run is cancelled."),
        ({"pipeline_version": ""}, "A program of its own runs this, with the version that it has."),
    ],
)
def test_a_run_that_no_worker_will_take_on_asks_for_no_version(run_until_it_waits, release, ada, columns, why):
    state = run_until_it_waits()
    State.objects.filter(pk=state.pk).update(**columns)
    state.refresh_from_db()
    release("2")
    assert asks_version(state) == ""
    with pytest.raises(NotActedOn) as refused:
        accept_version(state.pk, version="2", by=ada)
    assert (str(refused.value), accepted()) == (why, [])


def test_what_was_decided_keeps_the_version_that_it_was_asked_by(run_until_it_waits, release, ada):
    state = run_until_it_waits("test-refund")
    supersede_open_requests(state.pk)
    release("2")
    accept_version(state.pk, version="2", by=ada)
    assert versions_of(state) == ("2", ["1"])
