"""Who acts: a person, a rule that an admin wrote, or the system itself."""

from dataclasses import dataclass
from typing import Any

from recovery.models import AutoRule, Decision

LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Actor:
    """`kind` is one of `Decision.ActorKind`; `name` is what people read."""

    kind: str
    name: str
    user: Any = None
    rule: AutoRule | None = None

    @classmethod
    def of(cls, by: Any) -> "Actor":
        """`by` is a user, or an actor already."""
        if isinstance(by, Actor):
            return by
        # First and last name may have 150 characters each.
        return cls(Decision.ActorKind.USER, (by.get_full_name() or by.get_username())[:LONGEST_NAME], user=by)

    @property
    def is_person(self) -> bool:
        return self.user is not None

    def get_username(self) -> str:
        return str(self.user.get_username()) if self.is_person else self.name


SYSTEM = Actor(Decision.ActorKind.SYSTEM, "the system")
RUN = Actor(Decision.ActorKind.SYSTEM, "the run")
