"""Runs that write down what they do: one line for each time that a step runs, with its idempotency key."""

import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from recovery.pipelines import pipeline
from rh_agents import ExecutionState, Policy, Question, StateMetadata, StateStatus, tool


class Walk(BaseModel):
    """`folder` takes the notes. The step named `holds_at` waits there until a file called `open` appears."""

    folder: Path
    holds_at: str = ""
    steps: int = 1


class Amount(BaseModel):
    value: int = Field(ge=0)


def note(folder: Path, state: ExecutionState, word: str) -> None:
    """Append in one write, as processes do that write to one file at once."""
    file = os.open(folder / "notes", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(file, f"{word} {state.idempotency_key}\n".encode())
    os.close(file)


def notes(folder: Path) -> list[str]:
    path = folder / "notes"
    return path.read_text().splitlines() if path.exists() else []


def words(folder: Path) -> list[str]:
    return [line.split()[0] for line in notes(folder)]


def _do(walk: Walk, state: ExecutionState, word: str) -> None:
    note(walk.folder, state, word)
    # A handler that blocks its whole thread: its lease must be renewed all the same.
    while walk.holds_at == word and not (walk.folder / "open").exists():
        time.sleep(0.01)


@tool(name="prepare")
async def prepare(walk: Walk, context: Any, state: ExecutionState) -> int:
    _do(walk, state, "prepare")
    state.storage.set("prepared", True)
    state.storage.set_artifact("evidence.csv", "n,text\n" + "1,long enough to be a file\n" * 400)
    return 1


@tool(name="gated")
async def gated(amount: Amount, walk: Walk, state: ExecutionState) -> int:
    _do(walk, state, "gated")
    state.storage.set("paid", amount.value)
    return amount.value


@tool(name="step")
async def step(number: int, walk: Walk, state: ExecutionState) -> int:
    _do(walk, state, f"step-{number}")
    return number


@tool(name="last")
async def last(walk: Walk, context: Any, state: ExecutionState) -> str:
    _do(walk, state, "last")
    return f"paid {state.storage.get('paid')}"


@pipeline("conformance-walk", input_model=Walk, title="Walk", version="1")
async def walk(given: Walk, state: ExecutionState) -> str:
    await prepare(given, None, state)
    question = Question(key="go", title="Go on?", proposal=Amount(value=1), evidence=["evidence.csv"])
    answer = await state.ask(question)
    if not answer.approved:
        return "rejected"
    await gated(answer.proposal, given, state)
    return (await last(given, None, state)).result


@pipeline("conformance-steps", input_model=Walk, title="Many steps", version="1")
async def many_steps(given: Walk, state: ExecutionState) -> int:
    return sum([(await step(number, given, state)).result for number in range(given.steps)])


@pipeline("conformance-branches", input_model=Walk, title="Branches", version="1")
async def branches(given: Walk, state: ExecutionState) -> list[str]:
    async def branch(name: str) -> str:
        answer = await state.ask(Question(key=name, title=f"Go on with {name}?"))
        await step(int(name[-1]), given, state)
        return answer.kind

    await prepare(given, None, state)
    names = [f"branch-{number}" for number in range(given.steps)]
    return await state.parallel(*(branch(name) for name in names))


@pipeline("conformance-gates", input_model=Walk, title="Gates", version="1")
async def gates(given: Walk, state: ExecutionState) -> list[str]:
    kinds = []
    for number in range(given.steps):
        await step(number, given, state)
        kinds.append((await state.ask(Question(key="gate", title=f"Go through gate {number}?"))).kind)
    return kinds


@tool(name="take")
async def take(comment: str, walk: Walk, state: ExecutionState) -> str:
    _do(walk, state, comment)
    return comment


@pipeline("conformance-by-hand", input_model=Walk, title="Pauses by hand", version="1")
async def by_hand(given: Walk, state: ExecutionState) -> str | None:
    """Each decision is handed to the step after its pause, as the migration guide does."""
    await prepare(given, None, state)
    taken: list[str] = []
    for number in range(given.steps):
        asked = f"asked-{number}"
        if not state.storage.get(asked):
            state.storage.set(asked, True)
            state.save_checkpoint(StateStatus.AWAITING, StateMetadata(description=f"Pass gate {number}?"))
            return None
        # Called again, it was decided: a run that is called too early fails here, or takes the decision before.
        comment = state.resolution.comment if state.resolution else "undecided"
        taken.append((await take(comment, given, state)).result)
    return ", ".join(taken)


class Draft(Walk):
    """`needed` people decide about the draft; `undo_window_s` and `expires_at` are those of that question."""

    needed: int = 1
    undo_window_s: float = 0
    expires_at: datetime | None = None


@tool(name="draft")
async def draft(walk: Walk, context: Any, state: ExecutionState) -> Amount:
    """Follows what a reviewer wrote who sent the run back."""
    _do(walk, state, "draft")
    told = [instruction.text for instruction in state.instructions]
    return Amount(value=int(told[-1]) if told else 1)


@pipeline("conformance-draft", input_model=Draft, title="Draft", version="1")
async def drafted(given: Draft, state: ExecutionState) -> str:
    await prepare(given, None, state)
    begin = await state.ask(Question(key="begin", title="Begin?"))
    question = Question(
        key="go",
        title="Go on?",
        proposal=(await draft(given, None, state)).result,
        change_targets=["draft::tool_call"],
        expires_at=given.expires_at,
        policy=Policy(needed=given.needed, undo_window_s=given.undo_window_s),
    )
    answer = await state.ask(question)
    if not answer.approved:
        return f"{begin.comment}: {answer.kind}"
    await gated(answer.proposal, given, state)
    return f"{begin.comment}: {(await last(given, None, state)).result}"


@tool(name="exit")
async def exit_at_once(walk: Walk, context: Any, state: ExecutionState) -> None:
    note(walk.folder, state, "exit")
    os._exit(9)


@pipeline("conformance-exits", input_model=Walk, title="Exits", version="1")
async def exits(given: Walk, state: ExecutionState) -> None:
    await step(0, given, state)
    await exit_at_once(given, None, state)
