"""Before several requests are decided with one act: which of them would be, which would not, and why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from recovery.errors import PipelineGone
from recovery.models import ApprovalRequest, ProposalVersion
from recovery.permissions import say_of
from recovery.rendering.call import literal
from recovery.services.answers import comment_required
from recovery.services.decide_many import Chosen
from recovery.services.questions import (
    allowed_kinds,
    proposal_of,
    question_of,
    why_cannot_go_on,
    why_not_waiting,
)
from recovery.services.refuse import why_one_by_one

# What settles a request, and is only for those that ask the same.
DECIDES = ("approve", "reject")
LONG_CALL = 500


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of those that were chosen. `why_not` is empty where the act would be tried on it; `call` is what would run,
    on one line; `needs_words`: the act needs a comment here."""

    chosen: Chosen
    request: ApprovalRequest
    call: str = ""
    why_not: str = ""
    needs_words: bool = False

    @property
    def is_long(self) -> bool:
        """Whether the call is more than somebody reads at a glance."""
        return len(self.call) > LONG_CALL


def look_at(chosen: Sequence[Chosen], *, by: Any, kind: str) -> list[Candidate]:
    """Each that is there, in the order of the choice. Decided together are those that ask the same: the same action of
    the same pipeline, with the same form. Where they differ, most of them go first and the others are left out."""
    visible = ApprovalRequest.objects.visible_to(by).filter(pk__in=[one.request_id for one in chosen])
    found = {one.pk: one for one in visible.select_related("state")}
    there = {one.request_id: one for one in chosen if one.request_id in found}
    newest = ProposalVersion.objects.filter(request__in=found).order_by("number")
    versions = {version.request_id: version for version in newest}
    looked = [_look_at(one, found[pk], versions[pk], by, kind) for pk, one in there.items()]
    if kind not in DECIDES:
        return looked
    shapes = Counter(_shape(one.request) for one in looked if not one.why_not)
    if len(shapes) < 2:
        return looked
    ((main, _),) = shapes.most_common(1)
    words = gettext("It asks something else than the others: choose it with its like, or decide it by itself.")
    return [
        one
        if one.why_not or _shape(one.request) == main
        else Candidate(one.chosen, one.request, one.call, words, one.needs_words)
        for one in looked
    ]


def _shape(request: ApprovalRequest) -> tuple[str, ...]:
    return request.pipeline, request.action, request.reason, request.args_schema, request.response_schema


def _look_at(chosen: Chosen, request: ApprovalRequest, version: ProposalVersion, by: Any, kind: str) -> Candidate:
    if not request.is_open:
        return Candidate(chosen, request, why_not=gettext("It was decided meanwhile."))
    if kind not in DECIDES:
        return Candidate(chosen, request)
    call, needs_words = "", False
    why_not = say_of(by, request).why_not or why_one_by_one(request)
    why_not = why_not or why_cannot_go_on(request.state) or why_not_waiting(request)
    if not why_not and (chosen.seen_version, chosen.seen_digest) != (request.version, request.digest):
        why_not = gettext(
            "The proposal changed since you chose it: it is version %(version)s now. Look at it again."
        ) % {"version": request.version}
    try:
        question = question_of(request)
        call = _call(request, version)
        needs_words = kind in comment_required(request, question)
        if not why_not and kind not in allowed_kinds(request, question):
            why_not = gettext("It cannot be %(kind)s without more: decide it by itself.") % {
                "kind": gettext("approved") if kind == "approve" else gettext("rejected")
            }
    except PipelineGone as gone:
        why_not = why_not or str(gone)
    return Candidate(chosen, request, call, why_not, needs_words)


def _call(request: ApprovalRequest, version: ProposalVersion) -> str:
    if request.is_manual or version.args == "null":
        return ""
    shown = literal(proposal_of(version))
    name, bracket, rest = shown.partition("(")
    # A model is written as the action that takes its fields.
    return f"{request.action or name}({rest}" if bracket and shown.endswith(")") else f"{request.action}({shown})"
