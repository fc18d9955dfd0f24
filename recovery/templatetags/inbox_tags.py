"""The rows of the inbox. Drawn here and not by a template: of a page with fifty of them, the template would be half the
time that it takes."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from django import template
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from recovery.models import ApprovalRequest
from recovery.rendering.plain import visible
from recovery.templatetags.recovery_tags import age, decision_badge, due, icon, person, risk, since, tag_list
from recovery.templatetags.request_tags import expires

register = template.Library()

_A_REQUEST = "00000000-0000-0000-0000-000000000000"


@register.simple_tag(takes_context=True)
def inbox_rows(context: template.Context) -> SafeString:
    """Those of `rows`, as the view of the inbox gives them with `votes`, `outcomes` and `short_of_people`."""
    return SafeString("".join(_rows(context)))


def _rows(context: template.Context) -> Iterator[str]:
    before, after = reverse("recovery:request", args=[_A_REQUEST]).split(_A_REQUEST)
    after += context["filters"].suffix
    viewer, may_select = context["request"].user, context["may_select"]
    is_part = context["is_part"]
    for place, row in enumerate(context["rows"]):
        pk = str(row.pk)
        is_open = row.resolved_at is None
        # The first row that was added to a list takes the focus.
        focus = " autofocus" if is_part and not place else ""
        url, title = escape(f"{before}{pk}{after}"), escape(visible(row.title))
        body = _of_open(row, viewer, context) if is_open else _of_decided(row, viewer, context["outcomes"])
        yield (
            f'<li class="inbox-row{"" if is_open else " is-decided"}">'
            f"{_check(row, pk) if may_select and is_open else ''}"
            f'<a class="inbox-row-title" id="t-{pk}" href="{url}"{focus}>{title}</a>'
            f'<div class="inbox-row-meta">{risk(row.risk)}{_pipeline(row)}{body}</div></li>\n'
        )


def _check(row: ApprovalRequest, pk: str) -> str:
    # Which proposal stood there when it was chosen is a part of what was chosen.
    chosen = f"{pk}:{row.version}:{escape(row.digest)}"
    return (
        f'<label class="row-check"><input type="checkbox" name="request" value="{chosen}"'
        f' aria-labelledby="select-words t-{pk}"></label>'
    )


def _pipeline(row: ApprovalRequest) -> str:
    name = escape(row.pipeline)
    words = name or escape(gettext("no pipeline"))
    return f' <span class="inbox-row-pipeline" title="{name}">{words}</span> '


def _of_open(row: Any, viewer: Any, context: Any) -> str:
    marks = ""
    if row.pk in context["short_of_people"]:
        why = escape(gettext("Too few people may decide this: nobody can settle it"))
        words = escape(gettext("Nobody can decide"))
        marks += f'<span class="inbox-row-short" title="{why}">{icon("triangle-alert")}<span>{words}</span></span> '
    if counted := context["votes"].get(row.pk):
        places = dict(zip(("have", "needed"), counted, strict=True))
        short = escape(gettext("%(have)s of %(needed)s") % places)
        whole = escape(gettext("%(have)s of %(needed)s votes") % places)
        marks += (
            f'<span class="inbox-row-votes" title="{whole}">{icon("users")}<span aria-hidden="true">{short}</span>'
            f'<span class="visually-hidden">{whole}</span></span> '
        )
    if row.escalated_at is not None:
        word = escape(gettext("escalated"))
        hidden = f'<span class="visually-hidden">{word}</span>'
        marks += f'<span class="inbox-row-votes" title="{word}">{icon("flag")}{hidden}</span> '
    holder = person(row.holder, viewer) + " " if row.holder_id is not None else ""
    until = due(row.due_at) if row.due_at or not row.expires_at else expires(row.expires_at)
    opened = age(row.opened_at, gettext("opened"))
    return f'{opened} {marks}{_tags(row)}{holder}<span class="inbox-row-end">{until}</span>'


def _of_decided(row: Any, viewer: Any, outcomes: Mapping[Any, Any]) -> str:
    decision = outcomes[row.pk]
    by = person(decision.actor, viewer, decision.actor_name)
    when = since(row.resolved_at, gettext("decided"))
    return f'{_tags(row)}{by} {decision_badge(row.outcome)} <span class="inbox-row-end">{when}</span>'


def _tags(row: Any) -> str:
    return f'<span class="inbox-row-tags">{tag_list(row.tag_names)}</span> '
