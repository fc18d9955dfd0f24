"""What a notice says, and where it leads."""

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from recovery.languages import lazy as _
from recovery.models import Notice
from recovery.rendering.plain import visible
from recovery.templatetags.recovery_tags import icon

register = template.Library()

Kind = Notice.Kind

_ICONS = {
    Kind.ASKED: "user",
    Kind.ASKED_AGAIN: "rotate-ccw",
    Kind.HANDED_ON: "send",
    Kind.HANDED_OVER: "users",
    Kind.ESCALATED: "flag",
    Kind.COMMENTED: "message-square",
    Kind.MENTIONED: "message-square",
    Kind.UNDONE: "undo-2",
    Kind.EXPIRED: "hourglass",
    Kind.FAILED: "circle-x",
}
_WORDS = {
    Kind.ASKED: _("Asked of you: {title}"),
    Kind.ASKED_AGAIN: _("The run that you sent back asks again: {title}"),
    Kind.HANDED_ON: _("{who} handed this on to you: {title}"),
    Kind.HANDED_OVER: _("{who} lets you decide for them"),
    Kind.ESCALATED: _("Escalated to you: {title}"),
    Kind.COMMENTED: _("{who} commented on {title}"),
    Kind.MENTIONED: _("{who} mentioned you on {title}"),
    Kind.UNDONE: _("{who} took a decision back on {title}"),
    Kind.EXPIRED: _("Nobody decided in time: {title}"),
    Kind.FAILED: _("The run failed after: {title}"),
}


@register.simple_tag
def notice_icon(notice: Notice) -> SafeString:
    return icon(_ICONS.get(Kind(notice.kind), "info"))


@register.simple_tag
def notice_words(notice: Notice) -> SafeString:
    title = visible(notice.request.title) if notice.request is not None else ""
    who = visible(notice.by_name) or gettext("Somebody")
    return format_html(str(_WORDS[Kind(notice.kind)]), who=who, title=title)


@register.simple_tag
def notice_url(notice: Notice) -> str:
    if notice.request_id is None:
        return reverse("recovery:delegations")
    return reverse("recovery:request", args=[notice.request_id])
