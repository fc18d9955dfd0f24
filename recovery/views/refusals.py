"""A decision that was not accepted, in words: who was first, what changed, why not. Nothing typed is lost."""

from dataclasses import dataclass, field, replace
from http import HTTPStatus

from django.utils.translation import gettext

from recovery.errors import (
    AlreadyResolved,
    Held,
    NotAllowed,
    NotUndoable,
    NotWaiting,
    PipelineGone,
    RecoveryError,
    StaleProposal,
)
from recovery.forms import Change
from recovery.languages import lazy as _
from recovery.models import Decision, ProposalVersion
from recovery.views.entered import Entered

PAST_TENSE = {
    "approve": _("approved this"),
    "edit": _("approved this with changes"),
    "respond": _("answered this"),
    "reject": _("rejected this"),
    "request_changes": _("sent the run back"),
    "supersede": _("went on without an answer"),
    "expire": _("let this expire"),
    "cancel": _("cancelled this"),
}


@dataclass(frozen=True)
class Refusal:
    """`status` is the HTTP one. `comment`, `edits` and `answer` are what the person entered and may want to keep;
    `first` is the decision that was first; `differences` are (field, what they saw, what it is now)."""

    status: int
    icon: str
    title: str
    text: str
    comment: str = ""
    edits: list[Change] = field(default_factory=list)
    answer: list[Change] = field(default_factory=list)
    first: Decision | None = None
    seen: int = 0
    current: ProposalVersion | None = None
    differences: list[tuple[str, str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, refused: RecoveryError, entered: Entered | None = None) -> "Refusal":
        if entered is None:
            return _said(refused)
        return replace(_said(refused), comment=entered.whole_comment, edits=entered.changes, answer=entered.answer)


def _said(refused: RecoveryError) -> Refusal:
    match refused:
        case AlreadyResolved():
            first = refused.resolution.decision
            name = first.actor_name if first.actor_kind == "user" else first.actor_name.capitalize()
            title = f"{name} {PAST_TENSE.get(refused.resolution.outcome, 'decided this')}"
            return Refusal(
                HTTPStatus.CONFLICT,
                "users",
                title,
                gettext("Your decision was not used; nothing runs twice."),
                first=first,
            )
        case StaleProposal():
            return Refusal(
                HTTPStatus.PRECONDITION_FAILED,
                "pencil",
                gettext("%(by_name)s changed the proposal") % {"by_name": refused.current.by_name},
                gettext("Nothing was decided."),
                seen=refused.seen.number if refused.seen else 0,
                current=refused.current,
                differences=refused.changes,
            )
        case NotAllowed():
            return Refusal(HTTPStatus.FORBIDDEN, "lock", gettext("You may not decide this one."), str(refused))
        case Held():
            return Refusal(HTTPStatus.CONFLICT, "user", gettext("Somebody else holds it."), str(refused))
        case NotUndoable():
            return Refusal(HTTPStatus.CONFLICT, "undo-2", gettext("It cannot be undone."), str(refused))
        case NotWaiting():
            return Refusal(HTTPStatus.CONFLICT, "clock", gettext("The run does not wait for it now."), str(refused))
        case PipelineGone():
            text = gettext("%(refused)s The request stays open; nothing was decided.") % {"refused": refused}
            return Refusal(HTTPStatus.CONFLICT, "workflow", gettext("The run could not go on with it."), text)
        case _:
            raise refused
