"""What `decide.py` has workers run: some steps with results of 1 KB, a question, and a step that says when it began."""

import time
from typing import Any

from pydantic import BaseModel

from benchmarks import workload
from recovery.pipelines import pipeline
from rh_agents import ExecutionState, Question, tool

RESULTS = workload.results(100)


class Given(BaseModel):
    steps: int


class Amount(BaseModel):
    value: int


@tool(name="work")
async def work(number: int, context: Any, state: ExecutionState) -> Any:
    return RESULTS[number % len(RESULTS)]


@tool(name="began")
async def began(amount: Amount, context: Any, state: ExecutionState) -> float:
    return time.time()


@pipeline("bench-gate", input_model=Given, title="Gate", version="1")
async def gate(given: Given, state: ExecutionState) -> float:
    """Gives when its first step after the question began, as seconds of the epoch."""
    for number in range(given.steps):
        await work(number, None, state)
    answer = await state.ask(Question(key="go", title="Go on?", proposal=Amount(value=1), effect="irreversible"))
    result: float = (await began(answer.proposal, None, state)).result
    return result
