"""The limit between low and high scores against a search over all limits."""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.track.scores import ScoreHistogram, split_scores
from mtmc.types import Array


def two_peaks(rng: np.random.Generator, low: float, high: float) -> Array:
    return np.concatenate([rng.normal(low, 0.04, 300), rng.normal(high, 0.04, 700)]).clip(0, 1)


@pytest.mark.parametrize("seed", range(5))
def test_the_variance_within_the_classes_is_least(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = rng.beta(*rng.uniform(0.5, 4, 2), 400)
    counts, edges = np.histogram(score, 20, (0, 1))
    center = np.repeat((edges[:-1] + edges[1:]) / 2, counts)

    def variance_within(limit: float) -> float:
        parts = center[center < limit], center[center >= limit]
        return float(sum(np.square(part - part.mean()).sum() for part in parts if len(part)))

    limit = split_scores(counts, high_share=9)
    assert variance_within(limit) == pytest.approx(min(variance_within(edge) for edge in edges[1:-1]))


@pytest.mark.parametrize("scale", [1.0, 0.4, 0.1])
def test_the_limit_lies_between_two_peaks_whatever_the_scale(scale: float) -> None:
    score = scale * two_peaks(np.random.default_rng(0), 0.2, 0.8)
    limit = split_scores(np.histogram(score, 100, (0, 1))[0])
    assert 0.3 * scale < limit < 0.7 * scale


def test_one_peak_is_not_cut_in_two() -> None:
    score = np.random.default_rng(1).normal(0.9, 0.03, 1000).clip(0, 1)
    assert split_scores(np.histogram(score, 100, (0, 1))[0]) < score.min()


@pytest.mark.parametrize("score", [[], [1.0] * 50, [0.25]])
def test_scores_without_a_spread_are_all_high(score: list[float]) -> None:
    histogram = ScoreHistogram()
    histogram.add(np.array(score, np.float32))
    assert histogram.limit == 0


def test_the_limit_follows_the_scores_seen() -> None:
    rng = np.random.default_rng(2)
    histogram = ScoreHistogram()
    for _ in range(50):
        histogram.add(two_peaks(rng, 0.2, 0.9)[:20])
    early = histogram.limit
    for _ in range(500):
        histogram.add(two_peaks(rng, 0.2, 0.9)[-200:])
    assert histogram.limit != early
    assert 0.3 < histogram.limit < 0.75
