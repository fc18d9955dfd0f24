"""What a field's limits become: attributes of its control, and a sentence that says them."""

import math
import re
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext, ngettext

from recovery.forms.parse import text_of
from recovery.forms.shapes import Limits, Shape
from recovery.languages import lazy as _

# Beyond this a browser's number field would round.
EXACT_IN_BROWSERS: Final = 2**53

_FORMATS: Final[dict[str, str]] = {
    "timedelta": _("Hours, minutes and seconds, such as 1:30 or 2 days 04:00:00."),
    "raw": _("Written as JSON."),
}


def help_text(shape: Shape, description: str) -> str:
    """The author's description, then what can be said about the limits."""
    parts = [description.strip(), str(_FORMATS.get(shape.kind, "")), *_limits_in_words(shape)]
    if shape.limits.pattern is not None and not parts[0]:
        # The author's words say it better than a regular expression can.
        parts.append(gettext("Pattern: `%(limits)s`") % {"limits": pattern_of(shape.limits)})
    return " ".join(part if part.endswith((".", "!", "?", ":", "`")) else f"{part}." for part in parts if part)


def _limits_in_words(shape: Shape) -> list[str]:
    limits, words = shape.limits, []
    if shape.kind in ("rows", "map"):
        words.append(_between("entries", limits.min_length, limits.max_length))
    elif shape.kind in ("str", "secret", "path", "text"):
        words.append(_between("characters", limits.min_length, limits.max_length))
    else:
        words += [
            f"{word} {text_of(bound)}"
            for word, bound in (
                (gettext("At least"), limits.ge),
                (gettext("More than"), limits.gt),
                (gettext("At most"), limits.le),
                (gettext("Less than"), limits.lt),
                (gettext("A multiple of"), limits.multiple_of),
            )
            if bound is not None
        ]
        if limits.decimal_places is not None:
            words.append(
                ngettext(
                    "At most %(count)s digit after the point",
                    "At most %(count)s digits after the point",
                    limits.decimal_places,
                )
                % {"count": limits.decimal_places}
            )
    return words


def _between(what: str, low: int | None, high: int | None) -> str:
    if low and high is not None:
        return _counted(what, high) if low == high else f"{low} – {_counted(what, high)}"
    if low:
        return gettext("At least %(counted)s") % {"counted": _counted(what, low)}
    return "" if high is None else gettext("At most %(counted)s") % {"counted": _counted(what, high)}


def _counted(what: str, count: int) -> str:
    words = (
        ngettext("%(count)s entry", "%(count)s entries", count)
        if what == "entries"
        else ngettext("%(count)s character", "%(count)s characters", count)
    )
    return words % {"count": count}


def pattern_of(limits: Limits) -> str:
    return limits.pattern.pattern if isinstance(limits.pattern, re.Pattern) else str(limits.pattern)


def attributes(shape: Shape) -> dict[str, str]:
    """Attributes of the control that the limits allow; never one that refuses what the model accepts."""
    limits = shape.limits
    match shape.kind:
        case "int":
            return _integer_attributes(limits)
        case "float" | "decimal":
            # Without a minus key on phones: only where nothing below zero is accepted.
            return {"inputmode": "decimal"} if _is_never_negative(limits) else {}
        case "str" | "text" | "secret":
            return _text_attributes(limits)
        case "date":
            bounds = {"min": limits.ge, "max": limits.le}
            return {name: text_of(bound) for name, bound in bounds.items() if bound is not None}
        case _:
            return {}


def _integer_attributes(limits: Limits) -> dict[str, str]:
    step = limits.multiple_of if isinstance(limits.multiple_of, int) and limits.multiple_of > 0 else 1
    low = _whole(limits.ge, math.ceil) if limits.ge is not None else _whole(limits.gt, lambda gt: math.floor(gt) + 1)
    high = _whole(limits.le, math.floor) if limits.le is not None else _whole(limits.lt, lambda lt: math.ceil(lt) - 1)
    attrs = {"step": str(step)}
    if low is not None:
        # Browsers count steps from `min`.
        attrs["min"] = str(-(-low // step) * step)
    if high is not None:
        attrs["max"] = str(high)
    return attrs


def _whole(bound: Any, rounded: Any) -> int | None:
    return int(rounded(bound)) if isinstance(bound, int | float | Decimal) and math.isfinite(bound) else None


def _is_never_negative(limits: Limits) -> bool:
    bound = limits.ge if limits.ge is not None else limits.gt
    return isinstance(bound, int | float | Decimal) and bound >= 0


def _text_attributes(limits: Limits) -> dict[str, str]:
    attrs = {}
    if limits.min_length:
        attrs["minlength"] = str(limits.min_length)
    if limits.max_length is not None:
        attrs["maxlength"] = str(limits.max_length)
    if limits.pattern is not None:
        pattern = pattern_of(limits)
        # HTML matches the whole text: a pattern that is not anchored, or has branches, would refuse more.
        if pattern.startswith("^") and pattern.endswith("$") and "|" not in pattern and "(?" not in pattern:
            attrs["pattern"] = pattern[1:-1]
    return attrs
