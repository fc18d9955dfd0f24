"""What differs from what the run proposed, leaf by leaf: before and after beside each other, words marked in texts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.utils.translation import gettext
from pydantic import BaseModel

from recovery.forms import Change
from recovery.forms.fields import display_of
from recovery.forms.records import is_same
from recovery.services.compare.align import Effort
from recovery.services.compare.rows import Diff, Line, Row, Segment, Stretch, line
from recovery.services.compare.text_diff import by_words, diff_texts

EDITS_AT_MOST = 50
ROWS_AT_MOST = 60


@dataclass(frozen=True, slots=True)
class Edit:
    """One leaf. `target` is the id of its field, empty where it has none; `stretches` are its rows with equal ones
    folded away, and `is_cut` says that there are more of them."""

    label: str
    target: str
    stretches: Sequence[Sequence[Row]]
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Edits:
    """`count` is that of all, of which the first are in `shown`; `by` says whose they are, empty for the viewer's."""

    shown: Sequence[Edit] = ()
    count: int = 0
    by: str = ""

    @property
    def more(self) -> int:
        return self.count - len(self.shown)


def edits_of(changes: Sequence[Change], *, prefix: str = "", by: str = "") -> Edits:
    """`prefix` is that of the form whose fields they are at."""
    return Edits([_edit(change, prefix) for change in changes[:EDITS_AT_MOST]], len(changes), by)


def changes_between(old: Any, new: Any) -> Iterator[Change]:
    """The leaves in which two values differ: of models by field, of dicts by key, of equally long lists by place."""
    return _changes("", old, new)


def _changes(path: str, old: Any, new: Any) -> Iterator[Change]:
    if is_same(old, new):
        return
    before, after = _parts(old), _parts(new)
    if before is None or after is None or type(old) is not type(new) or _is_resized(old, new):
        yield Change(path, path.replace(".", ", ") or gettext("the proposal"), display_of(old), display_of(new))
        return
    for key in dict.fromkeys((*before, *after)):
        inner = f"{path}.{key}" if path else str(key)
        if key not in after:
            yield Change(inner, inner.replace(".", ", "), display_of(before[key]), "")
        elif key not in before:
            yield Change(inner, inner.replace(".", ", "), "", display_of(after[key]))
        else:
            yield from _changes(inner, before[key], after[key])


def _parts(value: Any) -> dict[Any, Any] | None:
    if isinstance(value, BaseModel):
        return {**vars(value), **(value.model_extra or {})}
    if isinstance(value, dict):
        return value
    if isinstance(value, list | tuple):
        # Counted as people count rows.
        return dict(enumerate(value, start=1))
    return None


def _is_resized(old: Any, new: Any) -> bool:
    return isinstance(old, list | tuple) and len(old) != len(new)


def _edit(change: Change, prefix: str) -> Edit:
    target = f"{prefix}.{change.path}".replace(".", "-") if prefix else ""
    stretches = _stretches(change.old, change.new)
    room, shown = ROWS_AT_MOST, []
    for stretch in stretches:
        rows = list(islice(stretch, room))
        room -= len(rows)
        if rows:
            shown.append(rows)
    return Edit(change.label, target, shown, is_cut=room == 0)


def _stretches(old: str, new: str) -> Iterable[Iterable[Row]]:
    """Where nothing stood or nothing stands any more, a word says so: two empty cells would say nothing."""
    if "\n" in old or "\n" in new:
        return (stretch.rows for stretch in _unfolded(diff_texts(old, new)))
    if not old or not new:
        return [[Row("changed", _whole(old), _whole(new))]]
    left, right = by_words(old, new, Effort())
    return [[Row("changed", Line(left), Line(right))]]


def _unfolded(diff: Diff) -> Iterator[Stretch]:
    return (stretch for stretch in diff.stretches if not stretch.is_folded)


def _whole(text: str) -> Line:
    return Line((Segment(text, True),)) if text else line("(nothing)")
