"""Every refusal of the product.

RecoveryError
├── UnknownPipeline      no pipeline of that name is registered
├── InvalidInput         an input or a decision's payload does not validate; nothing was written
├── Refused              a decision that was not accepted; the refusal itself is recorded
│   ├── NotAllowed       403: this person may not decide this request
│   ├── AlreadyResolved  409: somebody was first
│   ├── NotWaiting       409: the program that runs it does not wait for a decision now
│   ├── Held             409: somebody else has claimed it
│   ├── OneByOne         409: its risk is too high to be decided together with others
│   ├── NotUndoable      409: it cannot be taken back (any more)
│   └── StaleProposal    412: the proposal changed while they looked
├── NotASide             a side of a comparison that names no state or checkpoint
├── StateHeld            a state that a worker holds cannot be deleted now
├── NotPermitted         403: this person may not act on runs; nothing was written
├── NotActedOn           409: an act on a run that does not fit how it stands; nothing was written
│   ├── NotRetryable     there is nothing to try again
│   ├── NotCancellable   it is over, or a worker is at it
│   ├── NotStuck         there is no failure to be dismissed
│   └── OtherVersion     the pipeline is another version than the one that was accepted
├── PipelineGone         the run's pipeline is no longer registered
├── DigestMismatch       what would run is not what was decided
├── WorkerDied           the worker of a run ended without a word, as often as it is tried
└── LeaseLost            another worker holds the state now
"""

from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext, ngettext

if TYPE_CHECKING:
    from recovery.models import ApprovalRequest, ProposalVersion, Resolution, State


class RecoveryError(Exception):
    """The root of the product's refusals."""


class UnknownPipeline(RecoveryError, LookupError):
    """No pipeline of that name; `known` are the names there are."""

    def __init__(self, name: str, known: list[str]) -> None:
        self.name = name
        self.known = known
        super().__init__(f"no pipeline is named {name!r}; there are: {', '.join(known) or 'none'}")


class InvalidInput(RecoveryError, ValueError):
    """A value does not validate. `errors` is dotted path (or "" for the whole) to messages; nothing was written."""

    def __init__(self, errors: dict[str, list[str]], what: str = "the input") -> None:
        self.errors = errors
        lines = "; ".join(f"{path or 'whole'}: {' '.join(messages)}" for path, messages in errors.items())
        super().__init__(f"{what} does not validate: {lines}")


class NotASide(RecoveryError, LookupError):
    """What was given for the `side` (left or right) of a comparison names no state or checkpoint; `reason` says why."""

    def __init__(self, side: str, reference: str, reason: str) -> None:
        self.side = side
        self.reference = reference
        self.reason = reason
        super().__init__(f"{side}: {reason}")


class Refused(RecoveryError):
    """A decision that was not accepted. It is recorded, with its reason, before this is raised."""

    code = "refused"

    def __init__(self, request: "ApprovalRequest", message: str) -> None:
        self.request = request
        super().__init__(message)


class NotAllowed(Refused, PermissionError):
    """This person may not decide this request."""

    code = "not_allowed"


class AlreadyResolved(Refused):
    """Somebody was first; `resolution` says who, what and when."""

    code = "already_resolved"

    def __init__(self, request: "ApprovalRequest", resolution: "Resolution") -> None:
        self.resolution = resolution
        decision = resolution.decision
        super().__init__(
            request,
            gettext("%(name)s was first: %(outcome)s at %(created_at)s")
            % {
                "name": decision.actor_name,
                "outcome": resolution.outcome,
                "created_at": f"{timezone.localtime(decision.created_at):%H:%M:%S}",
            },
        )


class NotWaiting(Refused):
    """A program of its own runs it, and does not wait for a decision now."""

    code = "not_waiting"


class Held(Refused):
    """Somebody else has claimed it, and not long ago."""

    code = "held"


class OneByOne(Refused):
    """Its risk is higher than the policy lets several be decided together at."""

    code = "one_by_one"


class NotUndoable(Refused):
    """A decision that cannot be taken back: it is somebody else's, or the run has gone on with it."""

    code = "not_undoable"


class StaleProposal(Refused):
    """The reviewer saw version `seen`, but `current` is the newest. `changes` is (path, seen, current) in words."""

    code = "stale"

    def __init__(
        self,
        request: "ApprovalRequest",
        seen: "ProposalVersion | None",
        current: "ProposalVersion",
        changes: list[tuple[str, str, str]],
    ) -> None:
        self.seen = seen
        self.current = current
        self.changes = changes
        super().__init__(
            request, gettext("the proposal is now version %(number)s; nothing was decided") % {"number": current.number}
        )


class StateHeld(RecoveryError):
    """Workers hold these states, so they cannot be deleted now; `deleted` is how many others went before."""

    def __init__(self, states: "list[State]", deleted: int) -> None:
        self.states = states
        self.deleted = deleted
        names = ", ".join(str(state) for state in states)
        held = ngettext("%(names)s is held by a worker", "%(names)s are held by workers", len(states)) % {
            "names": names
        }
        went = gettext("%(deleted)s went before") % {"deleted": deleted} if deleted else gettext("nothing was deleted")
        super().__init__(
            gettext("%(held)s; %(went)s. Try again when the run pauses or ends.") % {"held": held, "went": went}
        )


class NotPermitted(RecoveryError, PermissionError):
    """This person may not act on runs."""


class NotActedOn(RecoveryError):
    """An act on a run that does not fit how the run stands by now; the message says why."""

    code = "not_acted_on"


class NotRetryable(NotActedOn):
    """There is nothing to try again."""

    code = "not_retryable"


class NotCancellable(NotActedOn):
    """The run is over, or a worker is at it."""

    code = "not_cancellable"


class NotStuck(NotActedOn):
    """There is no failure to be dismissed."""

    code = "not_stuck"


class OtherVersion(NotActedOn):
    """The run may go on with the version that somebody saw, but the pipeline is at `current` by now."""

    code = "other_version"

    def __init__(self, pipeline: str, seen: str, current: str) -> None:
        self.seen = seen
        self.current = current
        super().__init__(
            gettext(
                "The pipeline %(pipeline)s is version %(current)s by now, and not %(seen)s. "
                "Look again before the run goes on."
            )
            % {"pipeline": pipeline, "current": current, "seen": seen}
        )


class PipelineGone(RecoveryError):
    """The run's pipeline is no longer registered, or is of another version than the run needs."""


class DigestMismatch(RecoveryError):
    """What a decision would let run is not what was decided: a record was changed since. Nothing runs."""


class WorkerDied(RecoveryError):
    """The worker of a run ended without a word, as often as a job is tried."""

    def __init__(self, tries: int) -> None:
        super().__init__(
            f"this was tried {tries} times, and the last time its worker ended without a word before it had completed "
            "another step: it was killed, ran out of memory, or the run's own code ended the process. "
            "The worker's log may say which"
        )


class LeaseLost(RecoveryError):
    """Another worker holds the state now; this one must not write any more."""
