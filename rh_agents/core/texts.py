"""Texts that every store can hold: the file and both databases take the same ones and refuse the same ones."""

from typing import Annotated

from pydantic import AfterValidator


def check_text(text: str, what: str, at_most: int | None = None) -> str:
    """Give `text` back if any store can hold it.

    Raises:
        ValueError: it holds a NUL or a lone surrogate, or has more than `at_most` characters; names `what`.
    """
    if "\x00" in text:
        raise ValueError(f"{what} holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} holds a lone surrogate, which is no text") from error
    if at_most is not None and len(text) > at_most:
        raise ValueError(f"{what} has {len(text)} characters; at most {at_most} fit")
    return text


def _field_text(text: str) -> str:
    return check_text(text, "the text")


# For the fields of a model: pydantic names the field beside the message.
Text = Annotated[str, AfterValidator(_field_text)]
