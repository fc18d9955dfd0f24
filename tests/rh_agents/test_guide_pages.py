"""Every block of the engine's guides runs, and prints what stands below it."""

import sys
from pathlib import Path

import pytest

from rh_agents.core import migrations
from tests.rh_agents.documents import run_page

GUIDES = Path(__file__).parents[2] / "docs" / "guide"


@pytest.mark.parametrize("page", ["engine.md", "migrating.md"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # A page shows what happens to an open file.
def test_a_page_prints_what_it_says(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(migrations, "_migrations", {})
    monkeypatch.delitem(sys.modules, "rh_agents.cache_backends", raising=False)  # It warns when it is imported.
    shown = 0
    for block, printed in run_page(GUIDES / page):
        if block.output is not None or printed:
            assert printed.rstrip("\n") == (block.output or ""), f"{page}, line {block.line}"
            shown += 1
    assert shown > 3
