"""Pages of documentation whose Python is run: its blocks one after the other, as the body of one coroutine."""

import ast
import asyncio
import contextlib
import inspect
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any


@dataclass
class Block:
    """A block of Python, and the text that stands below it as its output."""

    line: int
    code: str
    output: str | None = None


def blocks(path: Path) -> list[Block]:
    found: list[Block] = []
    lines = iter(enumerate(path.read_text(encoding="utf-8").splitlines(), start=1))
    for number, line in lines:
        if line == "```python":
            found.append(Block(number, _until_fence(lines)))
        elif line == "```text" and found:
            found[-1].output = _until_fence(lines)
    return found


def run_page(path: Path) -> Iterator[tuple[Block, str]]:
    """Run each block; gives it with what it printed. Names live on from block to block."""
    module = ModuleType("page")
    # Classes are read back by module and name.
    sys.modules["page"] = module
    names: dict[str, Any] = module.__dict__
    try:
        with asyncio.Runner() as runner:
            for block in blocks(path):
                printed = io.StringIO()
                code = "\n" * block.line + block.code
                flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
                with contextlib.redirect_stdout(printed):
                    outcome = eval(compile(code, str(path), "exec", flags=flags), names)
                    if inspect.isawaitable(outcome):
                        runner.run(_awaited(outcome))
                yield block, printed.getvalue()
    finally:
        del sys.modules["page"]


async def _awaited(outcome: Any) -> None:
    await outcome


def _until_fence(lines: Iterator[tuple[int, str]]) -> str:
    found = []
    for _, line in lines:
        if line == "```":
            break
        found.append(line)
    return "\n".join(found)
