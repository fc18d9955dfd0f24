"""The registry: which pipelines this project can run.

A pipeline is an async function in the `pipelines.py` of any installed app:

    @pipeline("refunds", input_model=RefundInput)
    async def refunds(order: RefundInput, state: ExecutionState) -> Receipt: ...
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import cleandoc, iscoroutinefunction
from typing import Any

from django.utils.module_loading import autodiscover_modules
from pydantic import BaseModel

from recovery.errors import UnknownPipeline
from rh_agents.core.addressing import check_part

Function = Callable[[Any, Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """`function(input_data, state)` is called with an instance of `input_model`. `version` changes whenever a run
    that waits could not go on with the new code; such a run then says so and stays."""

    name: str
    function: Function
    input_model: type[BaseModel]
    title: str
    description: str
    version: str


_registry: dict[str, Pipeline] = {}


def pipeline(
    name: str,
    *,
    input_model: type[BaseModel],
    title: str = "",
    description: str = "",
    version: str = "1",
) -> Callable[[Function], Function]:
    """Register an async function as a pipeline. Its docstring is the description unless one is given.

    Raises:
        ValueError: the name is taken by another function, or the function is not async.
    """
    check_part(name, "pipeline name")
    if not version:
        raise ValueError(f"the pipeline {name!r} needs a version")

    def register(function: Function) -> Function:
        if not iscoroutinefunction(function):
            raise ValueError(f"the pipeline {name!r} must be an async function")
        known = _registry.get(name)
        if known is not None and known.function.__module__ != function.__module__:
            raise ValueError(
                f"two pipelines are named {name!r}: in {known.function.__module__} and {function.__module__}"
            )
        _registry[name] = Pipeline(
            name=name,
            function=function,
            input_model=input_model,
            title=title or name.replace("_", " ").replace("-", " ").capitalize(),
            description=description or cleandoc(function.__doc__ or ""),
            version=version,
        )
        return function

    return register


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
