"""A policy in words: who decides, and what else it says."""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.utils import timezone

from recovery.rendering import quantities
from recovery.services.questions import is_ours
from recovery.services.settle import undo_window_s
from recovery.views.asked import Asked
from rh_agents.core.policy import Policy

# A policy may name thousands.
NAMES_AT_MOST = 8

_COUNTS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DOING = {
    "approve": "approving",
    "edit": "approving with changes",
    "respond": "answering",
    "reject": "rejecting",
    "request_changes": "sending it back",
}
EXPIRED = {"reject": "it counts as rejected", "approve": "it counts as approved", "cancel": "the run is cancelled"}


def count(number: int) -> str:
    return _COUNTS[number] if number < len(_COUNTS) else str(number)


def all_of(words: Sequence[str]) -> str:
    """`ada, grace and lin`."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1] if words else "") if part)


def deciders_in_words(policy: Policy) -> str:
    """Whom the policy lets decide, beside those of `from_groups`."""
    if policy.is_for_all:
        return "those who decide requests"
    # Groups first: they say more with less, where a policy names very many.
    names = [*sorted({*policy.groups, *policy.from_groups}), *some_of(policy.users)]
    if policy.permission:
        names.append(f"whoever may {policy.permission}")
    return ", ".join(names)


def some_of(names: Collection[str]) -> list[str]:
    """The first names in order, and of very many how many more there are."""
    shown = sorted(names)
    more = len(shown) - NAMES_AT_MOST
    return shown if more <= 1 else [*shown[:NAMES_AT_MOST], f"{more:,} others"]


def policy_words(asked: Asked, policy: Policy) -> str:
    """What it says beside how many people of which groups it takes."""
    request = asked.request
    self_words = (
        "Who started the run may decide, too." if request.self_approval else "Who started the run may not decide."
    )
    sentences = [self_words]
    if wordy := [_DOING[kind] for kind in asked.kinds if kind in asked.comment_required]:
        sentences.append(f"{all_of(wordy).capitalize()} need{'' if len(wordy) > 1 else 's'} a comment.")
    if policy.total_needed > 1:
        sentences.append(_rejections(policy))
    if not request.is_open:
        return " ".join([*sentences, "Every attempt is kept."])
    if request.expires_at is not None:
        sentences.append(f"If nobody decides by {_clock(request.expires_at)}, {EXPIRED[request.on_expire]}.")
    if request.escalate_at is not None:
        names = all_of(some_of(policy.escalate_to))
        sentences.append(f"From {_clock(request.escalate_at)} on {names} may decide, too.")
    elif request.escalated_at is not None:
        sentences.append(f"It is escalated: {all_of(some_of(policy.escalate_to))} may decide, too.")
    if is_ours(request.state) and (window_s := undo_window_s(request)):
        sentences.append(f"A decision can be undone for {quantities.span(window_s)}.")
    return " ".join([*sentences, "Every attempt is kept."])


def _rejections(policy: Policy) -> str:
    needed = policy.rejections_needed
    return f"{count(needed).capitalize()} rejection{' settles' if needed == 1 else 's settle'} it."


def _clock(when: datetime) -> str:
    local = timezone.localtime(when)
    return f"{local:%H:%M}" if local.date() == timezone.localdate() else f"{local.day} {local:%b, %H:%M}"
