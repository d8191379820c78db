"""The solver's sums and moves against naive twins that go through every pair."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mtmc.associate.correlation_clustering import PairwiseLogOdds, _labels, greedy_edge_contraction, local_search


def random_odds(rng, n, share=0.5):
    """Some pairs of n with log odds in thirds, so that sums are exact and ties occur."""
    chosen = [p for p in combinations(range(n), 2) if rng.random() < share]
    pairs = np.array(chosen, np.int64).reshape(-1, 2)
    values = rng.integers(-9, 10, len(pairs)) / 3
    table = np.zeros((n, n))
    table[pairs[:, 0], pairs[:, 1]] = table[pairs[:, 1], pairs[:, 0]] = values
    return PairwiseLogOdds(n, pairs[:, 0] * n + pairs[:, 1], values), table


def naive_contract(table, excluded):
    """Greedy additive edge contraction over all pairs of groups, again and again."""
    groups = [[k] for k in range(len(table))]
    while True:
        best = None
        for a, b in combinations(range(len(groups)), 2):
            gain = round(float(table[np.ix_(groups[a], groups[b])].sum()), 6)
            if gain > 0 and not excluded(groups[a], groups[b]) and (best is None or gain > best[0]):
                best = gain, a, b
        if best is None:
            return {frozenset(group) for group in groups}
        _, a, b = best
        groups[a] = groups[a] + groups.pop(b)  # the lower index stays where it was


def worth(table, groups):
    return sum(table[i, j] for group in groups for i, j in combinations(group, 2))


def groups_of(labels):
    return {frozenset(np.flatnonzero(labels == k).tolist()) for k in np.unique(labels)}


def test_sums_over_pairs_of_groups():
    rng = np.random.default_rng(1)
    odds, table = random_odds(rng, 12)
    these = [[0], [1, 5, 3], [], [11, 2]]
    those = [[4, 7], [0, 2], [1], [3]]
    expected = [sum(table[i, j] for i in a for j in b) for a, b in zip(these, those, strict=True)]
    np.testing.assert_allclose(odds.sums(these, those), expected, atol=1e-12)
    assert odds.sums([], []) == []
    assert PairwiseLogOdds(3, np.zeros(0, np.int64), np.zeros(0)).sums([[0]], [[1, 2]]) == [0.0]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 14), st.integers(0, 2**32 - 1))
@example(13, 1203373)  # a sum of thirds that is nothing, but for rounding
def test_contraction_against_a_twin_that_tries_every_pair(n, seed):
    rng = np.random.default_rng(seed)
    odds, table = random_odds(rng, n)
    camera = rng.integers(0, 4, n)

    def excluded(these, those):
        return any(camera[i] == camera[j] for i in these for j in those)

    assert groups_of(greedy_edge_contraction(odds, excluded)) == naive_contract(table, excluded)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 14), st.integers(0, 2**32 - 1))
def test_after_improvement_no_single_move_is_a_gain(n, seed):
    rng = np.random.default_rng(seed)
    odds, table = random_odds(rng, n)
    camera = rng.integers(0, 4, n)

    def excluded(these, those):
        return any(camera[i] == camera[j] for i in these for j in those)

    before = greedy_edge_contraction(odds, excluded)
    labels = local_search(odds, before, excluded, max_sweeps=100)
    reached = worth(table, groups_of(labels))
    assert reached >= worth(table, groups_of(before)) - 1e-9
    for k in range(n):
        for target in {*labels.tolist(), n}:  # to each group, or alone
            room = [m for m in range(n) if labels[m] == target and m != k]
            if any(camera[m] == camera[k] for m in room):
                continue
            moved = labels.copy()
            moved[k] = target
            assert worth(table, groups_of(moved)) <= reached + 1e-3


def test_a_newcomer_turns_out_who_cannot_stay():
    """0 and 1 are of one camera. 2 was joined to 0 first; 3 pulls both to 1, which then takes the place of 0."""
    odds = PairwiseLogOdds(4, np.array([0 * 4 + 2, 1 * 4 + 2, 1 * 4 + 3, 2 * 4 + 3]), np.array([3.0, 2.0, 2.0, 2.5]))

    def excluded(these, those):
        return any({i, j} == {0, 1} for i in these for j in those)

    assert groups_of(greedy_edge_contraction(odds, excluded)) == {frozenset({0, 2, 3}), frozenset({1})}
    assert groups_of(local_search(odds, greedy_edge_contraction(odds, excluded), excluded)) == {
        frozenset({1, 2, 3}),
        frozenset({0}),
    }


@pytest.mark.parametrize(
    "solver", [greedy_edge_contraction, lambda odds, ex: local_search(odds, np.arange(odds.n), ex)]
)
def test_nothing_in_favour_joins_nothing(solver):
    odds = PairwiseLogOdds(3, np.array([1, 2, 5]), np.array([-1.0, 0.0, -2.0]))
    assert solver(odds, lambda these, those: False).tolist() == [0, 1, 2]


def test_a_group_is_labeled_by_its_least_member():
    assert _labels(6, [[4, 2], [], [3, 0, 5]]).tolist() == [0, 1, 2, 0, 2, 0]
