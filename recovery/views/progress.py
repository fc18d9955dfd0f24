"""How far a decision has come: decided, queued, running, done are different things, and the page shows which."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext

from recovery import queries
from recovery.languages import lazy as _
from recovery.models import ApprovalRequest, Decision, Event, Resumption, State
from recovery.permissions import why_not_start
from recovery.rendering import json_tree
from recovery.services.accept_version import asks_version
from recovery.services.questions import is_ours
from recovery.services.undo import may_undo
from recovery.views.asked import plain_of

# Asked this often while something is about to happen, and seldom when it takes its time.
PACE_S = 1
SLOW_PACE_S = 5
SLOW_AFTER_S = 60

IN_WINDOW = ("undoable", "waiting")
UNFINISHED = (*IN_WINDOW, "queued", "running")


@dataclass(frozen=True, slots=True)
class Step:
    word: str
    icon: str
    is_done: bool = False
    is_current: bool = False
    is_failed: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """`phase`: delivered; undoable (by whoever looks) or waiting, as long as the undo window lasts; queued, running,
    done, failed, blocked; or closed where there is nothing to carry. `words` say it in a sentence; `left_s` is what is
    left of the window, of `window_s` in all; `error` is why the run stands. `fork` is the run that goes on in place of
    one that was sent back: then all else is about it."""

    phase: str
    words: str
    steps: tuple[Step, ...]
    state: State
    error: str = ""
    attempts: int = 0
    pace_s: int = 0
    step: Event | None = None
    next_question: ApprovalRequest | None = None
    may_retry: bool = False
    # What the run has to go on with first, if its pipeline is another version by now.
    version: str = ""
    may_undo: bool = False
    left_s: float = 0
    window_s: float = 0
    fork: State | None = None

    @property
    def is_finished(self) -> bool:
        return self.phase not in UNFINISHED

    @property
    def is_in_window(self) -> bool:
        return self.phase in IN_WINDOW

    @property
    def result(self) -> json_tree.Node | None:
        """What the run gave back, once it is completed."""
        if self.state.status != State.Status.COMPLETED or not self.state.output:
            return None
        return json_tree.tree(plain_of(self.state.output))

    @property
    def key(self) -> str:
        """The same as long as there is nothing new to show; the countdown goes on by itself."""
        step = self.step.position if self.step else ""
        fork = self.fork.short_id if self.fork else ""
        return f"{self.phase}.{self.may_undo:d}.{self.attempts}.{step}.{self.pace_s}.{fork}"


def progress_of(request: ApprovalRequest, decision: Decision, viewer: Any, *, with_step: bool = False) -> Progress:
    """Of a request that is decided. `with_step`: look up which step ended last."""
    state: State = request.state
    if request.outcome == "supersede":
        return Progress("closed", gettext("Nothing is carried to the run."), (), state)
    if not is_ours(state):
        words = gettext("The program that runs it finds the decision when it loads the state.")
        return Progress("delivered", words, (_done(gettext("Decided")), _done(gettext("Delivered"))), state)
    fork = state.superseded_by if request.outcome == "request_changes" else None
    job = queries.job_of(request) if fork is None else queries.newest_job(fork.pk)
    can_undo = job is not None and job.status == Resumption.Status.PENDING and may_undo(request, viewer)
    phase, left_s = _phase(job, can_undo)
    # Read with the job, which ends in the same transaction as the run.
    state = job.state if job else state
    asks_again = phase == "done" and state.status == State.Status.AWAITING
    error = job.last_error if job else ""
    return Progress(
        phase=phase,
        words=_words(phase, job, state),
        steps=_steps(phase, state),
        state=state,
        error=error if phase in ("failed", "blocked", "queued") else "",
        attempts=job.attempts if job else 0,
        pace_s=_pace_s(phase, decision, job, left_s),
        step=queries.last_step(state.pk) if with_step and phase == "running" else None,
        next_question=queries.asked_next(state.pk) if asks_again else None,
        may_retry=phase in ("failed", "blocked") and not why_not_start(viewer),
        version=asks_version(state) if phase in ("failed", "blocked") else "",
        may_undo=can_undo,
        left_s=left_s,
        window_s=(job.not_before - job.created_at).total_seconds() if job else 0,
        fork=fork,
    )


def _phase(job: Resumption | None, can_undo: bool) -> tuple[str, float]:
    """And how many seconds are left of its undo window."""
    if job is None:
        return "done", 0
    left_s = (job.not_before - timezone.now()).total_seconds()
    # What waits after a try that ended badly has begun already.
    if job.status == Resumption.Status.PENDING and left_s > 0 and not job.attempts and job.started_at is None:
        return ("undoable" if can_undo else "waiting"), left_s
    match job.status:
        case Resumption.Status.PENDING:
            return "queued", 0
        case Resumption.Status.RUNNING:
            return "running", 0
        case Resumption.Status.FAILED:
            return "failed", 0
        case Resumption.Status.BLOCKED:
            return "blocked", 0
        case _:
            return "done", 0


def _words(phase: str, job: Resumption | None, state: State) -> str:
    match phase:
        case "undoable" | "waiting":
            return (
                gettext("The run goes back in")
                if job and job.kind == Resumption.Kind.FORK
                else gettext("The run starts in")
            )
        case "queued" if job and job.attempts:
            return gettext("The run will be tried again.")
        case "queued":
            return gettext("A worker takes the run on in a moment.")
        case "running":
            return gettext("The run goes on.")
        case "failed":
            return gettext("The decision stands, but the run failed.")
        case "blocked":
            return gettext("The decision stands, but the run cannot go on.")
        case _:
            return _ENDS.get(State.Status(state.status), gettext("The run has gone on."))


_ENDS = {
    State.Status.COMPLETED: _("The run is completed."),
    State.Status.AWAITING: _("The run has gone on and asks again."),
    State.Status.FAILED: _("The run went on and failed later."),
    State.Status.CANCELLED: _("The run was cancelled."),
    State.Status.PAUSED: _("The run has gone on and is paused."),
}


def _steps(phase: str, state: State) -> tuple[Step, ...]:
    last = gettext("Asks again") if phase == "done" and state.status == State.Status.AWAITING else gettext("Done")
    match phase:
        case "undoable" | "waiting":
            return (
                _current(gettext("Decided"), "circle-check"),
                _ahead(gettext("Queued")),
                _ahead(gettext("Running")),
                _ahead(gettext("Done")),
            )
        case "queued":
            return (
                _done(gettext("Decided")),
                _current(gettext("Queued"), "clock"),
                _ahead(gettext("Running")),
                _ahead(gettext("Done")),
            )
        case "running":
            return (
                _done(gettext("Decided")),
                _done(gettext("Queued")),
                _current(gettext("Running"), "loader-circle"),
                _ahead(gettext("Done")),
            )
        case "failed":
            return (_done(gettext("Decided")), _done(gettext("Queued")), _failed(gettext("Failed")))
        case "blocked":
            return (_done(gettext("Decided")), _failed(gettext("Blocked")))
        case _:
            return (
                _done(gettext("Decided")),
                _done(gettext("Queued")),
                _done(gettext("Running")),
                Step(last, "circle-check", True, True),
            )


def _pace_s(phase: str, decision: Decision, job: Resumption | None, left_s: float) -> int:
    if phase not in UNFINISHED:
        return 0
    since = max(decision.created_at, job.not_before) if job else decision.created_at
    away_s = left_s or (timezone.now() - since).total_seconds()
    return PACE_S if away_s < SLOW_AFTER_S else SLOW_PACE_S


def _done(word: str) -> Step:
    return Step(word, "circle-check", is_done=True)


def _current(word: str, icon: str) -> Step:
    return Step(word, icon, is_current=True)


def _ahead(word: str) -> Step:
    return Step(word, "circle-dashed")


def _failed(word: str) -> Step:
    return Step(word, "circle-x", is_current=True, is_failed=True)
