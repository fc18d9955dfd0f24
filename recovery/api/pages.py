"""Lists a page at a time: a cursor names the last row that was given, and the next page begins behind it."""

import json
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

from django.utils import timezone
from ninja import Field, Schema
from pydantic import AfterValidator

from recovery.errors import InvalidInput

Row = TypeVar("Row")

LIMIT = 50
LIMIT_AT_MOST = 200
LARGEST_NUMBER = 2**53


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("It holds a NUL character.")
    # JSON may escape one half of a character; no database holds that.
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("It holds half a character.")
    return text


# A text that every database can hold.
Text = Annotated[str, AfterValidator(_storable)]
Word = Annotated[str, AfterValidator(_storable), Field(max_length=200)]


class Place(Schema):
    """Where a page begins, and how long it is."""

    cursor: Word = Field("", description="The `next_cursor` of the page before; empty for the first.")
    limit: int = Field(LIMIT, ge=1, le=LIMIT_AT_MOST)


def page_of(rows: Sequence[Row], limit: int) -> tuple[Sequence[Row], Row | None]:
    """Of up to `limit + 1` rows those of the page, and the last of them if there are more."""
    return rows[:limit], rows[limit - 1] if len(rows) > limit else None


def cursor_of(*parts: Any) -> str:
    texts = [part.isoformat() if isinstance(part, datetime) else str(part) for part in parts]
    return urlsafe_b64encode(json.dumps(texts).encode()).decode().rstrip("=")


def place_of(cursor: str, *kinds: type) -> tuple[Any, ...] | None:
    """The parts of a cursor as `kinds` (int, datetime, UUID), `None` for an empty one.

    Raises:
        InvalidInput: it was not given by this list.
    """
    if not cursor:
        return None
    try:
        texts = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return tuple(_part(text, kind) for text, kind in zip(texts, kinds, strict=True))
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInput({"cursor": ["It is no cursor of this list."]}, "the call") from error


def _part(text: str, kind: type) -> Any:
    if kind is datetime:
        moment = datetime.fromisoformat(text)
        if timezone.is_naive(moment):
            raise ValueError(f"{text!r} has no time zone")
        return moment
    if kind is uuid.UUID:
        return uuid.UUID(text)
    number = int(text)
    if not 0 <= number <= LARGEST_NUMBER:
        raise ValueError(f"{number} is no number of a row")
    return number
