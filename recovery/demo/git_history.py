"""Reading a git repository's history."""

import subprocess
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

FIELD, RECORD = "\x1f", "\x1e"


class HistoryError(RuntimeError):
    """The history cannot be read; the message says what git said."""


class Commit(BaseModel):
    """One commit. `subject` is the first line of its message."""

    sha: str
    author: str
    at: datetime
    subject: str


def read_commits(repository: Path, since: str, until: str, at_most: int) -> list[Commit]:
    """The commits reachable from `until` and not from `since` (empty: from the beginning), newest first.

    Raises:
        HistoryError: there is no repository, or no such revision.
    """
    _check(since, until)
    span = f"{since}..{until}" if since else until
    pretty = f"--format=%H{FIELD}%an{FIELD}%aI{FIELD}%s{RECORD}"
    text = _git(repository, "log", "--no-merges", f"--max-count={at_most}", pretty, "--end-of-options", span, "--")
    commits = []
    for line in text.split(RECORD):
        # Not strip(): that takes the separators too, and a commit may have no message.
        if line := line.strip("\n"):
            sha, author, at, subject = line.split(FIELD, maxsplit=3)
            commits.append(Commit(sha=sha, author=author, at=datetime.fromisoformat(at), subject=subject))
    return commits


def newest_tag(repository: Path, until: str) -> str:
    """The newest tag before the commit `until`, "" if there is none."""
    _check(until)
    try:
        return _git(repository, "describe", "--tags", "--abbrev=0", "--end-of-options", f"{until}~1").strip()
    except HistoryError:
        return ""


def _check(*revisions: str) -> None:
    for revision in revisions:
        if revision.startswith("-") or "\0" in revision:
            raise HistoryError(f"{revision!r} is no revision")


def _git(repository: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-c", "log.showSignature=false", "-C", str(repository), *arguments],
            capture_output=True,
            check=False,
            timeout=60,
        )
    except FileNotFoundError as error:
        raise HistoryError("git is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise HistoryError(f"git did not answer within {error.timeout:g} s") from error
    if done.returncode:
        raise HistoryError(done.stderr.decode(errors="replace").strip() or f"git ended with {done.returncode}")
    return done.stdout.decode(errors="replace")
