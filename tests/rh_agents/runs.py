"""What the engine's tests run: states kept in memory, tools that count their calls, and pipelines that are resumed."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from rh_agents import Answer, ExecutionEvent, ExecutionState, Tool
from rh_agents.core.runner import RunOutcome, run_pipeline
from rh_agents.memory_backends import InMemoryArtifactBackend, InMemoryStateBackend

T = TypeVar("T")
Pipeline = Callable[[Any, ExecutionState], Awaitable[Any]]


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


class Calls(list[Any]):
    """Which tools were called, in order: `tool(name, work)` makes one that gives `work(input)`, or its input."""

    def tool(self, name: str, work: Callable[[Any], Any] | None = None, **fields: Any) -> Tool:
        async def handler(input_data: Any, context: Any, state: Any) -> Any:
            self.append(name)
            await asyncio.sleep(0)
            return work(input_data) if work else input_data

        return Tool(name=name, handler=handler, **fields)

    def take(self) -> list[Any]:
        """The calls so far; counting starts again."""
        taken = list(self)
        self.clear()
        return taken


def call_each(*actors: Any) -> Callable[..., Awaitable[list[Any]]]:
    """A handler that runs each of `actors` once, with its own input; their results."""

    async def handler(input_data: Any, context: Any, state: Any) -> list[Any]:
        return [(await ExecutionEvent[Any](actor=actor)(input_data, None, state)).result for actor in actors]

    return handler


def pipeline_of(calls: Calls, *names: str) -> Pipeline:
    """A pipeline that calls a tool of each name; each gives its name."""

    async def pipeline(input_data: Any, state: ExecutionState) -> Any:
        return [(await ExecutionEvent[Any](actor=calls.tool(name))(name, None, state)).result for name in names]

    return pipeline


class Kept:
    """Backends in memory, and the runs that live in them."""

    def __init__(self) -> None:
        self.states = InMemoryStateBackend()
        self.artifacts = InMemoryArtifactBackend()

    def new(self, **options: Any) -> ExecutionState:
        return ExecutionState(self.states, self.artifacts, **options)

    def load(self, state: ExecutionState | str, **options: Any) -> ExecutionState:
        state_id = state if isinstance(state, str) else state.state_id
        return ExecutionState.load_from_state_id(state_id, self.states, self.artifacts, **options)

    def start(self, pipeline: Pipeline, input_data: Any = None, **options: Any) -> tuple[RunOutcome, ExecutionState]:
        """Run `pipeline` in a new state and save how it ended."""
        return self._run(pipeline, input_data, self.new(**options))

    def resume(
        self,
        pipeline: Pipeline,
        state: ExecutionState | str,
        answers: dict[str, Answer] | None = None,
        input_data: Any = None,
        **options: Any,
    ) -> tuple[RunOutcome, ExecutionState]:
        """Load the state, answer what is asked, run `pipeline` again and save how it ended."""
        loaded = self.load(state, **options)
        for address, answer in (answers or {}).items():
            loaded.answer(address, answer)
        return self._run(pipeline, input_data, loaded)

    def _run(self, pipeline: Pipeline, input_data: Any, state: ExecutionState) -> tuple[RunOutcome, ExecutionState]:
        outcome = asyncio.run(run_pipeline(pipeline, input_data, state))
        state.save_if_possible(outcome.status)
        return outcome, state


def addresses(state: ExecutionState) -> list[str]:
    return [record.address for record in state.history.get_event_list()]


YES = Answer(kind="approve", by=["ada"])
NO = Answer(kind="reject", by=["ada"], comment="not now")
