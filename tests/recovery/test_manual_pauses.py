"""Pauses made by hand: which decision passes which pause, whatever happens to the workers meanwhile."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from recovery.models import ApprovalRequest, Resumption, State
from recovery.pipelines import pipeline
from recovery.services import work as worker
from recovery.services.decide import decide
from recovery.services.retry import retry
from recovery.services.sweep import sweep
from recovery.services.work import work_on_state
from rh_agents import ExecutionState, StateMetadata, StateStatus
from rh_agents.core.serialization import decode
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import Refund, RefundInput, calls, look_up, pay


def pause(state: ExecutionState, title: str) -> None:
    state.save_checkpoint(StateStatus.AWAITING, StateMetadata(description=title))


@pipeline("test-two-pauses", input_model=RefundInput, title="Two pauses", version="1")
async def two_pauses(order: RefundInput, state: ExecutionState) -> str | None:
    """It looks up after the first decision and pays after the second."""
    if state.resolution is None:
        return pause(state, "Look up?")
    is_looked_up = "look_up::tool_call" in state.history
    await look_up(order, None, state)
    if not is_looked_up:
        return pause(state, "Pay?")
    await pay(Refund(order=order.order, amount=order.amount), None, state)
    return f"paid: {state.resolution.comment}"


@pipeline("test-pause-that-fails", input_model=RefundInput, title="Fails as it pauses", version="1")
async def pauses_and_fails_once(order: RefundInput, state: ExecutionState) -> str | None:
    if state.resolution is not None:
        return f"{state.resolution.kind}: {state.resolution.comment}"
    pause(state, "Go on?")
    calls.append("mail")
    if calls.count("mail") == 1:
        raise ConnectionError("the mail server is away")
    return None


@pipeline("test-pause-passed", input_model=RefundInput, title="Does not stop at its first pause", version="1")
async def passes_its_first_pause(order: RefundInput, state: ExecutionState) -> str | None:
    if state.resolution is not None:
        return state.resolution.comment
    pause(state, "Look up?")
    await look_up(order, None, state)
    return pause(state, "Pay?")


class Killed(BaseException):
    pass


@pytest.fixture
def worker_dies_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, State], None]:
    """Let a worker work on a state and die where it would call that function; its lease is over then."""

    def die(name: str, state: State) -> None:
        def killed(*args: Any) -> None:
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(worker, name, killed)
            with pytest.raises(Killed):
                work_on_state(state.pk)
        State.objects.filter(pk=state.pk).update(lease_until=timezone.now() - timedelta(seconds=1))

    return die


def titles(state: State) -> list[tuple[str, str]]:
    return list(ApprovalRequest.objects.filter(state=state).order_by("checkpoint").values_list("title", "outcome"))


def jobs(state: State) -> list[tuple[str, str]]:
    return list(Resumption.objects.filter(state=state).order_by("pk").values_list("kind", "status"))


def assert_the_second_pause_is_decided_for_itself(state: State, ada: Any) -> None:
    assert (state.status, calls, titles(state)) == ("awaiting", ["look_up"], [("Look up?", "approve"), ("Pay?", "")])
    decide(only_request(state).pk, by=ada, kind="approve", comment="second")
    state = work(state.pk)
    assert (state.status, decode(state.output)) == ("completed", "paid: second")
    assert calls == ["look_up", "pay"]
    assert jobs(state) == [("start", "done"), ("resume", "done"), ("resume", "done")]


def test_the_decision_about_one_pause_does_not_pass_the_next_when_a_worker_dies_there(
    run_until_it_waits, worker_dies_at, ada
):
    state = run_until_it_waits("test-two-pauses")
    decide(only_request(state).pk, by=ada, kind="approve", comment="first")
    worker_dies_at("_finish", state)
    assert sweep() == 1
    assert_the_second_pause_is_decided_for_itself(work(state.pk), ada)


def test_the_decision_about_one_pause_does_not_pass_the_next_when_the_database_fails_there(
    run_until_it_waits, monkeypatch, ada
):
    state = run_until_it_waits("test-two-pauses")
    decide(only_request(state).pk, by=ada, kind="approve", comment="first")

    def fails(*args: Any) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(worker, "_finish", fails)
        work(state.pk)
    Resumption.objects.filter(status="pending").update(not_before=timezone.now())
    assert_the_second_pause_is_decided_for_itself(work(state.pk), ada)


def test_a_run_that_stands_at_its_pause_is_not_called_again_before_somebody_decides(
    run_until_it_waits, worker_dies_at, monkeypatch, ada
):
    state = run_until_it_waits("test-two-pauses")
    decide(only_request(state).pk, by=ada, kind="approve")
    worker_dies_at("_finish", state)

    def called(*args: Any) -> None:
        raise AssertionError("it was called")

    with monkeypatch.context() as patch:
        patch.setattr(worker, "run_pipeline", called)
        state = work(state.pk)
    assert (state.status, state.error, state.lease_until) == ("awaiting", "", None)
    assert jobs(state) == [("start", "done"), ("resume", "done")]
    assert sweep() == 0


def test_a_decision_is_carried_to_a_run_that_failed_as_it_paused(run_until_it_waits, ada):
    state = run_until_it_waits("test-pause-that-fails")
    assert state.status == "failed"
    decide(only_request(state).pk, by=ada, kind="approve", comment="go")
    state = work(state.pk)
    assert (state.status, decode(state.output), state.error) == ("completed", "approve: go", "")
    assert titles(state) == [("Go on?", "approve")]


def test_a_decision_is_carried_to_a_run_whose_worker_died_before_it_paused_again(
    run_until_it_waits, worker_dies_at, ada
):
    state = run_until_it_waits("test-pause-that-fails")
    retry(state.pk, by=ada)
    worker_dies_at("run_pipeline", state)
    state.refresh_from_db()
    assert state.status == "running"
    decide(only_request(state).pk, by=ada, kind="approve", comment="go")
    state = work(state.pk)
    assert (state.status, decode(state.output)) == ("completed", "approve: go")
    assert titles(state) == [("Go on?", "approve")]
    assert calls == ["mail"]


def test_who_decides_while_the_run_comes_to_the_same_pause_again_is_not_asked_twice(
    run_until_it_waits, monkeypatch, ada
):
    state = run_until_it_waits("test-pause-that-fails")
    retry(state.pk, by=ada)
    run = worker.run_pipeline

    async def decided_meanwhile(*args: Any) -> Any:
        if ApprovalRequest.objects.open().exists():
            decide(only_request(state).pk, by=ada, kind="reject", comment="no")
        return await run(*args)

    with monkeypatch.context() as patch:
        patch.setattr(worker, "run_pipeline", decided_meanwhile)
        state = work(state.pk)
    assert (state.status, decode(state.output)) == ("completed", "reject: no")
    assert titles(state) == [("Go on?", "reject")]
    assert calls == ["mail", "mail"]


def test_a_pause_that_the_run_went_past_is_not_the_one_it_waits_at(run_until_it_waits, ada):
    state = run_until_it_waits("test-pause-passed")
    assert titles(state) == [("Look up?", "supersede"), ("Pay?", "")]
    decide(only_request(state).pk, by=ada, kind="approve", comment="pay")
    assert decode(work(state.pk).output) == "pay"
