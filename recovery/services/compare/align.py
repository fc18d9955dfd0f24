"""Which elements of two sequences belong together: exact where that is cheap, bounded where it is not."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
Pairs = list[tuple[int, int]]

# Units are inner steps of the algorithms below; this many take about a tenth of a second.
DEFAULT_EFFORT = 250_000


class Effort:
    """What one comparison may still spend. When it is used up, alignments get coarser, never slower."""

    def __init__(self, units: int = DEFAULT_EFFORT) -> None:
        self.left = units

    def spend(self, units: int) -> bool:
        """Whether that much was left; it is gone then."""
        if units > self.left:
            return False
        self.left -= units
        return True


def longest_increasing(numbers: Sequence[int]) -> list[int]:
    """The indexes of a longest strictly increasing subsequence, in order; O(n log n)."""
    tails: list[int] = []
    tail_indexes: list[int] = []
    before = [-1] * len(numbers)
    for index, number in enumerate(numbers):
        place = bisect_left(tails, number)
        if place:
            before[index] = tail_indexes[place - 1]
        if place == len(tails):
            tails.append(number)
            tail_indexes.append(index)
        else:
            tails[place] = number
            tail_indexes[place] = index
    chain = []
    index = tail_indexes[-1] if tail_indexes else -1
    while index >= 0:
        chain.append(index)
        index = before[index]
    return chain[::-1]


def match(left: Sequence[K], right: Sequence[K], effort: Effort) -> Pairs:
    """The index pairs of a common subsequence, increasing on both sides; of a longest one unless `effort` ran out."""
    start = 0
    end = min(len(left), len(right))
    while start < end and left[start] == right[start]:
        start += 1
    tail = 0
    while tail < end - start and left[-1 - tail] == right[-1 - tail]:
        tail += 1
    # What the other side does not have cannot match: leaving it out keeps the longest subsequence and its cost small.
    middle_right = Counter(right[start : len(right) - tail])
    middle_left = Counter(left[start : len(left) - tail])
    lefts = [i for i in range(start, len(left) - tail) if left[i] in middle_right]
    rights = [j for j in range(start, len(right) - tail) if right[j] in middle_left]
    keys_left, keys_right = [left[i] for i in lefts], [right[j] for j in rights]
    if all(middle_left[key] == 1 == middle_right[key] for key in keys_left):
        inner = _match_unique(keys_left, keys_right)
    else:
        shortest = _match_shortest_edit(keys_left, keys_right, effort)
        inner = _match_around_unique(keys_left, keys_right) if shortest is None else shortest
    pairs = [(i, i) for i in range(start)]
    pairs.extend((lefts[i], rights[j]) for i, j in inner)
    pairs.extend((len(left) - tail + i, len(right) - tail + i) for i in range(tail))
    return pairs


def align(
    left: Sequence[K], right: Sequence[K], alike: Callable[[int, int], float], effort: Effort
) -> Iterator[tuple[int | None, int | None]]:
    """Every index of both sides once and in order: equal elements together, and between them the ones most alike.

    `alike(i, j)` is 0 for elements that must not share a line, else a weight (of equal elements too). `None` stands
    on the side that has no such element; what is only left comes before what is only right.
    """
    at_left = at_right = 0
    for i, j in [*match(left, right, effort), (len(left), len(right))]:
        if at_left < i or at_right < j:
            yield from _align_gap(range(at_left, i), range(at_right, j), alike, effort)
        if i < len(left):
            yield i, j
        at_left, at_right = i + 1, j + 1


def _align_gap(
    lefts: range, rights: range, alike: Callable[[int, int], float], effort: Effort
) -> Iterator[tuple[int | None, int | None]]:
    pairs: Iterable[tuple[int, int]]
    if not lefts or not rights:
        pairs = ()
    elif len(lefts) * len(rights) <= 2_500 and effort.spend(len(lefts) * len(rights) * 20):
        pairs = _most_alike(lefts, rights, alike)
    else:
        pairs = ((i, j) for i, j in zip(lefts, rights, strict=False) if alike(i, j))
    at_left, at_right = lefts.start, rights.start
    for i, j in chain(pairs, [(lefts.stop, rights.stop)]):
        yield from ((index, None) for index in range(at_left, i))
        yield from ((None, index) for index in range(at_right, j))
        if i < lefts.stop:
            yield i, j
        at_left, at_right = i + 1, j + 1


def _most_alike(lefts: range, rights: range, alike: Callable[[int, int], float]) -> Pairs:
    """The pairs, increasing on both sides, whose weights add up to the most."""
    width = len(rights) + 1
    weights = [[alike(i, j) for j in rights] for i in lefts]
    best = [[0.0] * width for _ in range(len(lefts) + 1)]
    for a in range(len(lefts) - 1, -1, -1):
        row, below, weight = best[a], best[a + 1], weights[a]
        for b in range(len(rights) - 1, -1, -1):
            row[b] = max(below[b], row[b + 1], weight[b] + below[b + 1] if weight[b] else 0.0)
    pairs: Pairs = []
    a = b = 0
    while a < len(lefts) and b < len(rights):
        if weights[a][b] and best[a][b] == weights[a][b] + best[a + 1][b + 1]:
            pairs.append((lefts[a], rights[b]))
            a, b = a + 1, b + 1
        elif best[a][b] == best[a + 1][b]:
            a += 1
        else:
            b += 1
    return pairs


def _match_unique(left: Sequence[K], right: Sequence[K]) -> Pairs:
    """Both hold the same elements, each once: the longest common subsequence is a longest increasing one."""
    places = {key: j for j, key in enumerate(right)}
    targets = [places[key] for key in left]
    return [(i, targets[i]) for i in longest_increasing(targets)]


def _match_shortest_edit(left: Sequence[K], right: Sequence[K], effort: Effort) -> Pairs | None:
    """Myers' O(ND); `None` when `effort` is used up."""
    n, m = len(left), len(right)
    reach = {1: 0}
    history: list[dict[int, int]] = []
    for distance in range(n + m + 1):
        if not effort.spend(2 * distance + 1):
            return None
        history.append(reach.copy())
        for diagonal in range(-distance, distance + 1, 2):
            if diagonal == -distance or (diagonal != distance and reach[diagonal - 1] < reach[diagonal + 1]):
                x = reach[diagonal + 1]
            else:
                x = reach[diagonal - 1] + 1
            first = x
            while x < n and x - diagonal < m and left[x] == right[x - diagonal]:
                x += 1
            if x > first and not effort.spend(x - first):
                return None
            reach[diagonal] = x
            if x >= n and x - diagonal >= m:
                return _walk_back(history, n, m)
    return []


