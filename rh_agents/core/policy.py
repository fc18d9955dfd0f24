"""Who may decide about a question, how many of them it takes, and what happens when nobody does."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from rh_agents.core.texts import Text

Risk = Literal["low", "medium", "high", "critical"]
OnExpire = Literal["reject", "approve", "cancel"]
RISK_ORDER: tuple[Risk, ...] = ("low", "medium", "high", "critical")

_COMBINED = {"is_combined": True}
LONGEST_S = 10 * 366 * 24 * 3600.0
Name = Annotated[Text, Field(min_length=1, max_length=150)]
Seconds = Annotated[float, Field(gt=0, le=LONGEST_S, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1000)]


class Policy(BaseModel):
    """The rules under which a question is decided. What is not given is left to whoever else has a say: the pipeline,
    the admin of a dashboard, and in the end the defaults below.

    `users`, `groups` and `permission` (Django's `app.codename`): any of them makes a decider; without all three it is
    everybody who decides requests at all. `needed`: so many different people. `from_groups`: at least so many of each
    of these groups, each person counted for one of them; their members may decide too. `self_approval`: whoever
    started the run may decide. `reject_by`: whether one rejection settles it, or it takes more than half of those
    needed. `comment_required`: kinds of decision that need words. `bulk_up_to`: the highest risk at which several are
    decided together. `undo_window_s`: how long the run waits, so that the decision can be taken back.
    `expires_after_s`, `on_expire`: when nobody has decided by then, it counts as rejected or approved, or the run is
    cancelled. `remind_every_s`: those who may decide are told again. `escalate_after_s`, `escalate_to`: from then on
    the members of these groups may decide as well.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    users: frozenset[Name] = frozenset()
    groups: frozenset[Name] = frozenset()
    permission: Annotated[Text, Field(pattern=r"^(\w+\.\w+)?$", max_length=200)] = ""
    needed: Count = 1
    from_groups: dict[Name, Count] = Field(default_factory=dict)
    self_approval: bool = False
    reject_by: Literal["one", "majority"] = "one"
    comment_required: frozenset[Literal["approve", "edit", "respond", "reject", "request_changes"]] = frozenset(
        {"reject", "request_changes"}
    )
    bulk_up_to: Risk = "medium"
    undo_window_s: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] | None = None
    expires_after_s: Seconds | None = None
    on_expire: OnExpire = "reject"
    remind_every_s: Annotated[Seconds, Field(ge=60)] | None = None
    escalate_after_s: Seconds | None = None
    escalate_to: frozenset[Name] = frozenset()

    @model_validator(mode="after")
    def _can_be_met(self, info: ValidationInfo) -> Self:
        if info.context == _COMBINED:
            return self
        closed = self.users and not (self.groups or self.permission or self.from_groups)
        if closed and self.total_needed > len(self.users):
            raise ValueError(f"it needs {self.total_needed} people, and only {len(self.users)} may decide")
        if self.escalate_after_s is not None and not self.escalate_to:
            raise ValueError("escalate_after_s needs escalate_to: the groups that may decide from then on")
        return self

    @classmethod
    def combined(cls, rules: dict[str, Any]) -> "Policy":
        """Of rules that several said, each of whom made sense. Together they may ask for more people than there are:
        a question under them waits until somebody changes that, instead of failing the run."""
        return cls.model_validate(rules, context=_COMBINED)

    @property
    def total_needed(self) -> int:
        """How many different people it takes in all."""
        return max(self.needed, sum(self.from_groups.values()))

    @property
    def rejections_needed(self) -> int:
        return self.total_needed // 2 + 1 if self.reject_by == "majority" else 1

    @property
    def is_for_all(self) -> bool:
        """Whether everybody who decides requests at all may decide."""
        return not (self.users or self.groups or self.permission or self.from_groups)

    def given(self) -> dict[str, Any]:
        """What was said, without what was left open."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    def over(self, other: "Policy | None") -> "Policy":
        """This one, and what it leaves open as `other` says."""
        return self if other is None else Policy.combined({**other.given(), **self.given()})

    def tightened_by(self, other: "Policy") -> "Policy":
        """This one, but never laxer than what `other` says: of each rule that it gives, the stricter one."""
        changed = {
            name: _STRICTER[name](getattr(self, name), value)
            for name, value in other.given().items()
            if name in _STRICTER
        }
        if not other.is_for_all:
            changed |= self._narrowed_to(other)
        if not self.is_for_all and "from_groups" in changed:
            # A rule of another group would let its members decide, who may not.
            mine = {*self.groups, *self.from_groups}
            changed["from_groups"] = {name: needed for name, needed in changed["from_groups"].items() if name in mine}
        if "expires_after_s" in changed and changed["expires_after_s"] != self.expires_after_s:
            # Nothing comes to an approval by nobody that would not have come to one later.
            changed["on_expire"] = _STRICTER["on_expire"](other.on_expire, self.on_expire)
        if "on_expire" in changed and self.expires_after_s is not None and other.expires_after_s is None:
            changed["on_expire"] = _STRICTER["on_expire"](self.on_expire, other.on_expire)
        lets_others = not self.is_for_all and not other.escalate_to <= {*self.groups, *self.from_groups}
        if other.escalate_after_s is not None and self.escalate_after_s is None and not lets_others:
            changed |= {"escalate_after_s": other.escalate_after_s, "escalate_to": other.escalate_to}
        return Policy.combined({**self.given(), **changed})

    def _narrowed_to(self, other: "Policy") -> dict[str, Any]:
        """Who may decide, where both say it: only what both name. Where that is nothing, `self` stays as it is: who
        belongs to both is for those to say who know the people."""
        if self.is_for_all:
            return {name: getattr(other, name) for name in ("users", "groups", "permission")}
        both = {"users": self.users & other.users, "groups": self.groups & other.groups}
        both_permission = self.permission if self.permission == other.permission else ""
        if not (both["users"] or both["groups"] or both_permission):
            return {}
        return {**both, "permission": both_permission}


def _sooner(mine: float | None, other: float | None) -> float | None:
    return min((one for one in (mine, other) if one is not None), default=None)


def _longer_window(mine: float | None, other: float) -> float | None:
    # How long the default is, is not known here: it stays.
    return None if mine is None else max(mine, other)


def _most(mine: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: max(mine.get(name, 0), other.get(name, 0)) for name in (*mine, *other)}


_STRICTER: dict[str, Any] = {
    "needed": max,
    "from_groups": _most,
    "self_approval": lambda mine, other: mine and other,
    # A single rejection stops more than a majority does.
    "reject_by": lambda mine, other: "one" if "one" in (mine, other) else "majority",
    "comment_required": lambda mine, other: mine | other,
    "bulk_up_to": lambda mine, other: min(mine, other, key=RISK_ORDER.index),
    "undo_window_s": lambda mine, other: mine if other is None else _longer_window(mine, other),
    "expires_after_s": _sooner,
    "on_expire": lambda mine, other: mine if mine != "approve" else other,
    "remind_every_s": _sooner,
}
