"""A run that is sent back drops the answers at and after the step it goes back to, and keeps the earlier ones."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from recovery.models import ApprovalRequest, Event, State
from recovery.pipelines import pipeline
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from recovery.services.work import work_on_state
from rh_agents import ExecutionState, Question
from rh_agents.core.serialization import decode
from tests.conformance.pipelines import Walk, notes, step

pytestmark = [pytest.mark.conformance, pytest.mark.django_db(transaction=True)]

STEPS = ["step::tool_call", "step::tool_call#2", "step::tool_call#3"]


@pipeline("conformance-sent-back", input_model=Walk, title="Sent back", version="1")
async def sent_back(given: Walk, state: ExecutionState) -> list[str]:
    """Three times a step and a question; from the last one the run may be sent back to any step."""
    said = []
    for number in range(3):
        await step(number, given, state)
        targets = STEPS if number == 2 else []
        question = Question(key=f"q{number}", title=f"q{number}", change_targets=targets)
        said.append((await state.ask(question)).comment)
    return said


def approve_next(state_id: uuid.UUID, by: Any, comment: str) -> str:
    """The title of what was approved."""
    request = ApprovalRequest.objects.open().get(state_id=state_id)
    decide(request.pk, by=by, kind="approve", comment=comment)
    work_on_state(state_id)
    return request.title


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_it_asks_again_only_what_came_after_the_step_it_went_back_to(ada: Any, folder: Path, kept: int):
    state_id = start_run("conformance-sent-back", {"folder": str(folder)}).pk
    work_on_state(state_id)
    for number in range(2):
        approve_next(state_id, ada, f"first {number}")
    last = ApprovalRequest.objects.open().get(state_id=state_id)
    decide(last.pk, by=ada, kind="request_changes", to=STEPS[kept], comment="Again.")
    work_on_state(state_id)
    fork = State.objects.get(parent_id=state_id)
    work_on_state(fork.pk)

    asked = [approve_next(fork.pk, ada, f"second {number}") for number in range(kept, 3)]

    assert asked == [f"q{number}" for number in range(kept, 3)]
    fork.refresh_from_db()
    earlier = [f"first {number}" for number in range(kept)]
    assert decode(fork.output) == [*earlier, *(f"second {number}" for number in range(kept, 3))]
    # What was kept did not run again; what came after did, as steps of the fork.
    ran = [tuple(line.split()) for line in notes(folder)]
    assert ran == [
        *((f"step-{number}", f"{state_id}:{STEPS[number]}") for number in range(3)),
        *((f"step-{number}", f"{fork.pk}:{STEPS[number]}") for number in range(kept, 3)),
    ]
    # The original stands as it was: its answers, and the question that was never answered.
    events = Event.objects.current().filter(state_id=state_id, event_type=Event.Kind.DECISION).order_by("position")
    assert list(events.values_list("address", "status")) == [
        ("q0::decision", "completed"),
        ("q1::decision", "completed"),
        ("q2::decision", "awaiting"),
    ]


@pipeline("conformance-sent-back-beside", input_model=Walk, title="Sent back beside", version="1")
async def sent_back_beside(given: Walk, state: ExecutionState) -> list[str]:
    """A question that is asked before the step to which another branch may be sent back."""

    async def ask() -> str:
        return (await state.ask(Question(key="earlier", title="Earlier?"))).comment

    async def work() -> str:
        await step(0, given, state)
        later = Question(key="later", title="Later?", change_targets=["step[1]::tool_call"])
        return (await state.ask(later)).comment

    return await state.parallel(ask(), work())


@pytest.mark.parametrize("comes_between", [True, False], ids=["a worker between", "both at once"])
def test_an_answer_that_a_worker_takes_up_with_the_way_back_is_kept_all_the_same(
    ada: Any, folder: Path, comes_between: bool
):
    state_id = start_run("conformance-sent-back-beside", {"folder": str(folder)}).pk
    work_on_state(state_id)
    requests = {request.title: request for request in ApprovalRequest.objects.open().filter(state_id=state_id)}
    decide(requests["Earlier?"].pk, by=ada, kind="approve", comment="yes")
    if comes_between:
        work_on_state(state_id)
    later = requests["Later?"]
    decide(later.pk, by=ada, kind="request_changes", to="step[1]::tool_call", comment="Again.")
    work_on_state(state_id)
    fork = State.objects.get(parent_id=state_id)
    work_on_state(fork.pk)
    assert approve_next(fork.pk, ada, "now") == "Later?"
    fork.refresh_from_db()
    assert decode(fork.output) == ["yes", "now"]
