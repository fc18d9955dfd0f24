"""As much of a comparison as one page holds: a window of its steps, and of each difference its first rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

from django.utils.translation import ngettext

from recovery.services.compare.comparison import Comparison, KeyPair, SameSteps, StepPair
from recovery.services.compare.rows import Row
from recovery.services.compare.values import DiffAndNote
from recovery.views.compare_links import Links, Urls

STEPS_AT_ONCE = 200
SAME_AT_ONCE = 1_000
SAME_OF_ONE = 100
ROWS_AT_ONCE = 3_000
ROWS_OF_ONE = 200
ROWS_OF_ONE_ALONE = 4_000
ROWS_OF_A_FOLD = 60
SHORT_VALUE = 60

Url = Callable[..., str]


@dataclass(frozen=True)
class Focus:
    """Which part of a long comparison is asked for: steps from the number `start` on, or one place alone."""

    start: int = 0
    place: str = ""

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> Self:
        return cls(_number(str(query.get("from", ""))), str(query.get("at", "")))


def _number(digits: str) -> int:
    # Nine digits are more steps than any run has, and no more than an int takes.
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0


@dataclass
class Room:
    """How many rows of differences and equal steps the page still holds, and how much of one difference or fold."""

    rows: int
    same: int
    rows_of_one: int
    rows_of_a_fold: int


@dataclass(frozen=True)
class ShownStretch:
    """`length` counts the rows that are not shown too; `before` is the path of what follows a fold."""

    rows: list[Row]
    length: int
    is_folded: bool = False
    before: str = ""

    @property
    def left_out(self) -> int:
        return self.length - len(self.rows)


@dataclass(frozen=True)
class ShownDiff:
    """`is_cut`: there is more of it than is shown here."""

    stretches: list[ShownStretch]
    note: str = ""
    is_cut: bool = False

    @property
    def only_line(self) -> str:
        """The text of a value that takes one short line."""
        rows = [row for stretch in self.stretches for row in stretch.rows]
        line = (rows[0].left or rows[0].right) if len(rows) == 1 else None
        return line.text if line is not None and len(line.text) <= SHORT_VALUE else ""


@dataclass(frozen=True)
class Shown:
    """One aligned pair: a step, a storage key or an artifact. `place` is its id on the page.

    `url` leads to a page of it alone, "" on that very page; `left_url` and `right_url` to where it stands in its
    state. `note` says why a value that differs is not shown.
    """

    place: str
    pair: StepPair | KeyPair
    url: str
    left_url: str
    right_url: str
    value: ShownDiff | None = None
    error: ShownDiff | None = None
    note: str = ""
    pictures: Urls | None = None


@dataclass(frozen=True)
class Same:
    """What is equal, to be folded; `places` are the first of them: steps, each with its two addresses, or keys."""

    summary: str
    places: Sequence[Any]
    left_out: int


Entries = Sequence[Shown | Same]


@dataclass(frozen=True)
class Compared:
    steps: Entries = ()
    storage: Entries = ()
    artifacts: Entries = ()


def compared(comparison: Comparison, links: Links, focus: Focus, url: Url) -> dict[str, Any]:
    """What the template shows. `url(**changed)` is the address of this page with something changed."""
    alone = _alone(comparison, links, focus.place) if focus.place else None
    if alone is not None:
        return {"compared": alone, "all_url": f"{url()}#{focus.place}"}
    room, steps = Room(ROWS_AT_ONCE, SAME_AT_ONCE, ROWS_OF_ONE, ROWS_OF_A_FOLD), comparison.steps
    first = next((index for index, entry in enumerate(steps) if _last_number(entry) >= focus.start), len(steps))
    last = first + STEPS_AT_ONCE
    return {
        "compared": Compared(
            [_step(entry, links, room, url) for entry in steps[first:last]],
            _keys("storage", comparison.storage, links, room, url),
            _keys("artifact", comparison.artifacts, links, room, url),
        ),
        "earlier_url": url(**{"from": _last_number(steps[max(0, first - STEPS_AT_ONCE)])}) if first else "",
        "later_url": url(**{"from": _last_number(steps[last])}) if last < len(steps) else "",
    }


def _last_number(entry: StepPair | SameSteps) -> int:
    return entry.number if isinstance(entry, StepPair) else entry.steps[-1].number


def _alone(comparison: Comparison, links: Links, place: str) -> Compared | None:
    """The one place, `None` if there is no such."""
    room = Room(ROWS_OF_ONE_ALONE, 0, ROWS_OF_ONE_ALONE, ROWS_OF_ONE_ALONE)
    kind, _, digits = place.partition("-")
    number = _number(digits)
    if kind == "step":
        pairs = [entry for entry in comparison.steps if isinstance(entry, StepPair) and entry.number == number]
        return Compared(steps=[_step(pairs[0], links, room)]) if pairs else None
    keys = {"storage": comparison.storage, "artifact": comparison.artifacts}.get(kind, ())
    if not 0 < number <= len(keys):
        return None
    found = [_key(kind, number, keys[number - 1], links, room)]
    return Compared(storage=found) if kind == "storage" else Compared(artifacts=found)


def _step(entry: StepPair | SameSteps, links: Links, room: Room, url: Url | None = None) -> Shown | Same:
    if isinstance(entry, SameSteps):
        shown = entry.steps[: min(SAME_OF_ONE, room.same)]
        room.same -= len(shown)
        places = [(step, *links.step(step.address)) for step in shown]
        return Same(entry.summary, places, len(entry.steps) - len(shown))
    place = f"step-{entry.number}"
    error = _cut(lambda: (entry.error, ""), room)[0] if "error" in entry.differs else None
    value, note = _cut(lambda: (entry.result, entry.note), room) if "result" in entry.differs else (None, "")
    return Shown(place, entry, _place_url(place, url), *links.step(entry.address), value, error, note)


def _keys(kind: str, pairs: Sequence[KeyPair], links: Links, room: Room, url: Url) -> Entries:
    """What differs, and behind it folded what does not."""
    shown: list[Shown | Same] = [
        _key(kind, number, pair, links, room, url) for number, pair in enumerate(pairs, 1) if pair.kind != "same"
    ]
    same = [pair for pair in pairs if pair.kind == "same"]
    if same:
        count = len(same)
        words = (
            ngettext("%(count)s key the same", "%(count)s keys the same", count)
            if kind == "storage"
            else ngettext("%(count)s artifact the same", "%(count)s artifacts the same", count)
        )
        summary = words % {"count": count}
        shown.append(Same(summary, same[:SAME_OF_ONE], max(0, len(same) - SAME_OF_ONE)))
    return shown


def _key(kind: str, number: int, pair: KeyPair, links: Links, room: Room, url: Url | None = None) -> Shown:
    place = f"{kind}-{number}"
    is_wanted = pair.kind == "changed" or (kind == "storage" and pair.kind != "same")
    value, note = _cut(lambda: (pair.diff, pair.note), room) if is_wanted else (None, "")
    if kind == "storage":
        return Shown(place, pair, _place_url(place, url), *links.storage(), value, None, note)
    pictures = links.pictures(pair) if pair.kind == "changed" else None
    note = "" if pictures else note
    return Shown(place, pair, _place_url(place, url), *links.artifact(pair), value, None, note, pictures)


def _place_url(place: str, url: Url | None) -> str:
    return f"{url(at=place)}#{place}" if url else ""


def _cut(make: Callable[[], DiffAndNote], room: Room) -> tuple[ShownDiff | None, str]:
    """As much of a difference as there is room for; it is not even made where there is none."""
    if room.rows <= 0:
        return ShownDiff([], is_cut=True), ""
    diff, note = make()
    if diff is None:
        return None, note
    left = min(room.rows_of_one, room.rows)
    stretches: list[ShownStretch] = []
    for stretch in diff.stretches:
        if left <= 0:
            break
        at_most = min(left, room.rows_of_a_fold) if stretch.is_folded else left
        rows = list(islice(stretch.rows, at_most))
        stretches.append(ShownStretch(rows, len(stretch), stretch.is_folded, stretch.path))
        left -= len(rows)
        room.rows -= len(rows)
    is_cut = len(stretches) < len(diff.stretches) or any(one.left_out for one in stretches if not one.is_folded)
    return ShownDiff(stretches, diff.note, is_cut), note
