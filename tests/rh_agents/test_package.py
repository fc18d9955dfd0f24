"""What `import rh_agents` gives, and what it does not load."""

import subprocess
import sys

import pytest

import rh_agents


def loaded_by(code: str) -> set[str]:
    printed = subprocess.check_output([sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], text=True)
    return set(printed.split())


@pytest.mark.parametrize("name", rh_agents.__all__)
def test_every_public_name_is_there(name: str):
    assert getattr(rh_agents, name) is not None
    assert name in dir(rh_agents)


def test_what_is_public_is_what_can_be_found():
    assert set(rh_agents._HOME_OF) == set(rh_agents.__all__)
    with pytest.raises(AttributeError, match="'rh_agents' has no attribute 'Nothing'"):
        rh_agents.Nothing  # noqa: B018


def test_importing_the_package_loads_nothing_of_it_before_it_is_used():
    assert not {name for name in loaded_by("import rh_agents") if name.startswith(("rh_agents.", "pydantic"))}


def test_the_engine_needs_neither_django_nor_the_libraries_of_its_values():
    everything = "from rh_agents import *; import rh_agents.memory_backends, rh_agents.core.runner"
    loaded = loaded_by(everything)
    assert "rh_agents.core.execution" in loaded
    assert not {name.split(".")[0] for name in loaded} & {"django", "recovery", "celery", "numpy", "pandas"}
