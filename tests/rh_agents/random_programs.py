"""Random pipelines: what they consist of, what they give without an engine, and what they are in one.

Code outside of steps reads only keys of its own scope (a branch has its own) that it has set at its beginning, and
branches share nothing but a total that their steps add to: what is written outside of any step runs again by contract,
and what branches race for is different from run to run anyhow.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from rh_agents import Agent, ExecutionEvent, ExecutionState, Question, RetryPolicy, Tool

Step = ExecutionEvent[Any]
KEYS = ("x", "y")
NOTHINGS: dict[str, Any] = {"None": None, "0": 0, '""': "", "[]": [], "{}": {}, "False": False}


@dataclass(frozen=True)
class Call:
    """A step: adds to a key of the scope and to the total, stores an artifact, gives what it then sees, or one of
    `NOTHINGS`, which a careless engine takes for no result."""

    name: str
    tag: str
    key: str
    amount: int
    deletes: bool
    failures: int
    is_retried: bool
    gives: str


@dataclass(frozen=True)
class Write:
    """Code outside of a step: sets a key (of the scope's own), or adds to it where an agent does."""

    key: str
    value: int


@dataclass(frozen=True)
class Read:
    key: str


@dataclass(frozen=True)
class Ask:
    key: str


@dataclass(frozen=True)
class Swallow:
    """Asks inside of a `gather` that makes values of exceptions, of a pause too, and goes on with that."""

    key: str


@dataclass(frozen=True)
class Fail:
    """A step that always fails, and whose caller catches that."""


@dataclass(frozen=True)
class Loop:
    times: int
    body: tuple[Any, ...]


@dataclass(frozen=True)
class Nested:
    """An agent; all have one name. It may fail, and be tried again, when what it called is done."""

    body: tuple[Any, ...]
    failures: int
    is_retried: bool


@dataclass(frozen=True)
class Branches:
    bodies: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Flows:
    """Like branches, but tasks of a bare `gather`; each takes some turns of the loop before it begins."""

    bodies: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Gathered:
    """Steps of one name side by side, told apart by their tags."""

    amounts: tuple[int, ...]


_calls = st.builds(
    Call,
    name=st.sampled_from("ab"),
    tag=st.sampled_from(("", "", "t")),
    key=st.sampled_from(KEYS),
    amount=st.integers(1, 9),
    deletes=st.integers(0, 9).map(lambda number: number == 0),
    failures=st.sampled_from((0, 0, 0, 1, 2)),
    is_retried=st.booleans(),
    gives=st.sampled_from(("value", "value", "value", *NOTHINGS)),
)
_leaves = st.one_of(
    _calls,
    _calls,
    st.builds(Write, st.sampled_from(KEYS), st.integers(0, 99)),
    st.builds(Read, st.sampled_from((*KEYS, "total"))),
    st.builds(Ask, st.sampled_from("pq")),
    st.builds(Swallow, st.sampled_from("pq")),
    st.builds(Fail),
    st.builds(Gathered, st.lists(st.integers(1, 9), min_size=2, max_size=3).map(tuple)),
)


def _grow(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    bodies = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Loop, st.integers(1, 3), bodies),
        st.builds(Nested, bodies, st.sampled_from((0, 0, 1, 2)), st.booleans()),
        st.builds(Branches, st.lists(bodies, min_size=2, max_size=3).map(tuple)),
        st.builds(Flows, st.lists(bodies, min_size=2, max_size=3).map(tuple)),
    )


programs = st.lists(st.recursive(_leaves, _grow, max_leaves=6), min_size=1, max_size=4).map(tuple)


# ---- without an engine


