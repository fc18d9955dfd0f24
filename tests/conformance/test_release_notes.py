"""The release notes sample, killed at each of its commits: the file holds what was approved, whole."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from recovery.demo.release_notes import as_markdown
from recovery.models import ApprovalRequest, State
from recovery.services.decide import decide
from recovery.services.questions import current_version, proposal_of
from recovery.services.start_run import start_run
from recovery.services.work import work_on_state
from rh_agents.core.serialization import decode
from tests.conformance.kills import killed_at, resume

pytestmark = pytest.mark.conformance


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git = [
        "git",
        "-C",
        str(tmp_path),
        "-c",
        "user.name=Ada",
        "-c",
        "user.email=a@example.org",
        "-c",
        "commit.gpgsign=0",
    ]
    subprocess.run([*git, "init", "-q"], check=True)
    for subject in ("Add a door", "Fix the door"):
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", subject], check=True)
    return tmp_path


@pytest.mark.parametrize("part", ["start", "resume"])
def test_killed_at_any_commit_it_ends_with_the_approved_file(ada: Any, repository: Path, part: str):
    was_killed, number = True, -1
    while was_killed:
        number += 1
        state_id = start_run("release-notes", {"repository": str(repository), "version": "1.0"}).pk
        if part == "start":
            was_killed = killed_at(number, after=False, job=lambda state_id=state_id: work_on_state(state_id))
            resume(state_id)
        else:
            work_on_state(state_id)
        request = ApprovalRequest.objects.get(state_id=state_id)
        edited = proposal_of(current_version(request)).model_copy(update={"introduction": f"Number {number}."})
        decide(request.pk, by=ada, kind="edit", proposal=edited)
        if part == "resume":
            was_killed = killed_at(number, after=False, job=lambda state_id=state_id: work_on_state(state_id))
        resume(state_id)
        state = State.objects.get(pk=state_id)
        assert (state.status, state.error) == ("completed", "")
        path = decode(state.output).path
        assert path.read_text() == as_markdown(edited)
        assert not path.with_suffix(".unfinished").exists()
    assert number >= 5
