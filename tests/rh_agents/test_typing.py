"""What a type checker tells somebody who uses the engine."""

import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

PROGRAM = """
from typing import Any, assert_type

from rh_agents import Agent, Answer, ExecutionEvent, ExecutionResult, ExecutionState, Question, Tool, agent, tool


@tool
async def count(text: str, context: Any, state: ExecutionState) -> int:
    return len(text)


@tool(name="half", description="Half of it.")
def half(number: int, context: Any, state: ExecutionState) -> float:
    return number / 2


@agent(tools=[count])
async def plan(text: str, context: Any, state: ExecutionState) -> list[str]:
    return [text]


async def use(state: ExecutionState) -> None:
    named = ExecutionEvent[int](actor=Tool(name="count", handler=len))
    assert_type(await named("a", None, state), ExecutionResult[int])
    assert_type((await named("a", None, state)).result, int)
    assert_type((await count("a", None, state)).result, int)
    assert_type((await half(1, None, state)).result, float)
    assert_type((await plan("a", None, state)).result, list[str])
    assert_type((await ExecutionEvent(actor=count, tag="again")("a", None, state)).result, int)
    assert_type(await state.ask(Question(key="go", title="Go on?")), Answer)
    Question(key="pay", title="Pay?", proposal={"amount": 1}, editable={"amount"})
    Question(key="pay", title="Pay?", proposal={"amount": 1}, editable=False)
    assert_type((await ExecutionEvent(actor=Agent(name="any"))("a", None, state)).result, Any)
"""

MISTAKES = """
    text: str = (await count("a", None, state)).result
    await ExecutionEvent[int](actor="count")("a", None, state)
    await state.ask("Go on?")
"""


@pytest.fixture
def check(tmp_path: Path):
    def run(program: str) -> list[str]:
        path = tmp_path / "program.py"
        path.write_text(program)
        command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", str(path)]
        done = subprocess.run(
            [*command, f"--cache-dir={tmp_path}"], capture_output=True, text=True, cwd=Path(__file__).parents[2]
        )
        return [line for line in done.stdout.splitlines() if ": error:" in line]

    return run


def test_a_step_gives_what_its_event_or_function_says(check):
    assert check(PROGRAM) == []


def test_mistakes_are_found(check):
    found = check(PROGRAM + MISTAKES)
    assert [re.search(r"\[([\w-]+)\]$", line)[1] for line in found] == ["assignment", "call-overload", "arg-type"]


def test_the_package_says_that_it_is_typed():
    assert files("rh_agents").joinpath("py.typed").is_file()
