"""What the partition is chosen by: the sign of log odds, or the largest expected F1 score."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mtmc.associate.candidates import Candidates
from mtmc.associate.config import Objective
from mtmc.associate.graph import best_f1_shift, solve


def separate_pairs(log_odds: np.ndarray, objective: Objective) -> Candidates:
    """Pairs (0, 1), (2, 3), … of which none touches another, so that each is decided by itself."""
    pairs = np.arange(2 * len(log_odds), dtype=np.int32).reshape(-1, 2)
    nothing: Any = None
    return Candidates(2 * len(log_odds), pairs, log_odds, nothing, nothing, nothing, 1.0, objective)


def joined(candidates: Candidates) -> np.ndarray:
    free: Any = SimpleNamespace(groups=[], conflict=lambda first, second: False)
    labels = solve(candidates, free)
    return labels[candidates.pairs[:, 0]] == labels[candidates.pairs[:, 1]]


def expected_f1(probability: np.ndarray, chosen: np.ndarray) -> float:
    return 2 * probability[chosen].sum() / (chosen.sum() + probability.sum())


def test_precision_joins_what_is_likelier_one_vehicle_than_two() -> None:
    log_odds = np.array([3.0, 0.2, -0.1, -0.8, -4.0])
    assert joined(separate_pairs(log_odds, "precision")).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("center", [-2.0, 0.0, 1.0])
def test_idf1_has_nearly_the_largest_expected_f1_of_all_thresholds(center: float) -> None:
    log_odds = np.random.default_rng(5).normal(center, 2.0, 300)
    probability = 1 / (1 + np.exp(-log_odds))
    best = max(expected_f1(probability, log_odds >= threshold) for threshold in log_odds)
    chosen = joined(separate_pairs(log_odds, "idf1"))
    assert expected_f1(probability, chosen) == pytest.approx(best, abs=0.003)
    assert chosen.sum() > (log_odds > 0).sum()


def test_the_shift_is_the_logit_of_half_the_score() -> None:
    candidates = separate_pairs(np.array([2.0, 2.0, -1.0]), "idf1")
    p = 1 / (1 + np.exp(-candidates.log_odds))
    score = 2 * (p[0] + p[1]) / (2 + p.sum())
    labels = np.array([0, 0, 2, 2, 4, 5])
    assert best_f1_shift(candidates, labels) == pytest.approx(-np.log(score / 2 / (1 - score / 2)))
