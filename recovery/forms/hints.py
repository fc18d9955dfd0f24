"""What a field's limits become: attributes of its control, and a sentence that says them."""

import math
import re
from decimal import Decimal
from typing import Any, Final

from recovery.forms.parse import text_of
from recovery.forms.shapes import Limits, Shape

# Beyond this a browser's number field would round.
EXACT_IN_BROWSERS: Final = 2**53

_FORMATS: Final[dict[str, str]] = {
    "timedelta": "Hours, minutes and seconds, such as 1:30 or 2 days 04:00:00.",
    "raw": "Written as JSON.",
}


def help_text(shape: Shape, description: str) -> str:
    """The author's description, then what can be said about the limits."""
    parts = [description.strip(), _FORMATS.get(shape.kind, ""), *_limits_in_words(shape)]
    if shape.limits.pattern is not None and not parts[0]:
        # The author's words say it better than a regular expression can.
        parts.append(f"Pattern: `{pattern_of(shape.limits)}`")
    return " ".join(part if part.endswith((".", "!", "?", ":", "`")) else f"{part}." for part in parts if part)


def _limits_in_words(shape: Shape) -> list[str]:
    limits, words = shape.limits, []
    if shape.kind in ("rows", "map"):
        words.append(_between("entry", "entries", limits.min_length, limits.max_length))
    elif shape.kind in ("str", "secret", "path", "text"):
        words.append(_between("character", "characters", limits.min_length, limits.max_length))
    else:
        words += [
            f"{word} {text_of(bound)}"
            for word, bound in (
                ("At least", limits.ge),
                ("More than", limits.gt),
                ("At most", limits.le),
                ("Less than", limits.lt),
                ("A multiple of", limits.multiple_of),
            )
            if bound is not None
        ]
        if limits.decimal_places is not None:
            digits = "digit" if limits.decimal_places == 1 else "digits"
            words.append(f"At most {limits.decimal_places} {digits} after the point")
    return words


def _between(one: str, many: str, low: int | None, high: int | None) -> str:
    if low and high is not None:
        return f"{low} {one if high == 1 else many}" if low == high else f"{low} to {high} {many}"
    if low:
        return f"At least {low} {one if low == 1 else many}"
    return "" if high is None else f"At most {high} {one if high == 1 else many}"


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
