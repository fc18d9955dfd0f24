"""What pydantic says about a value, said to the person who typed it."""

from typing import Any, Final

from django.utils.translation import gettext

from recovery.languages import lazy as _

MISSING: Final = _("This field did not arrive with the form. Load the page again and repeat the edit.")

# Keyed by pydantic's error types; the others are plain enough once their prefix is gone.
_PLAIN: Final[dict[str, str]] = {
    "missing": _("This field is required."),
    "int_parsing": _("Enter a whole number, such as 42."),
    "int_type": _("Enter a whole number, such as 42."),
    "int_from_float": _("Enter a whole number, without a fraction."),
    "float_parsing": _("Enter a number."),
    "finite_number": _("Enter a finite number."),
    "decimal_parsing": _("Enter a number."),
    "bool_parsing": _("Choose yes or no."),
    "string_type": _("Enter a text."),
    "string_too_short": _("Enter at least {min_length} characters."),
    "string_too_long": _("Enter at most {max_length} characters."),
    "string_pattern_mismatch": _("This should match the pattern {pattern}{example}."),
    "greater_than": _("This must be greater than {gt}."),
    "greater_than_equal": _("This must be at least {ge}."),
    "less_than": _("This must be less than {lt}."),
    "less_than_equal": _("This must be at most {le}."),
    "multiple_of": _("This must be a multiple of {multiple_of}."),
    "decimal_max_digits": _("Enter at most {max_digits} digits in all."),
    "decimal_max_places": _("Enter at most {decimal_places} digits after the point."),
    "decimal_whole_digits": _("Enter at most {whole_digits} digits before the point."),
    "too_short": _("There must be at least {min_length} entries, there are {actual_length}."),
    "too_long": _("There may be at most {max_length} entries, there are {actual_length}."),
    "timezone_aware": _("A time zone is required."),
    "timezone_naive": _("This must not have a time zone."),
    "date_past": _("This date must be in the past."),
    "date_future": _("This date must be in the future."),
    "datetime_past": _("This time must be in the past."),
    "datetime_future": _("This time must be in the future."),
    "extra_forbidden": _("The model has no such field."),
}
_ONE: Final = {
    " 1 characters": " 1 character",
    " 1 entries": " 1 entry",
    " 1 digits": " 1 digit",
}


def plain_message(error: Any, examples: list[Any] | None = None) -> str:
    """One entry of `ValidationError.errors()` as a sentence."""
    context = dict(error.get("ctx") or {})
    template = _PLAIN.get(error["type"])
    if template is None:
        # What a validator raised stands behind this prefix.
        text = str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
        return text if text.endswith((".", "!", "?", "…")) else f"{text}."
    context["example"] = gettext(", such as %(example)s") % {"example": examples[0]} if examples else ""
    try:
        text = str(template).format_map(context)
    except KeyError:
        return str(error["msg"])
    for many, one in _ONE.items():
        text = text.replace(many, one)
    return text
