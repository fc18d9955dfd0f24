"""The small marks of the pages: icons, badges, people, times, ids and addresses, each drawn in one way only."""

from datetime import datetime
from functools import lru_cache
from html import escape
from typing import Any

from django import template
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext

from recovery.languages import lazy as _
from recovery.rendering import markdown as markdown_text
from recovery.rendering import quantities
from recovery.rendering.marks import (
    DECISION_MARKS,
    EFFECT_MARKS,
    JOB_MARKS,
    MESSAGE_MARKS,
    REASON_WORDS,
    REFUSAL_MARKS,
    RISKS,
    STATE_MARKS,
    STEP_ICONS,
    STEP_MARKS,
    Mark,
)
from recovery.rendering.plain import visible as visible_text

register = template.Library()

# What stands in every row of a list is put together by hand, of parts that are escaped or ours: `format_html` looks at
# each part anew, which is a third of the time of a list.


# A due date nearer than this is marked as urgent.
SOON_S = quantities.HOUR_S
# A countdown of more than this counts minutes.
LONG_S = 90


@register.simple_tag
# A list of fifty rows has two hundred of them, and there are not many.
@lru_cache(maxsize=200)
def icon(name: str, extra_class: str = "") -> SafeString:
    return format_html(
        '<svg class="icon{}" aria-hidden="true"><use href="{}#{}"/></svg>',
        f" {extra_class}" if extra_class else "",
        static("icons.svg"),
        name,
    )


def _badge(mark: Mark, word: str = "") -> SafeString:
    tone = f" badge-{mark.tone}" if mark.tone else ""
    return format_html('<span class="badge{}">{}{}</span>', tone, icon(mark.icon), word or mark.word)


def _unknown(value: Any) -> Mark:
    """A word that this version does not know, from a newer program or another one, is shown as it stands."""
    return Mark(visible_text(str(value)), "circle-question-mark")


@register.simple_tag
def badge(word: str, icon_name: str, tone: str = "") -> SafeString:
    return _badge(Mark(word, icon_name, tone))


@register.simple_tag
def state_badge(status: str) -> SafeString:
    return _badge(STATE_MARKS.get(str(status)) or _unknown(status))


@register.simple_tag
def decision_badge(kind: str, refusal: str = "", word: str = "") -> SafeString:
    if refusal:
        return _badge(REFUSAL_MARKS.get(refusal) or _unknown(refusal), word)
    return _badge(DECISION_MARKS.get(str(kind)) or _unknown(kind), word)


@register.filter
def decision_word(kind: str) -> str:
    return (DECISION_MARKS.get(str(kind)) or _unknown(kind)).word


