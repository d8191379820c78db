"""Assignment against trying everything."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from mtmc.track.assignment import assign, components, least_cost_pairs
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


LARGE = [(29, 29), (30, 30), (31, 47), (47, 31), (90, 60)]


@pytest.mark.parametrize("shape", LARGE)
def test_large_problems_have_the_total_cost_of_scipy_s_solution(shape: tuple[int, int]) -> None:
    cost = np.random.default_rng(sum(shape)).random(shape)
    rows, columns = least_cost_pairs(cost)
    assert (rows.dtype, columns.dtype) == (np.int64, np.int64)
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == len(rows) == min(shape)
    assert (np.diff(rows) > 0).all()
    assert cost[rows, columns].sum() == pytest.approx(cost[linear_sum_assignment(cost)].sum(), abs=1e-9)


@pytest.mark.parametrize("shape", LARGE)
def test_large_components_never_pair_what_is_at_the_limit(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    cost = sparse_costs(rng, shape, 0.12)
    limit = 0.8
    rows, columns = assign(cost, limit)
    assert (cost[rows, columns] < limit).all()
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == len(rows) <= min(shape)
    capped = np.minimum(cost, limit)
    best = (limit - capped[linear_sum_assignment(capped)]).sum()
    assert (limit - cost[rows, columns]).sum() == pytest.approx(best, abs=1e-9)


def test_large_problems_with_ties_have_one_answer() -> None:
    cost = np.random.default_rng(1).integers(0, 3, (50, 40)).astype(float)
    first = least_cost_pairs(cost)
    assert cost[first].sum() == cost[linear_sum_assignment(cost)].sum()
    for _ in range(5):
        np.testing.assert_array_equal(least_cost_pairs(cost.copy(order="F")), first)


def test_large_problems_are_solved_by_lap_and_small_ones_by_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr("lap.lapjv", refuse)
        least_cost_pairs(np.eye(29))
        least_cost_pairs(np.ones((29, 200)))
        with pytest.raises(AssertionError):
            least_cost_pairs(np.eye(30))
    monkeypatch.setattr("mtmc.track.assignment.linear_sum_assignment", refuse)
    assert least_cost_pairs(1 - np.eye(30))[1].tolist() == list(range(30))
