"""The registry of pipelines: what is taken, and whose a name is."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from recovery import pipelines
from recovery.pipelines import pipeline

MODULE = """
from pydantic import BaseModel
from recovery.pipelines import pipeline

class Input(BaseModel):
    pass

@pipeline("written", input_model=Input, version="{version}")
async def {function}(value, state):
    return None
"""


class Input(BaseModel):
    pass


async def one(value: Any, state: Any) -> None: ...


async def two(value: Any, state: Any) -> None: ...


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """One of its own, so that nothing registered here is left behind."""
    monkeypatch.setattr(pipelines, "_registry", {})


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write the module `written_pipelines`; importing it is up to the test."""

    def write(text: str) -> Path:
        path = tmp_path / "written_pipelines.py"
        path.write_text(text)
        importlib.invalidate_caches()
        return path

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield write
    sys.modules.pop("written_pipelines", None)


def test_two_functions_of_one_module_cannot_share_a_name():
    pipeline("shared", input_model=Input)(one)
    with pytest.raises(ValueError, match=rf"two pipelines are named 'shared': {__name__}\.one \(.*\.two \("):
        pipeline("shared", input_model=Input)(two)
    assert pipelines.get("shared").function is one


def test_nor_can_two_of_the_same_name_in_one_module(module):
    text = MODULE.format(version="1", function="written")
    module(text + text.partition("class Input")[2].partition("pass\n")[2])
    with pytest.raises(ValueError, match="two pipelines are named 'written'"):
        importlib.import_module("written_pipelines")


def test_nor_can_two_of_different_modules(module):
    pipeline("written", input_model=Input)(one)
    module(MODULE.format(version="1", function="written"))
    with pytest.raises(ValueError, match=f"{__name__}.one .* and written_pipelines.written "):
        importlib.import_module("written_pipelines")


@pytest.mark.parametrize("again", ["reloaded", "imported anew"])
def test_a_module_that_is_imported_again_brings_its_new_pipeline(module, again):
    module(MODULE.format(version="1", function="before"))
    loaded = importlib.import_module("written_pipelines")
    module("# A line more.\n" + MODULE.format(version="2", function="after"))
    if again == "reloaded":
        importlib.reload(loaded)
    else:
        del sys.modules["written_pipelines"]
        importlib.import_module("written_pipelines")
    found = pipelines.get("written")
    assert (found.version, found.function.__name__) == ("2", "after")


def test_the_same_function_may_be_registered_twice():
    def register(version: str) -> None:
        @pipeline("made", input_model=Input, version=version)
        async def made(value: Any, state: Any) -> None: ...

    for version in ("1", "2"):
        register(version)
        pipeline("given", input_model=Input, version=version)(one)
    assert (pipelines.get("made").version, pipelines.get("given").version) == ("2", "2")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"name": "n" * 201}, "the pipeline name 'n+ has 201 characters; at most 200 fit"),
        ({"version": ""}, "the pipeline 'p' needs a version"),
        ({"version": "v" * 65}, "the version of the pipeline 'p' has 65 characters; at most 64 fit"),
        ({"version": "1\x00"}, "the version of the pipeline 'p' holds a NUL character"),
        ({"title": "t" * 201}, "the title of the pipeline 'p' has 201 characters; at most 200 fit"),
        ({"title": "\ud800"}, "the title of the pipeline 'p' holds a lone surrogate"),
        ({"description": "\x00"}, "the description of the pipeline 'p' holds a NUL character"),
    ],
)
def test_texts_that_no_run_of_it_could_store_are_refused(options, error):
    with pytest.raises(ValueError, match=error):
        pipeline(**{"name": "p", "input_model": Input, **options})(one)
    assert pipelines.all_pipelines() == []
