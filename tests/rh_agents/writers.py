"""Tools that write: `writer(name, add(1), put("x"), fail)` does one after the other."""

from typing import Any

from rh_agents import (
    ExecutionEvent,
    ExecutionState,
    Tool,
)

Step = ExecutionEvent[Any]


def writer(name: str, *actions: Any) -> Tool:
    """A tool that calls each of `actions` with the storage; its result is what the last one gave."""

    async def handler(input_data: Any, context: Any, state: ExecutionState) -> Any:
        result = None
        for action in actions:
            result = action(state.storage)
        return result

    return Tool(name=name, handler=handler)


def add(amount: int, key: str = "total") -> Any:
    def action(storage: Any) -> int:
        storage.set(key, storage.get(key, 0) + amount)
        return int(storage.get(key))

    return action


def put(value: Any, key: str = "total") -> Any:
    return lambda storage: storage.set(key, value)


def fail(storage: Any) -> None:
    raise ConnectionError("down")
