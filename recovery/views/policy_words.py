"""A policy in words: who decides, and what else it says."""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext

from recovery.languages import lazy as _
from recovery.rendering import quantities
from recovery.services.questions import is_ours
from recovery.services.settle import undo_window_s
from recovery.views.asked import Asked
from rh_agents.core.policy import Policy

# A policy may name thousands.
NAMES_AT_MOST = 8

_COUNTS = (
    *(_("none"), _("one"), _("two"), _("three"), _("four"), _("five")),
    *(_("six"), _("seven"), _("eight"), _("nine"), _("ten")),
)
_DOING = {
    "approve": _("approving"),
    "edit": _("approving with changes"),
    "respond": _("answering"),
    "reject": _("rejecting"),
    "request_changes": _("sending it back"),
}
EXPIRED = {
    "reject": _("it counts as rejected"),
    "approve": _("it counts as approved"),
    "cancel": _("the run is cancelled"),
}


def count(number: int) -> str:
    return str(_COUNTS[number] if number < len(_COUNTS) else number)


def all_of(words: Sequence[str]) -> str:
    """`ada, grace and lin`."""
    if len(words) < 2:
        return words[0] if words else ""
    return gettext("%(all_but_one)s and %(last)s") % {"all_but_one": ", ".join(words[:-1]), "last": words[-1]}


def deciders_in_words(policy: Policy) -> str:
    """Whom the policy lets decide, beside those of `from_groups`."""
    if policy.is_for_all:
        return gettext("those who decide requests")
    # Groups first: they say more with less, where a policy names very many.
    names = [*sorted({*policy.groups, *policy.from_groups}), *some_of(policy.users)]
    if policy.permission:
        names.append(gettext("whoever may %(permission)s") % {"permission": policy.permission})
    return ", ".join(names)


def some_of(names: Collection[str]) -> list[str]:
    """The first names in order, and of very many how many more there are."""
    shown = sorted(names)
    more = len(shown) - NAMES_AT_MOST
    return shown if more <= 1 else [*shown[:NAMES_AT_MOST], gettext("%(more)s others") % {"more": f"{more:,}"}]


def policy_words(asked: Asked, policy: Policy) -> str:
    """What it says beside how many people of which groups it takes."""
    request = asked.request
    self_words = (
        gettext("Who started the run may decide, too.")
        if request.self_approval
        else gettext("Who started the run may not decide.")
    )
    sentences = [self_words]
    if wordy := [str(_DOING[kind]) for kind in asked.kinds if kind in asked.comment_required]:
        words = ngettext("%(doing)s needs a comment.", "%(doing)s need a comment.", len(wordy))
        sentences.append(_began_large(words % {"doing": all_of(wordy)}))
    if policy.total_needed > 1:
        sentences.append(_rejections(policy))
    if not request.is_open:
        return " ".join([*sentences, gettext("Every attempt is kept.")])
    if request.expires_at is not None:
        sentences.append(
            gettext("If nobody decides by %(expires_at)s, %(expired)s.")
            % {"expires_at": _clock(request.expires_at), "expired": EXPIRED[request.on_expire]}
        )
    if request.escalate_at is not None:
        names = all_of(some_of(policy.escalate_to))
        sentences.append(
            gettext("From %(escalate_at)s on %(names)s may decide, too.")
            % {"escalate_at": _clock(request.escalate_at), "names": names}
        )
    elif request.escalated_at is not None:
        sentences.append(
            gettext("It is escalated: %(escalate_to)s may decide, too.")
            % {"escalate_to": all_of(some_of(policy.escalate_to))}
        )
    if is_ours(request.state) and (window_s := undo_window_s(request)):
        sentences.append(
            gettext("A decision can be undone for %(window_s)s.") % {"window_s": quantities.span(window_s)}
        )
    return " ".join([*sentences, gettext("Every attempt is kept.")])


def _rejections(policy: Policy) -> str:
    needed = policy.rejections_needed
    words = ngettext("%(count)s rejection settles it.", "%(count)s rejections settle it.", needed)
    return _began_large(words % {"count": count(needed)})


def _began_large(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _clock(when: datetime) -> str:
    local = timezone.localtime(when)
    return f"{local:%H:%M}" if local.date() == timezone.localdate() else date_format(local, "j M, H:i")
