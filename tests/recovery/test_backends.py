"""DjangoStateBackend and DjangoArtifactBackend keep the engine's contracts, also when they are called on a loop."""

import asyncio
import os
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.backends.signals import connection_created

from recovery.backends import DjangoArtifactBackend, DjangoStateBackend, threads
from recovery.models import State
from rh_agents import ExecutionEvent, ExecutionState, Tool
from rh_agents.core.state_recovery import StateSnapshot
from rh_agents.testing import ArtifactBackendContract, GarbageContract, StateBackendContract
from rh_agents.testing.samples import new_id
from tests.recovery.log_samples import ask_nobody, backend, saved_state

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.conformance
class TestDjangoStates(StateBackendContract):
    @pytest.fixture
    def backend(self) -> DjangoStateBackend:
        return DjangoStateBackend(on_checkpoint=ask_nobody)

    def reopen(self, backend: object) -> DjangoStateBackend:
        return DjangoStateBackend(on_checkpoint=ask_nobody)

    def end_thread(self) -> None:
        connection.close()


@pytest.mark.conformance
class TestDjangoArtifacts(ArtifactBackendContract):
    @pytest.fixture
    def backend(self) -> DjangoArtifactBackend:
        return DjangoArtifactBackend()

    def reopen(self, backend: object) -> DjangoArtifactBackend:
        return DjangoArtifactBackend()

    def end_thread(self) -> None:
        connection.close()


@pytest.mark.conformance
class TestDjangoGarbage(GarbageContract):
    @pytest.fixture
    def states(self) -> DjangoStateBackend:
        return DjangoStateBackend(on_checkpoint=ask_nobody)

    @pytest.fixture
    def artifacts(self) -> DjangoArtifactBackend:
        return DjangoArtifactBackend()


def test_what_a_step_wrote_and_another_replaced_is_kept_for_going_back():
    states, artifacts = DjangoStateBackend(on_checkpoint=ask_nobody), DjangoArtifactBackend()

    async def work(number, context, state):
        state.storage.set_artifact("report", f"report {number}")

    async def both(state):
        for number in (1, 2):
            await ExecutionEvent(actor=Tool(name="work", handler=work))(number, None, state)

    state = ExecutionState(states, artifacts)
    asyncio.run(both(state))
    state.save_checkpoint()
    assert artifacts.garbage_collect(states, timedelta(0)) == []
    back = ExecutionState.load_from_state_id(state.state_id, states, artifacts, resume_from_address="work::tool_call#2")
    assert back.storage.get_artifact("report") == "report 1"


@pytest.fixture
def anybodys_program(monkeypatch):
    """One that does not allow Django's calls on a loop."""
    monkeypatch.delenv("DJANGO_ALLOW_ASYNC_UNSAFE", raising=False)


@pytest.fixture
def worker_process(monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


def database_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "recovery-database"]


def wait_until_idle() -> None:
    for thread in database_threads():
        thread.join(timeout=60)


def test_calls_on_a_loop_share_one_thread_which_goes_when_it_is_idle(anybodys_program, monkeypatch):
    wait_until_idle()
    monkeypatch.setattr(threads, "IDLE_S", 0.05)
    state_id, used = saved_state(), set()

    async def use_it() -> None:
        for _ in range(3):
            assert backend().exists(state_id)
            used.update(database_threads())

    asyncio.run(use_it())
    assert len(used) == 1
    wait_until_idle()
    assert database_threads() == []
    asyncio.run(use_it())
    assert len(used) == 2
    wait_until_idle()


def test_an_error_on_the_database_thread_reaches_the_caller(anybodys_program):
    async def use_it() -> None:
        with pytest.raises(ValueError, match="'nonsense' is no state id"):
            backend().load_state("nonsense")
        assert backend().load_state(new_id()) is None

    asyncio.run(use_it())


def test_a_forked_process_starts_a_database_thread_of_its_own(anybodys_program):
    state_id = saved_state()

    async def is_there() -> bool:
        return backend().exists(state_id)

    assert asyncio.run(is_there())
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if asyncio.run(is_there()) else 2
        finally:
            os._exit(code)
    deadline = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert ended == (child, 0)
    wait_until_idle()


def test_a_worker_calls_in_the_transaction_around_its_loop(worker_process):
    state_id = new_id()

    async def save() -> bool:
        saved = backend().save_state(StateSnapshot(state_id=state_id))
        return saved and asyncio.get_running_loop().is_running()

    with transaction.atomic():
        assert asyncio.run(save())
        assert State.objects.filter(pk=state_id).exists()
        transaction.set_rollback(True)
    assert not State.objects.filter(pk=state_id).exists()


def test_tasks_of_a_worker_share_its_connection(worker_process):
    state_id, opened = saved_state(), []

    async def load() -> None:
        assert backend().load_state(state_id)
        await asyncio.sleep(0)
        assert backend().exists(state_id)

    async def many() -> None:
        await asyncio.gather(*(load() for _ in range(5)))

    def note(**_: object) -> None:
        opened.append(threading.current_thread().name)

    connection_created.connect(note)
    asyncio.run(many())
    connection_created.disconnect(note)
    assert opened == []
