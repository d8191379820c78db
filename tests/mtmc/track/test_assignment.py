"""Assignment against trying everything."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from mtmc.track.assignment import assign, components
from mtmc.types import Array


def best_gain(cost: Array, limit: float) -> float:
    """The largest total of limit − cost over all one-to-one pairings."""
    gain = np.maximum(limit - cost, 0)
    if gain.shape[0] > gain.shape[1]:
        gain = gain.T
    return max(
        sum(gain[row, column] for row, column in enumerate(columns))
        for columns in permutations(range(gain.shape[1]), gain.shape[0])
    )


def sparse_costs(rng: np.random.Generator, shape: tuple[int, int], share: float) -> Array:
    return np.where(rng.random(shape) < share, rng.random(shape), np.inf)


@pytest.mark.parametrize("seed", range(25))
def test_gains_most(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost = sparse_costs(rng, (int(rng.integers(1, 6)), int(rng.integers(1, 7))), rng.uniform(0.2, 1))
    rows, columns = assign(cost, 0.8)
    assert len(set(rows)) == len(rows) == len(set(columns))
    assert (cost[rows, columns] < 0.8).all()
    assert (np.diff(rows) > 0).all()
    assert (0.8 - cost[rows, columns]).sum() == pytest.approx(best_gain(cost, 0.8))


@pytest.mark.parametrize("seed", range(12))
def test_lower_ranks_choose_first(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost = sparse_costs(rng, (6, 6), 0.5)
    rank = rng.integers(1, 4, 6)
    rows, columns = assign(cost, 0.9, rank)
    left = cost.copy()
    for turn in (1, 2, 3):
        mine = rank[rows] == turn
        block = np.where((rank == turn)[:, None], left, np.inf)
        assert (0.9 - cost[rows[mine], columns[mine]]).sum() == pytest.approx(best_gain(block, 0.9))
        left[:, columns[mine]] = np.inf


def test_recent_track_wins_against_a_better_cost() -> None:
    cost = np.array([[0.1], [0.5]])
    assert assign(cost, 0.9, np.array([2, 1]))[0].tolist() == [1]
    assert assign(cost, 0.9)[0].tolist() == [0]


def test_cost_at_the_limit_is_apart() -> None:
    assert len(assign(np.array([[0.5]]), 0.5)[0]) == 0
    assert len(assign(np.full((2, 3), np.inf), 0.5)[0]) == 0


def test_components() -> None:
    edges = [(4, 0), (4, 1), (2, 1), (7, 9), (3, 9)]
    found = components([r for r, _ in edges], [c for _, c in edges])
    assert sorted(found) == [([2, 4], [0, 1]), ([3, 7], [9])]
