"""Alignment: what of two sequences belongs together, and that it stays quick whatever the sequences are."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.services.compare.align import Effort, align, longest_increasing, match

LETTERS = st.lists(st.sampled_from("abcdef"), max_size=14)


def length_of_longest_common(left: list[str], right: list[str]) -> int:
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in reversed(range(len(left))):
        for j in reversed(range(len(right))):
            longer = max(table[i + 1][j], table[i][j + 1])
            table[i][j] = table[i + 1][j + 1] + 1 if left[i] == right[j] else longer
    return table[0][0]


def is_common_subsequence(pairs: list[tuple[int, int]], left: list[str], right: list[str]) -> bool:
    return all(left[i] == right[j] for i, j in pairs) and all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))


@settings(deadline=None)
@given(LETTERS, LETTERS)
def test_with_enough_effort_the_common_subsequence_is_a_longest_one(left: list[str], right: list[str]) -> None:
    pairs = match(left, right, Effort())
    assert is_common_subsequence(pairs, left, right)
    assert len(pairs) == length_of_longest_common(left, right)


@settings(deadline=None)
@given(LETTERS, LETTERS)
def test_without_effort_the_matches_are_fewer_but_none_is_wrong(left: list[str], right: list[str]) -> None:
    assert is_common_subsequence(match(left, right, Effort(0)), left, right)


@settings(deadline=None)
@given(st.permutations(range(12)))
def test_the_longest_increasing_subsequence_of_a_permutation_matches_its_sorted_self(numbers: list[int]) -> None:
    chosen = [numbers[index] for index in longest_increasing(numbers)]
    assert chosen == sorted(chosen)
    assert len(chosen) == length_of_longest_common([str(n) for n in numbers], [str(n) for n in sorted(numbers)])


@settings(deadline=None)
@given(LETTERS, LETTERS, st.integers(0, 2_000), st.randoms(use_true_random=False))
def test_an_alignment_holds_every_index_of_both_sides_once_and_in_order(
    left: list[str], right: list[str], effort: int, chance: random.Random
) -> None:
    aligned = list(align(left, right, lambda i, j: chance.random(), Effort(effort)))
    assert [i for i, _ in aligned if i is not None] == list(range(len(left)))
    assert [j for _, j in aligned if j is not None] == list(range(len(right)))


def test_what_is_most_alike_is_paired_not_what_comes_first() -> None:
    weights = {(0, 1): 0.9, (0, 0): 0.1}
    aligned = list(align(["old"], ["other", "new"], lambda i, j: weights[i, j], Effort()))
    assert aligned == [(None, 0), (0, 1)]


SEQUENCES = {
    "many repeats": ([i % 2 for i in range(20_000)], [i % 3 % 2 for i in range(20_000)]),
    "nothing in common": (list(range(20_000)), list(range(20_000, 40_000))),
    "the other way round": (list(range(20_000)), list(range(20_000))[::-1]),
    "half of them changed": ([i % 7_000 for i in range(20_000)], [i * 7 % 9_000 for i in range(20_000)]),
}


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.timeout(60)
def test_sequences_made_to_be_hard_take_no_more_than_a_moment(name: str) -> None:
    left, right = SEQUENCES[name]
    assert len(list(align(left, right, lambda i, j: 1.0, Effort()))) >= 20_000