@register.filter
def with_code(text: str) -> SafeString:
    """Text in which `what stands between such marks` is code."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:
        return format_html("{}", text)
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", p) if i % 2 else p,) for i, p in enumerate(parts))
    )


@register.filter
def reason_words(reason: str) -> str:
    """Why it asks: the product's own reasons in words, an author's own as it stands."""
    return REASON_WORDS.get(reason, visible_text(reason))


@register.filter
def message_mark(level: str) -> Mark:
    return MESSAGE_MARKS.get(level, Mark(gettext("Note"), "info"))


@register.simple_tag
def effect_badge(effect: str) -> SafeString:
    return _badge(EFFECT_MARKS.get(str(effect)) or _unknown(effect))


@register.simple_tag
def step_icon(event_type: str) -> SafeString:
    return icon(STEP_ICONS.get(str(event_type), "circle-dashed"))


@register.simple_tag
def step_status(status: str, attempts: int = 1, has_waited: bool = False) -> SafeString:
    """The status of a step; `has_waited` for a decision that was made, which is time of people and not of the run."""
    mark = STEP_MARKS.get(str(status)) or _unknown(status)
    if has_waited and status == "completed":
        mark = Mark(gettext("Waited"), "hourglass", "warn")
    return format_html(
        '<span class="step-status{}">{}{}{}</span>',
        f" status-{mark.tone}" if mark.tone else "",
        icon(mark.icon),
        mark.word,
        f", {attempts}×" if attempts > 1 else "",
    )


@register.simple_tag
def risk(level: int) -> SafeString:
    return _risk(level, get_language())


@lru_cache
def _risk(level: int, _language: str | None) -> SafeString:
    name, word = RISKS[level]
    return format_html('<span class="risk risk-{}">{}{}</span>', name, icon(f"risk-{name}"), word)


@register.simple_tag
def due(when: datetime | None, prefix: str = "") -> SafeString:
    """How long until it is due; nothing without a due date. `prefix` is read out only, unless it is given."""
    if when is None:
        return SafeString()
    left_s = (when - timezone.now()).total_seconds()
    is_over = left_s < 0
    tone = " due-over" if is_over else " due-soon" if left_s < SOON_S else ""
    span = quantities.span(abs(left_s))
    words = (gettext("%(span)s over") if is_over else gettext("in %(span)s")) % {"span": span}
    before = f"{escape(prefix)} " if prefix else f'<span class="visually-hidden">{escape(gettext("Due"))} </span>'
    mark = icon("octagon-alert" if is_over else "clock")
    return SafeString(f'<span class="due{tone}">{mark}{before}{time_of(when, words, gettext("due"))}</span>')


def exact(when: datetime) -> str:
    return f"{timezone.localtime(when):%Y-%m-%d %H:%M:%S %Z}"


def time_of(when: datetime, words: str, verb: str = "") -> SafeString:
    # Written by hand: a list has two of them in every row.
    title = f"{escape(verb)} {exact(when)}" if verb else exact(when)
    return SafeString(f'<time datetime="{when.isoformat(timespec="seconds")}" title="{title}">{escape(words)}</time>')


@register.simple_tag
def since(when: datetime | None, verb: str = "") -> SafeString | str:
    """`34 min ago`, the exact time on hover."""
    return time_of(when, quantities.ago(when, timezone.now()), verb) if when else "–"


@register.simple_tag
def age(when: datetime | None, verb: str = "") -> SafeString | str:
    """`34 min`, for a place where `ago` is understood."""
    return time_of(when, quantities.span((timezone.now() - when).total_seconds()), verb) if when else "–"


@register.simple_tag
def moment(when: datetime | None) -> SafeString | str:
    """The time itself, for logs."""
    return time_of(when, exact(when)) if when else "–"


@register.simple_tag
def minute(when: datetime | None) -> SafeString | str:
    """The time without its seconds and zone, which the title has."""
    return time_of(when, f"{timezone.localtime(when):%Y-%m-%d %H:%M}") if when else "–"


@register.simple_tag
def person(user: Any, viewer: Any = None, name: str = "") -> SafeString:
    """A round mark with initials, and a first name; `You` for the viewer; `name` for an account that is gone."""
    if user is None:
        full = name or gettext("Nobody")
        return _person(full, full, initials_of(full))
    full = user.get_full_name() or user.get_username()
    if viewer is not None and user.pk == viewer.pk:
        return _person(gettext("You"), full, initials_of(full), " avatar-me")
    return _person(user.first_name or full, full, initials_of(full))


def _person(short: str, full: str, initials: str, extra_class: str = "") -> SafeString:
    return SafeString(
        f'<span class="person" title="{escape(full)}"><span class="avatar{extra_class}" aria-hidden="true">'
        f'{escape(initials)}</span><span class="person-name">{escape(short)}</span></span>'
    )


@register.filter
def full_name(user: Any) -> str:
    return (user.get_full_name() or user.get_username()) if user else ""


@register.filter
def initials(user: Any) -> str:
    return initials_of(full_name(user))


def initials_of(name: str) -> str:
    words = name.replace(".", " ").replace("_", " ").replace("-", " ").split() or ["?"]
    return (words[0][0] + words[-1][0] if len(words) > 1 else words[0][:2]).upper()


@register.simple_tag
def tag_list(tags: Any) -> SafeString:
    """Tags as rounded labels; plain words, or rows that have a `tag`."""
    names = (escape(str(getattr(tag, "tag", tag))) for tag in tags)
    # The space keeps them apart where they are read out or copied.
    return SafeString(" ".join(f'<span class="tag" title="{name}">{name}</span>' for name in names))


@register.simple_tag
def copy_button(value: Any, what: str) -> SafeString:
    return format_html(
        '<button class="btn-icon" type="button" data-copy="{}" aria-label="{}">{}</button>',
        value,
        gettext("Copy %(what)s") % {"what": what},
        icon("copy"),
    )


@register.simple_tag
def short_id(value: Any, what: str, url: str = "", length: int = 8) -> SafeString:
    """The first characters of an id, a link where there is a `url`, and a button that copies all of it."""
    whole = str(value)
    short = whole if len(whole) <= length else whole[:length]
    shown = (
        format_html('<a class="mono" href="{}" title="{}">{}</a>', url, whole, short)
        if url
        else format_html('<span class="mono" title="{}">{}</span>', whole, short)
    )
    return format_html('<span class="id">{}{}</span>', shown, copy_button(whole, what))


@register.filter
def breakable(address: str) -> SafeString:
    """An address that may break after each `::`, and nowhere inside a name unless it must."""
    return mark_safe(escape(visible_text(address)).replace("::", "::<wbr>"))  # noqa: S308  escaped first


@register.simple_tag
def address(text: str) -> SafeString:
    return format_html('<code class="address">{}</code>', breakable(text))


@register.filter
def duration(seconds: float | None) -> str:
    return "–" if seconds is None else quantities.duration(seconds)


@register.filter
def size(count: int | None) -> str:
    return "–" if count is None else quantities.size(count)


@register.filter
def visible(text: str) -> str:
    return visible_text(str(text))


@register.filter
def markdown(text: str) -> SafeString:
    return markdown_text.render(text)


# Which entry of the navigation a page belongs to, where that is not the page itself.
_SECTIONS = {
    "inbox": {
        "inbox_options",
        "save_view",
        "delete_view",
        "together",
        "request",
        "decide",
        "progress",
        "undo",
        "act",
        "comment",
    },
    "states": {"state", "compare", "artifact", "step", "storage_entry"},
    "pipelines": {"pipeline"},
}


# What the count beside an entry of the navigation counts.
_COUNTED = {"inbox": ("waiting-count", _("waiting for you")), "stuck": ("stuck-count", _("to be looked at"))}


@register.simple_tag(takes_context=True)
def nav_link(context: template.Context, name: str, icon_name: str, label: str, count: str | None = None) -> SafeString:
    """`count` in words; empty for none, but there, so that news can be shown in its place."""
    match = getattr(context.get("request"), "resolver_match", None)
    here = match.url_name if match and match.app_name == "recovery" else ""
    current = "page" if here == name else "true" if here in _SECTIONS.get(name, ()) else ""
    counter = SafeString()
    if count is not None:
        counter_id, words = _COUNTED[name]
        hidden = "" if count else mark_safe(" hidden")
        counter = format_html(
            '<b class="count" id="{}"{}>{}<i class="visually-hidden"> {}</i></b>', counter_id, hidden, count, words
        )
    return format_html(
        '<a href="{}"{}>{}<span>{}</span>{}</a>',
        reverse(f"recovery:{name}"),
        format_html(' aria-current="{}"', current) if current else "",
        icon(icon_name),
        label,
        counter,
    )


@register.simple_tag
def job_badge(status: str) -> SafeString:
    return _badge(JOB_MARKS.get(str(status)) or _unknown(status))


@register.filter
def job_word(status: str) -> str:
    return str((JOB_MARKS.get(str(status)) or _unknown(status)).word)
