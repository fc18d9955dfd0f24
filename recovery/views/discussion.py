"""What people say about a request. It never decides anything, and goes on after the decision."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from recovery import queries
from recovery.models import ApprovalRequest, Decision


@dataclass(frozen=True, slots=True)
class Discussion:
    """`text` and `errors` are those of a comment that was not taken; `key` makes sending it twice the same as once."""

    comments: Sequence[Decision]
    text: str = ""
    errors: Sequence[str] = ()
    key: str = field(default_factory=lambda: str(uuid.uuid4()))

    @classmethod
    def of(cls, request: ApprovalRequest, text: str = "", errors: Sequence[str] = ()) -> Self:
        return cls(queries.comments_of(request), text, errors)