@dataclass
class Model:
    """What the program gives when nothing fails, nobody is asked and no step is recorded."""

    storage: dict[str, int] = field(default_factory=dict)
    artifacts: dict[str, int] = field(default_factory=dict)

    def run(self, body: tuple[Any, ...]) -> Any:
        self.storage["total"] = 0
        return self._scope(body, "")

    def _scope(self, body: tuple[Any, ...], scope: str) -> Any:
        for key in KEYS:
            self.storage[key + scope] = 0
        return self._body(body, scope, in_agent=False)

    def _body(self, body: tuple[Any, ...], scope: str, *, in_agent: bool) -> list[Any]:
        return [self._node(node, scope, in_agent=in_agent) for node in body]

    def _node(self, node: Any, scope: str, *, in_agent: bool) -> Any:
        match node:
            case Call():
                return apply_call(node, scope, self.storage.get, self.storage.__setitem__, self._delete, self._artifact)
            case Write(key, value):
                self.storage[key + scope] = value + (self.storage.get(key + scope, 0) if in_agent else 0)
            case Read(key):
                return self.storage.get(key_in(key, scope))
            case Ask(key):
                return key
            case Swallow(key):
                self.storage["x" + scope] = len(key)
                return key
            case Fail():
                return "failed"
            case Loop(times, body):
                return [self._body(body, scope, in_agent=in_agent) for _ in range(times)]
            case Nested(body):
                return self._body(body, scope, in_agent=True)
            case Branches(bodies) | Flows(bodies):
                return [self._scope(body, f"{scope}.{index}") for index, body in enumerate(bodies)]
            case Gathered(amounts):
                self.storage["total"] += sum(amounts)
                return list(amounts)
        return None

    def _delete(self, key: str) -> None:
        self.storage.pop(key, None)

    def _artifact(self, key: str, value: int) -> None:
        self.artifacts[key] = value


def key_in(key: str, scope: str) -> str:
    """Only the run's own code may read the total: branches race for it."""
    return key if key == "total" and not scope else ("x" if key == "total" else key) + scope


def apply_call(
    call: Call,
    scope: str,
    get: Callable[[str, int], int],
    put: Callable[[str, int], None],
    delete: Callable[[str], Any],
    artifact: Callable[[str, int], Any],
) -> Any:
    key = call.key + scope
    value = get(key, 0) + call.amount
    put(key, value)
    put("total", get("total", 0) + call.amount)
    artifact(f"artifact{scope}", value)
    if call.deletes:
        delete(key)
    return NOTHINGS.get(call.gives, value)


# ---- in an engine


