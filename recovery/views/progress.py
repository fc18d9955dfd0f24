"""How far a decision has come: decided, queued, running, done are different things, and the page shows which."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from recovery import queries
from recovery.models import ApprovalRequest, Decision, Event, Resumption, State
from recovery.permissions import why_not_start
from recovery.rendering import json_tree
from recovery.services.accept_version import asks_version
from recovery.services.questions import is_ours
from recovery.views.asked import plain_of

# Asked this often while the run is young, and seldom when it takes its time.
PACE_S = 1
SLOW_PACE_S = 5
SLOW_AFTER_S = 60

# Made by the system when a run ended without the answer: nothing is carried to it.
WITHOUT_RUN = ("expire", "cancel", "supersede", "withdraw")


@dataclass(frozen=True, slots=True)
class Step:
    word: str
    icon: str
    is_done: bool = False
    is_current: bool = False
    is_failed: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """`phase`: delivered, queued, running, done, failed, blocked, or closed where there is nothing to carry.
    `words` say it in a sentence; `error` is why the run stands."""

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

    @property
    def is_finished(self) -> bool:
        return self.phase not in ("queued", "running")

    @property
    def result(self) -> json_tree.Node | None:
        """What the run gave back, once it is completed."""
        if self.state.status != State.Status.COMPLETED or not self.state.output:
            return None
        return json_tree.tree(plain_of(self.state.output))

    @property
    def key(self) -> str:
        """The same as long as there is nothing new to show."""
        step = self.step.position if self.step else ""
        return f"{self.phase}.{self.attempts}.{step}.{self.pace_s}"


def progress_of(request: ApprovalRequest, decision: Decision, viewer: Any, *, with_step: bool = False) -> Progress:
    """Of a request that is decided. `with_step`: look up which step ended last."""
    state: State = request.state
    if request.outcome in WITHOUT_RUN:
        return Progress("closed", "Nothing is carried to the run.", (), state)
    if not is_ours(state):
        words = "The program that runs it finds the decision when it loads the state."
        return Progress("delivered", words, (_done("Decided"), _done("Delivered")), state)
    job = queries.newest_job(request)
    phase = _phase(job)
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
        pace_s=_pace_s(phase, decision),
        step=queries.last_step(request) if with_step and phase == "running" else None,
        next_question=queries.asked_next(request) if asks_again else None,
        may_retry=phase in ("failed", "blocked") and not why_not_start(viewer),
        version=asks_version(state) if phase in ("failed", "blocked") else "",
    )


def _phase(job: Resumption | None) -> str:
    match job.status if job else None:
        case Resumption.Status.PENDING:
            return "queued"
        case Resumption.Status.RUNNING:
            return "running"
        case Resumption.Status.FAILED:
            return "failed"
        case Resumption.Status.BLOCKED:
            return "blocked"
        case _:
            return "done"


def _words(phase: str, job: Resumption | None, state: State) -> str:
    match phase:
        case "queued" if job and job.attempts:
            return "The run will be tried again."
        case "queued":
            return "A worker takes the run on in a moment."
        case "running":
            return "The run goes on."
        case "failed":
            return "The decision stands, but the run failed."
        case "blocked":
            return "The decision stands, but the run cannot go on."
        case _:
            return _ENDS.get(State.Status(state.status), "The run has gone on.")


_ENDS = {
    State.Status.COMPLETED: "The run is completed.",
    State.Status.AWAITING: "The run has gone on and asks again.",
    State.Status.FAILED: "The run went on and failed later.",
    State.Status.CANCELLED: "The run was cancelled.",
    State.Status.PAUSED: "The run has gone on and is paused.",
}


def _steps(phase: str, state: State) -> tuple[Step, ...]:
    last = "Asks again" if phase == "done" and state.status == State.Status.AWAITING else "Done"
    match phase:
        case "queued":
            return (_done("Decided"), _current("Queued", "clock"), _ahead("Running"), _ahead("Done"))
        case "running":
            return (_done("Decided"), _done("Queued"), _current("Running", "loader-circle"), _ahead("Done"))
        case "failed":
            return (_done("Decided"), _done("Queued"), _failed("Failed"))
        case "blocked":
            return (_done("Decided"), _failed("Blocked"))
        case _:
            return (_done("Decided"), _done("Queued"), _done("Running"), Step(last, "circle-check", True, True))


def _pace_s(phase: str, decision: Decision) -> int:
    if phase not in ("queued", "running"):
        return 0
    age_s = (timezone.now() - decision.created_at).total_seconds()
    return PACE_S if age_s < SLOW_AFTER_S else SLOW_PACE_S


def _done(word: str) -> Step:
    return Step(word, "circle-check", is_done=True)


def _current(word: str, icon: str) -> Step:
    return Step(word, icon, is_current=True)


def _ahead(word: str) -> Step:
    return Step(word, "circle-dashed")


def _failed(word: str) -> Step:
    return Step(word, "circle-x", is_current=True, is_failed=True)
