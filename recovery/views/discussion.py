"""What people say about a request. It never decides anything, and goes on after the decision."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from recovery.models import Decision
from recovery.request_reads import Said


@dataclass(frozen=True, slots=True)
class Discussion:
    """A window of the comments: `has_earlier` says that there are more before it, `is_earlier` that it is not the
    newest. `text` and `errors` are those of a comment that was not taken; `key` makes sending it twice the same as
    once."""

    comments: Sequence[Decision]
    has_earlier: bool = False
    is_earlier: bool = False
    text: str = ""
    errors: Sequence[str] = ()
    key: str = field(default_factory=lambda: str(uuid.uuid4()))

    @classmethod
    def of(cls, said: Said, text: str = "", errors: Sequence[str] = (), *, is_earlier: bool = False) -> Self:
        return cls(said.comments, said.has_earlier, is_earlier, text, errors)

    @property
    def first(self) -> int:
        """The place before which the earlier ones are."""
        return self.comments[0].pk if self.comments else 0
