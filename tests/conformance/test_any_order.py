"""Decisions that come in any order, and messages that come twice, late or early: one run, and every step once."""

import uuid
from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recovery.models import ApprovalRequest, Resolution, Resumption, State
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from recovery.services.work import work_on_state
from rh_agents.core.serialization import decode
from tests.conformance.pipelines import notes, words

pytestmark = [pytest.mark.conformance, pytest.mark.django_db(transaction=True)]

THREE = 3
KINDS = ("approve", "reject", "approve")


@pytest.fixture
def new_folder(tmp_path: Path) -> Callable[[], Path]:
    """One for each run of a test."""

    def make() -> Path:
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        return folder

    return make


def start(pipeline: str, folder: Path) -> uuid.UUID:
    state_id = start_run(pipeline, {"folder": str(folder), "steps": THREE}).pk
    work_on_state(state_id)
    return state_id


def open_requests(state_id: uuid.UUID) -> list[ApprovalRequest]:
    return list(ApprovalRequest.objects.open().filter(state_id=state_id).order_by("title"))


def assert_completed_once(state_id: uuid.UUID, folder: Path, output: Any, ran: list[str]) -> None:
    state = State.objects.get(pk=state_id)
    assert (state.status, state.error) == ("completed", "")
    assert decode(state.output) == output
    assert sorted(words(folder)) == sorted(ran)
    assert Resolution.objects.filter(request__state=state).count() == THREE
    jobs = Resumption.objects.filter(state=state).values_list("kind", "status")
    assert sorted(jobs) == [("resume", "done")] * THREE + [("start", "done")]


@pytest.mark.parametrize("order", list(permutations(range(THREE))), ids=lambda order: "".join(map(str, order)))
def test_three_branches_that_wait_at_once_are_decided_in_any_order_and_every_step_runs_once(
    ada: Any, new_folder: Callable[[], Path], order: tuple[int, ...]
):
    # Whether a worker comes between two decisions, or finds them together.
    for comes_between in product([False, True], repeat=THREE - 1):
        folder = new_folder()
        state_id = start("conformance-branches", folder)
        requests = open_requests(state_id)
        assert len(requests) == THREE
        for number, comes in zip(order, (*comes_between, True), strict=True):
            decide(requests[number].pk, by=ada, kind=KINDS[number], comment="as I said")
            if comes:
                work_on_state(state_id)
        assert_completed_once(state_id, folder, list(KINDS), ["prepare", "step-0", "step-1", "step-2"])


@pytest.mark.parametrize("kinds", list(product(["approve", "reject"], repeat=THREE)), ids="-".join)
def test_three_pauses_in_a_row_each_get_their_own_answer_and_every_earlier_step_ran_once(
    ada: Any, new_folder: Callable[[], Path], kinds: tuple[str, ...]
):
    folder = new_folder()
    state_id = start("conformance-gates", folder)
    for number, kind in enumerate(kinds):
        assert words(folder) == [f"step-{earlier}" for earlier in range(number + 1)]
        [request] = open_requests(state_id)
        assert request.title == f"Go through gate {number}?"
        decide(request.pk, by=ada, kind=kind, comment="as I said")
        work_on_state(state_id)
    assert_completed_once(state_id, folder, list(kinds), ["step-0", "step-1", "step-2"])


@pytest.mark.parametrize("pipeline", ["conformance-branches", "conformance-gates"])
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_message_that_comes_twice_late_or_before_its_time_makes_no_second_run(
    ada: Any, new_folder: Callable[[], Path], pipeline: str, data: st.DataObject
):
    folder = new_folder()
    state_id = start(pipeline, folder)

    def deliver() -> None:
        # The message is only the id of the state: whichever decision it was sent for.
        for _ in range(data.draw(st.integers(0, 3), label="deliveries")):
            work_on_state(state_id)

    while State.objects.get(pk=state_id).status == "awaiting":
        deliver()
        if requests := open_requests(state_id):
            request = data.draw(st.sampled_from(requests), label="decided")
            decide(request.pk, by=ada, kind="approve")
        else:
            work_on_state(state_id)
    head = State.objects.get(pk=state_id).head
    deliver()
    work_on_state(state_id)
    assert State.objects.get(pk=state_id).head == head
    earlier = ["prepare"] if pipeline == "conformance-branches" else []
    assert_completed_once(state_id, folder, ["approve"] * THREE, [*earlier, "step-0", "step-1", "step-2"])
    assert len(set(notes(folder))) == len(notes(folder))
