"""The steps of two histories in one order: children under their parent, each group of siblings merged."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from recovery.services.compare.align import longest_increasing
from rh_agents.core.addressing import path_of
from rh_agents.core.state_recovery import EventRecord
from rh_agents.core.types import EventType


class Step(NamedTuple):
    """One side of a step: its newest attempt, how many attempts there were, and its place in its own history."""

    record: EventRecord
    attempts: int
    order: int


Sides = tuple[Step | None, Step | None]


class Placed(NamedTuple):
    """A step of either or both sides. `is_moved`: both have it, in another order among its siblings."""

    address: str
    depth: int
    left: Step | None
    right: Step | None
    is_moved: bool


def merge_steps(left: Iterable[EventRecord], right: Iterable[EventRecord]) -> list[Placed]:
    """Every address of both sides once, a parent before its children.

    Among siblings what is only left comes before what is only right, and what moved stands where the right has it.
    """
    root = _Place()
    for address, sides in _by_address(left, right).items():
        root.at(path_of(address)).steps[address] = sides
    root.settle()
    return list(_walk(root, 0, is_moved=False))


def _by_address(left: Iterable[EventRecord], right: Iterable[EventRecord]) -> dict[str, Sides]:
    steps_left, steps_right = _steps(left), _steps(right)
    addresses = dict.fromkeys((*steps_left, *steps_right))
    return {address: (steps_left.get(address), steps_right.get(address)) for address in addresses}


def _steps(events: Iterable[EventRecord]) -> dict[str, Step]:
    attempts: dict[str, list[EventRecord]] = {}
    for event in sorted(events, key=lambda event: (event.position, event.started_at)):
        attempts.setdefault(event.address, []).append(event)
    return {
        address: Step(tried[0] if len(tried) == 1 else max(tried, key=_recency), len(tried), order)
        for order, (address, tried) in enumerate(attempts.items())
    }


def _recency(event: EventRecord) -> tuple[int, int, int]:
    return event.generation, event.attempt, event.position


@dataclass(slots=True, eq=False)
class _Place:
    """A path, the step that stands at it and the places below it.

    `first` is, for each side, the order of the earliest step here or below: a parent that was interrupted ran again
    and stands behind its older children in the history. `is_common`: a step here or below is on both sides.
    """

    address: str = ""
    sides: Sides = (None, None)
    steps: dict[str, Sides] = field(default_factory=dict)
    below: dict[str, "_Place"] = field(default_factory=dict)
    first: list[int | None] = field(default_factory=lambda: [None, None])
    is_common: bool = False

    def at(self, path: tuple[str, ...]) -> "_Place":
        place = self
        for part in path:
            below = place.below.get(part)
            if below is None:
                below = place.below[part] = _Place()
            place = below
        return place

    def settle(self) -> None:
        """Give every place at most one step, and find where each begins."""
        for name, place in list(self.below.items()):
            for address in place.others(self.below, name):
                # As the engine does: children of a second kind of step of one name carry that kind in their path.
                aside = self.below.setdefault(f"{name}({_kind(place.steps[address])})", _Place())
                if aside.steps:
                    aside = self.below.setdefault(address, _Place())
                aside.steps[address] = place.steps.pop(address)
        for place in self.below.values():
            for address, sides in place.steps.items():
                place.address, place.sides = address, sides
            place.settle()
            for side in (0, 1):
                own = place.sides[side]
                orders = [own.order] if own else []
                orders += [first for inner in place.below.values() if (first := inner.first[side]) is not None]
                place.first[side] = min(orders, default=None)
            place.is_common = None not in place.sides or any(inner.is_common for inner in place.below.values())

    def others(self, siblings: dict[str, "_Place"], name: str) -> list[str]:
        """The steps here that are not the parent of the places below."""

        def claim(address: str) -> tuple[bool, bool, int]:
            kind = _kind(self.steps[address])
            orders = [step.order for step in self.steps[address] if step]
            return kind == EventType.DECISION, f"{name}({kind})" in siblings, min(orders)

        return sorted(self.steps, key=claim)[1:]


def _kind(sides: Sides) -> str:
    return next(str(step.record.event_type) for step in sides if step)


def _walk(place: _Place, depth: int, *, is_moved: bool) -> Iterator[Placed]:
    if place.address:
        is_here = None not in place.sides
        yield Placed(place.address, depth, *place.sides, is_moved and is_here)
        is_moved = is_moved and not is_here
        depth += 1
    for below, has_moved in _merge(list(place.below.values())):
        # A place without a step of both sides (a tag, a parent that was replaced) says it through the first inside.
        yield from _walk(below, depth, is_moved=has_moved or (is_moved and below.is_common))
        is_moved = is_moved and not below.is_common


def _merge(places: list[_Place]) -> list[tuple[_Place, bool]]:
    """The places in one order, each with whether it has moved."""
    if len(places) < 2:
        return [(place, False) for place in places]
    lefts = sorted((place for place in places if place.first[0] is not None), key=lambda place: place.first[0] or 0)
    rights = sorted((place for place in places if place.first[1] is not None), key=lambda place: place.first[1] or 0)
    places_right = {id(place): index for index, place in enumerate(rights)}
    common = [index for index, place in enumerate(lefts) if place.is_common]
    targets = [places_right[id(lefts[index])] for index in common]
    anchors = [(common[index], targets[index]) for index in longest_increasing(targets)]
    merged: list[tuple[_Place, bool]] = []
    at_left = at_right = 0
    for i, j in [*anchors, (len(lefts), len(rights))]:
        merged.extend((place, False) for place in lefts[at_left:i] if id(place) not in places_right)
        merged.extend((place, place.is_common) for place in rights[at_right:j])
        if i < len(lefts):
            merged.append((rights[j], False))
        at_left, at_right = i + 1, j + 1
    return merged
