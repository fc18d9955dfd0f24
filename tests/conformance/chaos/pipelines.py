"""Runs that pause many times and write down what they do: what ran can be told from what was decided."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from recovery.models import Event
from recovery.pipelines import pipeline
from rh_agents import ExecutionState, Policy, Question, RetryPolicy, StateMetadata, StateStatus, tool
from rh_agents.core.policy import OnExpire

# Nobody decides about what is called so: runs wait there to the end.
NOBODY = " (for nobody)"
AWAY = "is away until somebody retries"

StageKind = Literal["step", "flaky", "breaks", "gate", "ask", "branches"]


class Stage(BaseModel):
    """`step` does something, `flaky` does it at the second attempt, and `breaks` fails its run once. `gate` asks about
    a transfer, `ask` for a value; `branches` has each of `branches` beside the others.

    `takes_s`: from when the step is noted until it is recorded. A kill in between has interrupted it. `can_go_back`: to
    the last two steps before the question. `is_grouped`: one rejection cancels the others of the run.
    """

    kind: StageKind
    name: str
    takes_s: float = 0
    is_for_nobody: bool = False
    can_go_back: bool = False
    is_grouped: bool = False
    needed: int = 1
    undo_window_s: float = 0
    on_expire: OnExpire = "reject"
    branches: list[list["Stage"]] = Field(default_factory=list)


class Course(BaseModel):
    folder: Path
    stages: list[Stage]


class Transfer(BaseModel):
    to: str
    amount: int = Field(ge=1)


class Reply(BaseModel):
    number: int = Field(ge=1)


class Note(BaseModel):
    """One time that a step ran. `was_recorded`: the database said by then that it had been completed."""

    word: str
    value: str
    key: str
    pid: int
    group: int
    was_recorded: bool


def note(folder: Path, state: ExecutionState, word: str, value: str = "") -> str:
    """Append in one write, as processes do that write to one file at once. The address of the step."""
    key = state.idempotency_key
    state_id, _, address = key.partition(":")
    recorded = Event.objects.current().filter(state_id=state_id, address=address, status="completed")
    line = Note(
        word=word, value=value, key=key, pid=os.getpid(), group=os.getpgrp(), was_recorded=recorded.exists()
    ).model_dump_json()
    file = os.open(folder / "notes", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(file, f"{line}\n".encode())
    os.close(file)
    return address


def notes(folder: Path) -> list[Note]:
    path = folder / "notes"
    return [Note.model_validate_json(line) for line in path.read_text().splitlines()] if path.exists() else []


def is_first_time(folder: Path, name: str) -> bool:
    try:
        (folder / f"failed-{name}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


@tool(name="step")
async def step(stage: Stage, course: Course, state: ExecutionState) -> str:
    address = note(course.folder, state, f"step:{stage.name}")
    state.storage.set(f"step:{stage.name}", True)
    time.sleep(stage.takes_s)
    return address


@tool(name="flaky", retry=RetryPolicy(max_attempts=3, backoff=0.01))
async def flaky(stage: Stage, course: Course, state: ExecutionState) -> str:
    if is_first_time(course.folder, stage.name):
        raise ConnectionError(f"{stage.name} is away for a moment")
    address = note(course.folder, state, f"flaky:{stage.name}")
    await asyncio.sleep(stage.takes_s)
    return address


@tool(name="breaks")
async def breaks(stage: Stage, course: Course, state: ExecutionState) -> str:
    if is_first_time(course.folder, stage.name):
        raise ConnectionError(f"{stage.name} {AWAY}")
    address = note(course.folder, state, f"breaks:{stage.name}")
    await asyncio.sleep(stage.takes_s)
    return address


class Carried(BaseModel):
    """What came of a question: noted as it is."""

    word: str
    value: str
    takes_s: float = 0


@tool(name="carry")
async def carry(carried: Carried, course: Course, state: ExecutionState) -> str:
    note(course.folder, state, carried.word, carried.value)
    state.storage.set(carried.word, carried.value)
    time.sleep(carried.takes_s)
    return carried.value


STEPS: dict[str, Any] = {"step": step, "flaky": flaky, "breaks": breaks}


@pipeline("chaos-course", input_model=Course, title="Course", version="1")
async def course(given: Course, state: ExecutionState) -> int:
    await _pass_all(given.stages, [], given, state)
    return len(given.stages)


async def _pass_all(stages: list[Stage], done: list[str], given: Course, state: ExecutionState) -> None:
    """`done` are the addresses of the steps before."""
    for stage in stages:
        if stage.kind == "branches":
            await state.parallel(*(_pass_all(branch, [*done], given, state) for branch in stage.branches))
        elif stage.kind in ("gate", "ask"):
            answer = await state.ask(_question(stage, done[-2:]))
            await carry(outcome(stage.name, answer, stage.takes_s), given, state)
        else:
            done.append((await STEPS[stage.kind](stage, given, state)).result)


def _question(stage: Stage, done: list[str]) -> Question:
    asked: dict[str, Any] = {
        "key": stage.name,
        "title": f"{stage.name}{NOBODY if stage.is_for_nobody else ''}",
        "policy": Policy(needed=stage.needed, undo_window_s=stage.undo_window_s),
        "on_expire": stage.on_expire,
    }
    if stage.can_go_back:
        asked["change_targets"] = done
    if stage.is_grouped:
        asked |= {"group": "together", "group_policy": "first_reject_cancels"}
    if stage.kind == "ask":
        return Question(**asked, response_model=Reply)
    return Question(**asked, proposal=Transfer(to=stage.name, amount=1), action="chaos.transfer")


def outcome(name: str, answer: Any, takes_s: float = 0) -> Carried:
    """What has to run once `answer` was given."""
    if answer.approved and answer.proposal is not None:
        word, value = "transfer", f"{answer.proposal.to}/{answer.proposal.amount}"
    elif answer.kind == "respond":
        word, value = "use", str(answer.response.number)
    else:
        word, value = answer.kind, answer.comment
    return Carried(word=f"{word}:{name}", value=value, takes_s=takes_s)


@pipeline("chaos-by-hand", input_model=Course, title="By hand", version="1")
async def by_hand(given: Course, state: ExecutionState) -> int | None:
    """Each decision is handed to the step after its pause, as the migration guide does."""
    for stage in given.stages:
        asked = f"asked:{stage.name}"
        if stage.kind != "gate":
            await STEPS[stage.kind](stage, given, state)
        elif not state.storage.get(asked):
            state.storage.set(asked, True)
            title = f"{stage.name}{NOBODY if stage.is_for_nobody else ''}"
            state.save_checkpoint(StateStatus.AWAITING, StateMetadata(description=title))
            return None
        else:
            await carry(outcome(stage.name, state.resolution, stage.takes_s), given, state)
    return len(given.stages)
