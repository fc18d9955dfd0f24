"""The registry: which pipelines this project can run.

A pipeline is an async function in the `pipelines.py` of any installed app:

    @pipeline("refunds", input_model=RefundInput)
    async def refunds(order: RefundInput, state: ExecutionState) -> Receipt: ...
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from inspect import cleandoc, iscoroutinefunction, unwrap
from typing import Any

from django.utils.module_loading import autodiscover_modules
from pydantic import BaseModel

from recovery.errors import UnknownPipeline
from rh_agents.core.addressing import check_part
from rh_agents.core.policy import Policy
from rh_agents.core.texts import check_text

Function = Callable[[Any, Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """`function(input_data, state)` is called with an instance of `input_model`. `version` changes whenever a run
    that waits could not go on with the new code; such a run then says so and stays. `policy` is what holds for all
    that it asks, unless the question or an admin says otherwise."""

    name: str
    function: Function
    input_model: type[BaseModel]
    title: str
    description: str
    version: str
    policy: Policy | None = None
    # What its module was imported with: another one when the module is imported anew.
    module_spec: Any = field(default=None, repr=False, compare=False)


_registry: dict[str, Pipeline] = {}


def pipeline(
    name: str,
    *,
    input_model: type[BaseModel],
    title: str = "",
    description: str = "",
    version: str = "1",
    policy: Policy | None = None,
) -> Callable[[Function], Function]:
    """Register an async function as a pipeline. Its docstring is the description unless one is given.

    Raises:
        ValueError: the name is taken by another function, the function is not async, or a text is one that could not
            be stored.
    """
    check_part(name, "pipeline name")
    if not version:
        raise ValueError(f"the pipeline {name!r} needs a version")
    check_text(name, f"the pipeline name {name!r:.80}", 200)
    check_text(version, f"the version of the pipeline {name!r}", 64)
    check_text(title, f"the title of the pipeline {name!r}", 200)

    def register(function: Function) -> Function:
        if not iscoroutinefunction(function):
            raise ValueError(f"the pipeline {name!r} must be an async function")
        registered = Pipeline(
            name=name,
            function=function,
            input_model=input_model,
            title=title or name.replace("_", " ").replace("-", " ").capitalize(),
            description=check_text(
                description or cleandoc(function.__doc__ or ""), f"the description of the pipeline {name!r}"
            ),
            version=version,
            policy=policy,
            module_spec=getattr(unwrap(function), "__globals__", {}).get("__spec__"),
        )
        known = _registry.get(name)
        if known is not None and not _is_again(known, registered):
            raise ValueError(
                f"two pipelines are named {name!r}: {_label(known.function)} and {_label(registered.function)}"
            )
        _registry[name] = registered
        return function

    return register


def _is_again(known: Pipeline, new: Pipeline) -> bool:
    """Whether `new` is the pipeline that was `known`, out of a module that was imported anew or a function that was
    called again: what autoreload and tests do."""
    if known.function is new.function:
        return True
    if known.function.__module__ != new.function.__module__:
        return False
    return known.module_spec is not new.module_spec or _place(known.function) == _place(new.function)


def _place(function: Function) -> tuple[str, int]:
    code = getattr(unwrap(function), "__code__", None)
    return getattr(function, "__qualname__", ""), getattr(code, "co_firstlineno", 0)


def _label(function: Function) -> str:
    name, line = _place(function)
    return f"{function.__module__}.{name} (line {line})"


def get(name: str) -> Pipeline:
    """Raises `UnknownPipeline` if there is none of that name."""
    try:
        return _registry[name]
    except KeyError:
        raise UnknownPipeline(name, sorted(_registry)) from None


def find(name: str) -> Pipeline | None:
    return _registry.get(name)


def all_pipelines() -> list[Pipeline]:
    return sorted(_registry.values(), key=lambda pipeline: pipeline.title)


def unregister(name: str) -> None:
    """Forget a pipeline, as an uninstalled app would."""
    _registry.pop(name, None)


def autodiscover() -> None:
    """Import the `pipelines` module of every installed app."""
    autodiscover_modules("pipelines")
