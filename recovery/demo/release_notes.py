"""Sample: release notes from a git repository's history, edited and approved by a person, written to a file."""

import csv
import hashlib
import io
import os
import re
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

from django.conf import settings
from pydantic import BaseModel, Field

from recovery.demo.git_history import Commit, newest_tag, read_commits
from rh_agents import ExecutionState, Question, agent, tool


class ReleaseNotesInput(BaseModel):
    """Which history to read, and where to write the notes."""

    repository: Path = Field(
        default_factory=lambda: Path(settings.BASE_DIR),
        description="A folder with a git repository; this one by default.",
    )
    since: str = Field(
        default="", max_length=200, description="A tag or commit. Empty: the newest tag, or the beginning."
    )
    until: str = Field(default="HEAD", min_length=1, max_length=200)
    version: str = Field(default="next", pattern=r"^[\w.+-]{1,50}$", description="Names the release, and the file.")
    at_most: int = Field(default=500, ge=1, le=5000, description="How many commits to read.")


class Heading(StrEnum):
    ADDED = "Added"
    CHANGED = "Changed"
    FIXED = "Fixed"
    REMOVED = "Removed"
    DOCUMENTATION = "Documentation"
    INTERNAL = "Behind the scenes"


class Section(BaseModel):
    """The changes of one kind."""

    heading: Heading
    changes: list[str] = Field(min_length=1, description="One line each.")


class ReleaseNotes(BaseModel):
    """What is published."""

    version: str = Field(pattern=r"^[\w.+-]{1,50}$")
    released_on: date
    introduction: str = Field(default="", max_length=2000, description="Stands above the changes. Markdown.")
    sections: list[Section] = Field(default_factory=list)


class WrittenNotes(BaseModel):
    path: Path
    size: int
    sha256: str


_HEADINGS = {
    Heading.FIXED: r"fix|mend|repair|correct|prevent|stop|avoid|handle",
    Heading.REMOVED: r"remove|delete|drop|retire",
    Heading.DOCUMENTATION: r"docs?|document|explain|describe|readme|changelog",
    Heading.INTERNAL: r"test|tests|ci|lint|chore|refactor|benchmark|vendor|pin|check|measure",
    Heading.ADDED: r"add|feat|introduce|support|give|create|offer|write|build|draw|render|show|run|ask",
}


@tool(name="read_history", output_model=list)
async def read_history(request: ReleaseNotesInput, context: Any, state: ExecutionState) -> list[Commit]:
    """Read the commits, and keep them as a table beside the question."""
    since = request.since or newest_tag(request.repository, request.until)
    commits = read_commits(request.repository, since, request.until, request.at_most)
    if not commits:
        raise ValueError(f"there are no commits between {since or 'the beginning'} and {request.until}")
    state.storage.set("since", since)
    state.storage.set_artifact("commits.csv", _table(commits))
    return commits


@tool(name="group")
async def group(commits: list[Commit], context: Any, state: ExecutionState) -> dict[Heading, list[str]]:
    """Sort the subjects under headings by their first word; equal ones once."""
    groups: dict[Heading, list[str]] = {}
    for commit in reversed(commits):
        if commit.subject.strip():
            subjects = groups.setdefault(_heading_of(commit.subject), [])
            if commit.subject not in subjects:
                subjects.append(commit.subject)
    return {heading: groups[heading] for heading in Heading if heading in groups}


@tool(name="draft_section", output_model=Section)
async def draft_section(group: tuple[Heading, list[str]], context: Any, state: ExecutionState) -> Section:
    heading, subjects = group
    return Section(heading=heading, changes=[_as_change(subject) for subject in subjects])


@agent(name="draft", output_model=ReleaseNotes)
async def draft(commits: list[Commit], request: ReleaseNotesInput, state: ExecutionState) -> ReleaseNotes:
    """Group the commits and draft a section of each group."""
    groups = await group(commits, None, state)
    sections = [(await draft_section(one, None, state)).result for one in groups.result.items()]
    people = len({commit.author for commit in commits})
    notes = ReleaseNotes(
        version=request.version,
        released_on=max(commit.at for commit in commits).date(),
        introduction=f"{_count(len(commits), 'change')} by {_count(people, 'person', 'people')}.",
        sections=sections,
    )
    state.storage.set_artifact("draft.md", as_markdown(notes))
    return notes


@tool(name="write_notes", output_model=WrittenNotes)
async def write_notes(notes: ReleaseNotes, context: Any, state: ExecutionState) -> WrittenNotes:
    """Write the file whole or not at all, so that an interrupted try leaves nothing half done."""
    folder = Path(settings.VAR_DIR) / "release-notes"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{notes.version}-{state.state_id[:8]}.md"
    content = as_markdown(notes).encode()
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)
    return WrittenNotes(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())


async def release_notes(request: ReleaseNotesInput, state: ExecutionState) -> WrittenNotes | str:
    """Reads a git repository's history, groups and drafts notes, asks a person to edit and approve them, and writes
    the file."""
    commits = (await read_history(request, None, state)).result
    notes = (await draft(commits, request, state)).result
    answer = await state.ask(
        Question(
            key="publish",
            title=f"Publish the release notes of {request.version} with {_count(len(commits), 'change')}?",
            message=_message(request, commits, notes, state),
            proposal=notes,
            action="release_notes.write",
            effect="write",
            risk="low",
            evidence=["draft.md", "commits.csv"],
        )
    )
    if not answer.approved:
        return f"Not published: {answer.comment or 'no reason given'}"
    return (await write_notes(answer.proposal, None, state)).result


def as_markdown(notes: ReleaseNotes) -> str:
    lines = [f"# {notes.version} ({notes.released_on.isoformat()})", ""]
    if notes.introduction:
        lines += [notes.introduction, ""]
    for section in notes.sections:
        lines += [f"## {section.heading}", "", *(f"- {change}" for change in section.changes), ""]
    return "\n".join(lines)


def _heading_of(subject: str) -> Heading:
    first = re.split(r"[\s:(!]", subject.strip().lower(), maxsplit=1)[0]
    for heading, words in _HEADINGS.items():
        if re.fullmatch(words, first):
            return heading
    return Heading.CHANGED


def _as_change(subject: str) -> str:
    """A subject as a sentence: without `feat(scope):` before it."""
    text = re.sub(r"^\w+(\([^)]*\))?!?:\s+", "", subject.strip())
    return text[:1].upper() + text[1:]


def _message(request: ReleaseNotesInput, commits: list[Commit], notes: ReleaseNotes, state: ExecutionState) -> str:
    since = state.storage.get("since") or "the beginning"
    lines = "\n".join(f"- {section.heading}: {len(section.changes)}" for section in notes.sections)
    repository = request.repository.resolve().name
    return (
        f"Drafted from **{_count(len(commits), 'commit')}** of `{repository}`, since {since}:\n\n"
        f"{lines}\n\n"
        "Reword, move or remove lines below. What you approve is written to a file as it stands."
    )


def _table(commits: list[Commit]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["commit", "at", "author", "subject"])
    table.writerows([commit.sha[:10], commit.at.isoformat(), commit.author, commit.subject] for commit in commits)
    return text.getvalue()


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
