"""Deciding several with one act: first what would happen to which, then what became of each."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from recovery.errors import InvalidInput, OneByOne, RecoveryError, Refused
from recovery.languages import lazy as _
from recovery.models import ApprovalRequest
from recovery.services.decide_many import AT_MOST, Chosen, Result, decide_many
from recovery.services.several import DECIDES, look_at
from recovery.views.filters import InboxFilters
from recovery.views.parts import PageRequest, render_part
from recovery.views.refusals import Refusal
from recovery.views.voting import vote_in_words

TEMPLATE = "recovery/together.html"
LONGEST_COMMENT = 10_000
LARGEST_VERSION = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Act:
    """What is done to all of them. `label`, `past` and `icon` are words and a mark for it."""

    kind: str
    label: str
    past: str
    icon: str


ACTS = {
    "approve": Act("approve", _("Approve"), _("Approved"), "check"),
    "reject": Act("reject", _("Reject"), _("Rejected"), "circle-x"),
    "claim": Act("claim", _("Hold"), _("Held by you"), "user"),
    "release": Act("release", _("Let go"), _("Let go"), "user"),
}


@dataclass(frozen=True, slots=True)
class Became:
    """What became of one request. `is_settled`: it was decided; `words` says more, or why it was refused."""

    title: str
    pk: uuid.UUID
    is_accepted: bool
    is_settled: bool = False
    words: str = ""


@login_required
@require_http_methods(["POST", "GET", "HEAD"])
def decide_together(request: PageRequest) -> HttpResponse:
    """GET decides nothing and has nothing to show: it is where a login in between leads back to."""
    filters = InboxFilters.of(request.GET)
    act = ACTS.get(request.POST.get("kind", ""))
    if request.method != "POST" or act is None:
        return redirect(filters.url())
    chosen = _chosen(request.POST.getlist("request"))
    if not chosen or len(chosen) > AT_MOST:
        wrong = (
            gettext("%(count)s are too many at once; choose at most %(at_most)s.")
            % {"count": len(chosen), "at_most": AT_MOST}
            if chosen
            else gettext("Nothing is chosen.")
        )
        return _part(request, filters, act, {"wrong": wrong}, status=422)
    if act.kind in DECIDES and "confirmed" not in request.POST:
        return _confirm(request, filters, act, chosen)
    comment = request.POST.get("comment", "").strip()[:LONGEST_COMMENT]
    return _decide(request, filters, act, chosen, comment)


def _confirm(
    request: PageRequest,
    filters: InboxFilters,
    act: Act,
    chosen: Sequence[Chosen],
    *,
    comment: str = "",
    wrong: str = "",
) -> HttpResponse:
    looked = look_at(chosen, by=request.user, kind=act.kind)
    ready = [one for one in looked if not one.why_not]
    context = {
        "ready": ready,
        "left_out": [one for one in looked if one.why_not],
        "gone": len(chosen) - len(looked),
        "needs_words": any(one.needs_words for one in ready),
        "is_irreversible": any(one.request.effect == ApprovalRequest.Effect.IRREVERSIBLE for one in ready),
        "comment": comment,
        "wrong": wrong,
        "key": str(uuid.uuid4()),
    }
    return _part(request, filters, act, context, status=422 if wrong else 200)


def _decide(
    request: PageRequest, filters: InboxFilters, act: Act, chosen: Sequence[Chosen], comment: str
) -> HttpResponse:
    if act.kind in DECIDES and not comment:
        looked = look_at(chosen, by=request.user, kind=act.kind)
        if any(one.needs_words for one in looked if not one.why_not):
            return _confirm(
                request, filters, act, chosen, wrong=gettext("Say why: the policy asks for words. Nothing was decided.")
            )
    key = request.POST.get("idempotency_key", "")[:100] or str(uuid.uuid4())
    try:
        results = decide_many(
            chosen, by=request.user, kind=act.kind, comment=comment, channel="web", idempotency_key=key
        )
    except InvalidInput as invalid:
        return _part(request, filters, act, {"wrong": _said(invalid)}, status=422)
    titles = dict(ApprovalRequest.objects.filter(pk__in=[one.request_id for one in results]).values_list("pk", "title"))
    became = [_became(one, titles.get(one.request_id, "")) for one in results]
    context = {
        "became": became,
        "accepted": sum(one.is_accepted for one in became),
        "refused": sum(not one.is_accepted for one in became),
        "gone": len(chosen) - len(results),
    }
    return _part(request, filters, act, context)


def _part(
    request: PageRequest, filters: InboxFilters, act: Act, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    return render_part(request, TEMPLATE, "together", {"filters": filters, "act": act, **context}, status=status)


def _became(result: Result, title: str) -> Became:
    if result.outcome is not None:
        is_short = result.outcome.resolution is None and result.outcome.decision.kind in DECIDES
        words = vote_in_words(result.outcome.request, result.outcome.decision) if is_short else ""
        settled = result.outcome.resolution is not None
        return Became(title, result.request_id, True, settled, words)
    return Became(title, result.request_id, False, words=_said(result.error) if result.error else "")


def _said(error: RecoveryError) -> str:
    if isinstance(error, InvalidInput):
        return " ".join(message for messages in error.errors.values() for message in messages)
    if isinstance(error, OneByOne) or not isinstance(error, Refused):
        return str(error)
    refusal = Refusal.of(error)
    return f"{refusal.title}. {refusal.text}".replace("..", ".")


def _chosen(values: Sequence[str]) -> list[Chosen]:
    """`<id>:<version>:<digest>` of each; what is no such thing was never offered, and is left out."""
    found: dict[uuid.UUID, Chosen] = {}
    for value in values[: 10 * AT_MOST]:
        pk, _, seen = value.partition(":")
        version, _, digest = seen.partition(":")
        try:
            one = Chosen(uuid.UUID(pk), int(version), digest)
        except ValueError:
            continue
        if 0 < (one.seen_version or 0) <= LARGEST_VERSION and (not digest or digest.isalnum()) and len(digest) <= 64:
            found[one.request_id] = one
    return list(found.values())