def _walk_back(history: list[dict[int, int]], x: int, y: int) -> Pairs:
    pairs: Pairs = []
    for distance in range(len(history) - 1, -1, -1):
        reach, diagonal = history[distance], x - y
        if diagonal == -distance or (diagonal != distance and reach[diagonal - 1] < reach[diagonal + 1]):
            before = diagonal + 1
        else:
            before = diagonal - 1
        x_before = reach[before] if distance else 0
        y_before = x_before - before if distance else 0
        while x > x_before and y > y_before:
            x, y = x - 1, y - 1
            pairs.append((x, y))
        x, y = x_before, y_before
    return pairs[::-1]


def _match_around_unique(left: Sequence[K], right: Sequence[K]) -> Pairs:
    """Patience: the elements that each side has once are anchors, and equal neighbours of theirs match too."""
    in_left, in_right = Counter(left), Counter(right)
    places = {key: j for j, key in enumerate(right) if in_right[key] == 1}
    candidates = [(i, places[key]) for i, key in enumerate(left) if in_left[key] == 1 and key in places]
    pairs: Pairs = []
    at_left = at_right = 0
    for chosen in [None, *longest_increasing([j for _, j in candidates])]:
        if chosen is not None:
            i, j = candidates[chosen]
            if i < at_left or j < at_right:
                continue
            back = 0
            while i - back > at_left and j - back > at_right and left[i - back - 1] == right[j - back - 1]:
                back += 1
            pairs.extend((i - step, j - step) for step in range(back, -1, -1))
            at_left, at_right = i + 1, j + 1
        while at_left < len(left) and at_right < len(right) and left[at_left] == right[at_right]:
            pairs.append((at_left, at_right))
            at_left, at_right = at_left + 1, at_right + 1
    return pairs
