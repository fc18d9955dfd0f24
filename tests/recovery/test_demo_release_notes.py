"""The release notes sample: a history is read, what a person approves is written to a file exactly."""

import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from recovery.demo.git_history import HistoryError, newest_tag, read_commits
from recovery.demo.release_notes import Heading, ReleaseNotes, Section, as_markdown
from recovery.errors import InvalidInput
from recovery.forms import form_for
from recovery.models import Event, State
from recovery.services.decide import decide
from recovery.services.questions import current_version, proposal_of
from recovery.services.start_run import start_run
from rh_agents.core.serialization import decode
from tests.recovery.browser_forms import submitted
from tests.recovery.conftest import only_request, work

SUBJECTS = ["Add a door", "fix(door): stop it from creaking", "Paint the door", "Add a door", "docs: describe the door"]


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada Byron", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commit(folder: Path, subject: str) -> None:
    git(folder, "commit", "-q", "--allow-empty", "--allow-empty-message", "-m", subject)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "house"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for subject in SUBJECTS:
        commit(folder, subject)
    return folder


@pytest.fixture
def run(db: Any, repository: Path) -> State:
    return work(start_run("release-notes", {"repository": str(repository), "version": "1.2"}).pk)


def written_file(state: State) -> Path:
    return Path(settings.VAR_DIR) / "release-notes" / f"1.2-{str(state.pk)[:8]}.md"


def test_the_draft_groups_every_subject_once_oldest_first(run):
    assert (run.status, run.error) == ("awaiting", "")
    notes = proposal_of(current_version(only_request(run)))
    assert notes.sections == [
        Section(heading=Heading.ADDED, changes=["Add a door"]),
        Section(heading=Heading.CHANGED, changes=["Paint the door"]),
        Section(heading=Heading.FIXED, changes=["Stop it from creaking"]),
        Section(heading=Heading.DOCUMENTATION, changes=["Describe the door"]),
    ]
    assert notes.introduction == "5 changes by 1 person."


def test_an_edited_draft_is_written_to_the_file_exactly(run, ada):
    edited = ReleaseNotes(
        version="1.2",
        released_on=date(2026, 11, 23),
        introduction="Grüße – *to all*.\n\nSecond paragraph with a trailing space ",
        sections=[Section(heading=Heading.FIXED, changes=["Ünïcode 🚪", "<b>kept</b>"])],
    )
    decide(only_request(run).pk, by=ada, kind="edit", proposal=edited)
    state = work(run.pk)
    expected = (
        "# 1.2 (2026-11-23)\n\nGrüße – *to all*.\n\nSecond paragraph with a trailing space \n\n"
        "## Fixed\n\n- Ünïcode 🚪\n- <b>kept</b>\n"
    )
    report = decode(state.output)
    assert state.status == "completed"
    assert report.path == written_file(state)
    assert report.path.read_bytes() == expected.encode()
    assert report.size == len(expected.encode())


def test_approved_as_it_stands_the_draft_is_the_file(run, ada):
    request = only_request(run)
    decide(request.pk, by=ada, kind="approve")
    work(run.pk)
    assert written_file(run).read_text() == as_markdown(proposal_of(current_version(request)))


def test_rejected_nothing_is_written(run, ada):
    decide(only_request(run).pk, by=ada, kind="reject", comment="too early")
    state = work(run.pk)
    assert (state.status, decode(state.output)) == ("completed", "Not published: too early")
    assert not written_file(state).exists()


def test_an_unedited_form_gives_the_proposal_back(run):
    proposal = proposal_of(current_version(only_request(run)))
    form = form_for(proposal, prefix="proposal")
    again = form_for(proposal, prefix="proposal", data=submitted(form))
    assert again.is_valid(), again.errors
    assert again.value == proposal
    assert type(again.value) is ReleaseNotes
    assert not again.is_edited


def test_history_that_moves_on_while_a_person_thinks_does_not_change_what_they_approve(run, ada, repository):
    before = as_markdown(proposal_of(current_version(only_request(run))))
    commit(repository, "Add a window")
    decide(only_request(run).pk, by=ada, kind="approve")
    assert work(run.pk).status == "completed"
    assert written_file(run).read_text() == before
    assert Event.objects.current().filter(state=run, actor="read_history").count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"since": "-x"}, "'-x' is no revision"),
        ({"until": "--output=stolen"}, "'--output=stolen' is no revision"),
        ({"until": "v9"}, "bad revision 'v9'"),
        ({"since": "v9"}, "bad revision 'v9..HEAD'"),
        ({"since": "HEAD"}, "there are no commits between HEAD and HEAD"),
    ],
)
def test_a_revision_that_is_none_fails_with_what_is_wrong(repository, given, error):
    state = work(start_run("release-notes", {"repository": str(repository), **given}).pk)
    assert state.status == "failed"
    assert error in state.error
    assert not (repository / "stolen").exists()
    assert not state.requests.exists()


@pytest.mark.django_db
def test_a_folder_without_a_history_fails_with_what_is_wrong(tmp_path):
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")
    for folder, error in (("empty", "bad revision 'HEAD'"), ("missing", "No such file or directory")):
        state = work(start_run("release-notes", {"repository": str(tmp_path / folder)}).pk)
        assert (state.status, error in state.error) == ("failed", True), state.error
    # Outside of every repository: /dev is one on no machine.
    with pytest.raises(HistoryError, match="not a git repository"):
        read_commits(Path("/dev"), "", "HEAD", 10)


@pytest.mark.django_db
def test_a_version_that_would_leave_the_folder_starts_nothing(repository):
    with pytest.raises(InvalidInput) as refused:
        start_run("release-notes", {"repository": str(repository), "version": "../../etc/passwd"})
    assert set(refused.value.errors) == {"version"}
    assert not State.objects.exists()


def test_the_newest_tag_before_the_release_is_where_the_notes_begin(repository):
    assert newest_tag(repository, "HEAD") == ""
    git(repository, "tag", "v1", "HEAD~3")
    git(repository, "tag", "v2", "HEAD")
    # The tag of the release itself is no beginning: nothing lies between.
    assert newest_tag(repository, "HEAD") == "v1"
    assert newest_tag(repository, "v2") == "v1"
    assert newest_tag(repository, "v1") == ""
    assert [one.subject for one in read_commits(repository, "v1", "HEAD", 10)] == list(reversed(SUBJECTS[2:]))


def test_commits_are_read_whatever_their_message_is(repository):
    commit(repository, "")
    commit(repository, "a | b, \"c\" 'd' \t \x1f tab and separators")
    found = read_commits(repository, "", "HEAD", 2)
    assert [one.subject for one in found] == ["a | b, \"c\" 'd' \t \x1f tab and separators", ""]
    assert {one.author for one in found} == {"Ada Byron"}


@pytest.mark.django_db
def test_a_history_of_commits_without_messages_can_be_published(tmp_path, ada):
    git(tmp_path, "init", "-q")
    commit(tmp_path, "")
    state = work(start_run("release-notes", {"repository": str(tmp_path), "version": "1.2"}).pk)
    assert proposal_of(current_version(only_request(state))).sections == []
    decide(only_request(state).pk, by=ada, kind="approve")
    assert work(state.pk).status == "completed"
