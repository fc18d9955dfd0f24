"""Comparing two states or checkpoints side by side, and choosing what to compare."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from recovery.errors import NotASide
from recovery.languages import lazy as _
from recovery.models import State
from recovery.services.compare import Reference, compare_states, parse_reference
from recovery.services.compare.choices import choices_for, newest_states
from recovery.services.compare.comparison import Comparison, Side
from recovery.services.compare.states import check_side
from recovery.views.compare_links import Links, SideLinks
from recovery.views.compared import Focus, compared
from recovery.views.parts import PageRequest, render_part, wants_part

RELATIONS = {
    "same": _("The same checkpoint as left"),
    "later": _("A later checkpoint of the same state"),
    "earlier": _("An earlier checkpoint of the same state"),
    "siblings": _("Forked from the same state as left"),
}


_NAMES = {"left": _("Left"), "right": _("Right")}


@dataclass(frozen=True)
class Asked:
    """What the address asks for; `left` and `right` as they were given, however wrong."""

    left: str
    right: str
    only_changes: bool
    focus: Focus

    @classmethod
    def of(cls, query: Any) -> "Asked":
        left, right = (query.get(name, "").strip()[:200] for name in ("left", "right"))
        return cls(left, right, query.get("only") == "changes", Focus.of(query))

    @property
    def fields(self) -> list[tuple[str, str, str]]:
        """Name, label and value of both fields."""
        return [("left", gettext("Left"), self.left), ("right", gettext("Right"), self.right)]

    @property
    def show_same(self) -> bool:
        return not self.only_changes

    def url(self, **changed: Any) -> str:
        """The same page but for `changed`; what is empty is left out."""
        values = {"left": self.left, "right": self.right, "only": "changes" if self.only_changes else "", **changed}
        query = urlencode({name: value for name, value in values.items() if value})
        return f"{reverse('recovery:compare')}?{query}"


@login_required
@require_safe
def compare(request: PageRequest) -> HttpResponse:
    """Both sides; without them, or with a wrong one, what to choose from. The part is what differs."""
    asked = Asked.of(request.GET)
    try:
        if asked.left and asked.right:
            return render_part(request, "recovery/compare.html", "differences", _both(asked))
        return _answer(request, "recovery/compare_choose.html", _one_or_none(asked))
    except NotASide as refusal:
        if wants_part(request):
            return _answer(request, "recovery/_compare_refused.html", {"refusal": refusal})
        return _answer(request, "recovery/compare_choose.html", _wrong(asked, refusal), status=HTTPStatus.NOT_FOUND)


def _answer(request: PageRequest, template: str, context: dict[str, Any], status: int = HTTPStatus.OK) -> HttpResponse:
    response = render(request, template, context, status=status)
    # A running state has other steps when somebody comes back.
    patch_cache_control(response, private=True, no_cache=True)
    return response


def _both(asked: Asked) -> dict[str, Any]:
    comparison = compare_states(asked.left, asked.right)
    ids = {comparison.left.state_id, comparison.right.state_id}
    heads = {str(key): head for key, head in State.objects.filter(pk__in=ids).values_list("pk", "head")}
    sides = comparison.left, comparison.right
    links = Links(*(SideLinks.of(side, heads.get(side.state_id, 0)) for side in sides))
    return {
        "asked": asked,
        "comparison": comparison,
        "heading": _heading(comparison),
        "sides": [_side(asked, comparison, name, heads) for name in ("left", "right")],
        "left_url": links.left.state(),
        "right_url": links.right.state(),
        **compared(comparison, links, asked.focus, asked.url),
    }


def _heading(comparison: Comparison) -> str:
    left, right = comparison.left, comparison.right
    if left.state_id == right.state_id:
        return gettext("Compare two checkpoints of %(short_id)s") % {"short_id": left.short_id}
    if left.pipeline and left.pipeline == right.pipeline:
        return gettext("Compare two runs of %(pipeline)s") % {"pipeline": left.pipeline}
    return gettext("Compare two states")


def _side(asked: Asked, comparison: Comparison, name: str, heads: dict[str, int]) -> dict[str, Any]:
    side: Side = getattr(comparison, name)
    kind, address = comparison.relation
    is_fork = kind == f"fork_of_{'left' if name == 'right' else 'right'}"

    def at(number: int) -> str:
        return asked.url(**{name: f"{side.state_id}@{number}"})

    return {
        "name": str(_NAMES[name]),
        "side": side,
        "relation": RELATIONS.get(kind, "") if name == "right" else "",
        "fork": str(_NAMES["left" if name == "right" else "right"]) if is_fork else "",
        "forked_at": address if is_fork else "",
        "earlier_url": at(side.checkpoint - 1) if side.checkpoint > 1 else "",
        "later_url": at(side.checkpoint + 1) if side.checkpoint < heads.get(side.state_id, 0) else "",
        "others_url": asked.url(**{"left" if name == "right" else "right": "", name: _reference(side)}),
    }


def _reference(side: Side) -> str:
    return f"{side.state_id}@{side.checkpoint}" if side.checkpoint else side.state_id


def _one_or_none(asked: Asked) -> dict[str, Any]:
    if not asked.left and not asked.right:
        states = [(state, asked.url(left=state.pk, only="changes")) for state in newest_states()]
        return {"asked": asked, "states": states}
    given, missing = ("left", "right") if asked.left else ("right", "left")
    reference = parse_reference(getattr(asked, given), given)
    check_side(reference, given)
    return {"asked": asked, **_choices(asked, given, reference, missing)}


def _choices(asked: Asked, given: str, reference: Reference, missing: str) -> dict[str, Any]:
    found = choices_for(reference)
    return {
        "given": reference,
        "given_name": given,
        "missing_name": missing,
        "checkpoints": [
            (checkpoint, asked.url(**{missing: f"{reference.state_id}@{checkpoint.number}", "only": "changes"}))
            for checkpoint in found.checkpoints
        ],
        "related": [
            (relation, state, asked.url(**{missing: str(state.pk), "only": "changes"}))
            for relation, state in found.states
        ],
    }


def _wrong(asked: Asked, refusal: NotASide) -> dict[str, Any]:
    """The form again, with what was entered, and what the other side may be compared with if that one is right."""
    context: dict[str, Any] = {"asked": asked, "refusal": refusal}
    other = "left" if refusal.side == "right" else "right"
    try:
        reference = parse_reference(getattr(asked, other), other)
        check_side(reference, other)
    except NotASide:
        return context
    return {**context, **_choices(asked, other, reference, refusal.side)}
