"""With RabbitMQ, which gives what a killed worker held to another one at once: the run is still one."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recovery.models import ApprovalRequest, Resumption, State
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from rh_agents.core.serialization import decode
from tests.conformance.pipelines import notes, words
from tests.conformance.workers import Workers

pytestmark = pytest.mark.conformance

# A server, as TEST_BROKER_URL names one for the other tests: .ci/run starts it.
AMQP = os.environ.get("TEST_AMQP_URL")


@pytest.fixture
def rabbits(transactional_db: None, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(tmp_path, broker_url=AMQP)
    yield workers
    workers.end()


def test_a_killed_worker_a_doubled_and_a_late_message_make_one_run(rabbits: Workers, ada: Any, folder: Path):
    state_id = start_run("conformance-walk", {"folder": str(folder), "holds_at": "gated"}).pk
    first = rabbits.start()
    rabbits.post(state_id, times=5)
    rabbits.until(lambda: ApprovalRequest.objects.open().exists())
    decide(ApprovalRequest.objects.get().pk, by=ada, kind="approve")
    # What the worker holds is not acknowledged before the run pauses or ends.
    rabbits.post(state_id, times=5)
    rabbits.until(lambda: "gated" in words(folder))
    rabbits.start()
    rabbits.kill(first)
    rabbits.until(lambda: words(folder).count("gated") == 2)
    (folder / "open").touch()
    rabbits.until(lambda: State.objects.get().status == "completed")
    head = State.objects.get().head
    other = start_run("conformance-steps", {"folder": str(folder / ".."), "steps": 1}).pk
    rabbits.post(state_id, times=5)
    rabbits.post(other)
    rabbits.until(lambda: State.objects.get(pk=other).status == "completed")
    state = State.objects.get(pk=state_id)
    assert (decode(state.output), state.head) == ("paid 1", head)
    assert words(folder) == ["prepare", "gated", "gated", "last"]
    assert len(set(notes(folder))) == 3
    assert set(Resumption.objects.values_list("status", flat=True)) == {"done"}