class World:
    """What outlives a crash beside the saved state: how often each step has failed, and what was done."""

    def __init__(self, *, is_kind: bool = False) -> None:
        self.is_kind = is_kind
        self.failed: dict[str, int] = {}
        self.done: list[str] = []
        self.crashes_at: set[int] = set()
        self.ticks = 0
        self.is_dead = False

    def tick(self) -> None:
        """A point where the process may die; once it has, nothing of it goes on."""
        self.ticks += 1
        if self.ticks in self.crashes_at:
            self.is_dead = True
        if self.is_dead:
            raise Crash

    async def pipeline(self, body: tuple[Any, ...], state: ExecutionState) -> Any:
        state.storage.set("total", 0)
        return await self._scope(body, "", state)

    async def _scope(self, body: tuple[Any, ...], scope: str, state: ExecutionState) -> Any:
        for key in KEYS:
            state.storage.set(key + scope, 0)
        return await self._body(body, scope, state, in_agent=False)

    async def _body(self, body: tuple[Any, ...], scope: str, state: ExecutionState, *, in_agent: bool) -> list[Any]:
        return [await self._node(node, scope, state, in_agent=in_agent) for node in body]

    async def _node(self, node: Any, scope: str, state: ExecutionState, *, in_agent: bool) -> Any:
        self.tick()
        match node:
            case Call():
                retry = RetryPolicy(max_attempts=9, backoff=0) if node.is_retried else None
                step = Step(Tool(name=node.name, handler=self._call(node, scope)), node.tag, retry)
                return (await step((scope, node.amount), None, state)).result
            case Write(key, value):
                before = state.storage.get(key + scope, 0) if in_agent else 0
                state.storage.set(key + scope, value + before)
            case Read(key):
                return state.storage.get(key_in(key, scope))
            case Ask(key):
                answer = await state.ask(Question(key=key, title=f"{key}?", proposal={"scope": scope}))
                return answer.comment
            case Swallow(key):
                question = Question(key=key, title=f"{key}?", proposal={"scope": scope})
                (value,) = await asyncio.gather(state.ask(question), return_exceptions=True)
                text = "swallowed" if isinstance(value, BaseException) else value.comment
                state.storage.set("x" + scope, len(text))
                return text
            case Fail():
                try:
                    await Step(Tool(name="fail", handler=self._fail))(None, None, state)
                except ZeroDivisionError:
                    return "failed"
            case Loop(times, body):
                return [await self._body(body, scope, state, in_agent=in_agent) for _ in range(times)]
            case Nested():
                retry = RetryPolicy(max_attempts=9, backoff=0) if node.is_retried else None
                agent = Agent(name="agent", handler=self._agent(node, scope))
                return (await Step(agent, retry=retry)(scope, None, state)).result
            case Branches(bodies):
                branches = (self._scope(body, f"{scope}.{index}", state) for index, body in enumerate(bodies))
                return await state.parallel(*branches)
            case Flows(bodies):
                flows = (self._flow(body, f"{scope}.{index}", state) for index, body in enumerate(bodies))
                # All of them end before the step around them does, as those of a task group would.
                results = await asyncio.gather(*flows, return_exceptions=True)
                for kind in (Crash, Exception, BaseException):
                    for result in results:
                        if isinstance(result, kind):
                            raise result
                return results
            case Gathered(amounts):
                steps = (
                    Step(Tool(name="add", handler=self._add), tag=f"t{index}")(amount, None, state)
                    for index, amount in enumerate(amounts)
                )
                return [result.result for result in await asyncio.gather(*steps)]
        return None

    async def _flow(self, body: tuple[Any, ...], scope: str, state: ExecutionState) -> Any:
        # How long each waits differs from life to life, so that another one comes first.
        for _ in range((self.ticks * 7 + len(scope) + int(scope[-1])) % 5):
            await asyncio.sleep(0)
        return await self._scope(body, scope, state)

    def _agent(self, node: Nested, scope: str) -> Any:
        async def handler(input_data: Any, context: Any, state: ExecutionState) -> Any:
            address = self._begin(state)
            result = await self._body(node.body, scope, state, in_agent=True)
            self._fail_at_first(address, node.failures)
            return result

        return handler

    def _call(self, call: Call, scope: str) -> Any:
        async def handler(input_data: Any, context: Any, state: ExecutionState) -> Any:
            address = self._begin(state)
            await asyncio.sleep(0)
            storage = state.storage
            if self._fails_now(address, call.failures):
                storage.set("spilled", 1)  # Whoever sees it, beside this step or after it, sees what never was.
                await asyncio.sleep(0)
            result = apply_call(call, scope, storage.get, storage.set, storage.delete, storage.set_artifact)
            self.tick()
            self._fail_at_first(address, call.failures)
            return "spilled" if "spilled" in storage else result

        return handler

    def _fails_now(self, address: str, failures: int) -> bool:
        return self.failed.get(address, 0) < failures and not self.is_kind

    def _fail_at_first(self, address: str, failures: int) -> None:
        if self._fails_now(address, failures):
            self.failed[address] = self.failed.get(address, 0) + 1
            raise ConnectionError(f"outage {self.failed[address]} of {address}")

    async def _add(self, amount: int, context: Any, state: ExecutionState) -> int:
        self._begin(state)
        await asyncio.sleep(0)
        state.storage.set("total", state.storage.get("total", 0) + amount)
        return amount

    async def _fail(self, input_data: Any, context: Any, state: ExecutionState) -> None:
        state.storage.set("total", -1000)
        raise ZeroDivisionError

    def _begin(self, state: ExecutionState) -> str:
        self.tick()
        address = state.idempotency_key.removeprefix(f"{state.state_id}:")
        self.done.append(address)
        return address


class Crash(BaseException):
    """The process dies here."""
